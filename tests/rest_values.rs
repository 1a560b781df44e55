//! Values and metadata over REST, one at a time: who reads what, in which form, and what everybody else is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod rest_support;
mod support;
mod vault;

use rest_support::{ask, get, is_problem, plant, planted, without_ids};
use rstest::rstest;
use serde_json::{Value, json};
use support::Stand;
use vault::with;

#[rstest]
#[case::by_number("projects/123/secrets/db/value")]
#[case::by_path("projects/acme%2Fweb/secrets/db/value")]
#[case::by_path_in_small_letters("projects/acme%2fweb/secrets/db/value")]
#[case::of_a_version("projects/123/secrets/db/value?version=1")]
#[case::of_the_current_version("projects/123/secrets/db/value?version=0")]
#[tokio::test]
async fn a_value_is_read(#[case] path: &str) {
    let (stand, token) = planted().await;
    let answer = get(&stand, &token, path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let json = answer.json();
    let created = json["created_at"].as_str().unwrap();
    assert_eq!(json, json!({"name": "db", "version": 1, "created_at": created, "value": "hunter2"}));
    assert_eq!((answer.header("cache-control"), answer.header("content-type")), ("no-store", "application/json"));
    assert_eq!((answer.header("x-content-type-options"), answer.header("vary")), ("nosniff", "Accept"));
    let record = stand.record(&answer);
    assert_eq!((record.outcome.as_str(), record.operation.as_deref()), ("served", Some("read")));
    assert_eq!(record.path.as_deref(), Some("group_100/group_200/secret/data/app/db"));
    assert_eq!(serde_json::to_value(record.surface).unwrap(), "rest");
}

#[tokio::test]
async fn a_slash_in_a_name_is_a_folder_and_a_group_has_its_own_folder_and_field() {
    let (stand, token) = planted().await;
    let deep = get(&stand, &token, "projects/123/secrets/deep%2Fer%2Fdb/value").await;
    assert_eq!((&deep.json()["name"], &deep.json()["value"]), (&json!("deep/er/db"), &json!("deep")));
    let of_group = get(&stand, &token, "groups/acme/secrets/db/value").await;
    assert_eq!(of_group.json()["value"], "hunter4");
    assert_eq!(get(&stand, &token, "groups/123/secrets/db/value").await.json()["value"], "hunter4");
}

#[tokio::test]
async fn a_secret_without_the_field_is_told_as_it_is() {
    let (stand, token) = planted().await;
    for (name, data) in [
        ("none", json!({"user": "a", "password": "b"})),
        ("number", json!({"value": 1})),
        ("object", json!({"value": {"a": 1}})),
        ("empty", json!({})),
    ] {
        plant(&stand, &format!("app/{name}"), data.clone()).await;
        let json = get(&stand, &token, &format!("projects/123/secrets/{name}/value")).await.json();
        assert_eq!((&json["data"], json.get("value")), (&data, None));
    }
}

#[rstest]
#[case("text/plain", "text/plain; charset=utf-8")]
#[case("application/octet-stream", "application/octet-stream")]
#[tokio::test]
async fn a_value_is_told_as_it_is(#[case] accept: &str, #[case] told: &str) {
    let (stand, token) = planted().await;
    plant(&stand, "app/text", json!({"value": "a \"b\"\n\u{e9}\\"})).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("accept", accept)];
    let answer = ask(&stand, "GET", "projects/123/secrets/text/value", &headers, "").await;
    assert_eq!((answer.status, &*answer.text, answer.header("content-type")), (200, "a \"b\"\n\u{e9}\\", told));
    plant(&stand, "app/object", json!({"user": "a"})).await;
    let answer = ask(&stand, "GET", "projects/123/secrets/object/value", &headers, "").await;
    assert_eq!((answer.status, answer.header("etag")), (406, ""));
    assert_eq!(answer.json()["type"], "urn:cambio:problem:not-acceptable");
}

