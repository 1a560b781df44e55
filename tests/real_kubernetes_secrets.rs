//! The `kubernetes` store over a real kube-apiserver, with the rights that `cambio kubernetes rbac` renders and no others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cambio::clock::Timestamp;
use cambio::identity::Namespace;
use cambio::secrets::kubernetes::{
    KubernetesSettings, KubernetesStore, ServiceAccount, render_roles, render_token_review,
};
use cambio::secrets::reference::Reference;
use cambio::secrets::{KvAnswer, KvError, KvMethod, KvRequest, SecretPath};
use serde_json::{Value, json};
use support::http::reqwest_client;
use support::real_part::RealPart;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const TENANT: &str = "group_100/group_200";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Who reads what: `unlisted` has no right in the cluster, `gone` is not there, the rest is.
const STORE: &str = "
name: main
kubeconfig: KUBECONFIG
namespace: shared
timeout: 2s
rollover: 10m
secrets:
  - {secret: team-a/db, keys: [password, blob], tenants: [group_100/group_200]}
  - {secret: team-a/gone, tenants: [group_100/group_200]}
  - {secret: team-a/hmac, tenants: [group_100/group_200], purposes: [hmac]}
  - {secret: team-a/account, tenants: [group_100/group_200]}
  - {secret: team-b/db, tenants: [group_300]}
  - {secret: shared/ca, tenants: [group_100/group_200, group_300]}
";

/// A cluster with Secrets, and a service account that has no rights yet.
struct Cluster {
    part: RealPart,
    client: reqwest::Client,
    directory: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Option<Self> {
        let part = RealPart::kubernetes(&[])?;
        let client = reqwest_client(Some(&part.said("ca")));
        let mut cluster = Self { part, client, directory: tempfile::tempdir().unwrap() };
        cluster.renew_token();
        for namespace in ["team-a", "team-b", "shared"] {
            let made = cluster.admin("POST", "/api/v1/namespaces", &json!({"metadata": {"name": namespace}})).await;
            assert!([201, 409].contains(&made.0), "{made:?}");
        }
        Some(cluster)
    }

