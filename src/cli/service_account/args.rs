//! What an account may do and when something ends, as they are written on a command line.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::CliError;
use crate::cli::session::span;
use crate::clock::Timestamp;

/// What it may do.
#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    /// PATTERN, or ACCESS:PATTERN with `read`, `list` or `write`: `secret/app/*`, `write:secret/app/*`. May be repeated.
    #[arg(long = "permission", value_name = "PERMISSION")]
    pub(super) permissions: Vec<String>,
    /// An access document of its namespace, by name. May be repeated.
    #[arg(long = "policy", value_name = "NAME")]
    pub(super) policies: Vec<String>,
}

/// When it ends.
#[derive(Debug, Args)]
pub(super) struct EndArgs {
    /// A span from now: `30d`.
    #[arg(long, value_name = "SPAN", conflicts_with = "expires_at")]
    expires_in: Option<String>,
    /// A moment (RFC 3339), or a day.
    #[arg(long, value_name = "MOMENT")]
    expires_at: Option<String>,
}

impl EndArgs {
    /// The moment, as text; none where nothing is said.
    pub(super) fn moment(&self, now: Timestamp) -> Result<Option<String>, CliError> {
        match (&self.expires_in, &self.expires_at) {
            (Some(text), _) => {
                let lived: Duration = span("--expires-in", text)?;
                Ok(Some(now.plus(lived).to_string()))
            }
            (None, Some(moment)) => Ok(Some(moment.clone())),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn needed(&self, now: Timestamp) -> Result<String, CliError> {
        let text = "when does it end? `--expires-in 30d`, or `--expires-at` with a day";
        self.moment(now)?.ok_or_else(|| CliError::new(text))
    }
}

impl GrantArgs {
    pub(super) fn permissions(&self) -> Vec<Value> {
        let one = |text: &String| {
            let (access, secrets) = match text.split_once(':') {
                Some((access @ ("read" | "list" | "write"), secrets)) => (access, secrets),
                _ => ("read", text.as_str()),
            };
            json!({"secrets": secrets, "access": access})
        };
        self.permissions.iter().map(one).collect()
    }
}
