//! What a request has been told by the budgets so far.

use std::net::IpAddr;
use std::time::Duration;

use super::key::Key;
use super::state::State;

/// One request on its way past the budgets.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    pub(super) source: Key,
    tightest: Option<State>,
}

impl Passage {
    /// Of a request that comes from there.
    #[must_use]
    pub fn from(source: IpAddr) -> Self {
        Self { source: Key::source(source), tightest: None }
    }

    /// The budget that has the smallest part left, of those that were asked; none where none was.
    #[must_use]
    pub fn tightest(&self) -> Option<State> {
        self.tightest
    }

    /// Goes on past a budget that had no room: there is nothing to wait for.
    pub(super) fn let_on(&mut self) {
        if let Some(state) = &mut self.tightest {
            state.observed = state.observed.min(state.limit);
            state.retry_after = Duration::ZERO;
        }
    }

    pub(super) fn told(&mut self, state: State) {
        self.tightest = Some(self.tightest.map_or(state, |known| known.tighter(state)));
    }
}
