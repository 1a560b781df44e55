//! The arithmetic of the buckets: how much of a budget is left, and when there is more.
//!
//! Decides one ask against one bucket, in whole numbers: memory and Redis must give equal answers, and Redis computes in
//! doubles (exact up to 2^53). Refuses to know where a bucket is kept, and whose it is.
//!
//! It is the generic cell rate algorithm, written as a meter that leaks: a bucket holds the debt of what was let through.
//! A request is worth as many units as the window has milliseconds, and in each millisecond as many units leak as the limit has
//! requests. So nothing is ever rounded, however limit and window go together, and a bucket is two numbers.

use std::time::Duration;

use crate::clock::Timestamp;

/// The largest limit; a larger one counts as this one.
pub const MAX_LIMIT: u64 = 10_000_000;

/// The longest window; a longer one counts as this one. With [`MAX_LIMIT`] all sums stay far below 2^53.
pub const MAX_WINDOW: Duration = Duration::from_hours(24);

/// What a bucket is asked.
#[derive(Clone, Copy, Debug)]
pub struct BucketAsk<'a> {
    /// Whose bucket: any bytes, and few of them; nothing secret, as it can be seen in Redis.
    pub key: &'a [u8],
    /// Requests per window, which is also how many may come at once. 0 refuses everything; at most [`MAX_LIMIT`].
    pub limit: u64,
    /// The window, in whole milliseconds; from 1 ms to [`MAX_WINDOW`].
    pub window: Duration,
    /// What is taken: all of it or nothing. 0 only looks: the answer is that to a request of 1, and nothing is charged.
    pub cost: u64,
}

/// What a bucket answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketAnswer {
    /// Whether the cost was charged, or would have been where it was only looked.
    pub allowed: bool,
    /// How much may still come at once.
    pub remaining: u64,
    /// Until the bucket is full again; zero where it is. In whole milliseconds, rounded up.
    pub reset: Duration,
    /// Until the same ask may be allowed; zero where it is. In whole milliseconds, rounded up.
    pub retry_after: Duration,
}

/// A bucket that owes something. One that owes nothing need not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// What has not leaked yet, in units: a request is worth the window's milliseconds.
    pub debt: u64,
    /// When that was so.
    pub at: Timestamp,
}

impl Bucket {
    /// How long it must be kept, from its own moment on: after that it owes nothing.
    #[must_use]
    pub fn kept_for(&self, limit: u64) -> Duration {
        Duration::from_millis(self.debt.div_ceil(limit.clamp(1, MAX_LIMIT)))
    }
}

/// Answers `ask` at `now`, where `kept` is the bucket as it was left, and says what it is to be left as; `None` where it
/// stays as it is: nothing was charged.
///
/// A moment before the bucket's own (replicas' clocks differ a little) leaks nothing. One that is more than a window before
/// it cannot be right together with it: the clock was set back, and the debt is counted from `now`, or it would stay for as long
/// as the clock was ahead.
#[must_use]
pub fn take(kept: Option<Bucket>, ask: &BucketAsk<'_>, now: Timestamp) -> (BucketAnswer, Option<Bucket>) {
    let Sizes { limit, window, full } = ask.sizes();
    let Bucket { debt, at } = kept.unwrap_or(Bucket { debt: 0, at: now });
    let set_back = millis(at.since(now)) > window;
    let at = if set_back { now } else { at };
    let passed = millis(now.since(at)).min(window);
    let debt = debt.min(full).saturating_sub(passed.saturating_mul(limit));
    let (answer, owed) = settle(ask, debt);
    (answer, (owed != debt || set_back).then_some(Bucket { debt: owed, at: at.max(now) }))
}

/// Answers `ask` where `debt` has not leaked yet by now, and says what is owed afterwards.
pub(super) fn settle(ask: &BucketAsk<'_>, debt: u64) -> (BucketAnswer, u64) {
    let Sizes { limit, window, full } = ask.sizes();
    let cost = ask.cost.max(1);
    let wanted = cost.saturating_mul(window);
    let over = debt.saturating_add(wanted).saturating_sub(full);
    let allowed = cost <= limit && over == 0;
    let owed = if allowed && ask.cost > 0 { debt.saturating_add(wanted) } else { debt };
    let retry_after = match over {
        _ if allowed => 0,
        // It never fits; a window is as good an answer as any.
        _ if cost > limit => window,
        over => over.div_ceil(limit),
    };
    let answer = BucketAnswer {
        allowed,
        remaining: full.saturating_sub(owed) / window,
        reset: Duration::from_millis(owed.div_ceil(limit.max(1))),
        retry_after: Duration::from_millis(retry_after),
    };
    (answer, owed)
}

/// An ask within its bounds, in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) limit: u64,
    /// What a request is worth.
    pub(super) window: u64,
    /// The most that a bucket may owe.
    pub(super) full: u64,
}

