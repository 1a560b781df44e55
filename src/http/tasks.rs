//! The tasks of one listener: connections, and the streams of those that speak HTTP/2. Knows them so that it can end them.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long tasks may take to notice that they were cut off: as long as the longest stretch without an await.
const CUT_PATIENCE: Duration = Duration::from_secs(5);

/// A set of tasks. Clones are the same set.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    running: JoinSet<()>,
    closed: bool,
}

impl Tasks {
    /// Runs `task` beside the others; not at all if they were cut off.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        // Those that ended, well or by a panic, hold memory until somebody has looked at them.
        while state.running.try_join_next().is_some() {}
        if !state.closed {
            state.running.spawn(task);
        }
    }

    /// Waits until all have ended, at most for `grace`; then cuts off those that are left, and waits until they are gone.
    /// What was cut off does nothing any more: it neither mints nor records after what it does that with is closed.
    pub(super) async fn end(self, grace: Duration) {
        if timeout(grace, self.all_ended()).await.is_ok() {
            return;
        }
        {
            let mut state = self.state();
            state.closed = true;
            state.running.abort_all();
            tracing::warn!(
                tasks = state.running.len(),
                "requests did not finish within the grace period and are cut off"
            );
        }
        if timeout(CUT_PATIENCE, self.all_ended()).await.is_err() {
            tracing::error!("requests that were cut off have not ended");
        }
    }

    async fn all_ended(&self) {
        while poll_fn(|cx| self.state().running.poll_join_next(cx)).await.is_some() {}
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}
