//! The buckets of this process: many, and never more than there is room for.
//!
//! Decides which bucket goes when there is no room for another: one that owes nothing, as that is as good as none; then of those
//! that have at least half left, the fullest. One that is emptier than that never goes: whoever takes up new names by the million
//! would have his own empty bucket, or another's, thrown out and made full again. Where only such are left, newcomers share one
//! bucket of each budget until there is room.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::key::{Budget, Key};
use crate::clock::Timestamp;
use crate::state::counters::{Bucket, BucketAnswer, BucketAsk, take};

/// Parts that are locked apart.
const SHARDS: usize = 64;
/// How long nobody looks for room again where there was none: a look goes through the whole shard.
const PATIENCE: Duration = Duration::from_millis(100);
/// The part of a shard that goes at once, so that the look is shared by those who come after.
const BATCH: usize = 8;

/// Buckets by their keys.
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    each: usize,
    hasher: RandomState,
    evicted: AtomicU64,
    shared: AtomicU64,
}

#[derive(Default)]
struct Shard {
    buckets: HashMap<Key, Entry>,
    /// Of all who have no bucket of their own, by budget.
    overflow: [Option<Bucket>; Budget::ALL.len()],
    /// No room is looked for before that.
    full_until: Option<Timestamp>,
}

struct Entry {
    bucket: Bucket,
    /// When it owes nothing.
    idle: Timestamp,
    /// In milliseconds: what it takes from empty to idle.
    window: u32,
}

impl Entry {
    /// How much is taken, in thousandths.
    fn spent(&self, now: Timestamp) -> u128 {
        self.idle.since(now).as_millis() * 1000 / u128::from(self.window.max(1))
    }
}

impl Table {
    /// Room for about `keys` buckets, at some 160 bytes each, hash table included.
    pub(super) fn new(keys: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let (evicted, shared) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { shards, each: (keys / SHARDS).max(1), hasher: RandomState::new(), evicted, shared }
    }

    /// Takes `cost` from the bucket of `key`; 0 only looks.
    pub(super) fn take(&self, key: &Key, (limit, window): (u64, Duration), cost: u64, now: Timestamp) -> BucketAnswer {
        let ask = BucketAsk { key: &[], limit, window, cost };
        let Some(mut shard) = self.shard(key) else { return refusal(window) };
        if let Some(entry) = shard.buckets.get_mut(key) {
            let (answer, left) = take(Some(entry.bucket), &ask, now);
            if let Some(bucket) = left {
                *entry = Entry::of(bucket, &ask);
            }
            return answer;
        }
        let (answer, left) = take(None, &ask, now);
        let full = shard.buckets.len() >= self.each;
        let Some(bucket) = left.filter(|_| !full || self.make_room(&mut shard, now)) else {
            return if full { self.overflowing(&mut shard, key.budget, &ask, now) } else { answer };
        };
        shard.buckets.insert(*key, Entry::of(bucket, &ask));
        answer
    }

    /// How many buckets there are.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).buckets.len()).sum()
    }

    /// How many buckets with something in them went for others, and how many requests had to share one.
    pub(super) fn pressed(&self) -> (u64, u64) {
        (self.evicted.load(Ordering::Relaxed), self.shared.load(Ordering::Relaxed))
    }

    fn overflowing(&self, shard: &mut Shard, budget: Budget, ask: &BucketAsk<'_>, now: Timestamp) -> BucketAnswer {
        self.shared.fetch_add(1, Ordering::Relaxed);
        let Some(kept) = shard.overflow.get_mut(budget.index()) else { return refusal(ask.window) };
        let (answer, left) = take(*kept, ask, now);
        *kept = left.or(*kept);
        answer
    }

    fn make_room(&self, shard: &mut Shard, now: Timestamp) -> bool {
        if shard.full_until.is_some_and(|until| now < until && until.since(now) <= PATIENCE) {
            return false;
        }
        shard.buckets.retain(|_, entry| {
            // From before a clock was set back: it is owed from now on, as `take` has it, and not for as long as it was ahead.
            entry.idle = entry.idle.min(now.plus(Duration::from_millis(u64::from(entry.window))));
            entry.idle > now
        });
        if shard.buckets.len() >= self.each {
            let light = shard.buckets.iter().map(|(key, entry)| (entry.spent(now), key.id(), *key));
            let mut light: Vec<_> = light.filter(|(spent, ..)| *spent <= 500).collect();
            let batch = (self.each / BATCH).max(1);
            if light.len() > batch {
                light.select_nth_unstable_by_key(batch, |(spent, id, _)| (*spent, *id));
                light.truncate(batch);
            }
            for (.., key) in &light {
                shard.buckets.remove(key);
            }
            self.evicted.fetch_add(light.len() as u64, Ordering::Relaxed);
        }
        let room = shard.buckets.len() < self.each;
        shard.full_until = (!room).then(|| now.plus(PATIENCE));
        room
    }

    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        self.shards.get(index).map(lock)
    }
}

