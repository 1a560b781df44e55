//! The keys of one issuer, cached. Decides which keys are good now, and whether and when they are fetched again; refuses to
//! know what they verify.
//!
//! | guarantee | how |
//! |---|---|
//! | a token waits for no lock and no network while its key is known | the snapshot is behind an `arc_swap` |
//! | one fetch at a time, whoever asks; all who ask share its result | the fetch runs in its own task; askers wait for it |
//! | a caller who gives up does not end the fetch | the same |
//! | garbage causes a handful of fetches | cooldowns and back-off count attempts: [`super::refresh`] |
//! | an empty or broken answer never replaces good keys | it is a failure, and failures leave the snapshot alone |
//! | a key that its issuer removed is gone at once | a good answer replaces the whole snapshot |
//! | good keys outlive their issuer for a bounded time | `usable_until`, set by good answers only |

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::jose::{KeyRules, KeySet};

use super::key_fetch::Fetch;
use super::local_file::Stamp;
use super::refresh::{Generation, Reason, Schedule};
use super::settings::JwksSettings;
use super::source::{KeyFault, KeySource};

/// The keys of one issuer. Cheap to clone; clones are the same cache.
#[derive(Clone)]
pub struct KeyCache(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) issuer: IssuerName,
    pub(super) source: KeySource,
    pub(super) rules: KeyRules,
    pub(super) stale_for: Duration,
    pub(super) empty_set_means_revoked: bool,
    pub(super) snapshot: ArcSwapOption<Snapshot>,
    pub(super) state: Mutex<State>,
    pub(super) queued: AtomicBool,
    pub(super) fetches: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// What only changes when a fetch begins or ends. Never locked across an await.
pub(super) struct State {
    pub(super) schedule: Schedule,
    pub(super) in_flight: Option<watch::Receiver<Option<Refresh>>>,
    pub(super) stamp: Option<Stamp>,
    pub(super) last_error: Option<KeyFault>,
}

/// Keys that were good when they were fetched, and until when they are used.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) keys: Arc<KeySet>,
    pub(super) generation: Generation,
    pub(super) fetched: Timestamp,
    pub(super) fresh_until: Timestamp,
    pub(super) usable_until: Timestamp,
}

/// What came of asking for new keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// There was an answer; look at [`KeyCache::current`] again if the keys changed.
    Fetched {
        /// Whether the keys are others than those that the asker saw.
        changed: bool,
    },
    /// The fetch failed. The keys from before stay.
    Failed(KeyFault),
    /// Nothing was fetched: the last attempt was too short a time ago.
    TooSoon {
        /// After how long asking may help.
        retry_after: Duration,
    },
}

/// Why an issuer's keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysUnavailable {
    /// None were ever fetched.
    #[error("the issuer's keys were never fetched")]
    NeverFetched,
    /// The last good ones are too old.
    #[error("the issuer's keys could not be fetched for too long")]
    TooOld,
}

impl Snapshot {
    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &Arc<KeySet> {
        &self.keys
    }

    /// Which content this is: another one only if the keys changed.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// When the issuer last confirmed them.
    #[must_use]
    pub fn fetched(&self) -> Timestamp {
        self.fetched
    }

    /// Until when they are used at most.
    #[must_use]
    pub fn usable_until(&self) -> Timestamp {
        self.usable_until
    }
}

impl KeyCache {
    /// A cache that has fetched nothing yet.
    pub(super) fn new(
        issuer: IssuerName,
        source: KeySource,
        rules: KeyRules,
        timings: JwksSettings,
        empty_set_means_revoked: bool,
    ) -> Self {
        let state = State { schedule: Schedule::new(timings), in_flight: None, stamp: None, last_error: None };
        Self(Arc::new(Inner {
            issuer,
            source,
            rules,
            stale_for: timings.stale_for.duration(),
            empty_set_means_revoked,
            snapshot: ArcSwapOption::empty(),
            state: Mutex::new(state),
            queued: AtomicBool::new(false),
            fetches: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }))
    }

