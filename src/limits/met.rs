//! Who was at which address before: with a token that was good, within the last day or two.
//!
//! Only what was verified is remembered, so nobody without good tokens puts anybody in, or out. Two generations: when the newer is
//! full or a day old, it becomes the older, and what was the older is forgotten.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::key::Key;
use crate::clock::Timestamp;

const GENERATION: Duration = Duration::from_hours(24);

/// Addresses and subjects that were seen together.
pub(super) struct Met {
    most: usize,
    seen: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    newer: HashSet<u128>,
    older: HashSet<u128>,
    since: Option<Timestamp>,
}

impl Met {
    /// Room for `most` in all, at about 20 bytes each.
    pub(super) fn new(most: usize) -> Self {
        Self { most: (most / 2).max(1), seen: Mutex::default() }
    }

    pub(super) fn remember(&self, key: &Key, now: Timestamp) {
        let mut seen = self.seen();
        // Either way: a clock that was set back must not keep a generation for ever.
        let old = seen.since.is_some_and(|since| now.since(since) >= GENERATION || since.since(now) >= GENERATION);
        if old || seen.newer.len() >= self.most {
            seen.older = mem::take(&mut seen.newer);
        }
        if seen.newer.is_empty() {
            seen.since = Some(now);
        }
        seen.newer.insert(key.id());
    }

    pub(super) fn knows(&self, key: &Key) -> bool {
        let seen = self.seen();
        seen.newer.contains(&key.id()) || seen.older.contains(&key.id())
    }

    fn seen(&self) -> MutexGuard<'_, Generations> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn key(subject: &str) -> Key {
        Key::source("192.0.2.1".parse().unwrap()).met(subject.as_bytes())
    }

    #[test]
    fn who_was_here_is_known_for_a_day_and_forgotten_after_two() {
        let met = Met::new(100);
        met.remember(&key("a"), NOW);
        met.remember(&key("b"), NOW.plus(GENERATION));
        assert!(met.knows(&key("a")) && met.knows(&key("b")) && !met.knows(&key("c")));
        met.remember(&key("c"), NOW.plus(GENERATION * 2));
        assert!(!met.knows(&key("a")) && met.knows(&key("b")));
    }

    #[test]
    fn no_more_are_known_than_there_is_room_for() {
        let met = Met::new(100);
        for number in 0..10_000 {
            met.remember(&key(&number.to_string()), NOW);
        }
        let known = {
            let seen = met.seen();
            seen.newer.len() + seen.older.len()
        };
        assert!(known <= 100, "{known}");
        assert!(met.knows(&key("9999")) && met.knows(&key("9950")) && !met.knows(&key("1")));
    }
}
