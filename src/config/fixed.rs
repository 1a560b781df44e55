//! What of a configuration only a restart takes up.
//!
//! Decides which keys those are: all but the issuers, the policies, the platforms, the default target, the mounts of logins and the projects and groups of the REST API. Every key of the
//! file is named here once, so that a new one can't be forgotten.

use std::fmt::Debug;

use super::audit::AuditFile;
use super::file::{ConfigFile, HttpFile, LimitsFile, ReplayFile, TokensFile};
use super::state::StateFile;

/// The keys that only a restart takes up, with their values as text. Holds no secret: the file has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixed(Vec<(&'static str, String)>);

impl Fixed {
    pub(super) fn of(file: &ConfigFile) -> Self {
        let ConfigFile {
            issuer,
            listen,
            ops_listen,
            tls,
            data,
            tokens: TokensFile { algorithm, rotate_every, keys, signing_key_files },
            verified_token_cache,
            replay: ReplayFile { capacity },
            audit: AuditFile { file, on_failure, claims, rotate_at, keep, keep_for, sinks, decisions },
            clients,
            log,
            limits: LimitsFile { connections, connections_per_address, header_timeout, shutdown_grace },
            secrets,
            service_accounts,
            admin,
            state: StateFile { counters, database },
            http: HttpFile { trusted_proxies },
            rate_limits,
            // Taken up while cambio runs.
            vault: _,
            rest: _,
            policies: _,
            platforms: _,
            default_target: _,
            issuers: _,
        } = file;
        let all: [(&'static str, &dyn Debug); 32] = [
            ("issuer", issuer),
            ("listen", listen),
            ("ops_listen", ops_listen),
            ("tls", tls),
            ("data", data),
            ("tokens.algorithm", algorithm),
            ("tokens.rotate_every", rotate_every),
            ("tokens.keys", keys),
            ("tokens.signing_key_files", signing_key_files),
            ("verified_token_cache", verified_token_cache),
            ("replay.capacity", capacity),
            ("audit.file", file),
            ("audit.on_failure", on_failure),
            ("audit.claims", claims),
            ("audit.rotate_at", rotate_at),
            ("audit.keep", keep),
            ("audit.keep_for", keep_for),
            ("audit.sinks", sinks),
            ("audit.decisions", decisions),
            ("clients", clients),
            ("log", log),
            ("limits.connections", connections),
            ("limits.connections_per_address", connections_per_address),
            ("limits.header_timeout", header_timeout),
            ("limits.shutdown_grace", shutdown_grace),
            ("secrets", secrets),
            ("state.counters", counters),
            ("state.database", database),
            ("http.trusted_proxies", trusted_proxies),
            ("rate_limits", rate_limits),
            ("service_accounts", service_accounts),
            ("admin", admin),
        ];
        Self(all.into_iter().map(|(key, value)| (key, format!("{value:?}"))).collect())
    }

    /// The keys whose values are others in `new`, in the order of the documentation.
    #[must_use]
    pub fn differences(&self, new: &Self) -> Vec<&'static str> {
        let both = self.0.iter().zip(&new.0);
        both.filter(|(old, new)| old.1 != new.1).map(|(old, _)| old.0).collect()
    }
}
