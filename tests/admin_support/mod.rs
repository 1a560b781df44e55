//! A counter with an administration: operators, whoever manages accounts of one namespace, and whoever may do nothing.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::time::Duration;

use cambio::accounts::{Account, Accounts, NewAccount, NewAccountToken};
use cambio::identity::{AccountName, Namespace};
use serde_json::{Value, json};

use crate::support::http::{exchange, reqwest_client};
use crate::support::stand::entry;
use crate::support::{Answer, Issuer, Stand};
use crate::vault::{NAMESPACE, document};

pub const ADMIN: &str = "
admin: {target: admin}
service_accounts: {}
";
pub const DAY: Duration = Duration::from_secs(86_400);

/// An administration whose target gives `ops` everything and `viewer` reading; the target is in the namespace of the jobs.
pub const POLICY: &str = r#"
target: admin
namespace: group_100/group_200
rules:
  - name: ops
    issuer: workloads
    require:
      - that: 'claims.sub.startsWith("ops-")'
        message: this is no operator
    grant:
      policies: ['"admin/all"']
  - name: scoped
    issuer: workloads
    require:
      - that: 'claims.sub.startsWith("scoped-")'
        message: this is nobody who manages accounts
    grant:
      policies: ['"admin/scoped"']
  - name: idle
    issuer: workloads
    require:
      - that: 'claims.sub.startsWith("idle-")'
        message: this is nobody
    grant:
      policies: ['"admin/nothing"']
"#;

pub const ALL: &str =
    r#"path "sys/cambio/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#;
/// Accounts of one namespace, without power over those that have access documents.
pub const SCOPED: &str = r#"
path "sys/cambio/service-accounts/group_100/group_200/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/cambio/tokens/group_100/group_200/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "secret/data/app/*" { capabilities = ["read"] }
"#;
pub const NOTHING: &str = r#"path "secret/data/app/*" { capabilities = ["read"] }"#;

pub async fn stand() -> Stand {
    stand_for(Issuer::start().await, ADMIN).await
}

/// The same, with these sections of the configuration.
pub async fn stand_for(issuer: Issuer, sections: &str) -> Stand {
    let entry = entry("workloads", issuer.name(), "replay: reusable");
    let mut stand = Stand::prepare(issuer, &entry, sections);
    stand.write("policies/admin.yaml", POLICY);
    document(&stand, NAMESPACE, "admin/all", ALL);
    document(&stand, NAMESPACE, "admin/scoped", SCOPED);
    document(&stand, NAMESPACE, "admin/nothing", NOTHING);
    stand.start().await;
    stand.settled().await;
    stand
}

/// The token of an exchange for the administration, or for another target.
pub async fn token_for(stand: &Stand, subject: &str, target: &str) -> String {
    let jwt = stand.token().claim("sub", subject).sign();
    let mut form = exchange(&jwt);
    form.retain(|(name, _)| *name != "audience");
    form.push(("audience", target));
    let answer = stand.post("/oauth2/token", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

pub async fn admin(stand: &Stand, subject: &str) -> String {
    token_for(stand, subject, "admin").await
}

pub async fn ask(stand: &Stand, token: &str, method: &str, path: &str, body: Value) -> Answer {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let client = reqwest_client(None);
    let url = if path.starts_with("/api/") { path.to_owned() } else { format!("/api/admin/v1/{path}") };
    let mut request = client.request(method, stand.url(&url));
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if !body.is_null() {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    Answer::of(request.send().await.unwrap()).await
}

pub fn accounts(stand: &Stand) -> &Accounts {
    stand.running().counter().accounts().unwrap()
}

/// An account that is there, with a token.
pub async fn planted(stand: &Stand, namespace: &str, name: &str, policies: &[&str]) -> (Account, String, String) {
    let grants = json!({"permissions": [{"secrets": "secret/app/*"}], "policies": policies});
    let new = NewAccount {
        namespace: Some(Namespace::new(namespace).unwrap()),
        name: AccountName::new(name).unwrap(),
        owner: "team-a".to_owned(),
        description: "reports".to_owned(),
        grants: serde_json::from_value(grants).unwrap(),
        expires: stand.now().plus(90 * DAY),
    };
    let account = accounts(stand).create(new, "test", stand.now()).await.unwrap().after.unwrap();
    let new = NewAccountToken { name: "t".to_owned(), expires: stand.now().plus(30 * DAY) };
    let issued = accounts(stand).issue(account.id, new, "test", stand.now()).await.unwrap();
    (account, issued.info.id.to_string(), issued.token.text().to_owned())
}

/// Waits until the decision of this answer is in the store, at most ten seconds; and with it those before it.
pub async fn kept(stand: &Stand, operator: &str, answer: &Answer) {
    let path = format!("decisions/{}", answer.decision());
    for _ in 0..100 {
        if ask(stand, operator, "GET", &path, Value::Null).await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not in the store: {answer:?}");
}
