//! Why an exchange stopped: the precise reason for the audit record, the class for the caller.

use std::time::Duration;

use super::RefusedClass;
use crate::audit::AuditUnavailable;
use crate::limits::Limited;
use crate::mint::MintError;
use crate::policy::{Denial, Reason};
use crate::replay::ReplayError;
use crate::secrets::openbao::UpstreamError;
use crate::trust::{KeysUnavailable, ReviewFault, Untrusted};
use crate::verify::Refusal;

/// How long a caller should wait before it tries again when cambio cannot decide.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why an exchange stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// The surface could not read the request; both words are the surface's own.
    #[error("{detail}")]
    Malformed {
        /// A stable name.
        code: &'static str,
        /// What is wrong with it, without a word of what was sent.
        detail: String,
    },
    /// There is no room for it in a budget.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// The token is not good.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No trusted issuer goes with the token.
    #[error(transparent)]
    Issuer(#[from] Untrusted),
    /// The issuer's keys are not to be had.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    /// The token's cluster does not take it any more, or cannot be asked.
    #[error(transparent)]
    Review(#[from] ReviewFault),
    /// There is not one target that was asked for.
    #[error(transparent)]
    Target(#[from] TargetFault),
    /// The policy denies.
    #[error("{}", .0.reason())]
    Denied(Denial),
    /// Nothing of the scope that was asked for is granted.
    #[error("none of the scope words that were asked for is granted")]
    Scope,
    /// The token was presented before, or nobody can tell.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// Nothing could be minted.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The OpenBao that the token is for does not take it.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// What is decided could not be recorded, so nothing is decided.
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
}

/// Why there is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetFault {
    /// None was asked for.
    #[error("no target was asked for, and there is no default")]
    Missing,
    /// None goes by that name.
    #[error("there is no target of the name that was asked for")]
    Unknown,
    /// `audience` and `resource` select different ones.
    #[error("more than one target was asked for")]
    Several,
}

impl Stop {
    /// A stable name of the reason.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Malformed { code, .. } => code,
            Self::Limited(limited) => limited.reason(),
            Self::Refused(refusal) => refusal.code(),
            Self::Issuer(Untrusted::UnknownIssuer) => "issuer_unknown",
            Self::Issuer(Untrusted::Ambiguous) => "issuer_ambiguous",
            Self::Issuer(Untrusted::NameMismatch) => "issuer_not_the_named",
            Self::Keys(_) => "keys_unavailable",
            Self::Review(ReviewFault::Gone) => "token_gone",
            Self::Review(ReviewFault::Mismatch) => "token_review_mismatch",
            Self::Review(_) => "token_review_unavailable",
            Self::Target(TargetFault::Missing) => "target_missing",
            Self::Target(TargetFault::Unknown) => "target_unknown",
            Self::Target(TargetFault::Several) => "target_several",
            Self::Denied(denial) => denial.reason_code(),
            Self::Scope => "scope_not_granted",
            Self::Replay(ReplayError::Replayed) => "token_replayed",
            Self::Replay(_) => "replay_memory_unavailable",
            Self::Mint(MintError::Lifetime(_)) => "token_expires_too_soon",
            Self::Mint(MintError::TooLong(_)) => "claims_too_long",
            Self::Mint(_) => "mint_failed",
            Self::Upstream(error) => error.code(),
            Self::Audit(_) => "audit_unavailable",
        }
    }

    /// What the caller learns.
    pub(super) fn class(&self) -> RefusedClass {
        match self {
            Self::Malformed { .. } => RefusedClass::Request,
            Self::Limited(limited) => RefusedClass::TooMany(limited.state),
            // Unknown and forbidden look alike: whoever has any good token could list the targets otherwise.
            Self::Denied(denial) if matches!(denial.reason(), Reason::NoRuleForIssuer) => RefusedClass::Target,
            Self::Target(_) => RefusedClass::Target,
            Self::Refused(_) | Self::Issuer(_) | Self::Denied(_) => RefusedClass::Token,
            Self::Scope => RefusedClass::Scope,
            Self::Upstream(error) => match error.retry_after() {
                None => RefusedClass::Token,
                Some((_, wait)) => RefusedClass::Unavailable(wait.unwrap_or(RETRY_AFTER)),
            },
            Self::Review(ReviewFault::Gone | ReviewFault::Mismatch) => RefusedClass::Token,
            Self::Keys(_) | Self::Audit(_) | Self::Review(_) => RefusedClass::Unavailable(RETRY_AFTER),
            Self::Replay(ReplayError::Replayed) => RefusedClass::Token,
            Self::Replay(_) => RefusedClass::Unavailable(RETRY_AFTER),
            Self::Mint(MintError::Lifetime(_) | MintError::TooLong(_)) => RefusedClass::Token,
            Self::Mint(_) => RefusedClass::Fault,
        }
    }
}
