//! The composition root: from a checked configuration to a running counter.
//!
//! Decides what is opened in which order, and what runs beside the requests. Refuses to decide anything about a token.

mod archive;
mod readiness;
mod reload;
mod rules;
mod running;
mod secrets;
mod store;
mod upkeep;

use std::collections::HashMap;
use std::sync::Arc;

use store::Keeping;
use tokio::runtime::Handle;

pub use rules::{NewPolicies, RulesError, Told};
pub use running::{ListenError, Running};
pub use store::{existing_database, key_database, service_accounts};

use crate::audit::{AuditError, DecisionRetention, Decisions, Journal};
use crate::clock::Clock;
use crate::config::{Config, SecretsSettings};
use crate::exchange::{Counter, CounterParts};
use crate::http::admin::Admin;
use crate::http::oauth::{Client, Clients, OAuth};
use crate::http::rest::Rest;
use crate::http::vault::Vault;
use crate::http::{ServerLimits, Tls, TlsError};
use crate::identity::TargetName;
use crate::limits::Limiter;
use crate::mint::{KeyError, KeyRing, KeySource};
use crate::replay::{JournalError, ReplayGuard, ReplaySettings};
use crate::secrets::kubernetes::KubernetesFault;
use crate::secrets::local::LocalError;
use crate::secrets::openbao::OpenBaoFault;
use crate::secrets::{MountFault, Mounts};
use crate::state::counters::Counters;
use crate::state::database::{Database, DatabaseError};
use crate::state::{PrivateDir, RevocationError, Revocations, StateError};
use crate::verify::VerifiedTokens;

/// A counter that is put together and does not listen yet.
pub struct App {
    pub(crate) counter: Arc<Counter>,
    pub(crate) oauth: OAuth,
    pub(crate) vault: Vault,
    pub(crate) rest: Rest,
    pub(crate) admin: Option<Admin>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) limits: ServerLimits,
    pub(crate) addresses: [std::net::SocketAddr; 2],
    watched: reload::Watched,
    data: PrivateDir,
    /// Where decisions are kept, and for how long.
    decisions: Option<(Database, DecisionRetention)>,
}

