//! The REST surface against its own description: schemathesis makes requests of it, good ones and bad ones, and looks whether
//! every answer is one that is described.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod rest_support;
mod support;
mod vault;

use std::process::Command;

use rest_support::{plant, planted};
use serde_json::{Value, json};
use support::real_part::{installed, real_dir};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing() {
    if !installed("python") {
        return;
    }
    let (stand, token) = planted().await;
    // What the examples of the description name.
    plant(&stand, "app/DB_PASSWORD", json!({"value": "correct horse"})).await;
    plant(&stand, "app/db/replica", json!({"user": "a", "password": "b"})).await;
    let url = stand.url("/api/v4/openapi.json");
    let run = Command::new(real_dir().join("venv/bin/python"))
        .args(["-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", &url])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--phases", "examples,coverage,fuzzing", "--mode", "all", "--max-examples", "12"])
        // Always the same requests.
        .args(["--generation-deterministic", "--continue-on-failure", "--no-color"])
        .args(["--header", &format!("PRIVATE-TOKEN: {token}")])
        // `secrets/values` takes a POST, and is the place of a secret of that name as well.
        .args(["--checks", "all", "--exclude-checks", "allow_header_conformance"])
        .current_dir(stand.path(""))
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
    // It has really read values, and been refused others.
    let records = stand.records();
    let of = |outcome: &str| records.iter().filter(|record| record.outcome == outcome).count();
    assert!(of("served") > 50 && of("denied") > 50, "{} served, {} denied\n{said}", of("served"), of("denied"));
}

/// A counter that is where its issuer says, since answers name the server by it; with the secrets of docs/rest.md.
async fn reachable() -> support::Stand {
    let port = support::http::free_port();
    let own = format!("issuer: http://127.0.0.1:{port}\nlisten: 127.0.0.1:{port}\n{}", rest_support::REST);
    let stand = vault::stand_with(&own).await;
    for (name, data) in [
        ("db", json!({"value": "hunter2"})),
        ("DB_PASSWORD", json!({"value": "correct horse"})),
        ("db/replica", json!({"user": "a", "password": "b"})),
    ] {
        plant(&stand, &format!("app/{name}"), data).await;
    }
    stand
}

/// hvac, unmodified, with what `secrets_manager/access_token` says and nothing else.
const HVAC: &str = r#"
import json, sys, hvac
vault = json.load(sys.stdin)["provider"]["vault"]
jwt = vault["auth"]["jwt"]
client = hvac.Client(url=vault["server"], namespace=vault["namespace"])
auth = client.auth.jwt.jwt_login(role=jwt["role"], jwt=jwt["token"], path=jwt["path"])["auth"]
kv = client.secrets.kv.v2
read = kv.read_secret_version(mount_point=vault["path"], path=vault["secrets_path"] + "/db", raise_on_deleted_version=True)
print(json.dumps({"data": read["data"]["data"], "type": auth["token_type"], "authenticated": client.is_authenticated()}))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hvac_logs_in_with_what_an_access_token_says() {
    use std::io::Write as _;
    if !installed("python") {
        return;
    }
    let stand = reachable().await;
    let job = stand.token().claim("sub", "job-1").sign();
    let path = "projects/123/secrets_manager/access_token";
    let answer = rest_support::ask(&stand, "POST", path, &[("authorization", &format!("Bearer {job}"))], "").await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let mut python = Command::new(real_dir().join("venv/bin/python"))
        .args(["-c", HVAC])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(answer.text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said, json!({"data": {"value": "hunter2"}, "type": "batch", "authenticated": true}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_page_work_as_they_stand() {
    if Command::new("jq").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "jq is not installed, and this is CI");
        return;
    }
    let stand = reachable().await;
    let job = stand.token().claim("sub", "job-1").sign();
    let file = stand.write("token", &job);
    let page = include_str!("../docs/rest.md");
    let blocks: Vec<&str> = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3);
    // Their own words, but for the place, the target and the file.
    let commands = format!("set -eu\nSUBJECT_TOKEN={job}\n{}", blocks.join("\n"))
        .replace("https://cambio.example.com", stand.url("").trim_end_matches('/'))
        .replace("audience=web", "audience=vault")
        .replace("/var/run/secrets/cambio/token", file.to_str().unwrap());
    let output = Command::new("bash").args(["-c", &commands]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches("correct horse").count(), 4, "{said}");
    for part in [r#""name":"db/replica""#, r#"{"name":"DB_PASSWORD","kind":"secret"}"#, r#""path":"api_jwt/cel""#] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
