//! `cambio service-account` and `cambio decisions`: against a server, and in the store itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod admin_support;
mod support;
mod vault;

use std::process::{Command, Output};

use admin_support::{admin, ask, kept, planted, stand};
use serde_json::{Value, json};
use support::Stand;
use vault::NAMESPACE;

fn cambio(stand: &Stand, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
    command.args(arguments).current_dir(stand.path("")).env_clear().env("USER", "ada");
    if token.is_empty() {
        command.args(["--local", "--config", "cambio.yaml"]);
    } else {
        command.env("CAMBIO_URL", stand.url("")).env("CAMBIO_SECRETS_TOKEN", token);
    }
    command.output().unwrap()
}

#[track_caller]
fn says(out: &Output) -> String {
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout.clone()).unwrap()
}

const NEW: [&str; 10] = [
    "service-account",
    "create",
    "group_100/group_200/ci",
    "--owner",
    "team-a",
    "--description",
    "reports",
    "--permission",
    "write:secret/app/*",
    "--expires-in",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_lives_and_ends_by_commands_alike_over_a_server_and_in_the_store() {
    for local in [false, true] {
        let mut stand = stand().await;
        let token = if local { String::new() } else { admin(&stand, "ops-1").await };
        if local {
            stand.stop().await;
        }
        let run = |arguments: &[&str]| cambio(&stand, &token, arguments);
        let made = says(&run(&[NEW.as_slice(), &["30d"]].concat()));
        assert!(made.contains("write secret/app/*") && made.contains("active"), "{made}");
        let again = run(&[NEW.as_slice(), &["30d"]].concat());
        assert_eq!(again.status.code(), Some(1), "{}", String::from_utf8_lossy(&again.stderr));
        let named = "group_100/group_200/ci";
        let listed = says(&run(&["service-account", "list"]));
        assert!(listed.lines().nth(1).unwrap().starts_with(named), "{listed}");
        let issued = run(&["service-account", "token", "issue", named, "--name", "cron", "--expires-in", "7d"]);
        let text = says(&issued);
        // Alone, so that it can be piped, and not in what is said beside it.
        assert!(text.starts_with("cambio_sa_") && text.lines().count() == 1 && text.trim().len() == 59, "{text}");
        assert!(!String::from_utf8_lossy(&issued.stderr).contains(text.trim()));
        let tokens = says(&run(&["service-account", "token", "list", named, "--json"]));
        let tokens: Value = serde_json::from_str(&tokens).unwrap();
        let id = tokens["tokens"][0]["id"].as_str().unwrap().to_owned();
        let rotated = says(&run(&["service-account", "token", "rotate", named, &id, "--overlap", "0"]));
        assert!(rotated.starts_with("cambio_sa_") && rotated != text);
        let tokens = says(&run(&["service-account", "token", "list", named]));
        assert!(tokens.contains("rotated_out") && tokens.contains("active"), "{tokens}");
        assert_eq!(run(&["service-account", "token", "revoke", named, &id]).status.code(), Some(0));
        let updated = says(&run(&["service-account", "update", named, "--owner", "team-b"]));
        assert!(updated.contains("team-b"), "{updated}");
        assert!(says(&run(&["service-account", "disable", named])).contains("disabled"));
        assert!(says(&run(&["service-account", "enable", named])).contains("active"));
        assert_eq!(says(&run(&["service-account", "delete", named])), "");
        assert_eq!(run(&["service-account", "show", named]).status.code(), Some(1));
        if local {
            stand.start().await;
        }
        let records = stand.records();
        let actions: Vec<&str> = records.iter().filter_map(|record| record.action.as_deref()).collect();
        for action in
            ["service_account.create", "token.issue", "token.rotate", "token.revoke", "service_account.delete"]
        {
            assert!(actions.contains(&action), "{local} {actions:?}");
        }
        let written = serde_json::to_string(&records).unwrap();
        assert!(!written.contains(text.trim()) && !written.contains(rotated.trim()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_administrator_is_made_in_the_store_and_may_then_administer() {
    let mut stand = stand().await;
    stand.stop().await;
    let local = |arguments: &[&str]| cambio(&stand, "", arguments);
    says(&local(&[NEW.as_slice(), &["7d", "--policy", "admin/all"]].concat()));
    let named = "group_100/group_200/ci";
    let token = says(&local(&["service-account", "token", "issue", named, "--name", "setup", "--expires-in", "1d"]));
    stand.start().await;
    assert_eq!(ask(&stand, token.trim(), "GET", "issuers", Value::Null).await.status, 200);
    assert!(says(&cambio(&stand, token.trim(), &["service-account", "list"])).contains(named));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_refused_says_what_to_do() {
    let stand = stand().await;
    let (_, _, powerless) = planted(&stand, NAMESPACE, "nobody", &[]).await;
    let said = |token: &str, arguments: &[&str]| {
        let out = cambio(&stand, token, arguments);
        (out.status.code().unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, text) = said(&powerless, &["service-account", "list"]);
    assert!(code == 1 && text.contains("access document") && text.contains("decision "), "{code} {text}");
    let (code, text) = said("cambio_sa_x", &["service-account", "list"]);
    assert!(code == 1 && text.contains("CAMBIO_SECRETS_TOKEN"), "{code} {text}");
    let operator = admin(&stand, "ops-1").await;
    let (code, text) = said(&operator, &["service-account", "create", "ci", "--owner", "a", "--description", "b"]);
    assert!(code == 2 && text.contains("NAMESPACE/NAME"), "{code} {text}");
    let (code, text) = said(&operator, &["service-account", "update", "group_100/group_200/nobody"]);
    assert!(code == 2 && text.contains("--owner"), "{code} {text}");
    let (code, text) = said(&operator, &["decisions", "show", "019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f"]);
    assert!(code == 1 && text.contains("no such decision"), "{code} {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_listed_shown_and_explained() {
    let stand = stand().await;
    let operator = admin(&stand, "ops-1").await;
    let refused = ask(&stand, &admin(&stand, "idle-1").await, "GET", "issuers", json!(null)).await;
    let id = refused.decision().to_owned();
    kept(&stand, &operator, &refused).await;
    let arguments = ["decisions", "list", "--reason", "acl_denied", "--json"];
    let page: Value = serde_json::from_str(&says(&cambio(&stand, &operator, &arguments))).unwrap();
    let found: Vec<&Value> = page["decisions"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(found, [&json!(id)], "{page}");
    assert!(says(&cambio(&stand, &operator, &["decisions", "list", "--outcome", "issued"])).contains("ops-1"));
    let shown: Value = serde_json::from_str(&says(&cambio(&stand, &operator, &["decisions", "show", &id]))).unwrap();
    assert_eq!(shown["record"]["action"], "issuer.list");
    let explained = says(&cambio(&stand, &operator, &["decisions", "explain", &id]));
    assert!(
        explained.contains("acl_denied") && explained.contains("sys/cambio") | explained.contains("no rule"),
        "{explained}"
    );
}
