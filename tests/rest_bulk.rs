//! Lists, several values at once, and the configuration behind them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod rest_support;
mod support;
mod vault;

use rest_support::{ask, bulk, get, is_problem, plant, planted};
use rstest::rstest;
use serde_json::{Value, json};

#[tokio::test]
async fn names_are_listed_in_pages() {
    let (stand, token) = planted().await;
    for index in 0..4 {
        plant(&stand, &format!("app/s{index}"), json!({"value": "x"})).await;
    }
    let mut seen = vec![];
    let mut next = format!("{}/api/v4/projects/acme%2Fweb/secrets?per_page=4", stand.running().counter().issuer());
    while !next.is_empty() {
        let path = next.split_once("/api/v4/").unwrap().1.to_owned();
        let answer = get(&stand, &token, &path).await;
        assert_eq!((answer.status, answer.header("x-total"), answer.header("x-total-pages")), (200, "6", "2"));
        seen.extend(
            answer
                .json()
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| (entry["name"].as_str().unwrap().to_owned(), entry["kind"].as_str().unwrap().to_owned())),
        );
        let link = answer.header("link").to_owned();
        let url = |rel: &str| {
            let found = link.split(", ").find(|one| one.ends_with(&format!("rel=\"{rel}\"")));
            found.map_or(String::new(), |one| one.split(['<', '>']).nth(1).unwrap().to_owned())
        };
        assert!(url("first").starts_with("https://cambio.example.com/api/v4/projects/acme%2Fweb/secrets?"), "{link}");
        next = url("next");
    }
    let secrets: Vec<_> = seen.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    assert_eq!(
        secrets,
        [("db", "secret"), ("deep", "folder"), ("s0", "secret"), ("s1", "secret"), ("s2", "secret"), ("s3", "secret")]
    );
    let folder = get(&stand, &token, "projects/123/secrets?folder=deep").await;
    assert_eq!(folder.json(), json!([{"name": "deep/er", "kind": "folder"}]));
    let folder = get(&stand, &token, "projects/123/secrets?folder=deep%2Fer%2F").await;
    assert_eq!(folder.json(), json!([{"name": "deep/er/db", "kind": "secret"}]));
    assert_eq!(get(&stand, &token, "projects/123/secrets?page=9").await.json(), json!([]));
    assert_eq!(stand.record(&folder).operation.as_deref(), Some("list"));
}

#[tokio::test]
async fn several_values_are_read_at_once_each_with_its_own_outcome() {
    let (stand, token) = planted().await;
    plant(&stand, "app/object", json!({"user": "a"})).await;
    let names = ["db", "none", "deep/er/db", "../closed/db", "object"];
    let answer = bulk(&stand, &token, "projects/123/secrets/values", &names).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let json = answer.json();
    let values = json["values"].as_array().unwrap();
    let told: Vec<_> =
        values.iter().map(|one| (one["name"].as_str().unwrap(), one["status"].as_u64().unwrap())).collect();
    assert_eq!(told, [("db", 200), ("none", 404), ("deep/er/db", 200), ("../closed/db", 400), ("object", 200)]);
    assert_eq!((&values[0]["value"], &values[4]["data"]), (&json!("hunter2"), &json!({"user": "a"})));
    let alone = get(&stand, &token, "projects/123/secrets/db/value").await;
    assert_eq!(values[0]["etag"], alone.header("etag"));
    // Each is a decision of its own, and has a record.
    let records = stand.records();
    for (index, reason) in [(0, None), (1, Some("secret_missing")), (3, Some("name_malformed")), (4, None)] {
        let id = values[index]["decision"].as_str().unwrap();
        let record = records.iter().find(|record| record.id == id).unwrap();
        assert_eq!(record.reason.as_deref(), reason);
    }
}

#[tokio::test]
async fn an_item_that_is_denied_looks_like_one_that_is_missing_and_changes_nothing_about_the_others() {
    let (stand, token) = planted().await;
    vault::document(
        &stand,
        vault::NAMESPACE,
        "jobs/global",
        "path \"secret/data/app/db\" { capabilities = [\"read\"] }",
    );
    stand.running().reload();
    let mut answer = bulk(&stand, &token, "projects/123/secrets/values", &["deep/er/db", "db", "none"]).await;
    for _ in 0..300 {
        if answer.json()["values"][0]["status"] == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        answer = bulk(&stand, &token, "projects/123/secrets/values", &["deep/er/db", "db", "none"]).await;
    }
    let json = answer.json();
    let plain = |item: &Value| {
        let text = item.to_string().replace(item["decision"].as_str().unwrap(), "ID");
        text.replace(item["name"].as_str().unwrap(), "NAME")
    };
    let values = json["values"].as_array().unwrap();
    assert_eq!(values[1]["value"], "hunter2");
    assert_eq!(plain(&values[0]), plain(&values[2]));
    let reason = |index: usize| {
        let id = values[index]["decision"].as_str().unwrap();
        stand.records().into_iter().find(|record| record.id == id).unwrap().reason
    };
    assert_eq!((reason(0).as_deref(), reason(2).as_deref()), (Some("acl_denied"), Some("acl_denied")));
}

