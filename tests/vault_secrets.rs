//! Secrets of the Vault surface, in cambio's own store: KV version 2 and 1. One good request, one change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;
mod vault;

use rstest::rstest;
use serde_json::{Value, json};
use vault::{NAMESPACE, ask, enveloped, job, read, stand, token, with, write};

#[tokio::test]
async fn what_is_written_is_read_in_every_version() {
    let stand = stand().await;
    let token = job(&stand).await;
    let first = write(&stand, &token, "app/db", json!({"password": "one"})).await;
    assert_eq!((first.status, &enveloped(&first)["data"]["version"]), (200, &json!(1)));
    let second = write(&stand, &token, "app/db", json!({"password": "two", "n": 1.0})).await;
    assert_eq!(second.json()["data"]["version"], 2);

    let answer = read(&stand, &token, "secret/data/app/db").await;
    let data = enveloped(&answer)["data"].clone();
    assert_eq!(data["data"], json!({"password": "two", "n": 1.0}));
    let metadata = &data["metadata"];
    assert_eq!((metadata["version"].as_u64(), metadata["destroyed"].as_bool()), (Some(2), Some(false)));
    assert_eq!((metadata["deletion_time"].as_str(), metadata["custom_metadata"].is_null()), (Some(""), true));
    assert!(metadata["created_time"].as_str().unwrap().ends_with('Z'));
    let old = read(&stand, &token, "secret/data/app/db?version=1").await;
    assert_eq!(old.json()["data"]["data"], json!({"password": "one"}));
    assert_eq!(read(&stand, &token, "secret/data/app/db?version=3").await.status, 404);
    assert_eq!(read(&stand, &token, "secret/data/app/db?version=x").await.status, 400);
    assert_eq!(read(&stand, &token, "secret/data/app/db?").await.status, 200);

    let record = stand.record(&answer);
    assert_eq!((record.outcome.as_str(), record.operation.as_deref()), ("served", Some("read")));
    assert_eq!(record.path.as_deref(), Some("group_100/group_200/secret/data/app/db"));
    assert_eq!(record.subject.as_deref(), Some("workloads:job-1"));
    assert!(record.jti.is_some());
}

#[tokio::test]
async fn a_restart_keeps_what_was_written() {
    let mut stand = stand().await;
    let token = job(&stand).await;
    write(&stand, &token, "app/db", json!({"password": "kept"})).await;
    stand.restart().await;
    stand.settled().await;
    assert_eq!(read(&stand, &token, "secret/data/app/db").await.json()["data"]["data"]["password"], "kept");
}

