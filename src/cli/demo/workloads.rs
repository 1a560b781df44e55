//! The workloads of the demo and the claims of their tokens, as their platforms write them.

use std::time::Duration;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::issuers::{self, Issuers};
use crate::cli::CliError;
use crate::clock::Timestamp;
use crate::identity::DecisionId;
use crate::jose::{SigningKey, random};

/// Somebody who asks for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    /// A pod of `payments/api`.
    Pod,
    /// A protected job of group 200 that deploys to production.
    Job,
    /// The same job in a project of group 201, its sibling.
    Sibling,
    /// A GitHub job that deploys `acme/shop` to production.
    Action,
    /// Somebody who writes the job's claims and signs them with a key of their own.
    Stranger,
}

impl Workload {
    pub(super) const ALL: [Self; 5] = [Self::Pod, Self::Job, Self::Sibling, Self::Action, Self::Stranger];

    /// The file that its token is kept in.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Pod => "pod.jwt",
            Self::Job => "gitlab-job.jwt",
            Self::Sibling => "sibling-job.jwt",
            Self::Action => "github-job.jwt",
            Self::Stranger => "stranger.jwt",
        }
    }

    /// The target that it asks for.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Pod => "payments-api",
            Self::Job | Self::Sibling | Self::Stranger => "group-pipelines",
            Self::Action => "shop-production",
        }
    }

    /// The issuer that its token names.
    pub(super) fn issuer(self) -> &'static str {
        match self {
            Self::Pod => "prod-cluster",
            Self::Job | Self::Sibling | Self::Stranger => "gitlab",
            Self::Action => "github",
        }
    }

    /// The claims that are worth showing, and where they are (RFC 6901).
    pub(super) fn telling(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Pod => &[("sub", "/sub"), ("pod", "/kubernetes.io/pod/name")],
            Self::Job | Self::Sibling => &[
                ("sub", "/sub"),
                ("project_group_ids", "/project_group_ids"),
                ("ref_protected", "/ref_protected"),
                ("environment", "/environment"),
            ],
            Self::Action => &[("repository_id", "/repository_id"), ("ref", "/ref"), ("environment", "/environment")],
            Self::Stranger => &[("iss", "/iss"), ("project_group_ids", "/project_group_ids")],
        }
    }

    /// How long its platform's tokens live.
    fn lifetime(self) -> Duration {
        match self {
            Self::Action => Duration::from_mins(5),
            _ => Duration::from_hours(1),
        }
    }

    fn claims(self) -> Value {
        match self {
            Self::Pod => pod(),
            Self::Job | Self::Stranger => job("20", "acme/shop/api", &["200", "100"]),
            Self::Sibling => job("31", "acme/billing/api", &["201", "100"]),
            Self::Action => action(),
        }
    }
}

/// Makes tokens for one counter.
pub(super) struct Tokens {
    pub(super) issuers: Issuers,
    pub(super) audience: String,
    stranger: SigningKey,
}

/// A token and what it says.
pub(super) struct Minted {
    pub(super) token: Zeroizing<String>,
    pub(super) claims: Value,
}

impl Tokens {
    pub(super) async fn new(issuers: Issuers, audience: String) -> Result<Self, CliError> {
        let stranger = tokio::task::spawn_blocking(issuers::new_key).await.map_err(CliError::new)??;
        Ok(Self { issuers, audience, stranger })
    }

    /// A fresh token for `workload`.
    pub(super) fn fresh(&self, workload: Workload, now: Timestamp) -> Result<Minted, CliError> {
        let issuer = self.issuers.named(workload.issuer())?;
        let id = DecisionId::new(now, random().map_err(CliError::new)?);
        let Value::Object(mut claims) = workload.claims() else { return Err(CliError::new("claims are an object")) };
        // Kubernetes always writes a list.
        let audience = json!(self.audience);
        let audience = if workload == Workload::Pod { json!([audience]) } else { audience };
        for (name, value) in [
            ("iss", json!(issuer.iss())),
            ("aud", audience),
            ("jti", json!(id.to_string())),
            ("iat", json!(now.as_secs())),
            ("nbf", json!(now.as_secs())),
            ("exp", json!(now.plus(workload.lifetime()).as_secs())),
        ] {
            claims.insert(name.to_owned(), value);
        }
        let token = match workload {
            Workload::Stranger => issuers::sign(&self.stranger, &claims)?,
            _ => issuer.sign(&claims)?,
        };
        Ok(Minted { token, claims: Value::Object(claims) })
    }
}

fn pod() -> Value {
    json!({
        "sub": "system:serviceaccount:payments:api",
        "kubernetes.io": {
            "namespace": "payments",
            "node": {"name": "worker-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
            "pod": {"name": "api-6d9f4c7b9-x2k4q", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
            "serviceaccount": {"name": "api", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
        },
    })
}

fn job(project_id: &str, project: &str, groups: &[&str]) -> Value {
    let group = project.rsplit_once('/').map_or(project, |(group, _)| group);
    json!({
        "sub": format!("project_path:{project}:ref_type:branch:ref:main"),
        "namespace_id": groups.first(),
        "namespace_path": group,
        "project_id": project_id,
        "project_path": project,
        "project_visibility": "private",
        "project_group_ids": groups,
        "job_project_id": project_id,
        "job_project_path": project,
        "job_namespace_id": groups.first(),
        "job_namespace_path": group,
        "user_id": "7",
        "user_login": "dev",
        "user_email": "dev@example.com",
        "user_access_level": "maintainer",
        "pipeline_id": "574",
        "pipeline_source": "push",
        "job_id": "302",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "ref_protected": "true",
        "environment": "production",
        "environment_protected": "true",
        "deployment_tier": "production",
        "environment_action": "start",
        "runner_id": 12,
        "runner_environment": "self-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "secrets_manager_scope": "pipeline",
    })
}

fn action() -> Value {
    json!({
        "sub": "repo:acme@65/shop@74:environment:production",
        "repository": "acme/shop",
        "repository_id": "74",
        "repository_owner": "acme",
        "repository_owner_id": "65",
        "repository_visibility": "private",
        "actor": "octocat",
        "actor_id": "12",
        "event_name": "push",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "ref_protected": "true",
        "base_ref": "",
        "head_ref": "",
        "sha": "f1d2d2f924e986ac86fdf7b36c94bcdf32beec15",
        "environment": "production",
        "workflow": "deploy",
        "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        "workflow_sha": "f1d2d2f924e986ac86fdf7b36c94bcdf32beec15",
        "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        "job_workflow_sha": "f1d2d2f924e986ac86fdf7b36c94bcdf32beec15",
        "run_id": "1234567890",
        "run_number": "10",
        "run_attempt": "1",
        "runner_environment": "github-hosted",
    })
}
