//! The state of a key cache, for `doctor`, the console and metrics. Holds no token and no secret.

use std::sync::atomic::Ordering;

use crate::clock::Timestamp;
use crate::jose::{Sha256, Skipped};

use super::keys::KeyCache;
use super::source::{KeyFault, KeySource};

/// The state of a cache, for `doctor` and for metrics.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// Where keys come from.
    pub source: String,
    /// How many are usable; 0 also if there never were any.
    pub keys: usize,
    /// How many of them were published together with their private half. More than 0 is an emergency at the issuer.
    pub exposed: usize,
    /// Those that were left out of the last good answer.
    pub skipped: Vec<Skipped>,
    /// SHA-256 of the last good answer.
    pub digest: Option<Sha256>,
    /// When the last good answer came.
    pub fetched: Option<Timestamp>,
    /// Until when it is fresh.
    pub fresh_until: Option<Timestamp>,
    /// Until when it serves.
    pub usable_until: Option<Timestamp>,
    /// When a fetch last began.
    pub last_attempt: Option<Timestamp>,
    /// Why the last fetch failed, if it did. Holds no secret.
    pub last_error: Option<KeyFault>,
    /// How many fetches failed since the last good one.
    pub consecutive_failures: u32,
    /// When keys are fetched without anybody asking; `None` if never.
    pub next_attempt: Option<Timestamp>,
    /// Whether a fetch is running.
    pub in_flight: bool,
    /// How many fetches there were.
    pub fetches: u64,
    /// How many of them failed.
    pub failures: u64,
}

impl KeyCache {
    /// The state of the cache.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        let snapshot = self.0.snapshot.load_full();
        let snapshot = snapshot.as_deref();
        let state = self.0.state();
        let is_inline = matches!(self.0.source, KeySource::Inline);
        KeyStatus {
            source: self.0.source.describe(),
            keys: snapshot.map_or(0, |one| one.keys.keys().len()),
            exposed: snapshot.map_or(0, |one| one.keys.keys().iter().filter(|key| key.is_exposed()).count()),
            skipped: snapshot.map(|one| one.keys.skipped().to_vec()).unwrap_or_default(),
            digest: snapshot.map(|one| one.keys.digest()),
            fetched: snapshot.map(|one| one.fetched),
            fresh_until: snapshot.map(|one| one.fresh_until),
            usable_until: snapshot.map(|one| one.usable_until),
            last_attempt: state.schedule.last_attempt(),
            last_error: state.last_error.clone(),
            consecutive_failures: state.schedule.consecutive_failures(),
            next_attempt: (!is_inline).then(|| state.schedule.due()),
            in_flight: state.in_flight.is_some(),
            fetches: self.0.fetches.load(Ordering::Relaxed),
            failures: self.0.failures.load(Ordering::Relaxed),
        }
    }
}
