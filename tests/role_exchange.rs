//! GitLab's programs behind the token endpoint: tokens of its secrets manager, signed by an issuer that listens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::path::Path;

use cambio::jose::Algorithm;
use rstest::rstest;
use serde_json::{Value, json};
use support::{Answer, Issuer, Key, Stand, exchange};

/// What GitLab was told to write into the tokens' `aud`.
const OPENBAO: &str = "https://openbao.example.com";
const PROJECT: &str = "group_100/project_300/auth";

fn role(mount: &str) -> String {
    let name = match mount {
        "user_jwt" => "all_users",
        "api_jwt" => "all_api",
        _ => "all_pipelines",
    };
    format!("{PROJECT}/{mount}/cel/role/{name}")
}

/// A counter with the example's roles for one project, whose mounts name the issuer that listens.
async fn stand() -> Stand {
    let issuer = Issuer::start_with(None, Key::new(Algorithm::RS256)).await;
    let entry = format!(
        "  - name: gitlab\n    issuer: {}\n    audiences: [{OPENBAO}]\n    insecure_http: true\n    platform: gitlab-secrets-manager\n",
        issuer.name()
    );
    let mut stand = Stand::prepare(issuer, &entry, "");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitlab-secrets-manager/policies");
    for mount in ["pipeline_jwt", "user_jwt", "api_jwt"] {
        let role = role(mount);
        std::fs::create_dir_all(stand.path("policies").join(&role).parent().unwrap()).unwrap();
        let text = std::fs::read_to_string(example.join(format!("{role}.json"))).unwrap();
        stand.write(&format!("policies/{role}.json"), &text);
        let config = json!({"bound_issuer": stand.issuer.name()});
        stand.write(&format!("policies/{PROJECT}/{mount}/config.json"), &config.to_string());
    }
    stand.start().await;
    stand.settled().await;
    stand
}

/// A good token of one of the three kinds, with some claims changed; `null` takes one away.
fn token(stand: &Stand, mount: &str, changes: &Value) -> String {
    let mut token = stand.token();
    for gone in ["repository", "repository_id"] {
        token.claims.as_object_mut().unwrap().remove(gone);
    }
    let kind = match mount {
        "pipeline_jwt" => json!({
            "secrets_manager_scope": "pipeline", "sub": "project_path:shop/api:ref_type:branch:ref:main", "ref": "main",
            "ref_type": "branch", "ref_protected": "true", "environment": "production", "namespace_id": "200",
            "pipeline_id": "574", "job_id": "302", "project_group_ids": ["200", "100"],
        }),
        "user_jwt" => json!({
            "secrets_manager_scope": "user", "sub": "user:alice", "role_id": "40", "member_role_id": null,
            "correlation_id": "01J0",
        }),
        _ => json!({
            "secrets_manager_scope": "api", "sub": "user:bot", "role_id": "20", "auth_via": "service_account",
            "correlation_id": "01J0",
        }),
    };
    let common = json!({"aud": OPENBAO, "project_id": "300", "user_id": "7"});
    for part in [&common, &kind] {
        token.claims.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    }
    for (name, value) in changes.as_object().unwrap() {
        let claims = token.claims.as_object_mut().unwrap();
        match value {
            Value::Null => drop(claims.remove(name)),
            other => drop(claims.insert(name.clone(), other.clone())),
        }
    }
    token.sign()
}

async fn ask(stand: &Stand, mount: &str, token: &str) -> Answer {
    let (mut form, role) = (exchange(token), role(mount));
    form.retain(|(name, _)| *name != "audience");
    form.push(("audience", &role));
    stand.post("/oauth2/token", &form).await
}

#[rstest]
#[case("user_jwt", &["users/direct/user_7", "users/roles/40", "default"], Some(300))]
#[case("api_jwt", &["api/users/direct/user_7", "api/users/roles/20", "default"], Some(300))]
#[case(
    "pipeline_jwt",
    &["pipelines/global", "pipelines/env/70726f64756374696f6e", "pipelines/branch/6d61696e",
      "pipelines/combined/env/70726f64756374696f6e/branch/6d61696e", "default"],
    None
)]
#[tokio::test]
async fn a_token_of_each_kind_is_exchanged_for_what_its_program_grants(
    #[case] mount: &str,
    #[case] policies: &[&str],
    #[case] lifetime: Option<u64>,
) {
    let stand = stand().await;
    let answer = ask(&stand, mount, &token(&stand, mount, &json!({}))).await;
    stand.permitted(&answer);
    let issued = stand.verified(&answer.token()).await.claims;
    assert_eq!(issued["policies"], json!(policies), "{issued}");
    let seconds = issued["exp"].as_u64().unwrap() - issued["iat"].as_u64().unwrap();
    // A program without a lease gets what a policy without a `ttl` gets, never a month.
    assert!((60..=600).contains(&seconds), "{seconds}");
    assert!(lifetime.is_none_or(|expected| expected == seconds), "{seconds}");
}

const ANOTHER: &str = "token project_id does not match role base";

#[rstest]
#[case::another_project("user_jwt", json!({"project_id": "301"}), "role_denied", ANOTHER)]
#[case::an_api_token_for_the_role_of_persons("user_jwt", json!({"secrets_manager_scope": "api"}), "role_denied", "invalid secrets_manager_scope")]
#[case::a_person_for_the_role_of_jobs("pipeline_jwt", json!({"sub": "user:alice"}), "role_denied", "invalid subject for pipeline authentication")]
#[case::an_ordinary_id_token("pipeline_jwt", json!({"secrets_manager_scope": null}), "claim_missing", "secrets_manager_scope")]
#[case::nobody("user_jwt", json!({"user_id": null}), "claim_missing", "user_id")]
#[tokio::test]
async fn a_refusal_says_why_to_the_operator_and_to_nobody_else(
    #[case] mount: &str,
    #[case] changes: Value,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let stand = stand().await;
    let answer = ask(&stand, mount, &token(&stand, mount, &changes)).await;
    let record = stand.record(&answer);
    let said = format!("{:?} {:?}", record.reason, record.detail);
    assert!(said.contains(message), "{said}");
    assert_eq!((answer.status, record.reason.as_deref()), (400, Some(reason)), "{said} {}", answer.text);
    assert!(record.jti.is_none() && !answer.text.contains("access_token"), "{}", answer.text);
    assert!(!answer.text.contains(message) && !answer.text.contains("301"), "{}", answer.text);
}
