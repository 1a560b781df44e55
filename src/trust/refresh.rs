//! When keys may be fetched. Decides by times alone; refuses to know how, or what came of it beyond good or bad.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::jose;

use super::settings::JwksSettings;

/// Failed fetches are repeated after 1, 2, 4, ... seconds, at most after this.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
/// Keys are fetched again after this part of the time for which they are fresh, in percent, give or take the jitter.
const REFRESH_AT: u32 = 80;
const JITTER: u32 = 10;

/// Why keys are to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There are no usable keys.
    Missing,
    /// A token names a `kid` that the keys of this generation do not have.
    UnknownKeyId(Generation),
    /// No key of this generation made a token's signature although its `kid` is there, or it has none.
    BadSignature(Generation),
    /// The keys will be stale soon.
    Due,
}

/// Which content of a key cache was seen. Another one after every fetch that changed the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Generation(u64);

impl Generation {
    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl Reason {
    /// The keys that whoever asks has looked at.
    pub(super) const fn seen(self) -> Option<Generation> {
        match self {
            Self::UnknownKeyId(seen) | Self::BadSignature(seen) => Some(seen),
            Self::Missing | Self::Due => None,
        }
    }
}

/// What a source says about how long its answer is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// `max-age` of the answer's `Cache-Control`, where it has one.
    MaxAge(Option<Duration>),
    /// Looking is cheap: again after this.
    LookAgainAfter(Duration),
}

/// When the next fetch may be, for each reason.
#[derive(Debug)]
pub(super) struct Schedule {
    timings: JwksSettings,
    due: Timestamp,
    last_attempt: Option<Timestamp>,
    last_for_signature: Option<Timestamp>,
    failures: u32,
}

impl Schedule {
    /// Of an issuer whose keys were never fetched: due at once.
    pub(super) const fn new(timings: JwksSettings) -> Self {
        let due = Timestamp::from_millis(i64::MIN);
        Self { timings, due, last_attempt: None, last_for_signature: None, failures: 0 }
    }

