//! What is presented: RS256 tokens of a GitLab-like issuer whose keys are in a file, and the requests that carry them.

use std::path::Path;

use cambio::jose::{Algorithm, SigningKey};
use serde_json::json;
use tempfile::TempDir;

pub const ISSUER: &str = "https://gitlab.example.com";
pub const AUDIENCE: &str = "https://cambio.example.com";

pub struct Fixture {
    pub tokens: Vec<String>,
    pub jwks: String,
    directory: TempDir,
}

impl Fixture {
    pub fn new(count: usize) -> Self {
        let pem = SigningKey::generate(Algorithm::RS256).expect("key");
        let key = SigningKey::from_pem(Algorithm::RS256, &pem, "JWT").expect("key");
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("clock").as_secs()).expect("clock");
        let tokens = (0..count).map(|number| {
            let claims = claims(number, now);
            key.sign(claims.to_string().as_bytes()).expect("signature").to_string()
        });
        Self {
            tokens: tokens.collect(),
            jwks: json!({"keys": [key.public_jwk()]}).to_string(),
            directory: tempfile::tempdir().expect("directory"),
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Whole HTTP requests, one for each of the first `most` tokens.
    pub fn requests(&self, path: &str, most: usize) -> Vec<Vec<u8>> {
        let request = |token: &String| {
            let body = format!(
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=group-200\
                 &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token={token}"
            );
            format!(
                "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        };
        self.tokens.iter().take(most).map(request).collect()
    }
}

/// As GitLab writes them: 38 claims, about 1.4 KB.
fn claims(number: usize, now: i64) -> serde_json::Value {
    json!({
        "namespace_id": "72", "namespace_path": "my-group/my-subgroup", "project_id": "20",
        "project_path": "my-group/my-subgroup/my-project", "user_id": "1", "user_login": "sample-user",
        "user_email": "sample-user@example.com", "user_access_level": "developer",
        "job_project_id": "20", "job_project_path": "my-group/my-subgroup/my-project",
        "job_namespace_id": "72", "job_namespace_path": "my-group/my-subgroup",
        "pipeline_id": "574", "pipeline_source": "push", "job_id": number.to_string(),
        "ref": "feature-branch-1", "ref_type": "branch", "ref_path": "refs/heads/feature-branch-1",
        "ref_protected": "true", "environment": "production", "environment_protected": "true",
        "deployment_tier": "production", "environment_action": "start", "runner_id": 1,
        "runner_environment": "self-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "project_visibility": "private",
        "ci_config_ref_uri": "gitlab.example.com/my-group/my-subgroup/my-project//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "project_group_ids": ["72", "200", "100"], "secrets_manager_scope": "pipeline",
        "jti": format!("235b3a54-b797-45c7-ae9a-{number:012}"), "iss": ISSUER, "aud": AUDIENCE,
        "iat": now, "nbf": now - 5, "exp": now + 3600,
        "sub": "project_path:my-group/my-subgroup/my-project:ref_type:branch:ref:feature-branch-1",
    })
}
