//! A counter with secrets: who may do what with them, and how a Vault client asks.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use serde_json::{Value, json};

use crate::support::{Answer, Stand};

/// What jobs may do in their namespace.
pub const JOBS: &str = r#"
path "secret/data/app/*" { capabilities = ["create", "read", "update", "patch", "delete"] }
path "secret/metadata/app/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
path "secret/subkeys/app/*" { capabilities = ["read"] }
path "secret/delete/app/*" { capabilities = ["update"] }
path "secret/undelete/app/*" { capabilities = ["update"] }
path "secret/destroy/app/*" { capabilities = ["update"] }
path "secret/data/shared/*" { capabilities = ["read"] }
path "secret/data/inbox/*" { capabilities = ["create"] }
path "secret/data/outbox/*" { capabilities = ["update"] }
path "kv1/app/*" { capabilities = ["create", "read", "update", "delete", "list"] }
"#;

/// What administrators may do: the same, and everything else of the mount; and look after tokens.
pub const ADMINS: &str = r#"
path "secret/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
path "auth/token/*" { capabilities = ["update"] }
"#;

/// The namespace of the targets.
pub const NAMESPACE: &str = "group_100/group_200";

const SECRETS: &str = "secrets:\n  mounts:\n    - {mount: secret, namespace: \"*\", store: local}\n    - {mount: kv1, namespace: \"*\", version: 1, store: local}\n";

/// The stand, with secrets.
pub async fn stand() -> Stand {
    stand_with("").await
}

/// The same, with further sections of the configuration.
pub async fn stand_with(sections: &str) -> Stand {
    let issuer = crate::support::Issuer::start().await;
    let entry = crate::support::stand::entry("workloads", issuer.name(), "replay: reusable");
    let secrets = if sections.contains("secrets:") { "" } else { SECRETS };
    let mut stand = Stand::prepare(issuer, &entry, &format!("{secrets}{sections}"));
    document(&stand, NAMESPACE, "jobs/global", JOBS);
    document(&stand, NAMESPACE, "jobs/admin", ADMINS);
    stand.start().await;
    stand.settled().await;
    stand
}

/// Writes an access document.
pub fn document(stand: &Stand, namespace: &str, policy: &str, text: &str) {
    let file = format!("policies/{namespace}/sys/policies/acl/{policy}.hcl");
    std::fs::create_dir_all(stand.path(&file).parent().unwrap()).unwrap();
    stand.write(&file, text);
}

/// One request.
pub async fn ask(stand: &Stand, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let client = crate::support::http::reqwest_client(None);
    let mut request = client.request(method, stand.url(&format!("/v1/{path}")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.body(body.to_owned()).send().await.unwrap()).await
}

/// A login.
pub async fn login(stand: &Stand, path: &str, role: &str, jwt: &str) -> Answer {
    ask(stand, "PUT", path, &[], &json!({"role": role, "jwt": jwt}).to_string()).await
}

/// The token of a login as this subject, for the target `vault`.
pub async fn token(stand: &Stand, subject: &str) -> String {
    let jwt = stand.token().claim("sub", subject).sign();
    let answer = login(stand, "auth/jwt/login", "vault", &jwt).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["auth"]["client_token"].as_str().unwrap().to_owned()
}

/// A job's token.
pub async fn job(stand: &Stand) -> String {
    token(stand, "job-1").await
}

/// A request with a token.
pub async fn with(stand: &Stand, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ask(stand, method, path, &[("x-vault-token", token)], &body).await
}

/// A read.
pub async fn read(stand: &Stand, token: &str, path: &str) -> Answer {
    with(stand, token, "GET", path, &Value::Null).await
}

/// Writes a value of KV version 2.
pub async fn write(stand: &Stand, token: &str, path: &str, data: Value) -> Answer {
    with(stand, token, "POST", &format!("secret/data/{path}"), &json!({"data": data})).await
}

/// What every envelope has.
pub fn enveloped(answer: &Answer) -> Value {
    let json = answer.json();
    let names = ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"];
    for name in names {
        assert!(json.get(name).is_some(), "no `{name}`: {}", answer.text);
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    json
}
