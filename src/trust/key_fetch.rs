//! One fetch of one issuer's keys, from its beginning to its effect on the cache. Runs in its own task: whoever asked for it
//! may give up without harm, and whatever ends it early counts as a failure.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::jose::{Algorithm, KeySet, Sha256};

use super::keys::{Inner, Refresh, Snapshot, State};
use super::local_file::Stamp;
use super::refresh::Freshness;
use super::source::{Fetched, KeyFault, is_deliberately_empty};

/// A running fetch.
pub(super) struct Fetch {
    inner: Arc<Inner>,
    begun: Timestamp,
    /// Only the length of the fetch is measured, so that back-off counts from its end; no moment is read from it.
    stopwatch: Instant,
    known: Option<Stamp>,
    sender: watch::Sender<Option<Refresh>>,
    ended: bool,
}

/// What a source gave, read.
enum News {
    Keys(KeySet, Freshness, Option<Stamp>),
    Unchanged(Freshness),
}

impl Fetch {
    pub(super) fn new(
        inner: Arc<Inner>,
        begun: Timestamp,
        known: Option<Stamp>,
        sender: watch::Sender<Option<Refresh>>,
    ) -> Self {
        Self { inner, begun, stopwatch: Instant::now(), known, sender, ended: false }
    }

    /// Fetches, changes the cache, tells whoever waits.
    pub(super) async fn run(mut self) {
        let fetched = self.inner.source.fetch(self.known).await;
        let news = fetched.and_then(|fetched| self.inner.read(fetched));
        self.end(news);
    }

    fn end(&mut self, news: Result<News, KeyFault>) {
        self.ended = true;
        let refresh = self.inner.apply(self.begun, self.begun.plus(self.stopwatch.elapsed()), news);
        self.sender.send_replace(Some(refresh));
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Err(KeyFault::Interrupted));
        }
    }
}

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an answer. One without a usable key is a fault, unless its platform says so on purpose.
    fn read(&self, fetched: Fetched) -> Result<News, KeyFault> {
        match fetched {
            Fetched::Unchanged(freshness) => Ok(News::Unchanged(freshness)),
            Fetched::Body { body, freshness, stamp } => {
                let keys = KeySet::parse(&body, &self.rules)?;
                let revoked = self.empty_set_means_revoked && is_deliberately_empty(&keys);
                if keys.keys().is_empty() && !revoked {
                    return Err(KeyFault::Empty(keys.skipped().len()));
                }
                Ok(News::Keys(keys, freshness, stamp))
            }
        }
    }

    /// Changes the cache: a good answer replaces all that was there, a fault replaces nothing.
    fn apply(&self, begun: Timestamp, ended: Timestamp, news: Result<News, KeyFault>) -> Refresh {
        let mut state = self.state();
        state.in_flight = None;
        let before = self.snapshot.load_full();
        let (keys, freshness) = match news {
            Ok(News::Keys(keys, freshness, stamp)) => {
                state.stamp = stamp;
                (Some(keys), freshness)
            }
            Ok(News::Unchanged(freshness)) => (None, freshness),
            Err(fault) => {
                state.schedule.failed(ended);
                self.failures.fetch_add(1, Ordering::Relaxed);
                let failures = state.schedule.consecutive_failures();
                tracing::warn!(issuer = %self.issuer, error = %fault, failures, "keys could not be fetched");
                state.last_error = Some(fault.clone());
                return Refresh::Failed(fault);
            }
        };
        let fresh_until = state.schedule.succeeded(begun, freshness);
        state.last_error = None;
        let (keys, generation, changed) = match (keys, before) {
            (Some(keys), Some(old)) if keys.digest() == old.keys.digest() => {
                (Arc::clone(&old.keys), old.generation, false)
            }
            (Some(keys), before) => {
                // Another text may hold the same keys: an issuer may shuffle them, and GKE adds the time.
                let same = before.as_ref().is_some_and(|old| identities(&old.keys) == identities(&keys));
                let generation = before.map(|old| old.generation).unwrap_or_default();
                if !same {
                    self.report(&keys);
                }
                (Arc::new(keys), if same { generation } else { generation.next() }, !same)
            }
            (None, Some(old)) => (Arc::clone(&old.keys), old.generation, false),
            (None, None) => return Refresh::Fetched { changed: false },
        };
        let usable_until = begun.plus(self.stale_for);
        let snapshot = Snapshot { keys, generation, fetched: begun, fresh_until, usable_until };
        self.snapshot.store(Some(Arc::new(snapshot)));
        Refresh::Fetched { changed }
    }

    fn report(&self, keys: &KeySet) {
        tracing::info!(issuer = %self.issuer, %keys, digest = %keys.digest(), "keys changed");
        for skipped in keys.skipped() {
            tracing::warn!(issuer = %self.issuer, index = skipped.index, reason = %skipped.reason, "key skipped");
        }
        for key in keys.keys().iter().filter(|key| key.is_exposed()) {
            tracing::error!(issuer = %self.issuer, thumbprint = %key.thumbprint(), "the issuer publishes a private key");
        }
    }
}

/// What makes a set the same as another, whatever its text: its usable keys, in any order.
fn identities(keys: &KeySet) -> Vec<(Algorithm, Option<&str>, Sha256)> {
    let mut all: Vec<_> = keys.keys().iter().map(|key| (key.algorithm(), key.key_id(), key.thumbprint())).collect();
    all.sort_unstable();
    all
}