    fn token_file(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    fn renew_token(&mut self) {
        let asked = json!({"namespace": "cambio", "service_account": "cambio", "audiences": [self.part.said("url")]});
        let token = self.part.command("token", &asked)["token"].as_str().unwrap().to_owned();
        std::fs::write(self.token_file(), token + "\n").unwrap();
    }

    /// A kubeconfig that names this certificate authority, or none.
    fn kubeconfig(&self, authority: Option<&str>) -> String {
        let cluster = json!({"server": self.part.said("url"), "certificate-authority": authority});
        let config = json!({
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"tokenFile": self.token_file()}}],
        });
        let file = self.directory.path().join(format!("kubeconfig-{}", authority.is_some()));
        std::fs::write(&file, config.to_string()).unwrap();
        file.display().to_string()
    }

    async fn store(&self, settings: &str) -> Arc<KubernetesStore> {
        let kubeconfig = self.kubeconfig(Some(&self.part.said("ca")));
        Arc::new(KubernetesStore::new(read_settings(&settings.replace("KUBECONFIG", &kubeconfig))).await.unwrap())
    }

    async fn send(&self, method: &str, path: &str, token: &str, kind: &str, body: String) -> (u16, Value) {
        let url = self.part.said("url") + path;
        let request = self.client.request(method.parse().unwrap(), url).bearer_auth(token);
        let answer = request.header("content-type", kind).body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        self.send(method, path, &self.part.said("admin_token"), kind, body.to_string()).await
    }

    async fn make(&self, secret: &str, more: Value) {
        let (namespace, name) = secret.split_once('/').unwrap();
        let mut body = json!({"metadata": {"name": name}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body["metadata"]["name"] = json!(name);
        let made = self.admin("POST", &format!("/api/v1/namespaces/{namespace}/secrets"), &body).await;
        assert_eq!(made.0, 201, "{made:?}");
    }

    async fn change(&self, secret: &str, data: Value) {
        let (namespace, name) = secret.split_once('/').unwrap();
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        assert_eq!(self.admin("PATCH", &path, &json!({"stringData": data})).await.0, 200);
    }

    async fn delete(&self, secret: &str) {
        let (namespace, name) = secret.split_once('/').unwrap();
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        assert_eq!(self.admin("DELETE", &path, &json!({})).await.0, 200);
    }

    /// As `kubectl apply` would: each document first in a dry run by the server.
    async fn apply(&self, manifests: &str) {
        let documents: Vec<&str> = manifests.split("---\n").filter(|text| text.contains("kind:")).collect();
        assert!(!documents.is_empty());
        for document in documents {
            let kind = document.split("kind: ").nth(1).unwrap().lines().next().unwrap().to_lowercase() + "s";
            let namespace = if kind.starts_with("cluster") {
                String::new()
            } else {
                format!("/namespaces/{}", document.split("namespace: \"").nth(1).unwrap().split('"').next().unwrap())
            };
            for dry_run in ["?dryRun=All&fieldManager=kubectl", ""] {
                let path = format!("{RBAC}{namespace}/{kind}{dry_run}");
                let token = self.part.said("admin_token");
                let made = self.send("POST", &path, &token, "application/yaml", document.to_owned()).await;
                assert_eq!(made.0, 201, "{made:?}\n{document}");
            }
        }
    }
}

fn read_settings(yaml: &str) -> KubernetesSettings {
    serde_saphyr::from_str(yaml).unwrap()
}

fn roles(settings: &str) -> String {
    render_roles(&read_settings(settings), &[], &ServiceAccount::new("cambio", "cambio").unwrap()).unwrap()
}

async fn run(store: &KubernetesStore, tenant: &str, path: &str, method: KvMethod) -> Result<KvAnswer, KvError> {
    let request = KvRequest::Secret(SecretPath::new(path).unwrap(), method);
    store.run(Namespace::new(tenant).ok().as_ref(), &request, NOW).await
}

/// The version and the value.
async fn read(store: &KubernetesStore, tenant: &str, path: &str) -> Result<(u64, Value), KvError> {
    match run(store, tenant, path, KvMethod::Read { version: None }).await? {
        KvAnswer::Version { data: Some(data), metadata, .. } => {
            Ok((metadata.version, serde_json::from_slice(data.as_json()).unwrap()))
        }
        other => panic!("{other:?}"),
    }
}

/// The API server takes new rights in after a moment.
async fn readable(store: &KubernetesStore, tenant: &str, path: &str) -> (u64, Value) {
    for _ in 0..100 {
        match read(store, tenant, path).await {
            Err(KvError::Refused(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            other => return other.unwrap(),
        }
    }
    panic!("`{path}` is still refused")
}

fn is_refused<T>(answer: &Result<T, KvError>, why: &str) -> bool {
    matches!(answer, Err(KvError::Refused(text)) if text.contains(why))
}

fn is_unavailable<T>(answer: &Result<T, KvError>, why: &str) -> bool {
    matches!(answer, Err(KvError::Unavailable(text)) if text.contains(why))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_read_with_the_rendered_rights_and_only_by_its_owner() {
    let Some(cluster) = Cluster::start().await else { return };
    let binary = json!({"password": "aHVudGVyMg==", "user": "YXBw", "blob": "//4="});
    cluster.make("team-a/db", json!({"data": binary})).await;
    cluster.make("team-a/unlisted", json!({"stringData": {"key": "value"}})).await;
    cluster.make("team-b/db", json!({"stringData": {"password": "of team b"}})).await;
    cluster.make("shared/ca", json!({"stringData": {"ca.crt": "of all"}})).await;
    let account = json!({"type": "kubernetes.io/service-account-token", "stringData": {"token": "x"},
        "metadata": {"annotations": {"kubernetes.io/service-account.name": "cambio"}}});
    cluster.admin("POST", "/api/v1/namespaces/team-a/serviceaccounts", &json!({"metadata": {"name": "cambio"}})).await;
    cluster.make("team-a/account", account).await;
    let store = cluster.store(STORE).await;

    assert!(is_refused(&read(&store, TENANT, "team-a/db").await, "RBAC"), "no right was granted yet");
    cluster.apply(&roles(STORE)).await;

    let (version, value) = readable(&store, TENANT, "team-a/db").await;
    assert_eq!(value, json!({"password": "hunter2"}), "`user` is not listed, `blob` is no text");
    assert!(version > 1);
    assert_eq!(readable(&store, TENANT, "ca").await.1, json!({"ca.crt": "of all"}));
    assert_eq!(readable(&store, "group_300", "ca").await.1, json!({"ca.crt": "of all"}));
    assert_eq!(readable(&store, "group_300", "team-b/db").await.1, json!({"password": "of team b"}));
    let own = run(&store, TENANT, "team-a/db", KvMethod::Read { version: Some(version) }).await;
    assert!(matches!(own, Ok(KvAnswer::Version { .. })));
    let other = run(&store, TENANT, "team-a/db", KvMethod::Read { version: Some(version + 1) }).await;
    assert_eq!(other.unwrap_err(), KvError::NotFound);
    let metadata = run(&store, TENANT, "team-a/db", KvMethod::ReadMetadata).await.unwrap();
    assert!(matches!(metadata, KvAnswer::Metadata(about) if about.current_version == version));

    assert_eq!(read(&store, TENANT, "team-a/gone").await, Err(KvError::NotFound));
    for (tenant, path, why) in [
        ("group_300", "team-a/db", "not of the caller's namespace"),
        (TENANT, "team-b/db", "not of the caller's namespace"),
        ("", "team-a/db", "not of the caller's namespace"),
        ("group_100", "team-a/db", "not of the caller's namespace"),
        (TENANT, "team-a/unlisted", "does not list"),
        (TENANT, "team-a/hmac", "another purpose"),
        (TENANT, "team-a/account", "credential of the cluster"),
        (TENANT, "shared/ca", "by its name alone"),
    ] {
        let answer = read(&store, tenant, path).await;
        assert!(is_refused(&answer, why), "{tenant} {path}: {answer:?}");
    }

    // The rights are what they say: no other name, no list, no watch, no write.
    let token = std::fs::read_to_string(cluster.token_file()).unwrap();
    for (method, path) in [
        ("GET", "/api/v1/namespaces/team-a/secrets/unlisted"),
        ("GET", "/api/v1/namespaces/team-a/secrets"),
        ("GET", "/api/v1/namespaces/team-a/secrets?watch=true"),
        ("GET", "/api/v1/secrets"),
        ("DELETE", "/api/v1/namespaces/team-a/secrets/db"),
        ("POST", "/api/v1/namespaces/team-a/secrets"),
    ] {
        let refused = cluster.send(method, path, token.trim(), "application/json", "{}".to_owned()).await;
        assert_eq!(refused.0, 403, "{method} {path}");
    }

    // So are those for reviews.
    let account = ServiceAccount::new("cambio", "cambio").unwrap();
    cluster.apply(&render_token_review(&account)).await;
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let asked =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token.trim()}});
    let mut status = 0;
    for _ in 0..100 {
        status = cluster.send("POST", reviews, token.trim(), "application/json", asked.to_string()).await.0;
        if status == 201 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 201);

    // What was changed or deleted is seen at the next use.
    cluster.change("team-a/db", json!({"password": "hunter3"})).await;
    let (next, value) = read(&store, TENANT, "team-a/db").await.unwrap();
    assert_eq!(value["password"], "hunter3");
    assert!(next > version);
    cluster.delete("team-a/db").await;
    assert_eq!(read(&store, TENANT, "team-a/db").await, Err(KvError::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_fails_closed_and_a_rotation_accepts_two_values() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let labels = |tenant: &str, purpose: &str| {
        let labels = json!({"cambio.dev/tenant": tenant, "cambio.dev/purpose": purpose});
        json!({"stringData": {"key": "labelled"}, "metadata": {"labels": labels}})
    };
    cluster.make("team-b/own", labels("group_100.group_200", "read")).await;
    cluster.make("team-b/others", labels("group_300", "read")).await;
    cluster.make("team-b/hmac", labels("group_100.group_200", "hmac")).await;
    cluster.make("team-b/bare", json!({"stringData": {"key": "labelled"}})).await;
    cluster.make("team-a/hmac", json!({"stringData": {"key": "one"}})).await;
    cluster.make("team-a/db", json!({"stringData": {"password": "hunter2"}})).await;
    let settings = format!("{STORE}labels: {{}}\n");
    let named = ["own", "others", "hmac", "bare"].map(|name| format!("team-b/{name}").try_into().unwrap());
    let account = ServiceAccount::new("cambio", "cambio").unwrap();
    cluster.apply(&render_roles(&read_settings(&settings), &named, &account).unwrap()).await;
    let store = cluster.store(&settings).await;

    assert_eq!(readable(&store, TENANT, "team-b/own").await.1, json!({"key": "labelled"}));
    for (path, why) in [
        ("team-b/others", "label does not name the caller's namespace"),
        ("team-b/bare", "label does not name the caller's namespace"),
        ("team-b/hmac", "label does not name the purpose"),
        ("team-b/unknown", "RBAC"), // there or not, the API server does not say
    ] {
        let answer = read(&store, TENANT, path).await;
        assert!(is_refused(&answer, why), "{path}: {answer:?}");
    }

    // Two keys during a rollover.
    readable(&store, TENANT, "team-a/db").await;
    let reference = Reference::parse("k8s://team-a/hmac/key").unwrap();
    let tenant = Namespace::new(TENANT).ok();
    let key = store.verifier(&reference, tenant.clone(), "hmac").unwrap();
    let accepts = |value: &'static str, seconds: u64| {
        let now = NOW.plus(Duration::from_secs(seconds));
        let key = &key;
        async move { key.accepts(|known| known == value.as_bytes(), now).await }
    };
    assert_eq!(accepts("one", 0).await, Ok(true));
    assert_eq!(accepts("two", 0).await, Ok(false));
    cluster.change("team-a/hmac", json!({"key": "two"})).await;
    assert_eq!(accepts("two", 1).await, Ok(true), "a change counts at the next use");
    assert_eq!(accepts("one", 600).await, Ok(true));
    assert_eq!(accepts("one", 601).await, Ok(false), "ten minutes after the change was seen");
    assert_eq!(accepts("two", 601).await, Ok(true));
    cluster.change("team-a/hmac", json!({"key": "three"})).await;
    assert_eq!(accepts("two", 602).await, Ok(true));
    cluster.delete("team-a/hmac").await;
    assert_eq!(accepts("three", 603).await, Err(KvError::NotFound));
    cluster.make("team-a/hmac", json!({"stringData": {"key": "four"}})).await;
    assert_eq!(accepts("three", 604).await, Ok(false), "what was deleted is revoked");
    assert_eq!(accepts("four", 604).await, Ok(true));
    let misused = store.verifier(&reference, tenant, "read").unwrap();
    assert!(is_refused(&misused.accepts(|_| true, NOW).await, "another purpose"));

    // A token that does not hold, one that does again; an authority that did not sign.
    std::fs::write(cluster.token_file(), "nobody").unwrap();
    assert!(is_unavailable(&read(&store, TENANT, "team-a/db").await, "credentials"));
    std::fs::remove_file(cluster.token_file()).unwrap();
    assert!(is_unavailable(&read(&store, TENANT, "team-a/db").await, "holds none"));
    cluster.renew_token();
    assert!(read(&store, TENANT, "team-a/db").await.is_ok());
    let strange = read_settings(&STORE.replace("KUBECONFIG", &cluster.kubeconfig(None)));
    let strange = KubernetesStore::new(strange).await.unwrap();
    assert!(is_unavailable(&read(&strange, TENANT, "team-a/db").await, "cannot be reached"));

    // Stopped, hanging, and back.
    cluster.part.command("pause", &json!({}));
    assert!(is_unavailable(&read(&store, TENANT, "team-a/db").await, "cannot be reached"));
    assert!(is_unavailable(&accepts("four", 605).await, "cannot be reached"));
    cluster.part.command("resume", &json!({}));
    readable(&store, TENANT, "team-a/db").await;
    cluster.part.command("hang", &json!({}));
    assert!(is_unavailable(&read(&store, TENANT, "team-a/db").await, "in time"));
    cluster.part.command("resume", &json!({}));
    assert_eq!(readable(&store, TENANT, "team-a/db").await.1, json!({"password": "hunter2"}));
    assert_eq!(accepts("four", 606).await, Ok(true));
}
