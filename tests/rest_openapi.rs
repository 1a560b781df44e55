//! The description of the REST API is the committed one, is complete, and describes what is served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod rest_support;
mod support;
mod vault;

use std::fs;
use std::path::Path;

use cambio::http::rest::document;
use rest_support::{ask, planted};
use serde_json::Value;

fn described() -> Value {
    serde_json::from_str(&document().unwrap()).unwrap()
}

/// Path, method and operation.
fn operations(api: &Value) -> Vec<(String, String, Value)> {
    let paths = api["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(|(method, operation)| (path.clone(), method.clone(), operation.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn the_committed_description_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/openapi.json");
    let text = document().unwrap();
    if std::env::var_os("CAMBIO_WRITE_OPENAPI").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "schemas/openapi.json is not what the code describes; renew it: CAMBIO_WRITE_OPENAPI=1 cargo test --test rest_openapi"
    );
}

#[tokio::test]
async fn the_description_is_served_to_everybody() {
    let (stand, _) = planted().await;
    let answer = ask(&stand, "GET", "openapi.json", &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert_eq!(answer.text, document().unwrap());
}

#[test]
fn every_operation_says_who_may_call_what_is_refused_and_what_every_answer_has() {
    let api = described();
    let operations = operations(&api);
    assert_eq!(operations.len(), 2 * 5);
    let mut ids: Vec<_> =
        operations.iter().map(|(_, _, one)| one["operationId"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), operations.len());
    for (path, method, operation) in &operations {
        let place = format!("{method} {path}");
        assert!(operation["summary"].is_string() && !operation["security"].as_array().unwrap().is_empty(), "{place}");
        let schemes = api["components"]["securitySchemes"].as_object().unwrap();
        for name in operation["security"].as_array().unwrap().iter().flat_map(|one| one.as_object().unwrap().keys()) {
            assert!(schemes.contains_key(name), "{place}: {name}");
        }
        let exchanges = path.ends_with("access_token");
        for status in ["400", "401", "404", "429", "500", "503"].into_iter().filter(|one| !exchanges || *one != "404") {
            let schema = &operation["responses"][status]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/ProblemDetails", "{place} {status}");
        }
        for (status, response) in
            operation["responses"].as_object().unwrap().iter().filter(|(status, _)| *status != "431")
        {
            assert!(response["headers"]["Cambio-Decision"].is_object(), "{place} {status}");
        }
        assert!(operation["responses"]["401"]["headers"]["WWW-Authenticate"].is_object(), "{place}");
        assert!(operation["responses"]["503"]["headers"]["Retry-After"].is_object(), "{place}");
    }
}

#[tokio::test]
async fn every_operation_that_is_described_is_served() {
    let (stand, token) = planted().await;
    let api = described();
    let mut served = 0;
    for (path, method, _) in operations(&api) {
        let id = if path.contains("groups") { "7" } else { "123" };
        let path = path.replace("{id}", id).replace("{name}", "db");
        let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
        let path = path.strip_prefix("/api/v4/").unwrap();
        let body = if path.ends_with("values") { r#"{"names":["db"]}"# } else { "" };
        let answer = ask(&stand, &method.to_uppercase(), path, &headers, body).await;
        assert!(answer.status < 300 || path.contains("access_token"), "{method} {path}: {}", answer.text);
        served += 1;
    }
    assert_eq!(served, operations(&api).len());
}
