//! The proof that a token was minted, and the token.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::jose::{Sha256, sha256};

/// A minted secrets token. Only [`super::Minter`] makes one; it cannot be copied, prints no secret, and is zeroed when
/// dropped.
///
/// ```compile_fail
/// fn twice(token: cambio::mint::IssuedToken) -> (cambio::mint::IssuedToken, cambio::mint::IssuedToken) {
///     (token.clone(), token)
/// }
/// ```
pub struct IssuedToken {
    pub(super) token: Zeroizing<String>,
    pub(super) token_id: Box<str>,
    pub(super) scope: Box<str>,
    pub(super) lifetime: Duration,
    pub(super) expires: Timestamp,
    pub(super) subject: Box<str>,
}

impl IssuedToken {
    /// The token itself: for the answer to its caller, and for nothing else.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The lifetime, in whole seconds (RFC 6749 section 5.1, `expires_in`).
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        self.lifetime
    }

    /// The `exp`.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires
    }

    /// The `jti`: 128 random bits in base64url.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.token_id
    }

    /// The `sub`: the issuer's name, `:`, and the subject that it vouched for.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The granted scope, space-delimited; empty for none.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// SHA-256 of the token, computed when asked for.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        sha256(self.token.as_bytes())
    }
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuedToken({} until {}, [redacted])", self.token_id, self.expires)
    }
}
