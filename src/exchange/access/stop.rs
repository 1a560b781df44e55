//! Why a request for a secret stopped: the precise reason for the record, the class for the caller.

use std::time::Duration;

use super::NotServedClass;
use crate::audit::AuditUnavailable;
use crate::exchange::bearer::NotGood;
use crate::exchange::upstream_tokens::NotMinted;
use crate::limits::Limited;
use crate::secrets::openbao::UpstreamError;
use crate::secrets::{ApiFault, KvError};

/// How long a caller should wait before it tries again when a store is not available.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a request stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error(transparent)]
    Limited(#[from] Limited),
    #[error(transparent)]
    Token(#[from] NotGood),
    #[error("no token can be minted for the service account: {0}")]
    Minting(#[from] NotMinted),
    #[error("the token is for the administration, and goes to no OpenBao")]
    Administrators,
    #[error("the path is in another namespace than the token")]
    Namespace,
    #[error("no project or group has that id")]
    Unknown,
    #[error("no mount has that path")]
    NoMount,
    #[error("{0}")]
    NotAllowed(String),
    #[error(transparent)]
    Api(#[from] ApiFault),
    #[error(transparent)]
    Kv(#[from] KvError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
}

impl Stop {
    /// A stable name of the reason.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Limited(limited) => limited.reason(),
            Self::Token(not_good) => not_good.code(),
            Self::Minting(_) => "mint_failed",
            Self::Administrators => "token_for_administrators",
            Self::Namespace => "namespace_not_the_tokens",
            Self::Unknown => "place_unknown",
            Self::NoMount => "mount_unknown",
            Self::NotAllowed(_) => "acl_denied",
            Self::Api(_) => "call_malformed",
            Self::Kv(KvError::NotFound) => "secret_missing",
            Self::Kv(KvError::CasMismatch | KvError::CasRequired) => "secret_changed",
            Self::Kv(KvError::Invalid(_)) => "call_malformed",
            Self::Kv(KvError::Unsupported) => "operation_unsupported",
            Self::Kv(KvError::Refused(_)) => "store_refused",
            Self::Kv(KvError::Unavailable(_)) => "store_unavailable",
            Self::Kv(KvError::Damaged(_)) => "store_damaged",
            Self::Upstream(error) => error.code(),
            Self::Audit(_) => "audit_unavailable",
        }
    }

    /// What the caller learns.
    pub(super) fn class(&self, reads: bool) -> NotServedClass {
        let refused = || if reads { NotServedClass::NotThere } else { NotServedClass::Denied };
        match self {
            Self::Limited(limited) => NotServedClass::TooMany(limited.state),
            Self::Token(not_good) if not_good.may_pass() => NotServedClass::Unavailable(RETRY_AFTER),
            Self::Token(_) => NotServedClass::Token,
            // As any path of an OpenBao that the caller cannot reach.
            Self::Minting(_) | Self::Administrators => refused(),
            Self::Namespace | Self::Unknown | Self::NoMount | Self::NotAllowed(_) => refused(),
            Self::Api(ApiFault::Path) => NotServedClass::UnsupportedPath,
            Self::Api(ApiFault::Operation) => NotServedClass::UnsupportedOperation,
            Self::Api(fault) => NotServedClass::Request(fault.to_string()),
            Self::Kv(error) => match error {
                KvError::NotFound => NotServedClass::NotThere,
                KvError::CasMismatch | KvError::CasRequired | KvError::Invalid(_) => {
                    NotServedClass::Request(error.to_string())
                }
                KvError::Unsupported => NotServedClass::UnsupportedOperation,
                KvError::Refused(_) => refused(),
                KvError::Unavailable(_) => NotServedClass::Unavailable(RETRY_AFTER),
                KvError::Damaged(_) => NotServedClass::Fault,
            },
            Self::Upstream(error) => match error.retry_after() {
                None => refused(),
                Some((true, wait)) => NotServedClass::UpstreamBusy(wait.unwrap_or(RETRY_AFTER)),
                Some((false, wait)) => NotServedClass::Unavailable(wait.unwrap_or(RETRY_AFTER)),
            },
            Self::Audit(_) => NotServedClass::Unavailable(RETRY_AFTER),
        }
    }
}