impl Entry {
    fn of(bucket: Bucket, ask: &BucketAsk<'_>) -> Self {
        let window = u32::try_from(ask.window.as_millis()).unwrap_or(u32::MAX);
        Self { bucket, idle: bucket.at.plus(bucket.kept_for(ask.limit)), window }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal(window: Duration) -> BucketAnswer {
    BucketAnswer { allowed: false, remaining: 0, reset: window, retry_after: window }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const TEN: (u64, Duration) = (10, Duration::from_secs(60));

    fn host(number: u32) -> Key {
        Key::source(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn a_million_addresses_take_no_more_room_than_there_is() {
        let table = Table::new(10_000);
        for number in 0..1_000_000 {
            table.take(&host(number), TEN, 1, NOW);
            assert!(number % 50_000 != 0 || table.len() <= 10_000);
        }
        assert!(table.len() <= 10_000 && table.len() > 8_000, "{}", table.len());
        assert!(table.pressed().0 > 900_000);
        let capacity: usize = table.shards.iter().map(|shard| lock(shard).buckets.capacity()).sum();
        // What a hash table takes that is kept at one size while its entries change.
        assert!(capacity < 30_000, "{capacity}");
    }

    #[test]
    fn whoever_takes_up_new_addresses_fills_no_empty_bucket() {
        let table = Table::new(640);
        for _ in 0..10 {
            assert!(table.take(&host(0), TEN, 1, NOW).allowed);
        }
        for number in 1..100_000 {
            table.take(&host(number), TEN, 1, NOW);
            assert!(number % 1000 != 0 || !table.take(&host(0), TEN, 1, NOW).allowed);
        }
        assert!(table.take(&host(0), TEN, 1, NOW.plus(Duration::from_secs(6))).allowed);
    }

    #[test]
    fn among_empty_buckets_newcomers_share_one_until_there_is_room() {
        let table = Table::new(64);
        for number in 0..10_000 {
            table.take(&host(number), TEN, 10, NOW);
        }
        assert!(table.len() <= 64);
        let allowed = (20_000..30_000).filter(|number| table.take(&host(*number), TEN, 1, NOW).allowed).count();
        assert!(allowed < 10 * SHARDS, "{allowed}");
        let later = NOW.plus(Duration::from_secs(61));
        assert!((20_000..20_064).all(|number| table.take(&host(number), TEN, 1, later).allowed));
    }

    #[test]
    fn who_only_looks_takes_no_room() {
        let table = Table::new(64);
        assert!((0..1000).all(|number| table.take(&host(number), TEN, 0, NOW).allowed));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_room_all_the_same() {
        let table = Table::new(64);
        for number in 0..10_000 {
            table.take(&host(number), TEN, 10, NOW);
        }
        let back = NOW.minus(Duration::from_secs(3600));
        assert!(!(20_000..20_640).any(|number| table.take(&host(number), TEN, 1, back).allowed));
        let later = back.plus(Duration::from_secs(61));
        assert!((20_000..20_064).all(|number| table.take(&host(number), TEN, 1, later).allowed));
        assert!(table.len() <= 64);
    }
}
