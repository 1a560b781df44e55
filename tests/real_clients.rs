//! Clients as they are: libraries that know RFC 8693, unchanged, and curl as the README has it. An independent
//! implementation verifies what they got.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::path::PathBuf;
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};
use support::Stand;
use support::http::free_port;
use support::real_part::{client, installed};

/// A counter whose identifier is its own address on loopback, and a file with a good token.
async fn stand() -> (Stand, String, PathBuf) {
    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    let stand = Stand::open_with("replay: reusable", &format!("issuer: {base}\nlisten: 127.0.0.1:{port}")).await;
    let file = stand.write("token", &format!("{}\n", stand.token().sign()));
    (stand, base, file)
}

fn part_of(script: &str) -> &'static str {
    if script.ends_with(".py") { "python" } else { "node" }
}

/// Runs a client; the token that it got, which npm's jose then verifies against our keys.
async fn run(stand: &Stand, base: &str, script: &str, arguments: &[&str]) -> Value {
    let (fine, said) = client(script, arguments);
    assert!(fine, "{said}");
    let token = said["access_token"].as_str().unwrap_or_else(|| panic!("{said}"));
    let file = stand.write("issued", token);
    if installed("node") {
        let jwks = format!("{base}/oauth2/jwks");
        let (fine, verified) = client("verify_jose.mjs", &[&jwks, file.to_str().unwrap(), base, "vault"]);
        assert!(fine, "{verified}");
        assert_eq!(verified["claims"]["sub"], "workloads:job-17");
    }
    said
}

#[rstest]
#[case("google_auth_file.py")]
#[case("google_auth_url.py")]
#[case("google_auth_library.mjs")]
#[case("openid_client.mjs")]
#[case("authlib_exchange.py")]
#[case("requests_oauthlib_exchange.py")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_exchanges_a_token_unchanged(#[case] script: &str) {
    if !installed(part_of(script)) {
        return;
    }
    let (stand, base, file) = stand().await;
    let said = run(&stand, &base, script, &[&base, file.to_str().unwrap(), "vault"]).await;
    // What each of them looks at beyond the token.
    match script {
        "google_auth_file.py" | "google_auth_url.py" => assert_eq!(said["valid"], true, "{said}"),
        "google_auth_library.mjs" => assert_eq!(said["cached"], true, "it would exchange again on every call: {said}"),
        "openid_client.mjs" => {
            assert_eq!((&said["issuer"], &said["revoked"]), (&json!(base), &json!("ok")), "{said}");
            assert!(said["second"].is_string());
        }
        _ => assert_eq!((&said["token_type"], &said["expires_in"]), (&json!("Bearer"), &json!(600)), "{said}"),
    }
    // openid-client revokes what it got, which is on record too.
    let good = |outcome: &str, action: Option<&str>| match action {
        None => outcome == "issued",
        Some(action) => (outcome, action, script) == ("done", "token.revoke_self", "openid_client.mjs"),
    };
    assert!(stand.records().iter().all(|record| good(&record.outcome, record.action.as_deref())));
}

#[rstest]
#[case("google_auth_file.py", &["read", "list"])]
#[case("authlib_exchange.py", &["read"])]
#[case("requests_oauthlib_exchange.py", &["read"])]
#[case("openid_client.mjs", &["read"])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_narrows_the_scope(#[case] script: &str, #[case] scopes: &[&str]) {
    if !installed(part_of(script)) {
        return;
    }
    let (stand, base, file) = stand().await;
    let arguments = [&[base.as_str(), file.to_str().unwrap(), "vault"], scopes].concat();
    let said = run(&stand, &base, script, &arguments).await;
    let claims = stand.verified(said["access_token"].as_str().unwrap()).await.claims;
    assert_eq!(claims["scope"], scopes.join(" "));
}

#[rstest]
#[case("google_auth_file.py")]
#[case("google_auth_library.mjs")]
#[case("openid_client.mjs")]
#[case("authlib_exchange.py")]
#[case("requests_oauthlib_exchange.py")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_understands_a_refusal(#[case] script: &str) {
    if !installed(part_of(script)) {
        return;
    }
    let (stand, base, _) = stand().await;
    let file = stand.write("denied", &stand.token().claim("sub", "user-1").sign());
    let (fine, said) = client(script, &[&base, file.to_str().unwrap(), "vault"]);
    assert!(!fine, "{said}");
    assert!(said.to_string().contains("invalid_request"), "{said}");
    let records = stand.records();
    assert!(!records.is_empty());
    assert!(records.iter().all(|record| record.reason.as_deref() == Some("conditions_not_met")), "{records:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_exchanges_a_token_as_the_readme_says() {
    let (stand, base, file) = stand().await;
    let readme = include_str!("../README.md");
    let start = readme.find("curl -s https://cambio.example.com/oauth2/token").expect("the README shows curl");
    let command = readme[start..].split("```").next().unwrap();
    // Its own words, but for the place, the target and the file.
    let command = command
        .replace("https://cambio.example.com", &base)
        .replace("audience=group-pipelines", "audience=vault")
        .replace("/var/run/secrets/cambio/token", file.to_str().unwrap());
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let claims = stand.verified(said["access_token"].as_str().unwrap_or_else(|| panic!("{said}"))).await.claims;
    assert_eq!(claims["aud"], "vault");
}
