//! Plans, and a small OpenBao that keeps what is posted to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::*;

fn namespace(name: &str) -> Option<Namespace> {
    Some(Namespace::new(name).unwrap())
}

fn settings(yaml: &str) -> OpenBaoSettings {
    serde_saphyr::from_str(&format!("name: bao\n{yaml}")).unwrap()
}

fn wanted(targets: &[&str], policies: &[(&str, &str)]) -> NamespaceSetup {
    NamespaceSetup {
        targets: targets.iter().map(|name| TargetName::new(name).unwrap()).collect(),
        mounts: BTreeMap::from([("secret".to_owned(), 2)]),
        policies: policies.iter().map(|(name, text)| (PolicyName::new(name).unwrap(), (*text).to_owned())).collect(),
    }
}

fn setup(namespaces: impl IntoIterator<Item = (Option<Namespace>, NamespaceSetup)>) -> Setup {
    Setup {
        issuer: "https://cambio.example.com".to_owned(),
        jwks_url: None,
        ca_pem: None,
        algorithms: vec!["ES256".to_owned()],
        token: LoginToken::Service,
        create_namespaces: true,
        namespaces: namespaces.into_iter().collect(),
    }
}

fn two() -> Setup {
    let policy = "path \"secret/data/*\" { capabilities = [\"read\"] }\n";
    setup([
        (namespace("group_1/a"), wanted(&["jobs", "admin"], &[("jobs/global", policy)])),
        (namespace("b"), wanted(&["b"], &[])),
    ])
}

const HTTPS: &str = "address: https://bao.example.com";

fn paths(plan: &Plan) -> Vec<String> {
    plan.steps().iter().map(|step| format!("{} {}", step.namespace, step.path).trim().to_owned()).collect()
}

#[test]
fn what_a_login_opens_comes_before_the_login() {
    let plan = two().plan(&settings(&format!("{HTTPS}\nnamespace: team"))).unwrap();
    let expected = [
        "sys/namespaces/team",
        "team sys/namespaces/b",
        "team sys/namespaces/group_1",
        "team/group_1 sys/namespaces/a",
        "team/b sys/mounts/secret",
        "team/group_1/a sys/mounts/secret",
        "team/group_1/a sys/policies/acl/jobs/global",
        "team/b sys/auth/cambio",
        "team/b auth/cambio/config",
        "team/b auth/cambio/cel/role/cambio",
        "team/group_1/a sys/auth/cambio",
        "team/group_1/a auth/cambio/config",
        "team/group_1/a auth/cambio/cel/role/cambio",
    ];
    assert_eq!(paths(&plan), expected);
}

#[test]
fn a_mount_trusts_cambio_and_nobody_else() {
    let plan = two().plan(&settings(HTTPS)).unwrap();
    let config = plan.steps().iter().find(|step| step.path == "auth/cambio/config").unwrap();
    assert_eq!(config.body["bound_issuer"], "https://cambio.example.com");
    assert_eq!(config.body["oidc_discovery_url"], "https://cambio.example.com");
    assert_eq!((&config.body["jwks_url"], &config.body["jwt_validation_pubkeys"]), (&json!(""), &json!([])));
    let by_keys = Setup { jwks_url: Some("https://c/jwks".to_owned()), ca_pem: Some("PEM\n".to_owned()), ..two() };
    let config = by_keys.config("cambio");
    assert_eq!((&config["oidc_discovery_url"], &config["oidc_discovery_ca_pem"]), (&json!(""), &json!("")));
    assert_eq!((&config["jwks_url"], &config["jwks_ca_pem"]), (&json!("https://c/jwks"), &json!("PEM")));
}

fn role(plan: &Plan, namespace: &str) -> Value {
    let is_role = |step: &&Step| step.namespace == namespace && step.path.contains("/cel/role/");
    plan.steps().iter().find(is_role).unwrap().body.clone()
}

fn variable<'r>(role: &'r Value, name: &str) -> &'r str {
    let variables = role["cel_program"]["variables"].as_array().unwrap();
    variables.iter().find(|one| one["name"] == name).unwrap()["expression"].as_str().unwrap()
}

