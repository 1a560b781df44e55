//! Which refusals by a limit are recorded: the first of a bucket, and one in ten seconds after it, which tells how many were left
//! out. A flood that is refused must not become a flood of records.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::key::{Budget, Key};
use crate::clock::Timestamp;

/// The time between two records of one bucket's refusals.
const EVERY: Duration = Duration::from_secs(10);
/// How many buckets are told apart at once; further ones of one budget share their records.
const MOST: usize = 4096;
/// How long nobody looks for room again.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was recorded, and what was not.
#[derive(Default)]
pub(super) struct Notices(Mutex<Told>);

#[derive(Default)]
struct Told {
    own: HashMap<Key, Last>,
    others: [Last; Budget::ALL.len()],
    /// When room was looked for: a look goes through all of them.
    swept: Option<Timestamp>,
}

#[derive(Clone, Copy, Default)]
struct Last {
    at: Option<Timestamp>,
    left_out: u64,
}

impl Last {
    fn is_recent(&self, now: Timestamp) -> bool {
        self.at.is_some_and(|at| now.since(at) < EVERY && at.since(now) < EVERY)
    }

    fn next(&mut self, now: Timestamp) -> Option<u64> {
        if self.is_recent(now) {
            self.left_out += 1;
            return None;
        }
        let left_out = self.left_out;
        *self = Self { at: Some(now), left_out: 0 };
        Some(left_out)
    }
}

impl Notices {
    /// Whether a refusal by the bucket of `key` is to be recorded, and how many were not since the last that was.
    pub(super) fn next(&self, key: &Key, now: Timestamp) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = told.swept.is_none_or(|at| now.since(at) >= PATIENCE || at.since(now) >= PATIENCE);
        if look && told.own.len() >= MOST && !told.own.contains_key(key) {
            told.swept = Some(now);
            // What was left out of those that go is told with the others of their budget.
            let Told { own, others, .. } = &mut *told;
            own.retain(|key, last| {
                let stays = last.is_recent(now);
                if let (false, Some(others)) = (stays, others.get_mut(key.budget.index())) {
                    others.left_out += last.left_out;
                }
                stays
            });
        }
        if told.own.len() >= MOST && !told.own.contains_key(key) {
            return told.others.get_mut(key.budget.index()).and_then(|last| last.next(now));
        }
        told.own.entry(*key).or_default().next(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn host(number: u32) -> Key {
        Key::source(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn the_first_refusal_is_told_and_then_one_in_ten_seconds_with_the_number_of_the_others() {
        let notices = Notices::default();
        assert_eq!(notices.next(&host(1), NOW), Some(0));
        assert!((0..7).all(|_| notices.next(&host(1), NOW).is_none()));
        assert_eq!(notices.next(&host(2), NOW), Some(0));
        assert_eq!(notices.next(&host(1), NOW.plus(EVERY)), Some(7));
        assert_eq!(notices.next(&host(1), NOW.plus(EVERY)), None);
    }

    #[test]
    fn a_million_buckets_make_no_million_records_and_take_no_more_room() {
        let notices = Notices::default();
        let told = (0..1_000_000).filter(|number| notices.next(&host(*number), NOW).is_some()).count();
        assert_eq!(told, MOST + 1);
        assert_eq!(notices.0.lock().unwrap().own.len(), MOST);
        assert_eq!(notices.next(&host(2_000_000), NOW.plus(EVERY)), Some(0));
    }
}
