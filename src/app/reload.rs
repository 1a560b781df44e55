//! Policies, issuers and platforms, taken up while cambio runs.
//!
//! Decides when they are read again: when a look at their files shows a change, or when somebody asks (SIGHUP). All or
//! nothing: whatever is wrong anywhere, the rules from before stay, and the log, `/readyz` and the metrics say so.
//!
//! ```text
//! look (every second) --changed--> settle (two equal looks) --> read and check, off the runtime --> look again
//!         ^                              ^------------- changed meanwhile ---------------------------'   |
//!         '------------------------------------- swap, or tell what is wrong <---------------------------'
//! ```
//!
//! One reload at a time, so the latest state of the files wins. Nothing is locked on the way of an exchange.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::archive;
use super::rules::{NewPolicies, RulesError, log};
use super::upkeep::look_after_keys;
use crate::config::{Config, ConfigError, Fixed, Footprint, Origin};
use crate::exchange::{Counter, FailedReload, Rules};
use crate::http::Tls;
use crate::state::PrivateDir;

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A look takes at most this share of the time: ten thousand files on a slow disk are looked at less often.
const LOOKING_SHARE: u32 = 50;
/// Files have settled when two looks this far apart are equal. Longer than a tick of a file system's clock, so that no two
/// writes with a look between them have the same time.
const SETTLE: Duration = Duration::from_millis(250);
/// How often files may change under the eyes of one reload before it gives up, and how long they may take to settle.
const TRIES: usize = 10;
/// A failure that may pass by itself, such as too many open files, is tried again after this.
const RETRY: Duration = Duration::from_secs(30);

/// What is read again, and how it looked when it was read last.
pub(super) struct Reloader {
    counter: Arc<Counter>,
    tls: Option<Arc<Tls>>,
    data: PrivateDir,
    origin: Origin,
    fixed: Fixed,
    /// The keys that were said to need a restart.
    told: Vec<&'static str>,
    places: Vec<PathBuf>,
    seen: Footprint,
    retry_at: Option<Instant>,
    retired: Vec<Arc<Rules>>,
}

/// What a reloader keeps of the configuration that cambio started with.
pub(super) struct Watched {
    origin: Origin,
    fixed: Fixed,
    places: Vec<PathBuf>,
    seen: Footprint,
}

/// Why new rules are not taken up.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Rules(#[from] RulesError),
    #[error("issuer `{0}`: cambio must not trust its own tokens; remove this issuer")]
    Ourselves(String),
    #[error("the files keep changing; they are read when they stand still")]
    Restless,
    #[error("reading the rules ended early")]
    CutOff,
}

/// What one reading brought.
struct Read {
    /// Where to look from now on, and how it looked before it was read; none where the configuration can't be read.
    files: Option<(Vec<PathBuf>, Footprint)>,
    fixed: Option<Fixed>,
    rules: Result<New, ReloadError>,
}

/// Rules that are good, whose issuers have no keys yet.
struct New {
    policies: NewPolicies,
    config: Box<Config>,
}

impl Watched {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            origin: config.origin.clone(),
            fixed: config.fixed.clone(),
            places: config.places.clone(),
            seen: config.footprint.clone(),
        }
    }

    pub(super) fn by(self, counter: Arc<Counter>, tls: Option<Arc<Tls>>, data: PrivateDir) -> Reloader {
        let Self { origin, fixed, places, seen } = self;
        Reloader { counter, tls, data, origin, fixed, told: vec![], places, seen, retry_at: None, retired: vec![] }
    }
}

