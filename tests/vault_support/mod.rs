//! A counter with secrets in several planes: namespaces one inside the other and side by side, each with the same target,
//! policy and path of its own; and requests as clients that are no libraries send them, byte by byte.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

pub mod gitlab;
pub mod serving;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::http::raw;
use crate::support::real_part::real_dir;
use crate::support::stand::entry;
use crate::support::{Answer, Issuer, Stand};
use crate::vault::document;

/// The namespace of most tests.
pub const NAMESPACE: &str = "group_100/group_200";

/// Planes: a namespace, and the target whose tokens open it.
pub const PLANES: [(&str, &str); 5] = [
    ("", "root-app"),
    ("group_100", "parent-app"),
    (NAMESPACE, "app"),
    ("group_100/group_200/team", "child-app"),
    ("group_100/group_300", "sibling-app"),
];

/// What jobs may do: all of it below `app`, but for one secret that they only read; nothing at `closed`.
const APP: &str = r#"
path "secret/data/app/*" { capabilities = ["create", "read", "update", "patch", "delete"] }
path "secret/metadata/app/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
path "secret/subkeys/app/*" { capabilities = ["read"] }
path "secret/delete/app/*" { capabilities = ["update"] }
path "secret/undelete/app/*" { capabilities = ["update"] }
path "secret/destroy/app/*" { capabilities = ["update"] }
path "secret/data/app/fixed" { capabilities = ["read"] }
path "kv1/app/*" { capabilities = ["create", "read", "update", "delete", "list"] }
"#;

/// Looks after tokens of others.
const OPS: &str = r#"path "auth/token/*" { capabilities = ["update"] }"#;

/// Does everything, in its namespace.
const ADMIN: &str = r#"
path "secret/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
path "kv1/*" { capabilities = ["create", "read", "update", "delete", "list"] }
"#;

const MOUNTS: &str = "secrets:\n  mounts:\n    - {mount: secret, namespace: \"*\", store: local}\n    - {mount: kv1, namespace: \"*\", version: 1, store: local}\n";

/// A counter with every plane, started; nothing is stored yet.
pub async fn counter() -> Stand {
    let mut stand = prepare(Issuer::start().await, "").await;
    stand.start().await;
    stand.settled().await;
    stand
}

/// The same, not started.
pub async fn prepare(issuer: Issuer, sections: &str) -> Stand {
    let entries = entry("workloads", issuer.name(), "replay: reusable");
    let stand = Stand::prepare(issuer, &entries, &format!("{MOUNTS}{sections}"));
    for (namespace, target) in PLANES {
        policy(&stand, namespace, target, "app", "");
        policy(&stand, namespace, &format!("{target}-admin"), "admin", "");
        document(&stand, namespace, "app", APP);
        document(&stand, namespace, "admin", ADMIN);
    }
    policy(&stand, NAMESPACE, "ops", "ops", "revocable: true");
    document(&stand, NAMESPACE, "ops", OPS);
    stand
}

/// Writes the policy of a target that grants one policy name to jobs.
pub fn policy(stand: &Stand, namespace: &str, target: &str, granted: &str, terms: &str) {
    let namespace = if namespace.is_empty() { String::new() } else { format!("namespace: {namespace}\n") };
    let terms = if terms.is_empty() { String::new() } else { format!("      {terms}\n") };
    stand.write(
        &format!("policies/{target}.yaml"),
        &format!(
            "target: {target}\n{namespace}rules:\n  - name: job\n    issuer: workloads\n    require:\n      - that: 'claims.sub.startsWith(\"job-\")'\n        message: this is no job\n    grant:\n      policies: ['\"{granted}\"']\n      ttl: 10m\n{terms}"
        ),
    );
}

/// The token of a login for a target, by its name alone.
pub async fn login(stand: &Stand, target: &str) -> String {
    let body = json!({"role": target, "jwt": stand.token().sign()});
    let answer = send(stand, "POST", "auth/jwt/login", &[], Some(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["auth"]["client_token"].as_str().unwrap().to_owned()
}

/// Writes a secret as the administrator of a plane.
pub async fn plant(stand: &Stand, namespace: &str, path: &str, data: &Value) {
    let target = PLANES.iter().find(|(known, _)| *known == namespace).unwrap().1;
    let token = login(stand, &format!("{target}-admin")).await;
    let body = if path.starts_with("kv1/") { data.clone() } else { json!({"data": data}) };
    let answer = send(stand, "PUT", path, &[("x-vault-token", &token)], Some(&body)).await;
    assert!(matches!(answer.status, 200 | 204), "{path}: {} {}", answer.status, answer.text);
}

/// A request below `/v1/`, over the connections of the stand.
pub async fn send(stand: &Stand, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
    let (client, _) = stand.request("/").build_split();
    let body = body.map(Value::to_string).unwrap_or_default();
    send_to(&client, &stand.url(""), method, path, headers, body).await
}

/// The same, to a counter at this address, with any body.
pub async fn send_to(
    client: &reqwest::Client,
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = client.request(method, format!("{base}/v1/{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.body(body).send().await.unwrap()).await
}

/// An answer to bytes as they are: its status, its head and its body.
pub struct RawAnswer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// A GET whose target is not cleaned by any library.
pub async fn get_raw(stand: &Stand, target: &str, headers: &[(&str, &str)]) -> RawAnswer {
    let mut text = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let answer = raw(stand, text.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    RawAnswer { status: status.unwrap_or(0), head: head.to_owned(), body: body.to_owned() }
}

/// Runs a client of `tests/real/vault` against the counter; the one line of JSON that it said, or how it ended.
pub fn client(program: &str, stand: &Stand, namespace: &str) -> Result<Value, String> {
    let token = stand.write("token", &format!("{}\n", stand.token().sign()));
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/vault");
    let (real, script) = (real_dir(), here.join(program));
    let mut command = match script.extension().and_then(|extension| extension.to_str()) {
        Some("py") => Command::new(real.join("venv/bin/python")),
        Some("mjs") => Command::new("node"),
        _ => Command::new(real.join("rust").join(program)),
    };
    if script.exists() {
        command.arg(&script);
    }
    command.args([stand.url("").as_str(), namespace]).arg(token);
    // A machine's own Vault is none of these tests' business.
    for variable in ["VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE"] {
        command.env_remove(variable);
    }
    let output = command.env("CAMBIO_REAL_DIR", &real).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(said.trim())
        .map_err(|_| format!("{program} said: {said}{}", String::from_utf8_lossy(&output.stderr)))
}
