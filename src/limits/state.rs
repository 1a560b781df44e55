//! What a caller may know of a budget, and why it is refused.

use std::time::Duration;

use super::key::{Budget, Key};
use crate::clock::Timestamp;
use crate::state::counters::BucketAnswer;

/// How a budget stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Its name: `source`, `subject`, `issuer`, `target` or `failures`.
    pub name: &'static str,
    /// How many requests it has room for.
    pub limit: u64,
    /// How many of them are taken, with this one; one more than the limit where this one had no room.
    pub observed: u64,
    /// How many may still come at once.
    pub remaining: u64,
    /// When it is all there again, if nothing comes.
    pub reset: Timestamp,
    /// How long to wait for room for one; zero where there is some.
    pub retry_after: Duration,
}

impl State {
    pub(super) fn of(budget: Budget, limit: u64, answer: &BucketAnswer, now: Timestamp) -> Self {
        let observed = limit.saturating_sub(answer.remaining);
        Self {
            name: budget.name(),
            limit,
            observed: if answer.allowed { observed } else { observed.saturating_add(1) },
            remaining: answer.remaining,
            reset: now.plus(answer.reset),
            retry_after: answer.retry_after,
        }
    }

    /// The one of both that has the smaller part left.
    pub(super) fn tighter(self, other: Self) -> Self {
        let part = |own: &Self, other: &Self| u128::from(own.remaining) * u128::from(other.limit);
        if part(&other, &self) < part(&self, &other) { other } else { self }
    }
}

/// A request for which there is no room.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the budget `{}` of {} in all is empty; there is room in {} ms", .state.name, .state.limit, .state.retry_after.as_millis())]
pub struct Limited {
    pub(super) key: Key,
    /// How the budget stands.
    pub state: State,
}

impl Limited {
    /// A stable name of the reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.key.budget.reason()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tighter_budget_is_the_one_with_the_smaller_part_left() {
        let state = |name, limit, remaining| State {
            name,
            limit,
            observed: limit - remaining,
            remaining,
            reset: Timestamp::from_secs(0),
            retry_after: Duration::ZERO,
        };
        let (wide, narrow) = (state("source", 1000, 500), state("subject", 10, 6));
        assert_eq!(wide.tighter(narrow).name, "source");
        assert_eq!(narrow.tighter(wide).name, "source");
        assert_eq!(wide.tighter(state("subject", 10, 5)).name, "source");
    }
}
