//! A webhook: batches of lines, posted as newline-delimited JSON.
//!
//! Decides which answers mean that a batch was taken. Has a runtime of its own on its thread, so that a receiver that hangs
//! takes nothing from those who exchange.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Runtime;
use url::Url;
use zeroize::Zeroizing;

use super::Refusal;
use crate::state::read_private_file;
use crate::trust::{Fetcher, Method, Outbound};

const MAX_BEARER_BYTES: usize = 8 * 1024;
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Where the bearer token comes from.
#[derive(Clone)]
pub enum BearerSource {
    /// A file, mode 0640 at most, read for every batch: it may be rotated at any time.
    File(PathBuf),
    /// As it was in the environment.
    Text(Zeroizing<String>),
}

impl std::fmt::Debug for BearerSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Text(_) => f.write_str("[redacted]"),
        }
    }
}

/// How batches are posted.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where to.
    pub url: Url,
    /// The bearer token, if one is wanted.
    pub bearer: Option<BearerSource>,
    /// The only certificates that the server is verified by.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

pub(super) struct Webhook {
    settings: WebhookSettings,
    fetcher: Fetcher,
    runtime: Runtime,
}

impl Webhook {
    pub(super) fn new(settings: WebhookSettings) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { settings, fetcher: Fetcher::new(), runtime })
    }

    pub(super) fn deliver(&mut self, lines: &[u8]) -> Result<(), Refusal> {
        let bearer = self.bearer()?;
        let headers: Vec<(&'static str, &str)> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let WebhookSettings { url, ca_file, timeout, .. } = &self.settings;
        let outbound = Outbound {
            method: Method::Post,
            url,
            headers: &headers,
            body: Some(("application/x-ndjson", lines)),
            ca_file: ca_file.as_deref(),
            timeout: *timeout,
            most: MAX_ANSWER_BYTES,
        };
        let reply =
            self.runtime.block_on(self.fetcher.send(outbound)).map_err(|error| Refusal::Later(error.to_string()))?;
        match reply.status {
            200..=299 => Ok(()),
            // It understood who we are and what we want, and does not want these lines.
            400 | 413 | 415 | 422 => Err(Refusal::Never(format!("the webhook answered {}", reply.status))),
            status => Err(Refusal::Later(format!("the webhook answered {status}"))),
        }
    }

    fn bearer(&self) -> Result<Option<Zeroizing<String>>, Refusal> {
        let later = |error: String| Refusal::Later(error);
        let text = match &self.settings.bearer {
            None => return Ok(None),
            Some(BearerSource::Text(text)) => text.clone(),
            Some(BearerSource::File(path)) => {
                let bytes =
                    read_private_file(path, MAX_BEARER_BYTES, 0o640).map_err(|error| later(error.to_string()))?;
                let text = std::str::from_utf8(&bytes).map_err(|_| later("the bearer token is no text".to_owned()))?;
                Zeroizing::new(text.trim().to_owned())
            }
        };
        Ok(Some(Zeroizing::new(format!("Bearer {}", &*text))))
    }
}
