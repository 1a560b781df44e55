//! Whether an OpenBao is asked at all. After so many failures one after the other it is left alone for a while; then one
//! request tries, and all others wait for how it ends.
//!
//! Without this, each request of every caller waits for a whole timeout while OpenBao is down, and all of them come at once
//! when it is back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::settings::BreakerSettings;
use crate::clock::Timestamp;

/// The state of one OpenBao, as its callers found it.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// One after the other.
    failures: u32,
    /// Since when it is left alone.
    open: Option<Timestamp>,
    /// Whether somebody tries right now.
    probing: bool,
}

/// Leave to ask once. Dropped without a word, e.g. because the caller went away, it counts for nothing.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

/// How long callers wait for a probe that is under way.
const WHILE_PROBED: Duration = Duration::from_secs(1);

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        let (failures, pause) = (settings.failures, settings.pause.duration());
        Self { failures, pause, state: Mutex::default() }
    }

    /// Leave to ask at `now`.
    ///
    /// # Errors
    /// How long it will be left alone.
    pub(super) fn pass(&self, now: Timestamp) -> Result<Pass<'_>, Duration> {
        let mut state = self.state();
        let Some(since) = state.open else { return Ok(Pass { breaker: self, probe: false }) };
        let passed = now.since(since);
        // A clock that was set back must not close the store for as long.
        if passed < self.pause && now >= since {
            return Err(self.pause.saturating_sub(passed));
        }
        if state.probing {
            return Err(WHILE_PROBED);
        }
        state.probing = true;
        Ok(Pass { breaker: self, probe: true })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// It answered.
    pub(super) fn answered(mut self) {
        let mut state = self.breaker.state();
        *state = State { probing: state.probing && !self.probe, ..State::default() };
        drop(state);
        self.probe = false;
    }

    /// It failed, as was known at `now`.
    pub(super) fn failed(self, now: Timestamp) {
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        if self.probe || state.failures >= self.breaker.failures {
            state.open = Some(now);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.state().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Span;

    const START: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn at(millis: u64) -> Timestamp {
        START.plus(Duration::from_millis(millis))
    }

    fn breaker() -> Breaker {
        Breaker::new(BreakerSettings { failures: 3, pause: Span::from_secs(10) })
    }

    fn opened() -> Breaker {
        let breaker = breaker();
        for _ in 0..3 {
            breaker.pass(START).unwrap().failed(START);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_one_after_the_other_and_not_before() {
        let breaker = breaker();
        for _ in 0..5 {
            breaker.pass(START).unwrap().failed(START);
            breaker.pass(START).unwrap().failed(START);
            breaker.pass(START).unwrap().answered();
        }
        assert!(breaker.pass(START).is_ok());
        assert_eq!(opened().pass(at(4000)).unwrap_err(), Duration::from_secs(6));
    }

    #[test]
    fn after_the_pause_one_tries_and_the_others_wait() {
        let breaker = opened();
        let probe = breaker.pass(at(10_000)).unwrap();
        assert!(breaker.pass(at(10_001)).is_err());
        probe.answered();
        assert!(breaker.pass(at(10_002)).is_ok());
        assert!(breaker.pass(at(10_002)).is_ok());
    }

    #[test]
    fn a_probe_that_fails_opens_it_again_at_once() {
        let breaker = opened();
        breaker.pass(at(10_000)).unwrap().failed(at(10_000));
        assert_eq!(breaker.pass(at(10_001)).unwrap_err(), Duration::from_millis(9999));
        assert!(breaker.pass(at(20_000)).is_ok());
    }

    #[test]
    fn a_probe_whose_caller_went_away_leaves_its_place_to_the_next() {
        let breaker = opened();
        drop(breaker.pass(at(10_000)).unwrap());
        assert!(breaker.pass(at(10_000)).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let breaker = opened();
        assert!(breaker.pass(START.minus(Duration::from_secs(3600))).is_ok());
    }
}