#[test]
fn a_role_is_for_the_targets_and_tokens_of_its_namespace() {
    let plan = two().plan(&settings(HTTPS)).unwrap();
    let (a, b) = (role(&plan, "group_1/a"), role(&plan, "b"));
    assert_eq!((&a["bound_audiences"], &b["bound_audiences"]), (&json!(["admin", "jobs"]), &json!(["b"])));
    assert_eq!((variable(&a, "expected"), variable(&b, "expected")), ("\"group_1/a\"", "\"b\""));
    assert!(a["cel_program"]["expression"].as_str().unwrap().contains("named != expected"));
}

#[test]
fn a_login_in_one_namespace_keeps_the_policies_of_others_apart() {
    let mut setup = two();
    for wanted in setup.namespaces.values_mut() {
        wanted.policies.clear();
    }
    let plan = setup.plan(&settings(&format!("{HTTPS}\nauth_namespace: root"))).unwrap();
    let role = role(&plan, "");
    assert_eq!(variable(&role, "expected"), r#"["b","group_1/a"]"#);
    assert_eq!(variable(&role, "policies"), "granted.map(p, named + ':' + p)");
    assert_eq!(paths(&plan).iter().filter(|path| path.contains("sys/auth")).count(), 1);
}

#[rstest]
#[case(setup([]), "", "no target")]
#[case(setup([(None, wanted(&[], &[]))]), "", "no target")]
#[case(setup([(namespace("a/sys"), wanted(&["t"], &[]))]), "", "no segment is `root`")]
#[case(two(), "auth_namespace: root", "in another namespace")]
#[case(setup([(None, wanted(&["t"], &[]))]), "auth_namespace: root", "`t` has none")]
#[case(setup([(namespace("A"), wanted(&["t"], &[]))]), "auth_namespace: root", "lower-cases")]
fn what_would_not_be_safe_or_useful_is_no_plan(#[case] setup: Setup, #[case] yaml: &str, #[case] said: &str) {
    let fault = setup.plan(&settings(&format!("{HTTPS}\n{yaml}"))).unwrap_err().to_string();
    assert!(fault.contains(said), "{fault}");
}

/// A server that keeps what is posted, by namespace and path, as OpenBao would show it.
struct Kept {
    address: String,
    documents: Arc<Mutex<BTreeMap<String, Value>>>,
    writes: Arc<Mutex<usize>>,
}

impl Kept {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let kept = Self { address, documents: Arc::default(), writes: Arc::default() };
        let (documents, writes) = (Arc::clone(&kept.documents), Arc::clone(&kept.writes));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(request).unwrap();
                let header =
                    |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
                let mut body = vec![0; header("content-length: ").parse().unwrap_or(0)];
                stream.read_exact(&mut body).await.unwrap();
                let namespace = header("x-vault-namespace: ");
                let path = head.split(' ').nth(1).unwrap().strip_prefix("/v1/").unwrap().to_owned();
                let (status, answer) = if header("x-vault-token: ") != "operator" {
                    (403, json!({"errors": ["permission denied"]}))
                } else if head.starts_with("POST") {
                    *writes.lock().unwrap() += 1;
                    post(&mut documents.lock().unwrap(), &namespace, &path, serde_json::from_slice(&body).unwrap());
                    (204, Value::Null)
                } else {
                    match documents.lock().unwrap().get(&format!("{namespace} {path}")) {
                        Some(document) => (200, json!({ "data": document })),
                        None if matches!(path.as_str(), "sys/auth" | "sys/mounts") => (200, json!({"data": {}})),
                        None => (404, json!({"errors": []})),
                    }
                };
                let text = if answer.is_null() { String::new() } else { answer.to_string() };
                let head =
                    format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
                stream.write_all([head, text].concat().as_bytes()).await.unwrap();
            }
        });
        kept
    }

    fn operator(&self, token: &str) -> Operator {
        Operator::new(&self.settings(), Zeroizing::new(token.to_owned())).unwrap()
    }

    fn settings(&self) -> OpenBaoSettings {
        settings(&format!("address: {}", self.address))
    }

    fn writes(&self) -> usize {
        *self.writes.lock().unwrap()
    }
}

