//! The composition root: from a checked configuration to a running counter.
//!
//! Decides what is opened in which order, and what runs beside the requests. Refuses to decide anything about a token.

mod archive;
mod readiness;
mod reload;
mod rules;
mod running;
mod upkeep;

use std::sync::Arc;

pub use rules::{NewPolicies, RulesError, Told};
pub use running::{ListenError, Running};

use crate::audit::{AuditError, Journal};
use crate::clock::Clock;
use crate::config::Config;
use crate::exchange::{Counter, CounterParts};
use crate::http::oauth::{Clients, OAuth};
use crate::http::{ServerLimits, Tls, TlsError};
use crate::mint::{KeyError, KeyRing};
use crate::replay::{JournalError, ReplayGuard, ReplaySettings};
use crate::state::{PrivateDir, Revocations, StateError};
use crate::verify::VerifiedTokens;

/// A counter that is put together and does not listen yet.
pub struct App {
    pub(crate) counter: Arc<Counter>,
    pub(crate) oauth: OAuth,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) limits: ServerLimits,
    pub(crate) addresses: [std::net::SocketAddr; 2],
    watched: reload::Watched,
    data: PrivateDir,
}

/// Why a counter cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The policies, or the default target.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The signing keys.
    #[error("signing keys: {0}")]
    Keys(#[from] KeyError),
    /// The memory of single-use tokens.
    #[error("replay: {0}")]
    Replay(#[from] JournalError),
    /// The audit journal.
    #[error("audit: {0}")]
    Audit(#[from] AuditError),
    /// The certificate.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
}

impl App {
    /// Opens everything that the configuration names: data directory, signing keys, policies with their cases, journals.
    /// No issuer is asked for its keys yet, so one that is down keeps nothing from starting.
    ///
    /// # Errors
    /// [`AppError`]; nothing was started.
    pub fn open(config: Config, clock: Clock) -> Result<Self, AppError> {
        let now = clock.now();
        let watched = reload::Watched::of(&config);
        let policies = NewPolicies::load(&config.policies, &config.catalog())?;
        rules::log(policies.warnings());
        let rules = policies.into_rules(config.issuers, config.default_target, now)?;
        let tls = config.tls.map(Tls::open).transpose()?.map(Arc::new);
        let data = PrivateDir::open(&config.data)?;
        archive::keep(&data, &config.policies, rules.policies.digest());
        let keys = Arc::new(KeyRing::open(&config.keys, now)?);
        let replay = ReplaySettings { capacity: config.replay_capacity, journal: Some(data.clone()) };
        let counter = Arc::new(Counter::new(CounterParts {
            rules,
            replay: ReplayGuard::open(&replay, now)?,
            revocations: Arc::new(Revocations::open(&data, now)?),
            journal: Journal::open(config.audit)?,
            seen: VerifiedTokens::new(config.verified_token_cache),
            issuer: config.issuer,
            keys,
            clock,
        }));
        let oauth = OAuth { clients: Arc::new(Clients::new(config.clients)), counter: Arc::clone(&counter) };
        let addresses = [config.listen, config.ops_listen];
        Ok(Self { counter, oauth, tls, limits: config.limits, addresses, watched, data })
    }

    /// The engine.
    #[must_use]
    pub fn counter(&self) -> &Arc<Counter> {
        &self.counter
    }
}
