//! Why a token was refused: one precise reason for the operator, none of them for the caller.

use crate::jose::CompactError;

/// Why a token was refused. Names claims and checks, never values: it goes to the audit record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not one well-formed signed token.
    #[error("{0}")]
    Malformed(#[from] CompactError),
    /// No `iss` (and no SPIFFE id) that is a string of at most 512 bytes.
    #[error("the token claims no issuer: `iss` must be one string")]
    NoIssuer,
    /// `typ` is one that the declared type, or the issuer, does not allow (RFC 8725 section 3.11).
    #[error("the header's `typ` is not accepted for what the token was declared as")]
    MediaType,
    /// Header members beyond `alg`, `kid` and `typ` (JWT-SVID section 2).
    #[error("the header has members that this platform's tokens must not have")]
    OpenHeader,
    /// The header's algorithm is not accepted from this issuer (RFC 8725 section 3.1).
    #[error("the algorithm is not accepted from this issuer")]
    Algorithm,
    /// No key of that `kid` is published.
    #[error("no published key has the token's `kid`")]
    UnknownKey,
    /// Keys of that `kid` are published, for other algorithms only.
    #[error("the published key of the token's `kid` is for another algorithm")]
    KeyForAnotherAlgorithm,
    /// The signature is not that of any key that may have made it.
    #[error("the signature does not verify")]
    Signature,
    /// `iss` is not byte for byte the trusted issuer's.
    #[error("`iss` is not the trusted issuer's")]
    Issuer,
    /// The SPIFFE id's trust domain is not the issuer's.
    #[error("`sub` is not a SPIFFE id of the issuer's trust domain")]
    TrustDomain,
    /// `aud` is absent, empty, or neither a string nor a list of strings (RFC 7519 section 4.1.3).
    #[error("`aud` is absent, empty, or not a string or list of strings")]
    NoAudience,
    /// None of the configured audiences is in `aud`.
    #[error("`aud` holds none of the audiences that are accepted from this issuer")]
    Audience,
    /// `aud` names others beside us, who could replay the token here.
    #[error("`aud` holds more than one audience, and the issuer's audience rule is `single`")]
    SeveralAudiences,
    /// `aud` names the platform's own API.
    #[error("`aud` holds the platform's own audience: the token was issued for its API")]
    PlatformAudience,
    /// A time claim that is not a non-negative number (RFC 7519 section 2), or a missing `exp`.
    #[error("`{0}` is missing or not a non-negative number")]
    Time(&'static str),
    /// `exp` has passed.
    #[error("the token expired {0} s ago")]
    Expired(u64),
    /// `nbf` is ahead.
    #[error("the token is valid only in {0} s (`nbf`)")]
    NotYetValid(u64),
    /// `iat` is ahead.
    #[error("the token was issued {0} s in the future (`iat`)")]
    IssuedInFuture(u64),
    /// The token lives longer than its issuer's tokens may.
    #[error("the token's lifetime is {0} s, at most {1} s are accepted from this issuer")]
    LongLived(u64, u64),
    /// `sub` is not a string of 1 to 1024 bytes without control characters.
    #[error("`sub` is not a string of 1 to 1024 bytes without control characters")]
    Subject,
    /// `jti` is there and not a string of 1 to 256 bytes.
    #[error("`jti` is not a string of 1 to 256 bytes")]
    TokenId,
    /// A claim that the platform's tokens always have is missing or null.
    #[error("the required claim `{0}` is missing or null")]
    MissingClaim(String),
    /// A claim that marks tokens for another purpose is there.
    #[error("the claim `{0}` marks a token that is not for exchange")]
    RefusedClaim(String),
    /// A member that is not known, in an object where an unknown member may change the token's meaning.
    #[error("`{0}` has a member that is not known")]
    OpenObject(String),
}

impl Refusal {
    /// A stable name of the reason, for audit records, metrics and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "token_malformed",
            Self::NoIssuer => "issuer_missing",
            Self::MediaType => "type_refused",
            Self::OpenHeader => "header_refused",
            Self::Algorithm | Self::KeyForAnotherAlgorithm => "algorithm_refused",
            Self::UnknownKey => "key_unknown",
            Self::Signature => "signature_invalid",
            Self::Issuer | Self::TrustDomain => "issuer_mismatch",
            Self::NoAudience => "audience_missing",
            Self::Audience => "audience_mismatch",
            Self::SeveralAudiences => "audience_not_single",
            Self::PlatformAudience => "audience_of_platform",
            Self::Time(_) => "time_malformed",
            Self::Expired(_) => "token_expired",
            Self::NotYetValid(_) => "token_not_yet_valid",
            Self::IssuedInFuture(_) => "token_issued_in_future",
            Self::LongLived(..) => "token_long_lived",
            Self::Subject => "subject_malformed",
            Self::TokenId => "token_id_malformed",
            Self::MissingClaim(_) => "claim_missing",
            Self::RefusedClaim(_) => "claim_refused",
            Self::OpenObject(_) => "claim_unknown_member",
        }
    }
}
