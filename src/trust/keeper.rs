//! The one who keeps keys fresh. Decides how many issuers are asked at once; each cache decides when it is due.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::clock::{Clock, Timestamp};

use super::issuers::Issuers;
use super::keys::KeyCache;
use super::refresh::Reason;

/// How many issuers are asked at once.
const AT_ONCE: usize = 32;

/// Fetches keys before they are stale: at start, after a failure, at four fifths of their freshness. One for the process.
#[derive(Debug)]
pub struct Keeper(Arc<Semaphore>);

impl Default for Keeper {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Keeper {
    /// One that has done nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins every fetch that is due now. A fetch that had to wait for its turn reads the clock again: behind slow issuers
    /// that takes minutes, and keys would count as fetched, and failures as past, before they were. To be called about once a second, within a Tokio runtime; returns at once.
    /// The fetches go on if the handles are dropped; waiting for them is for start and for tests.
    pub fn tick(&self, issuers: &Issuers, clock: &Clock) -> Vec<JoinHandle<()>> {
        let now = clock.now();
        let due = issuers.iter().filter_map(|issuer| Due::take(issuer.keys(), now));
        due.map(|due| {
            let (permits, clock) = (Arc::clone(&self.0), clock.clone());
            tokio::spawn(async move {
                // The semaphore is never closed; a closed one would only let the fetch go ahead.
                let _permit = permits.acquire().await;
                due.0.refresh(Reason::Due, clock.now()).await;
            })
        })
        .collect()
    }
}

/// A due fetch that somebody has taken on; dropping it gives it back.
struct Due(KeyCache);

impl Due {
    fn take(cache: &KeyCache, now: Timestamp) -> Option<Self> {
        cache.take_due(now).then(|| Self(cache.clone()))
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.0.release_due();
    }
}
