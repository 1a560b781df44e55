//! Why nobody acts as an account: the precise reason for the record.

use super::token_text::TokenFault;

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