/// What is opened by reading files.
struct Parts {
    counter: CounterParts,
    secrets: SecretsSettings,
    keeping: Option<Keeping>,
    data: PrivateDir,
    clients: Vec<Client>,
    tls: Option<Arc<Tls>>,
    limits: ServerLimits,
    addresses: [std::net::SocketAddr; 2],
    watched: reload::Watched,
    decisions: Option<(Database, DecisionRetention)>,
    admin: Option<TargetName>,
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
    /// The store of cambio's own.
    #[error("secrets: {0}")]
    Local(#[from] LocalError),
    /// The database.
    #[error("the database: {0}")]
    Database(#[from] DatabaseError),
    /// The revoked tokens.
    #[error("revocations: {0}")]
    Revocations(#[from] RevocationError),
    /// An OpenBao.
    #[error("secrets: {0}")]
    OpenBao(#[from] OpenBaoFault),
    /// A cluster.
    #[error("secrets: {0}")]
    Kubernetes(#[from] KubernetesFault),
    /// The mounts.
    #[error("secrets: {0}")]
    Mounts(#[from] MountFault),
    /// Nobody could be an administrator.
    #[error("`admin.target`: there is no target `{0}` among the policies; write one, or take the section out")]
    AdminTarget(TargetName),
    /// The process is going down.
    #[error("the start was cut off")]
    CutOff,
}

impl App {
    /// Opens everything that the configuration names: data directory, signing keys, policies with their cases, journals,
    /// stores. No issuer is asked for its keys yet. Of other servers the shared counters are looked for, for a second at most: one
    /// that is down keeps nothing from starting; and a shared database is, for 15 seconds: without it nothing starts.
    ///
    /// # Errors
    /// [`AppError`]; nothing was started.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, AppError> {
        let counters = match config.counters.clone() {
            Some(settings) => Some(Arc::new(Counters::open(settings).await)),
            None => None,
        };
        // Files are read on a thread that may wait: ten thousand policies take a moment.
        let runtime = Handle::current();
        let parts = tokio::task::spawn_blocking(move || Parts::open(config, counters, clock, &runtime));
        let Parts { mut counter, secrets, keeping, data, clients, tls, limits, addresses, watched, decisions, admin } =
            parts.await.map_err(|_| AppError::CutOff)??;
        let opened = secrets::open(secrets, keeping).await?;
        counter.mounts = opened.mounts;
        counter.direct = opened.direct;
        let counter = Arc::new(Counter::new(counter));
        let oauth = OAuth { clients: Arc::new(Clients::new(clients)), counter: Arc::clone(&counter) };
        let vault = Vault { counter: Arc::clone(&counter), wrappings: Arc::default() };
        let rest = Rest { counter: Arc::clone(&counter) };
        let kept = decisions.as_ref().map(|(database, _)| Decisions::new(database.clone()));
        let admin = admin.map(|target| Admin { counter: Arc::clone(&counter), target, decisions: kept });
        Ok(Self { counter, oauth, vault, rest, admin, tls, limits, addresses, watched, data, decisions })
    }

    /// The engine.
    #[must_use]
    pub fn counter(&self) -> &Arc<Counter> {
        &self.counter
    }
}

impl Parts {
    /// Runs on a thread that may wait, for files and for the database.
    fn open(config: Config, counters: Option<Arc<Counters>>, clock: Clock, runtime: &Handle) -> Result<Self, AppError> {
        let now = clock.now();
        let watched = reload::Watched::of(&config);
        let policies = NewPolicies::load(&config.policies, &config.catalog())?;
        rules::log(policies.warnings());
        let needs_database = Keeping::is_needed(&config);
        let (logins, tenants) = (config.logins, config.tenants);
        let rules = policies.into_rules(config.issuers, config.default_target, logins, tenants, now)?;
        if let Some(target) = config.admin_target.as_ref().filter(|name| rules.policies.target(name.as_str()).is_none())
        {
            return Err(AppError::AdminTarget(target.clone()));
        }
        let tls = config.tls.map(Tls::open).transpose()?.map(Arc::new);
        let data = PrivateDir::open(&config.data)?;
        archive::keep(&data, &config.policies, rules.policies.digest());
        let url = config.database.as_ref();
        let opening = needs_database.then(|| runtime.block_on(Keeping::open(url, &config.secrets, &data, now)));
        let keeping = opening.transpose()?;
        let keys = Arc::new(match (&config.keys.source, &keeping) {
            (KeySource::Database { .. }, Some(keeping)) => {
                let store = runtime.block_on(keeping.signing_keys(now))?;
                runtime.block_on(KeyRing::open_shared(&config.keys, store, now))?
            }
            _ => KeyRing::open(&config.keys, now)?,
        });
        let settings = config.service_accounts.unwrap_or_default();
        let accounts = keeping.as_ref().map(|keeping| runtime.block_on(keeping.accounts(settings, now)));
        let accounts = accounts.transpose()?.map(Arc::new);
        let replay = match &counters {
            // Replicas that each remembered on their own as well would refuse nothing more, and disagree.
            Some(counters) => ReplayGuard::shared(Arc::clone(counters)),
            None => {
                let settings = ReplaySettings { capacity: config.replay_capacity, journal: Some(data.clone()) };
                ReplayGuard::open(&settings, now)?
            }
        };
        let shared = keeping.as_ref().map(|keeping| &keeping.database).filter(|database| database.is_shared());
        let revocations = match shared {
            Some(database) => runtime.block_on(Revocations::share(database.clone(), &data, now))?,
            None => Revocations::open(&data, now)?,
        };
        let counter = CounterParts {
            rules,
            replay,
            revocations: Arc::new(revocations),
            journal: Journal::open(config.audit)?,
            seen: VerifiedTokens::new(config.verified_token_cache),
            issuer: config.issuer,
            mounts: Mounts::default(),
            direct: HashMap::new(),
            limiter: Limiter::new(config.rate_limits, counters.clone()),
            counters,
            accounts,
            admin_target: config.admin_target.clone(),
            keys,
            clock,
        };
        let database = keeping.as_ref().map(|keeping| keeping.database.clone());
        let decisions = database.zip(config.decisions);
        let admin = config.admin_target;
        let (clients, limits, secrets) = (config.clients, config.limits, config.secrets);
        let addresses = [config.listen, config.ops_listen];
        Ok(Self { counter, secrets, keeping, data, clients, tls, limits, addresses, watched, decisions, admin })
    }
}
