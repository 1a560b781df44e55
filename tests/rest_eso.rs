//! External Secrets Operator's webhook provider, request by request, by the manifest that docs/rest.md shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod rest_support;
mod support;
mod vault;

use rest_support::{ask, plant, planted};
use rstest::rstest;
use serde_json::{Value, json};
use support::Answer;

/// The documents of the manifest.
fn manifest() -> Vec<Value> {
    let page = include_str!("../docs/rest.md");
    let text = page.split("```yaml\n").find(|block| block.contains("webhook:")).unwrap().split("```").next().unwrap();
    text.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// What the provider does for one `remoteRef`: the templates filled in, the key escaped as Go's `url.QueryEscape` does.
async fn fetched(stand: &support::Stand, token: &str, key: &str, more: &[(&str, &str)]) -> Answer {
    let webhook = manifest().iter().find_map(|one| one.pointer("/spec/provider/webhook").cloned()).unwrap();
    let escaped: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let url = webhook["url"].as_str().unwrap().replace("{{ .remoteRef.key }}", &escaped);
    let path = url.strip_prefix("https://cambio.example.com/api/v4/").unwrap();
    let filled = |text: &Value| text.as_str().unwrap().replace("{{ .auth.token }}", token);
    let headers = webhook["headers"].as_object().unwrap();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_lowercase(), filled(value))).collect();
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.extend([("user-agent", "Go-http-client/1.1"), ("accept-encoding", "gzip")]);
    headers.extend(more);
    ask(stand, "GET", path, &headers, "").await
}

#[rstest]
#[case("db", "hunter2")]
#[case("deep/er/db", "deep")]
#[tokio::test]
async fn the_webhook_provider_reads_a_value(#[case] key: &str, #[case] value: &str) {
    let (stand, token) = planted().await;
    let answer = fetched(&stand, &token, key, &[]).await;
    assert_eq!((answer.status, &answer.json()["value"]), (200, &json!(value)), "{}", answer.text);
    let result = manifest().iter().find_map(|one| one.pointer("/spec/provider/webhook/result/jsonPath").cloned());
    assert_eq!(result, Some(json!("$.value")));
}

#[tokio::test]
async fn what_is_missing_is_no_secret_and_what_is_known_is_not_modified() {
    let (stand, token) = planted().await;
    assert_eq!(fetched(&stand, &token, "none", &[]).await.status, 404);
    let tag = fetched(&stand, &token, "db", &[]).await.header("etag").to_owned();
    assert_eq!(fetched(&stand, &token, "db", &[("if-none-match", &tag)]).await.status, 304);
    plant(&stand, "app/db", json!({"value": "rotated"})).await;
    let answer = fetched(&stand, &token, "db", &[("if-none-match", &tag)]).await;
    assert_eq!((answer.status, &answer.json()["value"]), (200, &json!("rotated")));
}

#[test]
fn the_secret_of_the_manifest_may_be_read_by_the_provider() {
    let documents = manifest();
    assert_eq!(documents[0]["metadata"]["labels"]["external-secrets.io/type"], "webhook");
    let named = &documents[1]["spec"]["provider"]["webhook"]["secrets"][0]["secretRef"]["name"];
    assert_eq!(named, &documents[0]["metadata"]["name"]);
    assert_eq!(documents[2]["spec"]["secretStoreRef"]["name"], documents[1]["metadata"]["name"]);
}
