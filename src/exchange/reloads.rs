//! How rules were taken up while cambio runs, or were not. Decides nothing: readiness, metrics and tests look here.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::clock::Timestamp;

/// What came of reading the rules again, counted since the start.
#[derive(Debug)]
pub struct Reloads {
    changed: AtomicU64,
    unchanged: AtomicU64,
    failed: AtomicU64,
    /// Milliseconds since the Unix epoch.
    succeeded: AtomicI64,
    failure: ArcSwapOption<FailedReload>,
}

/// Why the rules that are written now are not those that decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedReload {
    /// When they were read.
    pub at: Timestamp,
    /// What is wrong: `the configuration`, `the policies`, ...
    pub part: &'static str,
    /// How many findings there are; each is in the log, up to a bound.
    pub findings: usize,
    /// The place and the code of the first one. Never the text of a policy: readiness is read by many.
    pub first: Option<String>,
}

impl Reloads {
    /// None yet; the rules that decide were read at `loaded`.
    pub(super) fn new(loaded: Timestamp) -> Self {
        Self {
            changed: AtomicU64::new(0),
            unchanged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            succeeded: AtomicI64::new(loaded.as_millis()),
            failure: ArcSwapOption::empty(),
        }
    }

    /// What is written is what decides: since now if it `changed`, else as before.
    pub fn succeeded(&self, changed: bool, now: Timestamp) {
        let counter = if changed { &self.changed } else { &self.unchanged };
        counter.fetch_add(1, Ordering::Relaxed);
        self.succeeded.store(now.as_millis(), Ordering::Relaxed);
        self.failure.store(None);
    }

    /// What is written is no good; the rules from before stay.
    pub fn failed(&self, failure: FailedReload) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.failure.store(Some(Arc::new(failure)));
    }

    /// How often other rules were taken up, were the same as before, were no good.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        [("changed", &self.changed), ("unchanged", &self.unchanged), ("failed", &self.failed)]
            .map(|(result, count)| (result, count.load(Ordering::Relaxed)))
    }

    /// When the rules were last read and found good; at the start at first.
    #[must_use]
    pub fn last_success(&self) -> Timestamp {
        Timestamp::from_millis(self.succeeded.load(Ordering::Relaxed))
    }

    /// Why the last reload failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<FailedReload>> {
        self.failure.load_full()
    }
}

impl fmt::Display for FailedReload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, part, findings, first } = self;
        write!(f, "failed at {at}: {part}, {findings} finding{}", if *findings == 1 { "" } else { "s" })?;
        first.as_ref().map_or(Ok(()), |first| write!(f, ", the first: {first}"))
    }
}
