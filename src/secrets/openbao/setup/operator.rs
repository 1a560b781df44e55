//! Looking at an OpenBao and changing it, with an operator's token.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::super::error::{UpstreamError, said};
use super::super::request::at;
use super::super::settings::{OpenBaoFault, OpenBaoSettings};
use super::{Found, Plan, Step};
use crate::trust::{Fetcher, Method, Outbound, OutboundError};

/// The most that is read of an answer, in bytes.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// OpenBao fetches cambio's discovery document while it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// An operator, at an OpenBao.
pub struct Operator {
    base: Url,
    ca_file: Option<PathBuf>,
    token: Zeroizing<String>,
    fetcher: Fetcher,
}

/// Why it could not be looked at or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// No answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// A refusal, in OpenBao's words.
    #[error("{what}: OpenBao answered {status}: {said}")]
    Refused {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
        /// Its reason.
        said: String,
    },
    /// The path.
    #[error(transparent)]
    Place(#[from] UpstreamError),
    /// Not an answer of OpenBao's API.
    #[error("{0}: the answer is not that of an OpenBao")]
    Unreadable(String),
    /// Something else is there.
    #[error("{what}: {why}; it is left as it is")]
    Taken {
        /// What was to be made.
        what: String,
        /// What is there.
        why: String,
    },
}

impl Operator {
    /// With `token`, at the OpenBao of `settings`.
    ///
    /// # Errors
    /// [`OpenBaoFault`].
    pub fn new(settings: &OpenBaoSettings, token: Zeroizing<String>) -> Result<Self, OpenBaoFault> {
        let (base, ca_file) = (settings.base()?, settings.ca_file.clone());
        Ok(Self { base, ca_file, token, fetcher: Fetcher::new() })
    }

    /// Whether what `step` is about is there. Changes nothing.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn look(&self, step: &Step) -> Result<Found, OperatorError> {
        let what = || format!("reading {}", step.title());
        let (status, body) = self.call(Method::Get, &step.namespace, step.look_path(), None).await?;
        match status {
            200..=299 => {
                let answer: Value = serde_json::from_slice(&body).map_err(|_| OperatorError::Unreadable(what()))?;
                let data = answer.get("data").filter(|data| data.is_object()).unwrap_or(&answer);
                Ok(step.judge(Some(data)))
            }
            // Also where the namespace, or the mount, is not there yet: OpenBao has no route then.
            404 => Ok(Found::Missing),
            // A `config` that was never written, in older versions.
            400 if said(&body, &self.token).contains("no configuration") => Ok(Found::Missing),
            status => Err(OperatorError::Refused { what: what(), status, said: said(&body, &self.token) }),
        }
    }

    /// Looks at every step of `plan`.
    ///
    /// # Errors
    /// [`OperatorError`], at the first step that can't be looked at.
    pub async fn look_at(&self, plan: &Plan) -> Result<Vec<Found>, OperatorError> {
        let mut all = vec![];
        for step in plan.steps() {
            all.push(self.look(step).await?);
        }
        Ok(all)
    }

    /// Brings about what is missing or differs, step by step; looks at each right before. Gives what it found: what was
    /// not [`Found::AsWanted`] is so now.
    ///
    /// # Errors
    /// [`OperatorError`], at the first step that fails; those before it are done, and are found as wanted the next time.
    pub async fn apply(&self, plan: &Plan) -> Result<Vec<Found>, OperatorError> {
        let mut all = vec![];
        for step in plan.steps() {
            let found = self.look(step).await?;
            match &found {
                Found::AsWanted => {}
                Found::Taken(why) => {
                    return Err(OperatorError::Taken { what: step.title(), why: why.clone() });
                }
                Found::Missing | Found::Differs(_) => self.make(step).await?,
            }
            all.push(found);
        }
        Ok(all)
    }

    async fn make(&self, step: &Step) -> Result<(), OperatorError> {
        let body = Zeroizing::new(step.body.to_string().into_bytes());
        let (status, answer) = self.call(Method::Post, &step.namespace, &step.path, Some(&body)).await?;
        if (200..=299).contains(&status) {
            return Ok(());
        }
        let what = format!("writing {}", step.title());
        Err(OperatorError::Refused { what, status, said: said(&answer, &self.token) })
    }

    async fn call(
        &self,
        method: Method,
        namespace: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<(u16, Zeroizing<Vec<u8>>), OperatorError> {
        let url = at(&self.base, &[path])?;
        let mut headers = vec![("x-vault-request", "true"), ("x-vault-token", self.token.as_str())];
        headers.extend((!namespace.is_empty()).then_some(("x-vault-namespace", namespace)));
        let outbound = Outbound {
            method,
            url: &url,
            headers: &headers,
            body: body.map(|body| ("application/json", body)),
            ca_file: self.ca_file.as_deref(),
            timeout: PATIENCE,
            most: MAX_BODY_BYTES,
        };
        let reply = self.fetcher.send(outbound).await?;
        Ok((reply.status, reply.body))
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operator({}, [redacted])", self.base)
    }
}
