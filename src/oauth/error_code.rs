//! The error codes of RFC 6749 section 5.2 and RFC 8693 section 2.2.2, and of RFC 6749 section 4.1.2.1 for answers of ours
//! that are no fault of the caller's.

/// What a caller learns when a request fails: the registered code, never the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Malformed request, or (RFC 8693 section 2.2.2) a subject token that is invalid or not acceptable.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// An assertion (RFC 7523 section 3.1) that is invalid or not acceptable.
    InvalidGrant,
    /// A grant type that is not offered.
    UnsupportedGrantType,
    /// A scope that is not available to the caller.
    InvalidScope,
    /// An unknown or forbidden `audience` or `resource` (RFC 8693 section 2.2.2, RFC 8707 section 2).
    InvalidTarget,
    /// cambio cannot decide right now: keys, replay memory or audit are out of reach. Nothing was granted.
    TemporarilyUnavailable,
    /// A fault of cambio's own.
    ServerError,
}

impl ErrorCode {
    /// The registered text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}
