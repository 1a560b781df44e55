//! The manifests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use super::real_part::{installed, real_dir};
use super::{documents, files_below, is_pinned, repository, run, said, succeeds, text};

pub(super) const KUSTOMIZATIONS: [&str; 3] = ["base", "overlays/kubernetes-store", "examples/workload"];

/// All objects of the manifests as they are written.
pub(super) fn objects() -> Vec<Value> {
    let mut files = vec![];
    files_below(&repository("deploy/kubernetes"), &mut files);
    let manifests = files.iter().filter(|path| path.extension().is_some_and(|name| name == "yaml"));
    let all = manifests.flat_map(|path| documents(&fs::read_to_string(path).unwrap()));
    all.filter(|object| object["kind"].is_string() && !object["apiVersion"].as_str().unwrap().contains("kustomize"))
        .collect()
}

pub(super) fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// What is wrong with a pod, beside what the `restricted` profile of Pod Security asks for.
fn complaints_of_pod(pod: &Value) -> Vec<&'static str> {
    let mut wrong = vec![];
    let mut expect = |holds: bool, what| {
        if !holds {
            wrong.push(what);
        }
    };
    expect(pod["automountServiceAccountToken"] == false, "a token is mounted unasked");
    expect(pod["securityContext"]["runAsNonRoot"] == true, "it may be root");
    expect(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "it may make any system call");
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        expect(pod[key].is_null(), "it sees the node");
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        expect(volume["hostPath"].is_null(), "it mounts the node's files");
        let mode = volume["secret"]["defaultMode"].as_u64();
        expect(volume["secret"].is_null() || mode == Some(0o440), "a secret is open to others");
    }
    let initial = pod["initContainers"].as_array().into_iter().flatten();
    for container in pod["containers"].as_array().into_iter().flatten().chain(initial) {
        let context = &container["securityContext"];
        expect(context["allowPrivilegeEscalation"] == false, "it may gain privileges");
        expect(context["privileged"].is_null() || context["privileged"] == false, "it is privileged");
        expect(context["readOnlyRootFilesystem"] == true, "its root can be written to");
        expect(context["capabilities"] == json!({"drop": ["ALL"]}), "it has capabilities");
        expect(context["runAsUser"].is_null(), "it is another user than its pod");
        expect(container["resources"]["limits"]["memory"].is_string(), "its memory has no bound");
        expect(container["image"] == "cambio", "its image is not the one that the kustomization gives a version");
        let from_secret = |variable: &Value| !variable["valueFrom"]["secretKeyRef"].is_null();
        let variables = container["env"].as_array().into_iter().flatten();
        expect(!variables.into_iter().any(from_secret), "a secret is in its environment");
    }
    wrong
}

pub(super) fn pods(objects: &[Value]) -> Vec<Value> {
    let templates = objects.iter().map(|object| object["spec"]["template"]["spec"].clone());
    templates.filter(|pod| pod["containers"].is_array()).collect()
}

#[test]
fn every_pod_has_no_more_than_it_needs() {
    let objects = objects();
    let pods = pods(&objects);
    assert_eq!(pods.len(), 2);
    assert!(
        pods.iter().all(|pod| complaints_of_pod(pod).is_empty()),
        "{:?}",
        pods.iter().map(complaints_of_pod).collect::<Vec<_>>()
    );
    for account in of_kind(&objects, "ServiceAccount") {
        assert_eq!(account["automountServiceAccountToken"], false, "{account}");
    }
    for namespace in of_kind(&objects, "Namespace") {
        assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted", "{namespace}");
    }
}