impl Reloader {
    /// Looks, and reloads, until told to stop; at once when `asked`.
    pub(super) async fn run(mut self, asked: Arc<Notify>, mut stop: watch::Receiver<bool>) {
        let mut pause = EVERY;
        loop {
            let forced = tokio::select! {
                () = sleep(pause) => false,
                () = asked.notified() => true,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            if forced {
                self.certificate_and_keys().await;
            }
            let began = Instant::now();
            let changed = self.look().await.is_some_and(|look| look != self.seen);
            pause = EVERY.max(began.elapsed() * LOOKING_SHARE);
            let retry = self.retry_at.is_some_and(|at| at <= Instant::now());
            if changed || forced || retry {
                tokio::select! {
                    () = self.reload() => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
            self.free_retired();
        }
    }

    /// Reads until what was read is what stands there, and takes it up if it is good.
    async fn reload(&mut self) {
        for _ in 0..TRIES {
            let Some(before) = self.settled().await else { return self.failed(&ReloadError::Restless) };
            let origin = self.origin.clone();
            let Ok(read) = spawn_blocking(move || Read::new(&origin)).await else {
                self.seen = before;
                return self.failed(&ReloadError::CutOff);
            };
            let (places, seen) = read.files.unwrap_or_else(|| (self.places.clone(), before.clone()));
            // What changed between the last look of `settled` and the reading may change once more within one tick.
            let moved = places == self.places && seen != before;
            (self.places, self.seen) = (places, seen);
            if moved || self.look().await.as_ref() != Some(&self.seen) {
                continue;
            }
            self.tell_of_restart(read.fixed);
            return match read.rules {
                Ok(new) => self.take_up(new),
                Err(error) => self.failed(&error),
            };
        }
        self.failed(&ReloadError::Restless);
    }

    fn take_up(&mut self, New { policies, config }: New) {
        let (counter, now) = (&self.counter, self.counter.clock().now());
        // Against the identifier that our tokens bear, whatever the file says by now.
        if let Some(own) = config.issuers.iter().find(|issuer| issuer.url() == counter.issuer()) {
            return self.failed(&ReloadError::Ourselves(own.name().to_string()));
        }
        let before = counter.rules();
        // At the last moment: what the former caches counted until now is counted on.
        let issuers = config.issuers.keeping(&before.issuers);
        log(policies.warnings());
        let rules = match policies.into_rules(issuers, config.default_target, config.logins, config.tenants, now) {
            Ok(rules) => rules,
            Err(error) => return self.failed(&error.into()),
        };
        self.retry_at = None;
        if before.are_those(&rules) {
            counter.reloads().succeeded(false, now);
            return tracing::info!(policy_set = %rules.policies.digest(), "the rules are as they were");
        }
        tracing::info!(
            policy_set = %rules.policies.digest(),
            targets = rules.policies.targets().len(),
            issuers = rules.issuers.len(),
            warnings = rules.warnings,
            "new rules taken up"
        );
        archive::keep(&self.data, &config.policies, rules.policies.digest());
        self.retired.push(counter.take_up(rules));
        counter.reloads().succeeded(true, now);
    }

    fn failed(&mut self, error: &ReloadError) {
        let (part, findings, first) = error.summary();
        let failure = FailedReload { at: self.counter.clock().now(), part, findings, first };
        let stays = self.counter.rules();
        tracing::error!(
            part,
            findings,
            policy_set = %stays.policies.digest(),
            since = %stays.loaded,
            "the new rules are no good; those from before stay"
        );
        match error {
            ReloadError::Rules(error) => error.log(),
            other => tracing::error!(error = %other, "reload"),
        }
        self.retry_at = error.may_pass().then(|| Instant::now() + RETRY);
        self.counter.reloads().failed(failure);
    }

    /// Says once which keys of the configuration are not taken up.
    fn tell_of_restart(&mut self, new: Option<Fixed>) {
        let Some(new) = new else { return };
        let keys = self.fixed.differences(&new);
        if keys != self.told && !keys.is_empty() {
            tracing::warn!(keys = keys.join(", "), "changed in the configuration, and taken up by a restart only");
        }
        self.told = keys;
    }

    /// The look that the files have once they stand still.
    async fn settled(&self) -> Option<Footprint> {
        let mut last = self.look().await?;
        for _ in 0..TRIES * 4 {
            sleep(SETTLE).await;
            let look = self.look().await?;
            if look == last {
                return Some(look);
            }
            last = look;
        }
        None
    }

    async fn look(&self) -> Option<Footprint> {
        let places = self.places.clone();
        spawn_blocking(move || Footprint::of(&places)).await.ok()
    }

    /// Whoever sends SIGHUP means these too, though they are looked after anyway.
    async fn certificate_and_keys(&self) {
        let tls = self.tls.clone();
        let work = move || {
            if let Some(Err(error)) = tls.map(|tls| tls.reload()) {
                tracing::error!(%error, "the TLS certificate is no good; the old one stays");
            }
        };
        // A disk or a database that hangs must not keep the rules from being read.
        let _ = timeout(EVERY, async { tokio::join!(look_after_keys(&self.counter), spawn_blocking(work)) }).await;
    }

    /// Rules that no exchange uses any more are freed where it may take its time, not by the last of the exchanges.
    fn free_retired(&mut self) {
        let (free, used): (Vec<_>, _) = self.retired.drain(..).partition(|rules| Arc::strong_count(rules) == 1);
        self.retired = used;
        if !free.is_empty() {
            drop(spawn_blocking(move || drop(free)));
        }
    }
}

impl Read {
    fn new(origin: &Origin) -> Self {
        let config = match origin.read() {
            Ok(config) => config,
            Err(error) => return Self { files: None, fixed: None, rules: Err(error.into()) },
        };
        let files = Some((config.places.clone(), config.footprint.clone()));
        let fixed = Some(config.fixed.clone());
        let policies = NewPolicies::load(&config.policies, &config.catalog());
        let rules = policies.map(|policies| New { policies, config: Box::new(config) }).map_err(ReloadError::from);
        Self { files, fixed, rules }
    }
}

impl ReloadError {
    fn summary(&self) -> (&'static str, usize, Option<String>) {
        match self {
            Self::Config(error) => ("the configuration", error.problems(), None),
            Self::Rules(error) => {
                let (findings, first) = error.summary();
                ("the policies", findings, first)
            }
            Self::Ourselves(_) => ("the configuration", 1, None),
            Self::Restless | Self::CutOff => ("the files", 1, None),
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Config(error) => error.is_unreadable(),
            Self::Rules(error) => error.may_pass(),
            Self::Ourselves(_) => false,
            Self::Restless | Self::CutOff => true,
        }
    }
}
