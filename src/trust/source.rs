//! Where an issuer's keys come from: one fetch from each kind of source. Decides which documents are asked, in which order
//! and with whose leave; refuses to know when.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::identity::IssuerUrl;
use crate::jose::{KeySet, KeySetError, MAX_SET_BYTES};

use super::discovery::{self, DiscoveryError};
use super::fetch::{Answer, Fetcher, Request};
use super::fetch_error::FetchError;
use super::local_file::{self, Bearer, Stamp};
use super::refresh::Freshness;

/// How often a file is looked at.
const FILE_CHECK: Duration = Duration::from_secs(5);
/// Where an API server serves its keys; its own `jwks_uri` names an address for the outside, often unreachable from here.
const CLUSTER_KEYS: &str = "/openid/v1/jwks";

/// A source of keys, validated.
#[derive(Debug)]
pub(super) enum KeySource {
    Discovery { at: Url, issuer: IssuerUrl, web: Web },
    Jwks { at: Url, web: Web },
    Cluster { server: Url, issuer: IssuerUrl, bearer: Bearer, web: Web },
    File(PathBuf),
    Inline,
}

/// What fetching over the network needs and may.
#[derive(Clone, Debug)]
pub(super) struct Web {
    pub(super) fetcher: Fetcher,
    pub(super) ca_file: Option<PathBuf>,
    /// The operator's leave for every server of the issuer.
    pub(super) private_addresses: bool,
    /// The leave that lies in a URL which the operator wrote with a private address: for its origin only.
    pub(super) private_origin: bool,
    pub(super) insecure_http: bool,
    pub(super) timeout: Duration,
}

/// What a source gave.
#[derive(Debug)]
pub(super) enum Fetched {
    /// A key set, as it was published.
    Body { body: Vec<u8>, freshness: Freshness, stamp: Option<Stamp> },
    /// The file is as it was.
    Unchanged(Freshness),
}

/// Why there are no new keys. Never holds a token; texts are for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Nothing was fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A refused discovery document.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The answer is no key set.
    #[error(transparent)]
    Set(#[from] KeySetError),
    /// A key set without a single usable key; those from before stay.
    #[error("the key set has no usable key ({0} skipped); the keys from before stay")]
    Empty(usize),
    /// The fetch ended without a result: a shutdown, or a defect.
    #[error("the fetch was interrupted")]
    Interrupted,
}

impl KeySource {
    /// Fetches once. `known` is the stamp of what is held already.
    pub(super) async fn fetch(&self, known: Option<Stamp>) -> Result<Fetched, KeyFault> {
        match self {
            Self::Discovery { at, issuer, web } => {
                let document = web.get(at, true, None).await?;
                let keys = discovery::jwks_uri(&document.body, issuer, at)?;
                web.keys(&keys, keys.origin() == at.origin(), None).await
            }
            Self::Jwks { at, web } => web.keys(at, true, None).await,
            Self::Cluster { server, issuer, bearer, web } => {
                let at = on_server(server, "/.well-known/openid-configuration");
                let document = web.get(&at, true, Some(bearer)).await?;
                let named = discovery::jwks_uri(&document.body, issuer, &at)?;
                let keys = if named.origin() == at.origin() { named } else { on_server(server, CLUSTER_KEYS) };
                web.keys(&keys, true, Some(bearer)).await
            }
            Self::File(path) => from_file(path, known).await,
            Self::Inline => Ok(Fetched::Unchanged(Freshness::LookAgainAfter(Duration::MAX))),
        }
    }

    /// The place, for operators.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Discovery { at, .. } | Self::Jwks { at, .. } => at.to_string(),
            Self::Cluster { server, .. } => format!("cluster {server}"),
            Self::File(path) => path.display().to_string(),
            Self::Inline => "inline".to_owned(),
        }
    }
}

async fn from_file(path: &Path, known: Option<Stamp>) -> Result<Fetched, KeyFault> {
    let freshness = Freshness::LookAgainAfter(FILE_CHECK);
    let stamp = local_file::stamp(path).await?;
    if known == Some(stamp) {
        return Ok(Fetched::Unchanged(freshness));
    }
    let body = local_file::read(path, MAX_SET_BYTES).await?;
    Ok(Fetched::Body { body, freshness, stamp: Some(stamp) })
}

/// `path` under the server's own path, which API servers behind a proxy have.
pub(super) fn on_server(server: &Url, path: &str) -> Url {
    let mut url = server.clone();
    url.set_path(&format!("{}{path}", server.path().trim_end_matches('/')));
    url
}

impl Web {
    pub(super) async fn get(&self, url: &Url, written: bool, bearer: Option<&Bearer>) -> Result<Answer, FetchError> {
        let request = Request {
            url,
            private_addresses: self.private_addresses || (written && self.private_origin),
            insecure_http: self.insecure_http,
            ca_file: self.ca_file.as_deref(),
            bearer,
            timeout: self.timeout,
        };
        self.fetcher.get(request).await
    }

    /// `written`: the operator wrote this origin, so that a private address which lies in it is meant.
    async fn keys(&self, url: &Url, written: bool, bearer: Option<&Bearer>) -> Result<Fetched, KeyFault> {
        let answer = self.get(url, written, bearer).await?;
        Ok(Fetched::Body { body: answer.body, freshness: Freshness::MaxAge(answer.max_age), stamp: None })
    }
}

/// Whether the set was published as one without keys, not as one with keys that cannot be read.
pub(super) fn is_deliberately_empty(set: &KeySet) -> bool {
    set.keys().is_empty() && set.skipped().iter().all(|one| one.reason == crate::jose::SkipReason::Use)
}
