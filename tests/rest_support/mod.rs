//! A counter with projects and groups, and how an application asks for their secrets.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use serde_json::{Value, json};

use crate::support::{Answer, Stand};
use crate::vault::{stand_with, token, with};

/// Projects 123 (`acme/web`) and 124 (`acme/closed`, nothing for jobs) are in the namespace of the jobs; 125 is in another, and
/// 126 in the root.
pub const REST: &str = "
rest:
  folder: app
  projects:
    - {id: 123, path: acme/web, namespace: group_100/group_200, target: vault}
    - {id: 124, path: acme/closed, namespace: group_100/group_200, folder: closed, target: vault}
    - {id: 125, path: acme/other, namespace: group_100/group_300}
    - {id: 126, path: acme/root}
  groups:
    - {id: 123, path: acme, namespace: group_100/group_200, folder: shared, field: password}
    - {id: 7, namespace: group_100/group_200}
";

/// The stand, with projects and groups.
pub async fn stand() -> Stand {
    stand_with(REST).await
}

/// The same, with a secret `db` in each place that this caller's namespace has, and the token of a job.
pub async fn planted() -> (Stand, String) {
    let stand = stand().await;
    plant(&stand, "app/db", json!({"value": "hunter2", "user": "app"})).await;
    plant(&stand, "app/deep/er/db", json!({"value": "deep"})).await;
    plant(&stand, "closed/db", json!({"value": "hunter3"})).await;
    plant(&stand, "shared/db", json!({"password": "hunter4"})).await;
    let token = token(&stand, "job-1").await;
    (stand, token)
}

/// Writes a secret as an administrator.
pub async fn plant(stand: &Stand, path: &str, data: Value) {
    let admin = token(stand, "admin-1").await;
    let answer = with(stand, &admin, "POST", &format!("secret/data/{path}"), &json!({"data": data})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// A request with these headers and no others of its own.
pub async fn ask(stand: &Stand, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let client = crate::support::http::reqwest_client(None);
    let mut request = client.request(method, stand.url(&format!("/api/v4/{path}")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.body(body.to_owned()).send().await.unwrap()).await
}

/// A read with a token.
pub async fn get(stand: &Stand, token: &str, path: &str) -> Answer {
    ask(stand, "GET", path, &[("authorization", &format!("Bearer {token}"))], "").await
}

/// Several values.
pub async fn bulk(stand: &Stand, token: &str, path: &str, names: &[&str]) -> Answer {
    let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
    ask(stand, "POST", path, &headers, &json!({"names": names}).to_string()).await
}

/// A problem with this status and kind, whose instance is the decision; and the record says why.
#[track_caller]
pub fn is_problem(stand: &Stand, answer: &Answer, status: u16, kind: &str, reason: &str) {
    let json = answer.json();
    let record = stand.record(answer);
    let told = (answer.status, json["type"].as_str(), record.reason.as_deref());
    assert_eq!(told, (status, Some(&*format!("urn:cambio:problem:{kind}")), Some(reason)), "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!((json["status"].as_u64(), answer.header("cache-control")), (Some(u64::from(status)), "no-store"));
    assert_eq!(json["instance"], format!("urn:uuid:{}", answer.decision()));
    assert_eq!(serde_json::to_value(record.surface).unwrap(), "rest");
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge.starts_with("Bearer "), status == 401, "{challenge}");
}

/// What is left of an answer without what is its own: the id of the decision, and the date.
pub fn without_ids(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let id = answer.decision();
    let plain = |text: &str| text.replace(id, "ID");
    let headers = answer.headers.iter().filter(|(name, _)| *name != "date");
    let headers = headers.map(|(name, value)| (name.to_string(), plain(value.to_str().unwrap())));
    (answer.status, headers.collect(), plain(&answer.text))
}
