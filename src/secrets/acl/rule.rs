//! What a policy says about one path. Decides nothing.

use std::time::Duration;

use super::capability::{Capabilities, Capability};
use super::parameters::ParameterRules;
use crate::clock::Timestamp;

/// What one policy grants for one pattern.
#[derive(Debug, Default)]
pub(super) struct Rule {
    pub(super) capabilities: Capabilities,
    /// The last moment at which it counts.
    pub(super) expiration: Option<Timestamp>,
    pub(super) parameters: Option<Box<ParameterRules>>,
    pub(super) wrapping: Wrapping,
}

impl Rule {
    pub(super) const fn denies(&self) -> bool {
        self.capabilities.contains(Capability::Deny)
    }

    /// Whether it counts at `now`. What has expired is as if it were not written, a `deny` too (OpenBao leaves expired
    /// paths out of a policy).
    pub(super) fn counts(&self, now: Timestamp) -> bool {
        self.expiration.is_none_or(|end| now <= end)
    }
}

/// For how long an answer has to be wrapped; zero: not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrapping {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl Wrapping {
    /// The shorter of each, as OpenBao merges them.
    pub(super) fn and(self, other: Self) -> Self {
        let shorter = |a: Duration, b: Duration| if a.is_zero() || (!b.is_zero() && b < a) { b } else { a };
        Self { least: shorter(self.least, other.least), most: shorter(self.most, other.most) }
    }

    /// Whether an answer that is wrapped for `ttl`, or not at all, is as it has to be.
    pub(super) fn allows(self, ttl: Option<Duration>) -> bool {
        let short_enough = self.most.is_zero() || ttl.is_some_and(|ttl| ttl <= self.most);
        let long_enough = self.least.is_zero() || ttl.is_some_and(|ttl| ttl >= self.least);
        short_enough && long_enough
    }
}
