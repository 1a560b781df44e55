//! The shape of `cambio.yaml`. Unknown keys are errors: a misspelt key must not turn a check off in silence.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::audit::AuditFile;
use super::bytes::ByteSize;
use super::rest::RestFile;
use super::secrets::{SecretsFile, VaultFile};
use super::state::StateFile;
use crate::accounts::AccountSettings;
use crate::clock::Span;
use crate::http::{TlsSettings, TrustedProxies};
use crate::identity::TargetName;
use crate::jose::Algorithm;
use crate::limits::LimitSettings;
use crate::telemetry::LogSettings;
use crate::trust::IssuerSettings;

/// What an operator writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    /// Our own issuer identifier: the `iss` of what we issue, and the base of our URLs.
    pub(super) issuer: String,
    /// Where the surfaces listen.
    #[serde(default = "public_address")]
    pub(super) listen: SocketAddr,
    /// Where the platform team's endpoints listen.
    #[serde(default = "ops_address")]
    pub(super) ops_listen: SocketAddr,
    #[serde(default)]
    pub(super) tls: Option<TlsSettings>,
    /// Signing keys, revocations, and the audit journal where it has no place of its own.
    #[serde(default = "data_dir")]
    pub(super) data: PathBuf,
    #[serde(default = "policies_dir")]
    pub(super) policies: PathBuf,
    /// A directory of further platform files.
    #[serde(default)]
    pub(super) platforms: Option<PathBuf>,
    /// The target of requests that name none.
    #[serde(default)]
    pub(super) default_target: Option<TargetName>,
    pub(super) issuers: Vec<IssuerSettings>,
    #[serde(default)]
    pub(super) tokens: TokensFile,
    #[serde(default = "cache_size")]
    pub(super) verified_token_cache: ByteSize,
    #[serde(default)]
    pub(super) replay: ReplayFile,
    #[serde(default)]
    pub(super) audit: AuditFile,
    #[serde(default)]
    pub(super) clients: Vec<ClientFile>,
    #[serde(default)]
    pub(super) log: LogSettings,
    #[serde(default)]
    pub(super) limits: LimitsFile,
    /// Where secrets live.
    #[serde(default)]
    pub(super) secrets: SecretsFile,
    /// The mounts of Vault logins.
    #[serde(default)]
    pub(super) vault: VaultFile,
    /// Service accounts; none where nobody says anything and nothing else needs a database.
    #[serde(default)]
    pub(super) service_accounts: Option<AccountSettings>,
    /// Who administers cambio; none where the administration is off.
    #[serde(default)]
    pub(super) admin: Option<AdminFile>,
    /// What replicas share.
    #[serde(default)]
    pub(super) state: StateFile,
    /// The projects and groups of the REST API.
    #[serde(default)]
    pub(super) rest: RestFile,
    #[serde(default)]
    pub(super) http: HttpFile,
    /// How much of what one caller may ask for.
    #[serde(default)]
    pub(super) rate_limits: LimitSettings,
}

/// The administration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminFile {
    /// The target that a token of an administrator is for.
    pub(super) target: TargetName,
}

/// What stands before the listeners.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpFile {
    /// The proxies whose word counts on where a request comes from.
    pub(super) trusted_proxies: TrustedProxies,
}

/// How our tokens are signed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TokensFile {
    /// ES256, EdDSA or RS256.
    pub(super) algorithm: Algorithm,
    /// The age at which a signing key is replaced; 0 for only by command.
    pub(super) rotate_every: Span,
    /// Where our keys are kept; where replicas share the database, there, and else in the data directory.
    pub(super) keys: Option<KeyPlace>,
    /// Keys of the operator's own instead of ours: the first signs.
    pub(super) signing_key_files: Vec<PathBuf>,
}

/// Where signing keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyPlace {
    /// The data directory.
    Directory,
    /// The database, where replicas share them.
    Database,
}

impl Default for TokensFile {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::ES256,
            rotate_every: Span::from_secs(30 * 24 * 3600),
            keys: None,
            signing_key_files: Vec::new(),
        }
    }
}

/// How single-use tokens are remembered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReplayFile {
    /// How many live tokens are remembered at most; one more is denied.
    pub(super) capacity: usize,
}

impl Default for ReplayFile {
    fn default() -> Self {
        Self { capacity: 1_000_000 }
    }
}

/// A resource server that may introspect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientFile {
    pub(super) id: String,
    /// A file with the secret; else the environment variable `CAMBIO_CLIENT_<ID>_SECRET`.
    #[serde(default)]
    pub(super) secret_file: Option<PathBuf>,
    /// The targets whose tokens it may see.
    pub(super) targets: Vec<TargetName>,
}

/// Bounds on connections.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsFile {
    pub(super) connections: usize,
    pub(super) connections_per_address: usize,
    pub(super) header_timeout: Span,
    pub(super) shutdown_grace: Span,
}

impl Default for LimitsFile {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 1024,
            header_timeout: Span::from_secs(10),
            shutdown_grace: Span::from_secs(20),
        }
    }
}

fn public_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8200))
}

fn ops_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9200))
}

fn data_dir() -> PathBuf {
    PathBuf::from("cambio-data")
}

fn policies_dir() -> PathBuf {
    PathBuf::from("policies")
}

fn cache_size() -> ByteSize {
    ByteSize::mebibytes(16)
}