#[rstest]
#[case::token("/automountServiceAccountToken", json!(true))]
#[case::root("/securityContext/runAsNonRoot", json!(false))]
#[case::system_calls("/securityContext/seccompProfile/type", json!("Unconfined"))]
#[case::node("/hostNetwork", json!(true))]
#[case::privileged("/containers/0/securityContext/privileged", json!(true))]
#[case::escalation("/containers/0/securityContext/allowPrivilegeEscalation", json!(true))]
#[case::writable("/containers/0/securityContext/readOnlyRootFilesystem", json!(false))]
#[case::capabilities("/containers/0/securityContext/capabilities", json!({"drop": ["ALL"], "add": ["NET_ADMIN"]}))]
#[case::user("/containers/0/securityContext/runAsUser", json!(0))]
#[case::image("/containers/0/image", json!("cambio:latest"))]
#[case::memory("/containers/0/resources/limits/memory", Value::Null)]
#[case::environment("/containers/0/env", json!([{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]))]
#[case::files_of_the_node("/volumes/0/hostPath", json!({"path": "/"}))]
fn a_pod_that_has_more_is_noticed(#[case] place: &str, #[case] value: Value) {
    let mut pod = pods(&objects()).remove(0);
    let (parent, name) = place.rsplit_once('/').unwrap();
    pod.pointer_mut(parent).unwrap()[name] = value;
    assert_eq!(complaints_of_pod(&pod).len(), 1, "{pod}");
}

#[test]
fn nothing_gets_in_or_out_but_what_is_said() {
    let objects = objects();
    let policies = of_kind(&objects, "NetworkPolicy");
    let denial = policies.iter().find(|policy| policy["metadata"]["name"] == "default-deny").unwrap();
    assert_eq!(denial["spec"], json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
    let ports = |rules: &Value| -> Vec<u64> {
        let rules = rules.as_array().unwrap().iter();
        rules.flat_map(|rule| rule["ports"].as_array().unwrap()).map(|port| port["port"].as_u64().unwrap()).collect()
    };
    for (name, direction, expected) in [
        ("callers", "ingress", vec![8200]),
        ("monitoring", "ingress", vec![9200]),
        ("names", "egress", vec![53, 53]),
        ("issuers", "egress", vec![443, 6443]),
    ] {
        let policy = policies.iter().find(|policy| policy["metadata"]["name"] == name).unwrap();
        assert_eq!(ports(&policy["spec"][direction]), expected, "{name}");
        assert_eq!(policy["spec"]["podSelector"]["matchLabels"], json!({"app.kubernetes.io/name": "cambio"}));
        for rule in policy["spec"]["ingress"].as_array().into_iter().flatten() {
            let from = rule["from"].as_array().unwrap();
            assert!(
                from.iter().all(|one| one["namespaceSelector"]["matchLabels"].is_object()),
                "{name} lets everybody in"
            );
        }
    }
    assert_eq!(policies.len(), 5, "a policy that this test does not know only ever lets more through");
    let issuers = policies.iter().find(|policy| policy["metadata"]["name"] == "issuers").unwrap();
    assert_eq!(issuers["spec"]["egress"][0]["to"][0]["ipBlock"]["except"], json!(["169.254.0.0/16"]));
    let service = of_kind(&objects, "Service");
    assert!(service.len() == 1 && service[0]["spec"]["type"].is_null(), "no port of the nodes, no load balancer");
    assert_eq!(service[0]["spec"]["ports"].as_array().unwrap().len(), 1, "metrics are not for callers");
}

#[test]
fn the_state_of_one_replica_is_never_opened_twice() {
    let objects = objects();
    let set = of_kind(&objects, "StatefulSet").remove(0);
    assert_eq!(set["spec"]["replicas"], 1);
    assert_eq!(set["spec"]["volumeClaimTemplates"][0]["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(
        pod["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch",
        "or cambio's own directory is opened up"
    );
    for (probe, path) in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        assert_eq!(pod["containers"][0][probe]["httpGet"], json!({"path": path, "port": "ops"}));
    }
    let token = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "api").unwrap();
    assert!(
        token["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"].as_u64() <= Some(3600),
        "{token}"
    );
}

#[test]
fn a_workloads_token_is_for_cambio_alone() {
    let config = documents(&text("deploy/kubernetes/base/cambio.yaml")).remove(0);
    let objects = objects();
    let job = of_kind(&objects, "Job").remove(0);
    let volumes = job["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let token = &volumes.iter().find(|volume| volume["name"] == "cambio").unwrap()["projected"]["sources"][0];
    let token = &token["serviceAccountToken"];
    assert_eq!(config["issuers"][0]["audiences"], json!([token["audience"]]));
    assert!(token["expirationSeconds"].as_u64() <= Some(600), "{token}");
    let arguments = job["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(arguments.contains(&format!("--url={}\"", config["issuer"].as_str().unwrap())), "{arguments}");
    assert!(!arguments.contains("insecure"), "{arguments}");
}