#[rstest]
#[case::in_the_path("group_100/group_200/secret/data/app/db", &[])]
#[case::in_a_header("secret/data/app/db", &[("x-vault-namespace", "group_100/group_200")])]
#[case::with_a_slash("secret/data/app/db", &[("x-vault-namespace", "/group_100/group_200/")])]
#[case::half_and_half("group_200/secret/data/app/db", &[("x-vault-namespace", "group_100")])]
#[case::nowhere("secret/data/app/db", &[])]
#[case::as_a_bearer("secret/data/app/db", &[("authorization", "Bearer TOKEN")])]
#[tokio::test]
async fn the_namespace_stands_in_the_path_in_a_header_in_both_or_nowhere(
    #[case] path: &str,
    #[case] headers: &[(&str, &str)],
) {
    let stand = stand().await;
    let token = job(&stand).await;
    write(&stand, &token, "app/db", json!({"a": "b"})).await;
    let bearer = format!("Bearer {token}");
    let mut headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, if *name == "authorization" { bearer.as_str() } else { *value }))
        .collect();
    if headers.iter().all(|(name, _)| *name != "authorization") {
        headers.push(("x-vault-token", &token));
    }
    let answer = ask(&stand, "GET", path, &headers, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[rstest]
#[case::missing("GET", "secret/data/app/nothing", "secret_missing")]
#[case::denied("GET", "secret/data/private/x", "acl_denied")]
#[case::denied_and_there("GET", "secret/data/private/there", "acl_denied")]
#[case::denied_metadata("GET", "secret/metadata/shared/there", "acl_denied")]
#[case::denied_list("GET", "secret/metadata/private/?list=true", "acl_denied")]
#[case::an_empty_list("LIST", "secret/metadata/app/nothing", "secret_missing")]
#[case::no_such_mount("GET", "nothing/data/app/db", "mount_unknown")]
#[case::another_namespace("GET", "group_100/group_300/secret/data/app/db", "mount_unknown")]
#[case::subkeys("GET", "secret/subkeys/shared/there", "acl_denied")]
#[tokio::test]
async fn what_may_not_be_read_looks_like_what_is_not_there(
    #[case] method: &str,
    #[case] path: &str,
    #[case] reason: &str,
) {
    let stand = stand().await;
    let admin = token(&stand, "admin-1").await;
    write(&stand, &admin, "private/there", json!({"a": "b"})).await;
    write(&stand, &admin, "shared/there", json!({"a": "b"})).await;
    let answer = with(&stand, &job(&stand).await, method, path, &Value::Null).await;
    assert_eq!((answer.status, answer.text.as_str()), (404, r#"{"errors":[]}"#));
    let record = stand.record(&answer);
    assert_eq!((record.outcome.as_str(), record.reason.as_deref()), ("denied", Some(reason)), "{:?}", record.detail);
}

#[rstest]
#[case::no_token("")]
#[case::no_token_of_ours("a.b.c")]
#[case::long(&"x".repeat(9000))]
#[tokio::test]
async fn without_a_good_token_nothing_is_served(#[case] token: &str) {
    let stand = stand().await;
    for method in ["GET", "LIST", "POST", "DELETE"] {
        let answer = with(&stand, token, method, "secret/data/app/db", &json!({"data": {}})).await;
        assert_eq!((answer.status, answer.json()["errors"][0].as_str()), (403, Some("permission denied")));
        assert_eq!(stand.record(&answer).reason.as_deref(), Some("token_not_good"));
    }
}

#[tokio::test]
async fn a_token_that_ended_opens_nothing() {
    let stand = stand().await;
    let token = job(&stand).await;
    write(&stand, &token, "app/db", json!({"a": "b"})).await;
    assert_eq!(read(&stand, &token, "secret/data/app/db").await.status, 200);
    stand.advance(601);
    assert_eq!(read(&stand, &token, "secret/data/app/db").await.status, 403);
}

#[rstest]
#[case::create_what_is_there("POST", "inbox/x", 403)]
#[case::update_what_is_not("POST", "outbox/new", 403)]
#[case::denied("POST", "shared/x", 403)]
#[case::delete("DELETE", "shared/x", 403)]
#[case::create("POST", "inbox/new", 200)]
#[case::update("POST", "outbox/x", 200)]
#[tokio::test]
async fn a_write_needs_its_capability(#[case] method: &str, #[case] path: &str, #[case] status: u16) {
    let stand = stand().await;
    let admin = token(&stand, "admin-1").await;
    for path in ["inbox/x", "outbox/x", "shared/x"] {
        write(&stand, &admin, path, json!({"a": "b"})).await;
    }
    let answer =
        with(&stand, &job(&stand).await, method, &format!("secret/data/{path}"), &json!({"data": {"c": "d"}})).await;
    assert_eq!(answer.status, status, "{}", answer.text);
    let there = read(&stand, &admin, &format!("secret/data/{path}")).await;
    if status == 403 {
        assert_eq!(answer.json()["errors"][0], "permission denied");
        assert!(there.status == 404 || there.json()["data"]["data"] == json!({"a": "b"}), "{}", there.text);
    } else {
        assert_eq!(there.json()["data"]["data"], json!({"c": "d"}));
    }
}

#[tokio::test]
async fn check_and_set_holds() {
    let stand = stand().await;
    let token = job(&stand).await;
    let put = async |cas: Value| {
        let body = json!({"data": {"a": "b"}, "options": {"cas": cas}});
        with(&stand, &token, "PUT", "secret/data/app/cas", &body).await.status
    };
    assert_eq!(put(json!(1)).await, 400);
    assert_eq!(put(json!(0)).await, 200);
    assert_eq!(put(json!(0)).await, 400);
    assert_eq!(put(json!(1)).await, 200);
    let set = with(&stand, &token, "POST", "secret/metadata/app/cas", &json!({"cas_required": true})).await;
    assert_eq!(set.status, 204, "{}", set.text);
    let answer = write(&stand, &token, "app/cas", json!({"a": "c"})).await;
    assert_eq!((answer.status, answer.json()["errors"][0].as_str().unwrap().contains("check-and-set")), (400, true));
}

#[tokio::test]
async fn versions_are_deleted_brought_back_and_destroyed() {
    let stand = stand().await;
    let token = job(&stand).await;
    for value in ["one", "two"] {
        write(&stand, &token, "app/v", json!({ "v": value })).await;
    }
    assert_eq!(with(&stand, &token, "DELETE", "secret/data/app/v", &Value::Null).await.status, 204);
    let gone = read(&stand, &token, "secret/data/app/v").await;
    assert_eq!((gone.status, gone.json()["data"]["data"].is_null()), (404, true));
    assert!(!gone.json()["data"]["metadata"]["deletion_time"].as_str().unwrap().is_empty());
    let back = with(&stand, &token, "POST", "secret/undelete/app/v", &json!({"versions": [2]})).await;
    assert_eq!(back.status, 204);
    assert_eq!(read(&stand, &token, "secret/data/app/v").await.json()["data"]["data"]["v"], "two");
    let destroyed = with(&stand, &token, "PUT", "secret/destroy/app/v", &json!({"versions": ["1"]})).await;
    assert_eq!(destroyed.status, 204);
    let old = read(&stand, &token, "secret/data/app/v?version=1").await;
    assert_eq!((old.status, old.json()["data"]["metadata"]["destroyed"].as_bool()), (404, Some(true)));
    let metadata = read(&stand, &token, "secret/metadata/app/v").await.json()["data"].clone();
    assert_eq!((metadata["current_version"].as_u64(), metadata["versions"].as_object().unwrap().len()), (Some(2), 2));
    assert_eq!(metadata["versions"]["1"]["destroyed"], true);
    assert_eq!(with(&stand, &token, "DELETE", "secret/metadata/app/v", &Value::Null).await.status, 204);
    assert_eq!(read(&stand, &token, "secret/metadata/app/v").await.text, r#"{"errors":[]}"#);
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let stand = stand().await;
    let token = job(&stand).await;
    write(&stand, &token, "app/p", json!({"a": "1", "b": {"c": "2"}})).await;
    let patch = json!({"data": {"a": null, "b": {"d": "3"}}});
    assert_eq!(with(&stand, &token, "PATCH", "secret/data/app/p", &patch).await.status, 200);
    assert_eq!(
        read(&stand, &token, "secret/data/app/p").await.json()["data"]["data"],
        json!({"b": {"c": "2", "d": "3"}})
    );
    let subkeys = read(&stand, &token, "secret/subkeys/app/p").await.json()["data"].clone();
    assert_eq!(subkeys["subkeys"], json!({"b": {"c": null, "d": null}}));
    assert_eq!(
        read(&stand, &token, "secret/subkeys/app/p?depth=1").await.json()["data"]["subkeys"],
        json!({"b": null})
    );
}

#[rstest]
#[case("LIST", "secret/metadata/app")]
#[case("LIST", "secret/metadata/app/")]
#[case("GET", "secret/metadata/app?list=true")]
#[case("GET", "secret/metadata/app/?list=true")]
#[tokio::test]
async fn a_folder_is_listed_by_verb_and_by_parameter(#[case] method: &str, #[case] path: &str) {
    let stand = stand().await;
    let token = job(&stand).await;
    for path in ["app/a", "app/b/c", "app/b/d"] {
        write(&stand, &token, path, json!({"x": "y"})).await;
    }
    let answer = with(&stand, &token, method, path, &Value::Null).await;
    assert_eq!(enveloped(&answer)["data"]["keys"], json!(["a", "b/"]), "{}", answer.text);
}

#[tokio::test]
async fn version_1_of_the_engine_keeps_one_value() {
    let stand = stand().await;
    let token = job(&stand).await;
    for value in ["one", "two"] {
        assert_eq!(with(&stand, &token, "POST", "kv1/app/x", &json!({ "v": value })).await.status, 204);
    }
    let answer = read(&stand, &token, "kv1/app/x").await;
    assert_eq!(
        (&enveloped(&answer)["data"], &answer.json()["lease_duration"]),
        (&json!({"v": "two"}), &json!(2_764_800))
    );
    assert_eq!(with(&stand, &token, "LIST", "kv1/app", &Value::Null).await.json()["data"]["keys"], json!(["x"]));
    assert_eq!(with(&stand, &token, "DELETE", "kv1/app/x", &Value::Null).await.status, 204);
    assert_eq!(read(&stand, &token, "kv1/app/x").await.text, r#"{"errors":[]}"#);
}

#[rstest]
#[case("GET", "secret/data/app/../private/there", 400)]
#[case("GET", "secret/data/app/%2e%2e/private/there", 400)]
#[case("GET", "secret/data//app/db", 400)]
#[case("GET", "secret//data/app/db", 404)]
#[case("GET", "secret/data/app%2fdb", 400)]
#[case("GET", "secret/data/app/db%00", 400)]
#[case("GET", "secret/data/app/%252e", 400)]
#[case("GET", "secret/data/", 400)]
#[case("GET", "secret/nothing/app/db", 404)]
#[case("POST", "secret/metadata/app/db?list=true", 204)]
#[case("LIST", "secret/data/app/db", 405)]
#[case("OPTIONS", "secret/data/app/db", 405)]
#[tokio::test]
async fn a_path_that_two_could_read_differently_is_refused(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
) {
    let stand = stand().await;
    let token = job(&stand).await;
    write(&stand, &token, "app/db", json!({"a": "b"})).await;
    // By hand: clients clean such paths before they send them.
    let body = if method == "POST" { "{}" } else { "" };
    let request = format!(
        "{method} /v1/{path} HTTP/1.1\r\nhost: x\r\nx-vault-token: {token}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = support::http::raw(&stand, request.as_bytes()).await;
    assert!(answer.contains(&format!("HTTP/1.1 {status} ")), "{answer}");
}

#[tokio::test]
async fn a_value_has_a_largest_size() {
    let stand = stand().await;
    let token = job(&stand).await;
    assert_eq!(write(&stand, &token, "app/big", json!({"v": "x".repeat(1_000_000)})).await.status, 200);
    let answer = write(&stand, &token, "app/big", json!({"v": "x".repeat(1_050_000)})).await;
    assert!(answer.status == 400 || answer.status == 413, "{} {}", answer.status, answer.text);
    assert_eq!(read(&stand, &token, "secret/metadata/app/big").await.json()["data"]["current_version"], 1);
}

#[tokio::test]
async fn a_changed_document_counts_at_the_next_request() {
    let stand = stand().await;
    let token = job(&stand).await;
    write(&stand, &token, "app/db", json!({"a": "b"})).await;
    vault::document(&stand, NAMESPACE, "jobs/global", "path \"secret/data/other/*\" { capabilities = [\"read\"] }");
    let counter = std::sync::Arc::clone(stand.running().counter());
    let before = counter.rules();
    stand.running().reload();
    support::stand::eventually("the rules were taken up", || !std::sync::Arc::ptr_eq(&before, &counter.rules())).await;
    assert_eq!(read(&stand, &token, "secret/data/app/db").await.status, 404);
    // One that is broken changes nothing.
    vault::document(&stand, NAMESPACE, "jobs/global", "path \"secret/*\" {");
    stand.running().reload();
    support::stand::eventually("the reload failed", || counter.reloads().failure().is_some()).await;
    assert_eq!(read(&stand, &token, "secret/data/app/db").await.status, 404);
}
