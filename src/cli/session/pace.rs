//! When something is tried again. Decides waits with a bit of chance in them: what started together shall not ask together.

use std::time::Duration;

use crate::jose::random;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Waits that double with each failure, up to a minute.
#[derive(Debug, Default)]
pub(in crate::cli) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub(in crate::cli) fn next(&mut self) -> Duration {
        let wait = FIRST * (1 << self.failures.min(6));
        self.failures += 1;
        jittered(wait.min(LONGEST))
    }

    /// It worked.
    pub(in crate::cli) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// `span`, or up to a fifth less.
pub(in crate::cli) fn jittered(span: Duration) -> Duration {
    // Without randomness the wait is whole: that is no reason not to wait.
    let [chance] = random::<1>().unwrap_or([0]);
    span - span / 5 * u32::from(chance) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        for (wait, most) in waits.iter().zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            let most = Duration::from_secs(most);
            assert!(*wait <= most && *wait >= most * 4 / 5, "{wait:?} of {most:?}");
        }
        assert!(waits[39] <= LONGEST);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }

    #[test]
    fn chance_takes_no_more_than_a_fifth() {
        for _ in 0..100 {
            let span = jittered(Duration::from_secs(600));
            assert!(span >= Duration::from_secs(480) && span <= Duration::from_secs(600));
        }
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }
}
