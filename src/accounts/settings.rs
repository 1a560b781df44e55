//! What the operator says about all service accounts.

use std::time::Duration;

use serde::Deserialize;

use crate::clock::Span;

/// The bounds of service accounts and their tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    /// The longest that an account may live from the moment at which its end is set. Default, and most, 365 days.
    pub max_lifetime: Span,
    /// The longest that a token may live. Default 90 days.
    pub max_token_lifetime: Span,
    /// The longest that a token stays good beside the one that took its place. Default 24 h; a rotation that says nothing
    /// takes an hour, or this where it is less.
    pub max_overlap: Span,
    /// Whether a second person has to approve new accounts and wider permissions.
    pub approval: Approval,
}

/// Who approves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Whoever may manage accounts decides alone.
    #[default]
    None,
    /// Another subject than the one that asked.
    SecondPerson,
}

const DAY: u64 = 24 * 60 * 60;
const UNSAID_OVERLAP: Duration = Duration::from_secs(60 * 60);

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            max_lifetime: Span::from_secs(365 * DAY),
            max_token_lifetime: Span::from_secs(90 * DAY),
            max_overlap: Span::from_secs(DAY),
            approval: Approval::None,
        }
    }
}

impl AccountSettings {
    /// The overlap of a rotation that says nothing of it.
    pub(super) fn overlap(&self) -> Duration {
        UNSAID_OVERLAP.min(self.max_overlap.duration())
    }
}