#[tokio::test]
async fn what_is_known_of_a_secret_is_told_without_its_values() {
    let (stand, token) = planted().await;
    plant(&stand, "app/db", json!({"value": "second"})).await;
    let custom = json!({"custom_metadata": {"owner": "team-a"}});
    with(&stand, &token, "POST", "secret/metadata/app/db", &custom).await;
    let answer = get(&stand, &token, "projects/123/secrets/db").await;
    let json = answer.json();
    assert_eq!((&json["name"], &json["current_version"]), (&json!("db"), &json!(2)));
    assert_eq!((&json["custom_metadata"], &json["oldest_version"]), (&json!({"owner": "team-a"}), &json!(1)));
    let versions = json["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!((&versions[1]["version"], &versions[1]["deleted_at"]), (&json!(2), &Value::Null));
    assert!(!answer.text.contains("hunter2") && !answer.text.contains("second"));
    assert_eq!(stand.record(&answer).operation.as_deref(), Some("read_metadata"));
}

#[rstest]
#[case::a_secret_that_is_missing("projects/123/secrets/nothing/value", "secret_missing")]
#[case::a_version_that_is_missing("projects/123/secrets/db/value?version=9", "secret_missing")]
#[case::one_that_is_denied("projects/124/secrets/db/value", "acl_denied")]
#[case::one_that_is_denied_and_missing("projects/124/secrets/nothing/value", "acl_denied")]
#[case::another_namespace("projects/125/secrets/db/value", "namespace_not_the_tokens")]
#[case::the_root("projects/126/secrets/db/value", "namespace_not_the_tokens")]
#[case::an_unknown_number("projects/999/secrets/db/value", "place_unknown")]
#[case::an_unknown_path("projects/acme%2Fnone/secrets/db/value", "place_unknown")]
#[case::a_groups_path("projects/acme/secrets/db/value", "place_unknown")]
#[case::a_number_written_otherwise("projects/0123/secrets/db/value", "place_unknown")]
#[case::metadata_that_is_missing("projects/123/secrets/nothing", "secret_missing")]
#[case::metadata_that_is_denied("projects/124/secrets/db", "acl_denied")]
#[case::metadata_of_nobody("projects/999/secrets/db", "place_unknown")]
#[case::a_list_that_is_missing("projects/123/secrets?folder=none", "secret_missing")]
#[case::a_list_that_is_denied("projects/124/secrets", "acl_denied")]
#[case::a_list_of_nobody("projects/999/secrets", "place_unknown")]
#[tokio::test]
async fn what_is_not_for_the_caller_looks_like_what_is_not_there(#[case] path: &str, #[case] reason: &str) {
    let (stand, token) = planted().await;
    let missing = get(&stand, &token, "projects/123/secrets/none/value").await;
    let answer = get(&stand, &token, path).await;
    is_problem(&stand, &answer, 404, "not-found", reason);
    assert_eq!(without_ids(&answer), without_ids(&missing));
}

#[rstest]
#[case::denied("projects/124/secrets/db/value", &[])]
#[case::by_any_tag("projects/124/secrets/db/value", &[("if-none-match", "*")])]
#[case::in_any_form("projects/124/secrets/db/value", &[("accept", "text/plain")])]
#[case::nobody("projects/999/secrets/db/value", &[("if-none-match", "*")])]
#[tokio::test]
async fn headers_do_not_tell_what_is_denied_from_what_is_missing(#[case] path: &str, #[case] headers: &[(&str, &str)]) {
    let (stand, token) = planted().await;
    let bearer = format!("Bearer {token}");
    let headers: Vec<_> = headers.iter().copied().chain([("authorization", &*bearer)]).collect();
    let missing = ask(&stand, "GET", "projects/123/secrets/none/value", &headers, "").await;
    let denied = ask(&stand, "GET", path, &headers, "").await;
    assert_eq!(denied.status, 404);
    assert_eq!(without_ids(&denied), without_ids(&missing));
}

#[tokio::test]
async fn a_deleted_version_is_not_there() {
    let (stand, token) = planted().await;
    with(&stand, &token, "DELETE", "secret/data/app/db", &Value::Null).await;
    let (deleted, missing) = (
        get(&stand, &token, "projects/123/secrets/db/value").await,
        get(&stand, &token, "projects/123/secrets/none/value").await,
    );
    assert_eq!(without_ids(&deleted), without_ids(&missing));
    let versions = get(&stand, &token, "projects/123/secrets/db").await.json()["versions"].clone();
    assert!(versions[0]["deleted_at"].is_string(), "{versions}");
}

#[rstest]
#[case::none(&[], "no-token", "realm=\"cambio\"")]
#[case::an_empty_one(&[("authorization", "Bearer ")], "no-token", "realm=\"cambio\"")]
#[case::another_scheme(&[("authorization", "Basic dXNlcjpwYXNz")], "no-token", "realm=\"cambio\"")]
#[case::one_in_the_vault_header(&[("x-vault-token", "TOKEN")], "no-token", "realm=\"cambio\"")]
#[case::nonsense(&[("authorization", "Bearer nonsense")], "bad-token", "realm=\"cambio\", error=\"invalid_token\"")]
#[case::a_platform_token(&[("authorization", "Bearer SUBJECT")], "bad-token", "realm=\"cambio\", error=\"invalid_token\"")]
#[case::gitlabs_header(&[("private-token", "glpat-nonsense")], "bad-token", "realm=\"cambio\", error=\"invalid_token\"")]
#[tokio::test]
async fn a_caller_needs_a_secrets_token(#[case] headers: &[(&str, &str)], #[case] kind: &str, #[case] challenge: &str) {
    let (stand, token) = planted().await;
    let subject = stand.token().claim("sub", "job-1").sign();
    let texts: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.replace("TOKEN", &token).replace("SUBJECT", &subject)))
        .collect();
    let headers: Vec<_> = texts.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for path in
        ["projects/123/secrets/db/value", "projects/123/secrets/db", "projects/123/secrets", "projects/9/secrets"]
    {
        let answer = ask(&stand, "GET", path, &headers, "").await;
        is_problem(&stand, &answer, 401, kind, "token_not_good");
        assert_eq!(answer.header("www-authenticate"), format!("Bearer {challenge}"));
    }
}

