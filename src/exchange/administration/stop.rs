//! Why an administrator's action is not allowed: the precise reason for the record, the class for the caller.

use super::NotPermittedClass;
use crate::audit::AuditUnavailable;
use crate::exchange::bearer::NotGood;
use crate::limits::Limited;

/// Why an action is not allowed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error(transparent)]
    Limited(#[from] Limited),
    #[error(transparent)]
    Token(#[from] NotGood),
    #[error("the token is for another target than that of the administration")]
    Target,
    #[error("the service account is in another namespace than the target of the administration")]
    Namespace,
    #[error("the policies have no such target as the administration's")]
    NoTarget,
    #[error("{0}")]
    NotAllowed(String),
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
}

impl Stop {
    /// A stable name of the reason.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Limited(limited) => limited.reason(),
            Self::Token(not_good) => not_good.code(),
            Self::Target => "admin_target",
            Self::Namespace => "admin_namespace",
            Self::NoTarget => "admin_target_missing",
            Self::NotAllowed(_) => "acl_denied",
            Self::Audit(_) => "audit_unavailable",
        }
    }

    /// What the caller learns.
    pub(super) fn class(&self) -> NotPermittedClass {
        match self {
            Self::Limited(limited) => NotPermittedClass::TooMany(limited.state),
            Self::Token(not_good) if not_good.may_pass() => NotPermittedClass::Unavailable,
            Self::Token(_) => NotPermittedClass::Token,
            Self::Target | Self::Namespace | Self::NotAllowed(_) => NotPermittedClass::Forbidden,
            Self::NoTarget | Self::Audit(_) => NotPermittedClass::Unavailable,
        }
    }
}
