//! Whether a server is asked at all.
//!
//! A server that is paused, or gone without a word, costs whoever asks it some seconds of waiting. Those who are on the way pay
//! that once; then the gate is shut and statements fail at once, and every half second one goes through to see whether it answers
//! again. Without it every request of a second would wait, and with them those that need no database.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::DatabaseError;

/// How long a statement may take on a server. More than what the server itself waits for a lock: whoever waits for another
/// writer is told so by the server.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often one goes through a gate that is shut.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// Shut while a server does not answer.
#[derive(Debug)]
pub(super) struct Gate {
    patience: Duration,
    probe_every: Duration,
    origin: Instant,
    /// When the server last answered anything, in milliseconds since `origin`.
    answered: AtomicU64,
    /// When the next one may try, in the same; 0 while the gate is open.
    probe_at: AtomicU64,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self::with(PATIENCE, PROBE_EVERY)
    }

    fn with(patience: Duration, probe_every: Duration) -> Self {
        let [answered, probe_at] = [0, 0].map(AtomicU64::new);
        Self { patience, probe_every, origin: Instant::now(), answered, probe_at }
    }

    /// Before a connection is asked for.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`], at once.
    pub(super) fn enter(&self) -> Result<(), DatabaseError> {
        let probe_at = self.probe_at.load(Ordering::Acquire);
        let now = self.now();
        let next = now + millis(self.probe_every);
        let is_probe = || self.probe_at.compare_exchange(probe_at, next, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if probe_at == 0 || (now >= probe_at && is_probe()) {
            return Ok(());
        }
        Err(DatabaseError::Unavailable("it did not answer a moment ago".to_owned()))
    }

    /// What the server answers, or that it does not. One slow statement does not shut the gate while others are answered, and nor
    /// does a connection that broke: the next one is made at once, or not in time.
    pub(super) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, DatabaseError> {
        let began = self.now();
        match timeout(self.patience, answer).await {
            // No connection in time: the pool is at its bound, or the server takes no connections. It tries again itself.
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => Err(self.unanswered(began)),
            Ok(Err(error)) => {
                let error = DatabaseError::from(error);
                if !matches!(error, DatabaseError::Unavailable(_)) {
                    self.answered();
                }
                Err(error)
            }
            Ok(Ok(answer)) => {
                self.answered();
                Ok(answer)
            }
        }
    }

    fn answered(&self) {
        self.answered.store(self.now(), Ordering::Release);
        // Read first: a store of every statement would be one line of memory for all cores.
        if self.probe_at.load(Ordering::Acquire) != 0 {
            self.probe_at.store(0, Ordering::Release);
        }
    }

    fn unanswered(&self, began: u64) -> DatabaseError {
        if self.answered.load(Ordering::Acquire) > began {
            return DatabaseError::Busy;
        }
        self.probe_at.store(self.now() + millis(self.probe_every), Ordering::Release);
        DatabaseError::Unavailable("it does not answer".to_owned())
    }

    /// Never 0.
    fn now(&self) -> u64 {
        millis(self.origin.elapsed()) + 1
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn who_waits_for_a_server_that_hangs_waits_once_and_then_one_at_a_time_asks() {
        let gate = Gate::with(SHORT, SHORT);
        gate.enter().unwrap();
        let error = gate.in_time(pending::<Result<(), sqlx::Error>>()).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Unavailable(_)), "{error}");
        for _ in 0..3 {
            assert!(matches!(gate.enter(), Err(DatabaseError::Unavailable(_))));
            tokio::time::sleep(2 * SHORT).await;
            gate.enter().unwrap();
        }
        gate.in_time(ready(Ok(()))).await.unwrap();
        gate.enter().unwrap();
        gate.enter().unwrap();
    }

    #[tokio::test]
    async fn a_pool_that_has_no_connection_in_time_is_a_server_that_does_not_answer() {
        let gate = Gate::with(SHORT, Duration::from_secs(60));
        let late = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Err::<(), _>(sqlx::Error::PoolTimedOut)
        };
        assert!(matches!(gate.in_time(late).await, Err(DatabaseError::Unavailable(_))));
        assert!(gate.enter().is_err());
    }

    #[tokio::test]
    async fn one_slow_statement_among_quick_ones_is_only_told_to_be_late() {
        let gate = Gate::with(2 * SHORT, SHORT);
        let slow = gate.in_time(pending::<Result<(), sqlx::Error>>());
        let quick = async {
            tokio::time::sleep(SHORT).await;
            gate.in_time(ready(Ok(()))).await
        };
        let (slow, quick) = tokio::join!(slow, quick);
        quick.unwrap();
        assert!(matches!(slow, Err(DatabaseError::Busy)), "{slow:?}");
        gate.enter().unwrap();
    }

    #[tokio::test]
    async fn what_a_server_refuses_is_an_answer() {
        let gate = Gate::new();
        gate.probe_at.store(u64::MAX, Ordering::Release);
        assert!(gate.enter().is_err());
        gate.in_time(ready(Err::<(), _>(sqlx::Error::RowNotFound))).await.unwrap_err();
        gate.enter().unwrap();
    }
}
