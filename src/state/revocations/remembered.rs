//! The revoked tokens in memory, where every check looks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::clock::Timestamp;
use crate::state::is_long_over;

/// Token ids and when they expire. To ask takes one atomic load while nothing is revoked, and a read lock under which no disk
/// and no server is waited for otherwise.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    live: RwLock<HashMap<Box<str>, Timestamp>>,
    count: AtomicUsize,
}

impl Remembered {
    pub(super) fn new(live: HashMap<Box<str>, Timestamp>) -> Self {
        Self { count: AtomicUsize::new(live.len()), live: RwLock::new(live) }
    }

    pub(super) fn contains(&self, token_id: &str) -> bool {
        self.len() != 0 && self.live.read().unwrap_or_else(PoisonError::into_inner).contains_key(token_id)
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn insert(&self, tokens: impl IntoIterator<Item = (Box<str>, Timestamp)>) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.extend(tokens);
        self.count.store(live.len(), Ordering::Release);
    }

    /// What is not long over.
    pub(super) fn kept(&self, now: Timestamp) -> HashMap<Box<str>, Timestamp> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let kept = live.iter().filter(|(_, expires)| !is_long_over(**expires, now));
        kept.map(|(token_id, expires)| (token_id.clone(), *expires)).collect()
    }

    /// Puts `kept` in the place of all.
    pub(super) fn replace(&self, kept: HashMap<Box<str>, Timestamp>) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        self.count.store(kept.len(), Ordering::Release);
        *live = kept;
    }

    /// Drops what is long over.
    pub(super) fn forget(&self, now: Timestamp) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, expires| !is_long_over(*expires, now));
        self.count.store(live.len(), Ordering::Release);
    }
}
