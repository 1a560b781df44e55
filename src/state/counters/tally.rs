//! What is counted of the shared counters themselves: plain atomics, read at scrape time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the latency buckets, in microseconds; the last bucket has none.
pub const COUNTERS_LATENCY_BOUNDS_US: [u64; 10] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000];

/// How a command to the shared counters ended, as metrics name it: `down` was never sent.
pub const COUNTERS_RESULTS: [&str; 3] = ["ok", "failed", "down"];

/// Counts of commands.
#[derive(Debug, Default)]
pub(super) struct Tally {
    results: [AtomicU64; COUNTERS_RESULTS.len()],
    buckets: [AtomicU64; COUNTERS_LATENCY_BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
    connections: AtomicU64,
}

/// Those counts at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountersTally {
    /// Commands by result, in the order of [`COUNTERS_RESULTS`].
    pub results: [u64; COUNTERS_RESULTS.len()],
    /// Commands that were sent, by how long they took; in the order of [`COUNTERS_LATENCY_BOUNDS_US`].
    pub buckets: [u64; COUNTERS_LATENCY_BOUNDS_US.len() + 1],
    /// How long all of them took.
    pub sum: Duration,
    /// Connections that were made.
    pub connections: u64,
}

impl Tally {
    pub(super) fn down(&self) {
        count(self.results.last());
    }

    pub(super) fn answered(&self, well: bool, took: Duration) {
        count(self.results.get(usize::from(!well)));
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        count(self.buckets.get(COUNTERS_LATENCY_BOUNDS_US.partition_point(|bound| *bound < micros)));
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn connected(&self) {
        count(Some(&self.connections));
    }

    pub(super) fn read(&self) -> CountersTally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CountersTally {
            results: self.results.each_ref().map(read),
            buckets: self.buckets.each_ref().map(read),
            sum: Duration::from_micros(read(&self.sum_us)),
            connections: read(&self.connections),
        }
    }
}

fn count(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_counted_by_result_and_by_what_it_took() {
        let tally = Tally::default();
        tally.answered(true, Duration::from_micros(250));
        tally.answered(false, Duration::from_secs(2));
        tally.down();
        let read = tally.read();
        assert_eq!((read.results, read.buckets[0], read.buckets[10]), ([1, 1, 1], 1, 1));
        assert_eq!((read.sum, read.connections), (Duration::from_micros(2_000_250), 0));
    }
}
