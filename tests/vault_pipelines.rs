//! GitLab's own program for group pipelines drives logins, and the token reads what its policies open: exactly the secrets
//! that the decision chains say, whatever the protection of the ref and the environment of the job.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;
mod vault;

use std::path::Path;

use cambio::jose::Algorithm;
use rstest::rstest;
use serde_json::{Value, json};
use support::{Issuer, Key, Stand};

const NAMESPACE: &str = "group_100/group_200";
const OPENBAO: &str = "https://openbao.example.com";
const LOGIN: &str = "group_100/group_200/auth/pipeline_jwt/cel/login";

/// A secret of each policy; readable names, hex in the document.
const DOCUMENTS: &str = r#"
policy "pipelines/combined/unprotected/global" { path "secret/data/explicit/UNPROTECTED" { capabilities = ["read"] } }
policy "pipelines/combined/protected/global" { path "secret/data/explicit/PROTECTED" { capabilities = ["read"] } }
policy "pipelines/combined/unprotected/env/${hex("production")}" {
  path "secret/data/explicit/UNPROTECTED_PRODUCTION" { capabilities = ["read"] }
}
policy "pipelines/combined/protected/env/${hex("production")}" {
  path "secret/data/explicit/PROTECTED_PRODUCTION" { capabilities = ["read"] }
}
policy "jobs/admin" { path "secret/*" { capabilities = ["create", "update"] } }
"#;

const SECRETS: [&str; 4] = ["UNPROTECTED", "PROTECTED", "UNPROTECTED_PRODUCTION", "PROTECTED_PRODUCTION"];

/// The example's role document, and its secrets.
async fn stand() -> Stand {
    let gitlab = Issuer::start_with(None, Key::new(Algorithm::RS256)).await;
    let operators = Issuer::start().await;
    let entries = format!(
        "  - name: gitlab\n    issuer: {}\n    audiences: [{OPENBAO}]\n    insecure_http: true\n    platform: gitlab-secrets-manager\n{}",
        gitlab.name(),
        support::stand::entry("workloads", operators.name(), "replay: reusable")
    );
    let mut stand = Stand::prepare(gitlab, &entries, "");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitlab-secrets-manager/policies");
    let file = format!("{NAMESPACE}/auth/pipeline_jwt/cel/role/all_pipelines.json");
    std::fs::create_dir_all(stand.path("policies").join(&file).parent().unwrap()).unwrap();
    stand.write(&format!("policies/{file}"), &std::fs::read_to_string(example.join(&file)).unwrap());
    let config = json!({"bound_issuer": stand.issuer.name()}).to_string();
    stand.write(&format!("policies/{NAMESPACE}/auth/pipeline_jwt/config.json"), &config);
    std::fs::create_dir_all(stand.path(&format!("policies/{NAMESPACE}/sys/policies"))).unwrap();
    stand.write(&format!("policies/{NAMESPACE}/sys/policies/acl.hcl"), DOCUMENTS);
    stand.start().await;
    stand.settled().await;
    let admin = operators.token(stand.now()).claim("sub", "admin-1").sign();
    let answer = vault::login(&stand, "auth/jwt/login", "vault", &admin).await;
    let admin = answer.json()["auth"]["client_token"].as_str().unwrap().to_owned();
    for name in SECRETS {
        let written = vault::write(&stand, &admin, &format!("explicit/{name}"), json!({"value": name})).await;
        assert_eq!(written.status, 200, "{}", written.text);
    }
    stand
}

fn pipeline(stand: &Stand, change: Value) -> String {
    let mut claims = json!({
        "sub": "project_path:shop/api:ref_type:branch:ref:main", "aud": OPENBAO, "secrets_manager_scope": "pipeline",
        "project_id": "300", "project_path": "shop/api", "namespace_id": "200", "user_id": "7", "pipeline_id": "574",
        "job_id": "302", "ref": "main", "ref_type": "branch", "ref_protected": "false", "correlation_id": "01J0",
        "project_group_ids": ["200", "100"],
    });
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let token = stand.token().no_claim("repository").no_claim("repository_id");
    claims.as_object().unwrap().iter().fold(token, |token, (name, value)| token.claim(name, value.clone())).sign()
}

#[rstest]
#[case::unprotected(json!({}), &["UNPROTECTED"])]
#[case::unprotected_with_an_environment(json!({"environment": "production"}), &["UNPROTECTED", "UNPROTECTED_PRODUCTION"])]
#[case::unprotected_elsewhere(json!({"environment": "staging"}), &["UNPROTECTED"])]
#[case::protected(json!({"ref_protected": "true"}), &["UNPROTECTED", "PROTECTED"])]
#[case::protected_with_an_environment(json!({"ref_protected": "true", "environment": "production"}), &SECRETS)]
#[case::of_a_subgroup(json!({"project_group_ids": ["260", "200", "100"]}), &["UNPROTECTED"])]
#[tokio::test]
async fn a_group_pipeline_reads_exactly_what_its_decision_says(#[case] change: Value, #[case] opened: &[&str]) {
    let stand = stand().await;
    let answer = vault::login(&stand, LOGIN, "all_pipelines", &pipeline(&stand, change)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let token = answer.json()["auth"]["client_token"].as_str().unwrap().to_owned();
    for name in SECRETS {
        let read = vault::read(&stand, &token, &format!("{NAMESPACE}/secret/data/explicit/{name}")).await;
        if opened.contains(&name) {
            assert_eq!(read.json()["data"]["data"]["value"], name, "{name}: {}", read.text);
        } else {
            assert_eq!((read.status, read.text.as_str()), (404, r#"{"errors":[]}"#), "{name}");
        }
    }
}

#[rstest]
#[case::of_a_sibling_group(json!({"project_group_ids": ["201", "100"]}))]
#[case::of_the_parent_group(json!({"project_group_ids": ["100"]}))]
#[case::of_no_group(json!({"project_group_ids": []}))]
#[case::of_a_fork_elsewhere(json!({"project_id": "900", "project_group_ids": ["900"], "job_project_id": "300"}))]
#[case::of_another_scope(json!({"secrets_manager_scope": "user"}))]
#[case::of_a_person(json!({"sub": "user:bot"}))]
#[tokio::test]
async fn any_other_pipeline_gets_no_token(#[case] change: Value) {
    let stand = stand().await;
    let allowed = stand.allowed();
    let answer = vault::login(&stand, LOGIN, "all_pipelines", &pipeline(&stand, change)).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(
        answer.text.contains("the token is not acceptable"),
        "the caller learns nothing of the program: {}",
        answer.text
    );
    assert_eq!(stand.record(&answer).outcome, "denied");
    assert_eq!(stand.allowed(), allowed);
}
