//! What the budgets said, counted in plain atomics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::key::Budget;

/// The budgets as metrics name them.
pub(super) const NAMES: [Budget; 5] =
    [Budget::Source, Budget::Failures, Budget::Issuer, Budget::Subject, Budget::Target];

/// How often each budget had room, and had none.
#[derive(Debug, Default)]
pub struct LimiterTally {
    allowed: [AtomicU64; NAMES.len()],
    refused: [AtomicU64; NAMES.len()],
    pub(super) fallen: AtomicU64,
}

/// How the limiter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterStatus {
    /// Buckets that are kept.
    pub keys: usize,
    /// How many may be.
    pub max_keys: usize,
    /// Buckets with something in them that went for others.
    pub evicted: u64,
    /// Requests that had no bucket of their own.
    pub shared_buckets: u64,
    /// Whether replicas are to share their counters.
    pub shared: bool,
    /// Whether they do not, and each has its part of the limits.
    pub fallen: bool,
    /// How often it came to that.
    pub falls: u64,
}

impl LimiterTally {
    pub(super) fn count(&self, budget: Budget, allowed: bool) {
        let index = NAMES.iter().position(|known| known.name() == budget.name());
        let counts = if allowed { &self.allowed } else { &self.refused };
        if let Some(count) = index.and_then(|index| counts.get(index)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Name of the budget, requests that it had room for, requests that it had none for.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let counts = self.allowed.iter().zip(&self.refused);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        NAMES.iter().zip(counts).map(move |(budget, (yes, no))| (budget.name(), read(yes), read(no)))
    }
}