#[rstest]
#[case::of_a_closed_project("projects/124/secrets/values", "acl_denied")]
#[case::of_another_namespace("projects/125/secrets/values", "namespace_not_the_tokens")]
#[case::of_nobody("projects/999/secrets/values", "place_unknown")]
#[tokio::test]
async fn values_of_a_place_that_is_not_the_callers_are_all_missing(#[case] path: &str, #[case] reason: &str) {
    let (stand, token) = planted().await;
    let plain = |answer: &support::Answer| {
        let json = answer.json();
        let items = json["values"].as_array().unwrap();
        items.iter().map(|item| item.to_string().replace(item["decision"].as_str().unwrap(), "ID")).collect::<Vec<_>>()
    };
    let denied = bulk(&stand, &token, path, &["none", "no"]).await;
    let missing = bulk(&stand, &token, "projects/123/secrets/values", &["none", "no"]).await;
    assert_eq!((denied.status, plain(&denied)), (missing.status, plain(&missing)));
    let id = denied.json()["values"][0]["decision"].as_str().unwrap().to_owned();
    let record = stand.records().into_iter().find(|record| record.id == id).unwrap();
    assert_eq!(record.reason.as_deref(), Some(reason));
}

#[tokio::test]
async fn a_token_that_is_not_good_is_found_out_once() {
    let (stand, _) = planted().await;
    let before = stand.records().len();
    let answer = bulk(&stand, "nonsense", "projects/123/secrets/values", &["a", "b", "c"]).await;
    is_problem(&stand, &answer, 401, "bad-token", "token_not_good");
    assert_eq!(stand.records().len(), before + 1);
}

#[rstest]
#[case::no_json("application/json", "names", 400, "body_malformed")]
#[case::no_names("application/json", "{}", 400, "body_malformed")]
#[case::an_empty_list("application/json", r#"{"names":[]}"#, 400, "body_malformed")]
#[case::a_name_twice("application/json", r#"{"names":["a","a"]}"#, 400, "body_malformed")]
#[case::another_member("application/json", r#"{"names":["a"],"version":1}"#, 400, "body_malformed")]
#[case::names_twice("application/json", r#"{"names":["a"],"names":["b"]}"#, 400, "body_malformed")]
#[case::a_number("application/json", r#"{"names":[1]}"#, 400, "body_malformed")]
#[case::a_list("application/json", r#"["a"]"#, 400, "body_malformed")]
#[case::a_form("application/x-www-form-urlencoded", "names=a", 415, "content_type")]
#[case::no_type("", r#"{"names":["a"]}"#, 415, "content_type")]
#[tokio::test]
async fn a_body_that_is_no_list_of_names_is_refused(
    #[case] content_type: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] reason: &str,
) {
    let (stand, token) = planted().await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("content-type", content_type)];
    let answer = ask(&stand, "POST", "projects/123/secrets/values", &headers, body).await;
    let kind = if status == 415 { "unsupported-media-type" } else { "bad-request" };
    is_problem(&stand, &answer, status, kind, reason);
}

#[tokio::test]
async fn a_hundred_names_are_read_and_one_more_is_refused() {
    let (stand, token) = planted().await;
    let names: Vec<String> = (0..101).map(|index| format!("s{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let answer = bulk(&stand, &token, "projects/123/secrets/values", &names[..100]).await;
    assert_eq!((answer.status, answer.json()["values"].as_array().unwrap().len()), (200, 100));
    let answer = bulk(&stand, &token, "projects/123/secrets/values", &names).await;
    is_problem(&stand, &answer, 400, "bad-request", "body_malformed");
    let long = "x".repeat(40_000);
    let answer = bulk(&stand, &token, "projects/123/secrets/values", &[&long]).await;
    is_problem(&stand, &answer, 413, "too-large", "body_unreadable");
}

#[tokio::test]
async fn values_that_are_too_large_together_are_left_out_one_by_one() {
    let (stand, token) = planted().await;
    let large = "x".repeat(1000 * 1000);
    for index in 0..5 {
        plant(&stand, &format!("app/large{index}"), json!({"value": large})).await;
    }
    let names = ["large0", "large1", "large2", "large3", "large4"];
    let json = bulk(&stand, &token, "projects/123/secrets/values", &names).await.json();
    let status: Vec<_> = json["values"].as_array().unwrap().iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(status, [200, 200, 200, 200, 413]);
}