impl BucketAsk<'_> {
    pub(super) fn sizes(&self) -> Sizes {
        let window = millis(self.window.clamp(Duration::from_millis(1), MAX_WINDOW));
        let limit = self.limit.min(MAX_LIMIT);
        Sizes { limit, window, full: limit.saturating_mul(window) }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn at(ms: u64) -> Timestamp {
        NOW.plus(Duration::from_millis(ms))
    }

    fn ask(limit: u64, window_ms: u64, cost: u64) -> BucketAsk<'static> {
        BucketAsk { key: b"k", limit, window: Duration::from_millis(window_ms), cost }
    }

    /// A bucket that is kept as `take` says.
    #[derive(Default)]
    struct Kept(Option<Bucket>);

    impl Kept {
        fn take(&mut self, ask: &BucketAsk<'_>, now: Timestamp) -> BucketAnswer {
            let (answer, next) = take(self.0, ask, now);
            self.0 = next.or(self.0);
            answer
        }
    }

    #[test]
    fn as_many_as_the_limit_come_at_once_and_then_one_by_one() {
        let (mut bucket, three) = (Kept::default(), ask(3, 1000, 1));
        for left in [2, 1, 0] {
            let answer = bucket.take(&three, at(0));
            assert_eq!((answer.allowed, answer.remaining, answer.retry_after), (true, left, Duration::ZERO));
        }
        let refused = bucket.take(&three, at(0));
        assert_eq!((refused.allowed, refused.remaining), (false, 0));
        assert_eq!((refused.retry_after.as_millis(), refused.reset.as_millis()), (334, 1000));
        assert!(!bucket.take(&three, at(333)).allowed);
        assert!(bucket.take(&three, at(334)).allowed);
        assert!(!bucket.take(&three, at(334)).allowed);
    }

    #[test]
    fn a_look_charges_nothing_and_says_whether_one_more_would_pass() {
        let (mut bucket, look) = (Kept::default(), ask(2, 1000, 0));
        for _ in 0..5 {
            assert_eq!(bucket.take(&look, at(0)).remaining, 2);
        }
        assert!(bucket.0.is_none());
        bucket.take(&ask(2, 1000, 2), at(0));
        let answer = bucket.take(&look, at(1));
        assert_eq!((answer.allowed, answer.remaining, answer.retry_after.as_millis()), (false, 0, 499));
    }

    #[test]
    fn what_does_not_fit_is_not_charged_in_part() {
        let mut bucket = Kept::default();
        bucket.take(&ask(10, 1000, 8), at(0));
        assert!(!bucket.take(&ask(10, 1000, 3), at(0)).allowed);
        assert!(bucket.take(&ask(10, 1000, 2), at(0)).allowed);
    }

    #[rstest]
    #[case::a_limit_of_nothing(0, 1)]
    #[case::a_look_at_nothing(0, 0)]
    #[case::more_than_the_limit(5, 6)]
    #[case::far_more(MAX_LIMIT, u64::MAX)]
    fn what_can_never_fit_is_refused_with_a_bounded_wait(#[case] limit: u64, #[case] cost: u64) {
        let (answer, next) = take(None, &ask(limit, 60_000, cost), NOW);
        assert_eq!((answer.allowed, answer.retry_after, next), (false, Duration::from_mins(1), None));
    }

    #[test]
    fn a_clock_that_goes_back_a_little_gives_nothing_and_a_long_way_back_keeps_nothing_shut() {
        let (mut bucket, one) = (Kept::default(), ask(1, 1000, 1));
        assert!(bucket.take(&one, at(10_000)).allowed);
        assert!(!bucket.take(&one, at(9_500)).allowed);
        assert!(bucket.take(&one, at(11_000)).allowed);
        let back = NOW.minus(Duration::from_hours(1));
        let answer = bucket.take(&one, back);
        assert_eq!((answer.allowed, answer.retry_after), (false, Duration::from_secs(1)));
        assert!(bucket.take(&one, back.plus(Duration::from_secs(1))).allowed);
    }

    #[test]
    fn the_largest_sums_are_exact_in_a_double() {
        let window = millis(MAX_WINDOW);
        assert!(2 * MAX_LIMIT * window + window < 1 << 53);
        let (answer, next) = take(None, &ask(u64::MAX, u64::MAX, MAX_LIMIT), NOW);
        assert!(answer.allowed && answer.remaining == 0 && answer.reset == MAX_WINDOW);
        assert_eq!(next.unwrap().debt, MAX_LIMIT * window);
    }

    proptest! {
        /// Against the definition: in no stretch of time passes more than the limit plus what leaks in it, and whoever was told to
        /// wait is let through then, and no millisecond earlier.
        #[test]
        fn no_more_than_the_limit_passes_and_waits_are_exact(
            limit in 1_u64..50,
            window in 1_u64..5_000,
            asks in proptest::collection::vec((0_u64..400, 0_u64..8), 1..80),
        ) {
            let (mut bucket, mut clock, mut passed) = (Kept::default(), 0, Vec::<(u64, u64)>::new());
            for (step, cost) in asks {
                clock += step;
                let before = bucket.0;
                let answer = bucket.take(&ask(limit, window, cost), at(clock));
                if answer.allowed {
                    passed.push((clock, cost));
                } else if cost.max(1) <= limit {
                    let wait = millis(answer.retry_after);
                    prop_assert!(wait > 0);
                    prop_assert!(take(before, &ask(limit, window, cost), at(clock + wait)).0.allowed);
                    prop_assert!(!take(before, &ask(limit, window, cost), at(clock + wait - 1)).0.allowed);
                }
                let reset = millis(answer.reset);
                prop_assert_eq!(take(bucket.0, &ask(limit, window, 0), at(clock + reset)).0.remaining, limit);
                if let Some(kept) = bucket.0 {
                    let over = kept.at.plus(kept.kept_for(limit));
                    prop_assert_eq!(take(Some(kept), &ask(limit, window, 0), over).0.reset, Duration::ZERO);
                }
            }
            for (first, (from, _)) in passed.iter().enumerate() {
                let mut sum = 0;
                for (until, cost) in &passed[first..] {
                    sum += cost;
                    // In units, so that the model rounds nothing either.
                    prop_assert!(sum * window <= limit * window + (until - from) * limit);
                }
            }
        }
    }
}
