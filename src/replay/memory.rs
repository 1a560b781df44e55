//! The tokens that were admitted once, in memory: sharded, bounded, and never forgotten early.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

/// How long an entry outlives the last moment at which verification could accept its token: requests that run at once
/// read slightly different times.
pub const MARGIN: Duration = Duration::from_secs(30);

const SHARDS: usize = 16;
/// Entries are swept by buckets of this many milliseconds.
const BUCKET_MILLIS: i64 = 16_000;
/// How many entries one admission sweeps at most, unless memory is full: a few more than the one it adds.
const SWEPT_AT_ONCE: usize = 4;

/// What a token is remembered by: 128 bits of SHA-256 over issuer, target and token id.
pub(super) type Key = [u8; 16];

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    /// It is new, and this caller alone was told so.
    New,
    /// It is there already.
    Before,
    /// There is no room, and everything in memory is alive.
    Full,
    /// It would have been swept already, so that nobody can say whether it was there.
    TooOld,
}

/// The memory. A shard is locked for some hundred nanoseconds, never across an await or a disk write.
#[derive(Debug)]
pub(super) struct Memory {
    shards: [Mutex<Shard>; SHARDS],
    count: AtomicUsize,
    capacity: usize,
}

#[derive(Debug)]
struct Shard {
    live: HashMap<Key, Timestamp>,
    /// Keys by the bucket in which they end.
    wheel: BTreeMap<i64, Vec<Key>>,
    /// What ended before this moment may have been swept.
    swept: Timestamp,
}

