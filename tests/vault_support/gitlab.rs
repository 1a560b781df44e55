//! GitLab's role documents for a project, and tokens of its secrets manager.

use std::path::Path;

use cambio::jose::Algorithm;
use serde_json::json;

use crate::support::{Issuer, Key, Stand};
use crate::vault::document;

/// What GitLab was told to write into the tokens' `aud`.
const OPENBAO: &str = "https://openbao.example.com";
pub const PROJECT: &str = "group_100/project_300";

/// A counter with one of the example's role documents for a project.
pub async fn with_roles(mount: &str, role: &str, granted: &str) -> Stand {
    let issuer = Issuer::start_with(None, Key::new(Algorithm::RS256)).await;
    let entry = format!(
        "  - name: gitlab\n    issuer: {}\n    audiences: [{OPENBAO}]\n    insecure_http: true\n    platform: gitlab-secrets-manager\n",
        issuer.name()
    );
    let mut stand = Stand::prepare(issuer, &entry, "");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitlab-secrets-manager/policies");
    let file = format!("{PROJECT}/auth/{mount}/cel/role/{role}.json");
    std::fs::create_dir_all(stand.path("policies").join(&file).parent().unwrap()).unwrap();
    stand.write(&format!("policies/{file}"), &std::fs::read_to_string(example.join(&file)).unwrap());
    let config = json!({"bound_issuer": stand.issuer.name()});
    stand.write(&format!("policies/{PROJECT}/auth/{mount}/config.json"), &config.to_string());
    let all = r#"path "secret/*" { capabilities = ["create", "read", "update", "list"] }"#;
    document(&stand, PROJECT, granted, all);
    stand.start().await;
    stand.settled().await;
    stand
}

/// A token of GitLab's secrets manager: of the API, or of a pipeline's job.
pub fn gitlab_token(stand: &Stand, scope: &str) -> String {
    let token = stand.token().no_claim("repository").no_claim("repository_id").claim("aud", OPENBAO);
    let token = token.claim("secrets_manager_scope", scope).claim("project_id", "300").claim("user_id", "7");
    let claims = match scope {
        "api" => json!({
            "sub": "user:bot", "role_id": "20", "auth_via": "service_account", "correlation_id": "01J0",
        }),
        _ => json!({
            "sub": "project_path:shop/api:ref_type:branch:ref:main", "ref": "main", "ref_type": "branch",
            "ref_protected": "true", "environment": "production", "namespace_id": "200", "pipeline_id": "574",
            "job_id": "302", "project_group_ids": ["200", "100"],
        }),
    };
    let claims = claims.as_object().unwrap().clone();
    claims.into_iter().fold(token, |token, (name, value)| token.claim(&name, value)).sign()
}
