//! What is loaded: the shipped policy of a GitLab group, once for each of many groups, for one or many issuers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

const SHIPPED: &str = include_str!("../../policies/gitlab-group-pipelines.yaml");
const AUDIENCE: &str = "https://cambio.example.com";

/// How many of the shipped cases each policy carries.
#[derive(Clone, Copy)]
pub enum Cases {
    /// The least that a policy should have: one permit, one denial.
    Two,
    /// All that the shipped file has.
    All,
}

impl Cases {
    pub fn count(self) -> usize {
        match self {
            Self::Two => 2,
            Self::All => SHIPPED.split("\ncases:").nth(1).expect("cases").matches("\n  - name:").count(),
        }
    }
}

/// A directory with a configuration, and policies below it.
pub struct Estate {
    directory: TempDir,
    issuers: usize,
}

impl Estate {
    pub fn new(count: usize, issuers: usize, cases: Cases) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let policies = directory.path().join("policies");
        std::fs::create_dir(&policies).expect("directory");
        for number in 0..count {
            let file = policies.join(format!("group-{number}.yaml"));
            std::fs::write(file, policy(number, number % issuers, cases)).expect("policy");
        }
        let estate = Self { directory, issuers };
        std::fs::write(estate.config(), estate.configuration()).expect("configuration");
        estate
    }

    pub fn policies(&self) -> PathBuf {
        self.path().join("policies")
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("cambio.yaml")
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn configuration(&self) -> String {
        let mut text = "issuer: https://cambio.example.com\nlisten: 127.0.0.1:0\nops_listen: 127.0.0.1:0\n\
                        log: {level: info, format: json}\nissuers:\n"
            .to_owned();
        for number in 0..self.issuers {
            let _ = writeln!(
                text,
                "  - {{name: {}, platform: gitlab, issuer: {}, audiences: [{AUDIENCE}], replay: reusable, \
                 keys: {{file: absent.json}}}}",
                issuer_name(number),
                issuer_url(number)
            );
        }
        text
    }
}

pub fn issuer_name(number: usize) -> String {
    format!("gitlab-{number}")
}

pub fn issuer_url(number: usize) -> String {
    format!("https://gitlab-{number}.example.com")
}

pub fn target(number: usize) -> String {
    format!("group-pipelines-{number}")
}

/// The group's id: six digits, so that it is none of the others in the file.
pub fn group(number: usize) -> String {
    format!("{}", 100_000 + number)
}

/// The shipped policy for another group, of another issuer.
fn policy(number: usize, issuer: usize, cases: Cases) -> String {
    let text = SHIPPED
        .replace("target: group-pipelines", &format!("target: {}", target(number)))
        .replace("issuer: gitlab", &format!("issuer: {}", issuer_name(issuer)))
        .replace("https://gitlab.example.com", &issuer_url(issuer))
        .replace("group_200", &format!("group_{}", group(number)))
        .replace("\"200\"", &format!("\"{}\"", group(number)));
    match cases {
        Cases::All => text,
        Cases::Two => {
            let (head, rest) = text.split_once("\ncases:\n").expect("cases");
            let denial = "\n  - name: a project of a sibling group\n    like: a protected job that deploys to production\n    \
                          with: {project_group_ids: [\"201\", \"100\"]}\n    deny: the project does not belong to group 200\n";
            let first = rest.split("\n\n").next().expect("a case");
            format!("{head}\ncases:\n{first}\n{denial}")
        }
    }
}

/// The claims of a job of that group.
pub fn claims(number: usize, issuer: usize) -> Value {
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
        "project_visibility": "private", "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "project_group_ids": ["72", group(number), "100"], "secrets_manager_scope": "pipeline",
        "jti": format!("235b3a54-b797-45c7-ae9a-{number:012}"), "iss": issuer_url(issuer), "aud": AUDIENCE,
        "iat": 1_795_000_000, "nbf": 1_794_999_995, "exp": 1_795_003_600,
        "sub": "project_path:my-group/my-subgroup/my-project:ref_type:branch:ref:feature-branch-1",
    })
}