#[tokio::test]
async fn a_token_may_come_in_gitlabs_header() {
    let (stand, token) = planted().await;
    let answer = ask(&stand, "GET", "projects/123/secrets/db/value", &[("private-token", &token)], "").await;
    assert_eq!(answer.json()["value"], "hunter2");
}

#[tokio::test]
async fn a_token_that_was_revoked_or_is_over_reads_nothing() {
    let (stand, token) = planted().await;
    let other = vault::job(&stand).await;
    stand.post("/oauth2/revoke", &[("token", &token), ("client_id", "rs")]).await;
    assert_eq!(stand.post("/oauth2/revoke", &[("token", &*token)]).await.status, 200);
    let answer = get(&stand, &token, "projects/123/secrets/db/value").await;
    is_problem(&stand, &answer, 401, "bad-token", "token_not_good");
    assert_eq!(get(&stand, &other, "projects/123/secrets/db/value").await.status, 200);
    stand.advance(601);
    assert_eq!(get(&stand, &other, "projects/123/secrets/db/value").await.status, 401);
}

#[rstest]
#[case::a_misspelt_parameter("projects/123/secrets/db/value?versoin=1", "query_malformed")]
#[case::a_parameter_twice("projects/123/secrets/db/value?version=1&version=1", "query_malformed")]
#[case::no_number("projects/123/secrets/db/value?version=one", "query_malformed")]
#[case::an_empty_number("projects/123/secrets/db/value?version=", "query_malformed")]
#[case::a_negative_number("projects/123/secrets/db/value?version=-1", "query_malformed")]
#[case::a_token_in_the_query("projects/123/secrets/db/value?private_token=x", "query_malformed")]
#[case::a_parameter_of_another_call("projects/123/secrets/db?version=1", "query_malformed")]
#[case::a_page_of_zero("projects/123/secrets?page=0", "query_malformed")]
#[case::too_long_a_page("projects/123/secrets?per_page=101", "query_malformed")]
#[case::an_odd_folder("projects/123/secrets?folder=..", "query_malformed")]
#[case::up("projects/123/secrets/..%2Fclosed%2Fdb/value", "name_malformed")]
#[case::up_in_the_middle("projects/123/secrets/a%2F..%2Fdb/value", "name_malformed")]
#[case::here("projects/123/secrets/.%2Fdb/value", "name_malformed")]
#[case::a_slash_in_front("projects/123/secrets/%2Fdb/value", "name_malformed")]
#[case::two_slashes("projects/123/secrets/a%2F%2Fdb/value", "name_malformed")]
#[case::encoded_twice("projects/123/secrets/a%252Fdb/value", "name_malformed")]
#[case::a_backslash("projects/123/secrets/a%5Cdb/value", "name_malformed")]
#[case::a_question_mark("projects/123/secrets/db%3Fversion=1/value", "name_malformed")]
#[case::a_star("projects/123/secrets/%2A/value", "name_malformed")]
#[case::a_zero_byte("projects/123/secrets/db%00/value", "path_malformed")]
#[case::a_line_feed("projects/123/secrets/db%0A/value", "path_malformed")]
#[case::half_an_escape("projects/123/secrets/db%2/value", "path_malformed")]
#[case::no_text("projects/123/secrets/%FF/value", "path_malformed")]
#[case::an_id_that_is_no_path("projects/acme%2F..%2Fweb/secrets/db/value", "path_malformed")]
#[case::an_id_with_a_space("projects/123%20/secrets/db/value", "path_malformed")]
#[case::no_id("projects//secrets/db/value", "path_malformed")]
#[case::an_id_that_is_no_text("projects/%FF/secrets/db/value", "path_malformed")]
#[tokio::test]
async fn what_nobody_could_mean_is_refused(#[case] path: &str, #[case] reason: &str) {
    let (stand, token) = planted().await;
    let answer = raw(&stand, path, &token).await;
    is_problem(&stand, &answer, 400, "bad-request", reason);
    for secret in ["hunter", "closed", token.as_str()] {
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
}

/// A GET whose path no library cleans.
async fn raw(stand: &Stand, path: &str, token: &str) -> support::Answer {
    let text = format!(
        "GET /api/v4/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let answer = support::http::raw(stand, text.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut headers = reqwest::header::HeaderMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(
            reqwest::header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            reqwest::header::HeaderValue::from_str(value).unwrap(),
        );
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    support::Answer { status, headers, text: body.to_owned() }
}

#[rstest]
#[case("GET", "projects/123/secrets/db/nothing", 404)]
#[case("GET", "projects/123", 404)]
#[case("GET", "users/1/secrets", 404)]
#[case("GET", "projects/123/secrets/", 404)]
#[case("GET", "projects/acme/web/secrets/db/value", 404)]
#[case("DELETE", "projects/123/secrets/db", 405)]
#[case("PUT", "projects/123/secrets/db/value", 405)]
#[case("POST", "projects/123/secrets", 405)]
#[tokio::test]
async fn what_the_api_does_not_have_is_a_problem_too(#[case] method: &str, #[case] path: &str, #[case] status: u16) {
    let (stand, token) = planted().await;
    let answer = ask(&stand, method, path, &[("authorization", &format!("Bearer {token}"))], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{}", answer.text);
    assert_eq!(answer.header("allow").is_empty(), status == 404);
    assert_eq!(answer.json()["instance"], format!("urn:uuid:{}", answer.decision()));
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let (stand, token) = planted().await;
    let headers = [("authorization", &*format!("Bearer {token}"))];
    for (path, status) in [("projects/123/secrets/db/value", 200), ("projects/124/secrets/db/value", 404)] {
        let (get, head) = (ask(&stand, "GET", path, &headers, "").await, ask(&stand, "HEAD", path, &headers, "").await);
        assert_eq!((head.status, head.text.as_str()), (status, ""));
        for name in ["content-length", "content-type", "etag", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
    }
}

#[tokio::test]
async fn a_caller_that_has_the_value_is_not_told_it_again() {
    let (stand, token) = planted().await;
    let path = "projects/123/secrets/db/value";
    let bearer = format!("Bearer {token}");
    let first = get(&stand, &token, path).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() == 34, "{tag}");
    let known = |tag: String, accept: &'static str| {
        let (stand, bearer) = (&stand, &bearer);
        async move {
            let headers = [("authorization", bearer.as_str()), ("if-none-match", &tag), ("accept", accept)];
            ask(stand, "GET", path, &headers, "").await
        }
    };
    let again = known(tag.clone(), "*/*").await;
    assert_eq!((again.status, again.text.as_str(), again.header("etag")), (304, "", tag.as_str()));
    assert_eq!(stand.record(&again).outcome, "served");
    assert_eq!(known(format!("\"x\", W/{tag}"), "*/*").await.status, 304);
    // Another form is another representation.
    assert_eq!(known(tag.clone(), "text/plain").await.status, 200);
    plant(&stand, "app/db", json!({"value": "hunter2", "user": "app"})).await;
    let second = known(tag.clone(), "*/*").await;
    assert_eq!(second.status, 200);
    assert_ne!(second.header("etag"), tag);
    // A version has its tag, however it is asked for.
    assert_eq!(get(&stand, &token, &format!("{path}?version=1")).await.header("etag"), tag);
}

#[tokio::test]
async fn a_secret_that_was_made_anew_has_another_tag_and_one_of_equal_value_as_well() {
    let (stand, token) = planted().await;
    plant(&stand, "app/twin", json!({"value": "hunter2", "user": "app"})).await;
    let (one, twin) = (
        get(&stand, &token, "projects/123/secrets/db/value").await,
        get(&stand, &token, "projects/123/secrets/twin/value").await,
    );
    assert_ne!(one.header("etag"), twin.header("etag"));
    with(&stand, &token, "DELETE", "secret/metadata/app/db", &Value::Null).await;
    stand.advance(1);
    plant(&stand, "app/db", json!({"value": "hunter2", "user": "app"})).await;
    let anew = get(&stand, &token, "projects/123/secrets/db/value").await;
    assert_eq!((anew.json()["version"].as_u64(), one.json()["version"].as_u64()), (Some(1), Some(1)));
    assert_ne!(anew.header("etag"), one.header("etag"));
}