fn post(documents: &mut BTreeMap<String, Value>, namespace: &str, path: &str, body: Value) {
    match path.split_once('/').and_then(|(sys, rest)| (sys == "sys").then(|| rest.split_once('/')).flatten()) {
        Some((list @ ("auth" | "mounts"), mount)) => {
            let all = documents.entry(format!("{namespace} sys/{list}")).or_insert_with(|| json!({}));
            all[format!("{mount}/")] = body;
        }
        _ => drop(documents.insert(format!("{namespace} {path}"), body)),
    }
}

#[tokio::test]
async fn applied_twice_changes_nothing_and_says_so() {
    let kept = Kept::start().await;
    let plan = two().plan(&kept.settings()).unwrap();
    let operator = kept.operator("operator");
    assert!(operator.look_at(&plan).await.unwrap().iter().all(|found| *found == Found::Missing));
    assert_eq!(kept.writes(), 0);
    operator.apply(&plan).await.unwrap();
    assert_eq!(kept.writes(), plan.steps().len());
    assert!(operator.apply(&plan).await.unwrap().iter().all(|found| *found == Found::AsWanted));
    assert_eq!(kept.writes(), plan.steps().len());
}

#[tokio::test]
async fn what_was_changed_since_is_named_and_put_right() {
    let kept = Kept::start().await;
    let (plan, operator) = (two().plan(&kept.settings()).unwrap(), kept.operator("operator"));
    operator.apply(&plan).await.unwrap();
    kept.documents.lock().unwrap().get_mut("b auth/cambio/config").unwrap()["bound_issuer"] =
        json!("https://evil.example");
    let changed: Vec<Found> =
        operator.apply(&plan).await.unwrap().into_iter().filter(|one| *one != Found::AsWanted).collect();
    assert_eq!(changed, [Found::Differs(vec!["bound_issuer".to_owned()])]);
    assert!(operator.look_at(&plan).await.unwrap().iter().all(|found| *found == Found::AsWanted));
}

#[tokio::test]
async fn a_mount_of_somebody_else_is_left_alone() {
    let kept = Kept::start().await;
    let there = json!({"cambio/": {"type": "userpass"}});
    kept.documents.lock().unwrap().insert("b sys/auth".to_owned(), there.clone());
    let error = kept.operator("operator").apply(&two().plan(&kept.settings()).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("type `userpass` is there; it is left as it is"), "{error}");
    assert_eq!(kept.documents.lock().unwrap()["b sys/auth"], there);
}

#[tokio::test]
async fn a_token_that_may_not_is_told_what_it_may_not() {
    let kept = Kept::start().await;
    let error = kept.operator("s.other").apply(&two().plan(&kept.settings()).unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("namespace `b`") && error.contains("403: permission denied"), "{error}");
    assert!(!error.contains("s.other"));
}

#[test]
fn the_calls_and_the_script_say_the_same() {
    let plan = two().plan(&settings(HTTPS)).unwrap();
    let calls = plan.to_json();
    assert_eq!(calls.as_array().unwrap().len(), plan.steps().len());
    assert_eq!(calls[0], json!({"namespace": "", "method": "POST", "path": "sys/namespaces/b", "body": {}}));
    let script = plan.script("https://bao.example.com");
    for text in [
        "BAO_ADDR:=https://bao.example.com",
        "bao namespace create -namespace=group_1 a",
        "bao auth enable -namespace=b -path=cambio",
        "bao secrets enable -namespace=b -path=secret -version=2 kv",
        "bao policy write -namespace=group_1/a jobs/global - <<'END'",
        "bao write -namespace=b auth/cambio/cel/role/cambio - <<'END'",
    ] {
        assert!(script.contains(text), "{text}\n{script}");
    }
}