    /// Whether a fetch may begin, else how long it may not.
    pub(super) fn admits(&self, reason: Reason, now: Timestamp) -> Result<(), Duration> {
        let now = self.not_before_last(now);
        let cooldown = self.timings.cooldown.duration();
        let backing_off =
            if self.failures > 0 { remaining(self.due, now, LONGEST_BACK_OFF * 2) } else { Duration::ZERO };
        let since = |last: Option<Timestamp>, least: Duration| {
            last.map_or(Duration::ZERO, |last| remaining(last.plus(least), now, least))
        };
        let wait = match reason {
            Reason::Missing => backing_off,
            Reason::Due => remaining(self.due, now, self.timings.fresh_max.duration().max(LONGEST_BACK_OFF * 2)),
            Reason::UnknownKeyId(_) => backing_off.max(since(self.last_attempt, cooldown)),
            Reason::BadSignature(_) => backing_off
                .max(since(self.last_attempt, cooldown))
                .max(since(self.last_for_signature, self.timings.bad_signature_cooldown.duration())),
        };
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// A fetch begins: it counts, whatever comes of it. Returns when it began, which is not before the last one did: a
    /// cooldown that an old request moves back would be over sooner for the next one.
    pub(super) fn begun(&mut self, reason: Reason, now: Timestamp) -> Timestamp {
        let now = self.not_before_last(now);
        self.last_attempt = Some(now);
        if matches!(reason, Reason::BadSignature(_)) {
            self.last_for_signature = Some(now);
        }
        now
    }

    /// `now`, or the last attempt if whoever asks began before it ([`LONGEST_REQUEST`]). Only further back it is the clock
    /// that was set back, and then the old times count no longer.
    fn not_before_last(&self, now: Timestamp) -> Timestamp {
        self.last_attempt.filter(|last| last.since(now) <= LONGEST_REQUEST).map_or(now, |last| last.max(now))
    }

    /// The fetch that began at `begun` was good. Returns until when the keys are fresh.
    pub(super) fn succeeded(&mut self, begun: Timestamp, freshness: Freshness) -> Timestamp {
        self.failures = 0;
        let max_age = match freshness {
            Freshness::LookAgainAfter(span) => {
                self.due = begun.plus(span);
                return self.due;
            }
            Freshness::MaxAge(max_age) => max_age.unwrap_or(DEFAULT_FRESH),
        };
        let (least, most) = (self.timings.fresh_min.duration(), self.timings.fresh_max.duration());
        let fresh = max_age.clamp(least, most.max(least));
        self.due = begun.plus(jittered(fresh * REFRESH_AT / 100, fresh * JITTER / 100));
        begun.plus(fresh)
    }

    /// The fetch failed; `now` is not before the attempt began.
    pub(super) fn failed(&mut self, now: Timestamp) {
        let back_off = Duration::from_secs(1 << self.failures.min(10)).min(LONGEST_BACK_OFF);
        self.failures = self.failures.saturating_add(1);
        self.due = now.plus(jittered(back_off, back_off / 4));
    }

    /// When keys are next fetched without anybody asking.
    pub(super) const fn due(&self) -> Timestamp {
        self.due
    }

    pub(super) const fn last_attempt(&self) -> Option<Timestamp> {
        self.last_attempt
    }

    pub(super) const fn consecutive_failures(&self) -> u32 {
        self.failures
    }
}

/// How long an answer without `max-age` is fresh.
const DEFAULT_FRESH: Duration = Duration::from_secs(600);

/// How long ago whoever asks may have begun. A request is judged by the moment at which it began, and its body and the
/// fetches that it waited for took their time since: it may well have begun before the last attempt did. Taken for a
/// clock that was set back, each of many requests that were begun early and ended late would cause a fetch: two hundred
/// whose bodies are finished in reverse order, two hundred fetches.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);

/// How long it is until `until`, at most `longest`; nothing if that is further away than it can be unless the clock was
/// set back.
fn remaining(until: Timestamp, now: Timestamp, longest: Duration) -> Duration {
    let wait = until.since(now);
    if wait > longest.saturating_add(LONGEST_REQUEST) { Duration::ZERO } else { wait.min(longest) }
}

/// `around`, give or take up to `spread`: a thousand issuers must not be asked in one second.
fn jittered(around: Duration, spread: Duration) -> Duration {
    let draw = jose::random::<4>().map_or(u32::MAX / 2, u32::from_be_bytes);
    let offset = spread.mul_f64(2.0 * f64::from(draw) / f64::from(u32::MAX));
    around.saturating_sub(spread).saturating_add(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const START: Timestamp = Timestamp::from_secs(1_795_000_000);
    const SEEN: Generation = Generation(1);

    fn after(secs: u64) -> Timestamp {
        START.plus(Duration::from_secs(secs))
    }

    fn fetched() -> Schedule {
        let mut schedule = Schedule::new(JwksSettings::default());
        schedule.begun(Reason::Missing, START);
        schedule.succeeded(START, Freshness::MaxAge(Some(Duration::from_secs(3600))));
        schedule
    }

    #[rstest]
    #[case(None, 600)]
    #[case(Some(0), 60)]
    #[case(Some(300), 300)]
    #[case(Some(86_400), 3600)]
    fn freshness_is_max_age_within_bounds_and_the_refresh_is_due_before_its_end(
        #[case] max_age: Option<u64>,
        #[case] fresh: u64,
    ) {
        let mut schedule = Schedule::new(JwksSettings::default());
        assert_eq!(schedule.succeeded(START, Freshness::MaxAge(max_age.map(Duration::from_secs))), after(fresh));
        let due = schedule.due().since(START).as_secs_f64() / fresh as f64;
        assert!((0.69..=0.91).contains(&due), "{due}");
    }

    #[test]
    fn an_unknown_key_id_waits_for_the_cooldown_after_any_attempt() {
        let schedule = fetched();
        assert_eq!(schedule.admits(Reason::UnknownKeyId(SEEN), after(10)), Err(Duration::from_secs(20)));
        assert_eq!(schedule.admits(Reason::UnknownKeyId(SEEN), after(30)), Ok(()));
    }

    #[test]
    fn a_bad_signature_waits_for_five_minutes_after_the_last_one() {
        let mut schedule = fetched();
        assert_eq!(schedule.admits(Reason::BadSignature(SEEN), after(30)), Ok(()));
        schedule.begun(Reason::BadSignature(SEEN), after(30));
        schedule.succeeded(after(30), Freshness::MaxAge(None));
        assert_eq!(schedule.admits(Reason::BadSignature(SEEN), after(90)), Err(Duration::from_secs(240)));
        assert_eq!(schedule.admits(Reason::UnknownKeyId(SEEN), after(90)), Ok(()));
        assert_eq!(schedule.admits(Reason::BadSignature(SEEN), after(330)), Ok(()));
    }

    #[test]
    fn failures_back_off_up_to_a_bound_for_every_reason() {
        let mut schedule = fetched();
        let mut now = after(100);
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] {
            schedule.begun(Reason::Missing, now);
            schedule.failed(now);
            let wait = schedule.admits(Reason::Missing, now).unwrap_err();
            assert!((expected * 0.75..=expected * 1.25).contains(&wait.as_secs_f64()), "{wait:?}, not {expected}");
            assert!(schedule.admits(Reason::UnknownKeyId(SEEN), now).is_err());
            assert_eq!(schedule.admits(Reason::Due, now), Err(wait));
            now = now.plus(wait);
            assert_eq!(schedule.admits(Reason::Missing, now), Ok(()));
        }
    }

    #[test]
    fn a_request_that_began_before_the_last_attempt_causes_no_other() {
        let schedule = fetched();
        for began in [Duration::from_millis(1), Duration::from_secs(10), Duration::from_secs(60)] {
            let now = START.minus(began);
            assert!(schedule.admits(Reason::UnknownKeyId(SEEN), now).is_err(), "{began:?}");
            assert!(schedule.admits(Reason::BadSignature(SEEN), now).is_err(), "{began:?}");
        }
    }

    #[test]
    fn an_attempt_for_an_old_request_does_not_move_the_cooldown_back() {
        let mut schedule = fetched();
        assert_eq!(schedule.begun(Reason::Missing, START.minus(Duration::from_secs(100))), START);
        assert_eq!(schedule.last_attempt(), Some(START));
        let old = START.minus(Duration::from_secs(60));
        assert_eq!(schedule.admits(Reason::UnknownKeyId(SEEN), old), Err(Duration::from_secs(30)));
        assert_eq!(schedule.admits(Reason::UnknownKeyId(SEEN), after(10)), Err(Duration::from_secs(20)));
    }

    #[test]
    fn a_clock_that_was_set_back_far_begins_anew() {
        let mut schedule = fetched();
        let before = START.minus(Duration::from_secs(121));
        assert_eq!(schedule.admits(Reason::UnknownKeyId(SEEN), before), Ok(()));
        assert_eq!(schedule.begun(Reason::UnknownKeyId(SEEN), before), before);
        assert!(schedule.admits(Reason::UnknownKeyId(SEEN), before.plus(Duration::from_secs(1))).is_err());
    }

    #[test]
    fn a_clock_that_was_set_back_blocks_nothing() {
        let schedule = fetched();
        let before = START.minus(Duration::from_hours(48));
        assert_eq!(schedule.admits(Reason::UnknownKeyId(SEEN), before), Ok(()));
        assert_eq!(schedule.admits(Reason::Due, before), Ok(()));
    }
}