/// Only what the configuration assigns, and of that only `get`.
#[test]
fn roles_open_what_is_configured_and_nothing_else() {
    let objects = objects();
    let config = documents(&text("deploy/kubernetes/overlays/kubernetes-store/cambio.yaml")).remove(0);
    let clusters = config["secrets"]["kubernetes"].as_array().unwrap().iter();
    let assigned = clusters.flat_map(|cluster| cluster["secrets"].as_array().unwrap());
    let assigned: BTreeSet<_> = assigned.map(|secret| secret["secret"].as_str().unwrap().to_owned()).collect();
    let mut opened = BTreeSet::new();
    for role in of_kind(&objects, "Role") {
        for rule in role["rules"].as_array().unwrap() {
            assert_eq!((&rule["resources"], &rule["verbs"]), (&json!(["secrets"]), &json!(["get"])), "{rule}");
            let names = rule["resourceNames"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            opened.extend(names.map(|name| format!("{}/{name}", role["metadata"]["namespace"].as_str().unwrap())));
        }
    }
    assert_eq!(opened, assigned);
    for role in of_kind(&objects, "ClusterRole") {
        assert_eq!(
            role["rules"],
            json!([{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}])
        );
    }
    for binding in ["RoleBinding", "ClusterRoleBinding"].iter().flat_map(|kind| of_kind(&objects, kind)) {
        assert_eq!(binding["subjects"], json!([{"kind": "ServiceAccount", "name": "cambio", "namespace": "cambio"}]));
    }
    let base = fs::read_dir(repository("deploy/kubernetes/base")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(base.into_iter().all(|name| !name.to_string_lossy().contains("role")), "the base needs no rights");
}

#[test]
fn the_roles_are_those_that_cambio_renders() {
    let config = repository("deploy/kubernetes/overlays/kubernetes-store/cambio.yaml");
    let arguments = ["kubernetes", "rbac", "--store", "home", "--config", config.to_str().unwrap()];
    let rendered = succeeds(Path::new(env!("CARGO_BIN_EXE_cambio")), &arguments, "");
    let shipped = text("deploy/kubernetes/overlays/kubernetes-store/rbac.yaml");
    assert_eq!(shipped.split_once('\n').unwrap().1, rendered);
}

/// A kustomization reads nothing above its directory, so the policy is there twice.
#[test]
fn the_policy_of_the_manifests_is_the_shipped_one() {
    let rules = |path: &str| text(path).split_once('\n').unwrap().1.to_owned();
    assert_eq!(rules("deploy/kubernetes/base/policies/payments-api.yaml"), rules("policies/kubernetes-workload.yaml"));
}

pub(super) fn built(kustomization: &str) -> String {
    let directory = format!("deploy/kubernetes/{kustomization}");
    succeeds(&real_dir().join("packaging/kustomize"), &["build", &directory], "")
}

#[test]
fn kustomize_builds_what_kubernetes_knows_with_versions_of_images() {
    if !installed("packaging") || !installed("python") {
        return;
    }
    let validate = real_dir().join("venv/bin/kubernetes-validate");
    for kustomization in KUSTOMIZATIONS {
        let manifests = built(kustomization);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("manifests.yaml");
        fs::write(&file, &manifests).unwrap();
        for version in ["1.30", "1.37"] {
            succeeds(&validate, &["--strict", "-k", version, file.to_str().unwrap()], "");
        }
        for pod in pods(&documents(&manifests)) {
            for container in pod["containers"].as_array().unwrap() {
                assert!(container["image"].as_str().is_some_and(is_pinned), "{container}");
            }
        }
        fs::write(&file, manifests.replace("\nautomountServiceAccountToken:", "\nautomountServiceAccountTokens:"))
            .unwrap();
        let output = run(&validate, &["--strict", "-k", "1.37", file.to_str().unwrap()], "");
        assert!(
            !output.status.success() && said(&output).contains("automountServiceAccountTokens"),
            "{}",
            said(&output)
        );
    }
}
