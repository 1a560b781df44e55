//! What is counted while exchanges happen: plain atomics, read at scrape time. A counter never costs an exchange a lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::identity::IssuerName;

/// The upper bounds of the latency buckets, in microseconds; the last bucket has none.
pub const LATENCY_BOUNDS_US: [u64; 12] =
    [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 25_000, 100_000, 1_000_000, 5_000_000];

/// How an exchange ended, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A token was issued.
    Issued,
    /// Refused or denied.
    Denied,
    /// cambio could not decide.
    Failed,
}

#[derive(Debug, Default)]
struct PerIssuer {
    issued: AtomicU64,
    denied: AtomicU64,
    failed: AtomicU64,
}

impl PerIssuer {
    fn rows(&self, name: Option<&IssuerName>) -> [(Option<IssuerName>, Outcome, u64); 3] {
        [(Outcome::Issued, &self.issued), (Outcome::Denied, &self.denied), (Outcome::Failed, &self.failed)]
            .map(|(outcome, count)| (name.cloned(), outcome, count.load(Ordering::Relaxed)))
    }
}

/// Counters of one engine.
#[derive(Debug, Default)]
pub struct Tally {
    issuers: ArcSwap<HashMap<IssuerName, Arc<PerIssuer>>>,
    unknown: PerIssuer,
    reasons: Mutex<BTreeMap<&'static str, u64>>,
    buckets: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    latency_sum_us: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    secrets: [[AtomicU64; SECRET_OUTCOMES.len()]; SECRET_OPERATIONS.len()],
}

/// What is done with secrets, as metrics name it.
pub const SECRET_OPERATIONS: [&str; 6] = ["read", "list", "scan", "write", "patch", "delete"];
/// How it ends, as metrics name it.
pub const SECRET_OUTCOMES: [&str; 3] = ["served", "denied", "failed"];

impl Tally {
    /// Counters for these issuers. Tokens of no known issuer share one, so that a caller cannot grow the metrics.
    pub fn new(issuers: impl IntoIterator<Item = IssuerName>) -> Self {
        let tally = Self::default();
        tally.issuers.store(Arc::new(issuers.into_iter().map(|name| (name, Arc::default())).collect()));
        tally
    }

    /// Counts for these issuers from now on. One that stays keeps its counters; one that goes takes them with it, so that
    /// the metrics have no more issuers than the configuration; one that comes again begins at zero.
    pub(super) fn follow<'a>(&self, issuers: impl IntoIterator<Item = &'a IssuerName>) {
        let before = self.issuers.load();
        let kept = |name: &IssuerName| before.get(name).cloned().unwrap_or_default();
        self.issuers.store(Arc::new(issuers.into_iter().map(|name| (name.clone(), kept(name))).collect()));
    }

    pub(super) fn secret(&self, operation: &str, outcome: &str) {
        let index = |names: &[&str], name: &str| names.iter().position(|known| *known == name);
        let found = index(&SECRET_OPERATIONS, operation).zip(index(&SECRET_OUTCOMES, outcome));
        let count = found.and_then(|(operation, outcome)| self.secrets.get(operation)?.get(outcome));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many requests for secrets ended how: operation, outcome, count.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        SECRET_OPERATIONS.into_iter().zip(&self.secrets).flat_map(|(operation, counts)| {
            let counted = SECRET_OUTCOMES.into_iter().zip(counts);
            counted.map(move |(outcome, count)| (operation, outcome, count.load(Ordering::Relaxed)))
        })
    }

    pub(super) fn issued(&self, issuer: Option<&IssuerName>) {
        self.count(issuer, |counters| &counters.issued);
    }

    pub(super) fn stopped(&self, issuer: Option<&IssuerName>, failed: bool, reason: &'static str) {
        self.count(issuer, |counters| if failed { &counters.failed } else { &counters.denied });
        let mut reasons = self.reasons.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *reasons.entry(reason).or_default() += 1;
    }

    /// An exchange that ends after its issuer was removed counts as one of no known issuer.
    fn count(&self, issuer: Option<&IssuerName>, which: impl Fn(&PerIssuer) -> &AtomicU64) {
        let issuers = self.issuers.load();
        let counters = issuer.and_then(|name| issuers.get(name)).map_or(&self.unknown, Arc::as_ref);
        which(counters).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn took(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.latency_sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn cache(&self, hit: bool) {
        let counter = if hit { &self.cache_hits } else { &self.cache_misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Exchanges by issuer (`None`: of no known issuer) and outcome, in the order of the names.
    pub fn exchanges(&self) -> impl Iterator<Item = (Option<IssuerName>, Outcome, u64)> {
        let issuers = self.issuers.load_full();
        let mut rows: Vec<_> = issuers.iter().flat_map(|(name, counters)| counters.rows(Some(name))).collect();
        rows.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        rows.extend(self.unknown.rows(None));
        rows.into_iter()
    }

    /// Refusals and denials by reason.
    pub fn reasons(&self) -> BTreeMap<&'static str, u64> {
        self.reasons.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// How many exchanges fell into each latency bucket, and the sum of all latencies.
    pub fn latency(&self) -> ([u64; LATENCY_BOUNDS_US.len() + 1], Duration) {
        let counts = self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        (counts, Duration::from_micros(self.latency_sum_us.load(Ordering::Relaxed)))
    }

    /// Hits and misses of the verified-token cache.
    pub fn cache_use(&self) -> (u64, u64) {
        (self.cache_hits.load(Ordering::Relaxed), self.cache_misses.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_falls_into_the_first_bucket_that_holds_it() {
        let tally = Tally::new([]);
        for micros in [0, 50, 51, 5_000_001] {
            tally.took(Duration::from_micros(micros));
        }
        let (buckets, sum) = tally.latency();
        assert_eq!((buckets[0], buckets[1], buckets[12]), (2, 1, 1));
        assert_eq!(sum, Duration::from_micros(5_000_102));
    }

    #[test]
    fn an_unknown_issuer_grows_nothing() {
        let known = IssuerName::new("a").unwrap();
        let tally = Tally::new([known.clone()]);
        tally.stopped(Some(&IssuerName::new("b").unwrap()), false, "x");
        tally.stopped(None, true, "x");
        tally.issued(Some(&known));
        assert_eq!(tally.exchanges().count(), 6);
        assert_eq!(tally.reasons()["x"], 2);
    }

    #[test]
    fn an_issuer_that_stays_keeps_its_count_and_one_that_goes_takes_it_with_it() {
        let [a, b, c] = ["a", "b", "c"].map(|name| IssuerName::new(name).unwrap());
        let tally = Tally::new([a.clone(), b.clone()]);
        tally.issued(Some(&a));
        tally.issued(Some(&b));
        let issued = |tally: &Tally| -> Vec<(String, u64)> {
            let rows = tally.exchanges().filter(|(_, outcome, _)| *outcome == Outcome::Issued);
            rows.map(|(name, _, count)| (name.map_or_else(String::new, |name| name.to_string()), count)).collect()
        };
        tally.follow([&a, &c]);
        tally.issued(Some(&a));
        tally.issued(Some(&b));
        let row = |name: &str, count| (name.to_owned(), count);
        assert_eq!(issued(&tally), [row("a", 2), row("c", 0), row("", 1)]);
        tally.follow([&a, &b]);
        assert_eq!(issued(&tally), [row("a", 2), row("b", 0), row("", 1)]);
    }
}