    /// A cache of keys that the configuration holds: they never grow old.
    pub(super) fn inline(issuer: IssuerName, keys: KeySet, rules: KeyRules) -> Self {
        let cache = Self::new(issuer, KeySource::Inline, rules, JwksSettings::default(), false);
        let (start, end) = (Timestamp::from_millis(0), Timestamp::from_millis(i64::MAX));
        cache.0.snapshot.store(Some(Arc::new(Snapshot {
            keys: Arc::new(keys),
            generation: Generation::default().next(),
            fetched: start,
            fresh_until: end,
            usable_until: end,
        })));
        cache
    }

    /// The keys that are good at `now`. Waits for nothing: neither for a lock nor for the network.
    ///
    /// # Errors
    /// [`KeysUnavailable`]; then [`Self::refresh`] with [`Reason::Missing`] may help.
    pub fn current(&self, now: Timestamp) -> Result<Arc<Snapshot>, KeysUnavailable> {
        let snapshot = self.0.snapshot.load_full().ok_or(KeysUnavailable::NeverFetched)?;
        if now > snapshot.usable_until { Err(KeysUnavailable::TooOld) } else { Ok(snapshot) }
    }

    /// Fetches the keys if `reason` is good enough at `now`, or waits for the fetch that is running already. Waits at most
    /// for two timeouts (a document, then the keys). Dropping the future does not end the fetch.
    ///
    /// Needs a running Tokio runtime.
    pub async fn refresh(&self, reason: Reason, now: Timestamp) -> Refresh {
        let mut fetch = match self.join_or_begin(reason, now) {
            Ok(fetch) => fetch,
            Err(refresh) => return refresh,
        };
        match fetch.wait_for(Option::is_some).await {
            Ok(done) => done.clone().unwrap_or(Refresh::Failed(KeyFault::Interrupted)),
            Err(_) => Refresh::Failed(KeyFault::Interrupted),
        }
    }

    fn join_or_begin(&self, reason: Reason, now: Timestamp) -> Result<watch::Receiver<Option<Refresh>>, Refresh> {
        if matches!(self.0.source, KeySource::Inline) {
            return Err(Refresh::Fetched { changed: false });
        }
        let mut state = self.0.state();
        // Somebody else's fetch brought new keys between the asker's look and this question.
        let generation = self.0.snapshot.load().as_ref().map(|snapshot| snapshot.generation);
        if reason.seen().is_some() && reason.seen() != generation {
            return Err(Refresh::Fetched { changed: true });
        }
        if let Some(running) = &state.in_flight {
            return Ok(running.clone());
        }
        state.schedule.admits(reason, now).map_err(|retry_after| Refresh::TooSoon { retry_after })?;
        let begun = state.schedule.begun(reason, now);
        let (sender, receiver) = watch::channel(None);
        state.in_flight = Some(receiver.clone());
        self.0.fetches.fetch_add(1, Ordering::Relaxed);
        let fetch = Fetch::new(Arc::clone(&self.0), begun, state.stamp, sender);
        drop(state);
        tokio::spawn(fetch.run());
        Ok(receiver)
    }

    /// Counts fetches on from where `former` is: that cache served the issuer of the same name.
    pub(super) fn count_on(&self, former: &Self) {
        for (count, before) in [(&self.0.failures, &former.0.failures), (&self.0.fetches, &former.0.fetches)] {
            count.fetch_add(before.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Whether a fetch is due at `now` and nobody has taken it on; whoever is told so has.
    pub(super) fn take_due(&self, now: Timestamp) -> bool {
        if matches!(self.0.source, KeySource::Inline) || self.0.queued.load(Ordering::Acquire) {
            return false;
        }
        let state = self.0.state();
        let due = state.in_flight.is_none() && state.schedule.admits(Reason::Due, now).is_ok();
        due && !self.0.queued.swap(true, Ordering::AcqRel)
    }

    /// Ends what [`Self::take_due`] began.
    pub(super) fn release_due(&self) {
        self.0.queued.store(false, Ordering::Release);
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCache({}, {})", self.0.issuer, self.0.source.describe())
    }
}
