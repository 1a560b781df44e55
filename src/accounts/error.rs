//! Why an account, or a token of one, was not changed.

use super::grants::GrantsFault;
use super::refusal::AccountRefusal;
use crate::jose::NoRandomness;
use crate::state::database::DatabaseError;

/// Why an account, or a token of one, was not changed. For whoever manages accounts.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// No account, or no token, has that id.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The namespace has an account of that name.
    #[error("the namespace has a service account of that name already")]
    NameTaken,
    /// A value outside its bounds.
    #[error("`{field}`: {why}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What it should be.
        why: String,
    },
    /// Somebody else changed the account meanwhile: look at it again.
    #[error("the service account was changed meanwhile")]
    Changed,
    /// The token was rotated before, or by somebody else at this moment.
    #[error("the token was rotated already; its successor is `{0}`")]
    Rotated(String),
    /// A token that is over or revoked, or whose account is not in order, cannot be rotated, and none can be made.
    #[error("{0}")]
    NotGood(#[from] AccountRefusal),
    /// Too many tokens of one account are good at a time.
    #[error("the account has {0} tokens that are good, and no more are allowed: revoke one")]
    TooManyTokens(u64),
    /// There is nothing to approve.
    #[error("nothing waits for approval")]
    NothingPending,
    /// Somebody who asked wants to approve.
    #[error("another person than those that asked has to approve")]
    SamePerson,
    /// Grants outside their bounds.
    #[error("`permissions`: {0}")]
    Grants(#[from] GrantsFault),
    /// No id, no token.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl AccountError {
    /// A stable name of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::NameTaken => "name_taken",
            Self::Invalid { .. } | Self::Grants(_) => "invalid",
            Self::Changed => "changed_meanwhile",
            Self::Rotated(_) => "already_rotated",
            Self::NotGood(refusal) => refusal.code(),
            Self::TooManyTokens(_) => "too_many_tokens",
            Self::NothingPending => "nothing_pending",
            Self::SamePerson => "same_person",
            Self::Randomness(_) => "no_randomness",
            Self::Database(_) => "database",
        }
    }

    pub(super) fn invalid(field: &'static str, why: impl ToString) -> Self {
        Self::Invalid { field, why: why.to_string() }
    }
}
