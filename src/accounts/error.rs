//! Why nobody acts as an account, and why an account was not changed.

use super::grants::GrantsFault;
use super::token_text::TokenFault;
use crate::jose::NoRandomness;
use crate::state::database::DatabaseError;

/// Why nobody acts as an account. For the operator; what a caller learns is no more than that it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AccountRefusal {
    /// Not the text of a token.
    #[error("the service account's token is malformed: {0}")]
    Malformed(TokenFault),
    /// No such token is on record.
    #[error("no service account has that token")]
    Unknown,
    /// The token is over.
    #[error("the service account's token has expired")]
    Expired,
    /// The token was revoked.
    #[error("the service account's token was revoked")]
    Revoked,
    /// A rotated token came back after its overlap: somebody has kept a copy. All tokens of its family were just revoked.
    #[error("the service account's token was rotated and came back after its overlap: its whole family is revoked now")]
    Reused,
    /// There is no account of that name.
    #[error("the service account does not exist")]
    NoAccount,
    /// The account is switched off.
    #[error("the service account is disabled")]
    Disabled,
    /// The account is over.
    #[error("the service account has expired")]
    AccountExpired,
    /// Nobody has approved it yet.
    #[error("the service account waits for its approval")]
    Pending,
    /// The database cannot be asked.
    #[error("service accounts cannot be looked up now")]
    Unavailable,
}

impl AccountRefusal {
    /// A stable name of the reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "account_token_malformed",
            Self::Unknown => "account_token_unknown",
            Self::Expired => "account_token_expired",
            Self::Revoked => "account_token_revoked",
            Self::Reused => "account_token_reused",
            Self::NoAccount | Self::Disabled | Self::AccountExpired | Self::Pending => "service_account_unavailable",
            Self::Unavailable => "service_accounts_unreachable",
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

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
    /// Whoever asked wants to approve.
    #[error("another person than the one that asked has to approve")]
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