impl Memory {
    /// A memory that knows nothing of what was over at `begun`.
    pub(super) fn new(capacity: usize, begun: Timestamp) -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(Shard::new(begun)));
        Self { shards, count: AtomicUsize::new(0), capacity }
    }

    /// Remembers `key` until `until`, if it is new.
    pub(super) fn remember(&self, key: Key, until: Timestamp, now: Timestamp) -> Remembered {
        let answer = self.try_once(key, until, now);
        if answer != Remembered::Full {
            return answer;
        }
        // Full perhaps by what has ended in other shards, which nobody came to lately.
        for shard in &self.shards {
            let swept = shard.lock().unwrap_or_else(PoisonError::into_inner).sweep(now, usize::MAX);
            self.count.fetch_sub(swept, Ordering::Relaxed);
        }
        self.try_once(key, until, now)
    }

    fn try_once(&self, key: Key, until: Timestamp, now: Timestamp) -> Remembered {
        let Some(shard) = self.shard(&key) else { return Remembered::Full };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        self.count.fetch_sub(shard.sweep(now, SWEPT_AT_ONCE), Ordering::Relaxed);
        if until <= shard.swept {
            return Remembered::TooOld;
        }
        match shard.live.entry(key) {
            Entry::Occupied(_) => return Remembered::Before,
            Entry::Vacant(vacant) => {
                if self.count.fetch_add(1, Ordering::Relaxed) < self.capacity {
                    vacant.insert(until);
                    shard.wheel.entry(bucket(until)).or_default().push(key);
                    return Remembered::New;
                }
                self.count.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Remembered::Full
    }

    /// Takes in what an earlier process remembered, beyond the capacity if need be: a live entry is never forgotten.
    pub(super) fn restore(&self, key: Key, until: Timestamp) {
        let Some(shard) = self.shard(&key) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.live.insert(key, until).is_none() {
            shard.wheel.entry(bucket(until)).or_default().push(key);
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets a key whose admission did not come about after all.
    pub(super) fn forget(&self, key: &Key) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.live.remove(key).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &Key) -> Option<&Mutex<Shard>> {
        let [first, ..] = *key;
        self.shards.get(usize::from(first) % SHARDS)
    }
}

impl Shard {
    fn new(swept: Timestamp) -> Self {
        Self { live: HashMap::new(), wheel: BTreeMap::new(), swept }
    }

    /// Drops at most `most` entries of buckets that have ended; how many it dropped.
    fn sweep(&mut self, now: Timestamp, most: usize) -> usize {
        let (mut taken, mut dropped) = (0, 0);
        while taken < most {
            let Some(mut first) = self.wheel.first_entry() else { break };
            let end = Timestamp::from_millis(first.key().saturating_add(1).saturating_mul(BUCKET_MILLIS));
            if end > now {
                break;
            }
            // From here on, nobody can say about this bucket whether a token was in it.
            self.swept = self.swept.max(end);
            match first.get_mut().pop() {
                Some(key) => {
                    taken += 1;
                    // An entry that was forgotten and came again with a later end stays.
                    if self.live.get(&key).is_some_and(|until| *until < end) {
                        self.live.remove(&key);
                        dropped += 1;
                    }
                }
                None => drop(first.remove()),
            }
        }
        dropped
    }
}

fn bucket(until: Timestamp) -> i64 {
    until.as_millis().div_euclid(BUCKET_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn key(n: u64) -> Key {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&n.to_le_bytes());
        key
    }

    fn after(secs: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(secs))
    }

    #[test]
    fn a_live_entry_is_never_forgotten_even_when_memory_is_full() {
        let memory = Memory::new(100, NOW);
        for n in 0..100 {
            assert_eq!(memory.remember(key(n), after(60), NOW), Remembered::New);
        }
        assert_eq!(memory.remember(key(100), after(60), NOW), Remembered::Full);
        assert!((0..100).all(|n| memory.remember(key(n), after(60), after(59)) == Remembered::Before));
        // All of them end, in whichever shard.
        for n in 100..200 {
            assert_eq!(memory.remember(key(n), after(200), after(100)), Remembered::New);
        }
        assert_eq!(memory.len(), 100);
    }

    #[test]
    fn sweeping_is_spread_over_admissions() {
        let memory = Memory::new(10_000, NOW);
        for n in 0..5_000 {
            memory.remember(key(n), after(1), NOW);
        }
        for n in 0..2_000 {
            memory.remember(key(10_000 + n), after(600), after(100));
        }
        assert_eq!(memory.len(), 2_000);
    }

    #[test]
    fn a_key_that_may_have_been_swept_is_refused_when_the_clock_goes_back() {
        let memory = Memory::new(100, NOW);
        assert_eq!(memory.remember(key(0), after(10), NOW), Remembered::New);
        assert_eq!(memory.remember(key(16), after(900), after(600)), Remembered::New); // the same shard: sweeps
        assert_eq!(memory.len(), 1);
        assert_eq!(memory.remember(key(0), after(10), NOW), Remembered::TooOld);
        assert_eq!(memory.remember(key(32), after(900), NOW), Remembered::New);
    }

    #[test]
    fn a_forgotten_key_may_come_again() {
        let memory = Memory::new(2, NOW);
        assert_eq!(memory.remember(key(0), after(10), NOW), Remembered::New);
        memory.forget(&key(0));
        assert_eq!((memory.len(), memory.remember(key(0), after(40), NOW)), (0, Remembered::New));
        assert_eq!(memory.remember(key(0), after(40), after(35)), Remembered::Before);
    }

    proptest! {
        /// Against a model that forgets nothing: whoever is told "new" while the model knows a live entry is wrong.
        #[test]
        fn no_order_of_events_admits_twice(events in proptest::collection::vec((0_u64..12, 1_u64..200, 0_u64..40, any::<bool>()), 1..200)) {
            let memory = Memory::new(8, NOW);
            let (mut clock, mut model) = (0_i64, HashMap::<(u64, u64), i64>::new());
            for (n, life, step, back) in events {
                clock = if back { (clock - 5).max(0) } else { clock + i64::try_from(step).unwrap() };
                let now = Timestamp::from_secs(NOW.as_secs() + clock);
                // A token has one end: the key and the end go together.
                let until = after(life * 7);
                let mut name = key(n);
                name[8..].copy_from_slice(&life.to_le_bytes());
                let answer = memory.remember(name, until, now);
                if answer == Remembered::New {
                    let earlier = model.insert((n, life), until.as_millis());
                    prop_assert!(earlier.is_none(), "admitted twice");
                }
            }
        }
    }
}
