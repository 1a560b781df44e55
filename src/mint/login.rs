//! Tokens that are good for one thing: to log in with (`secrets_manager/access_token`).
//!
//! They say what a secrets token says, under another `typ` (RFC 8725 section 3.11): none of our surfaces takes one for a
//! secrets token, and nobody who verifies ours by RFC 9068. At the login they become a secrets token that says the same and
//! ends when they do: whoever has one has no more by presenting it here, and no longer.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use super::claims::{Claims, TokenKind};
use super::minter::{Unsigned, new_token_id};
use super::{IssuedToken, MintError, Minter, OwnToken};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, Namespace};
use crate::jose::{SigningError, SigningKey};

/// The `typ` of tokens to log in with.
pub const LOGIN_MEDIA_TYPE: &str = "cambio-login+jwt";

/// What a token is to be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// To read secrets with.
    #[default]
    Access,
    /// To log in with, here or at an OpenBao that trusts us.
    Login,
}

impl Usage {
    pub(super) fn sign(self, key: &SigningKey, claims: &[u8]) -> Result<Zeroizing<String>, SigningError> {
        match self {
            Self::Access => key.sign(claims),
            Self::Login => key.sign_as(LOGIN_MEDIA_TYPE, claims),
        }
    }
}

/// A token to log in with, verified and unexpired. Whether it was revoked, or its rule deleted, is not known here. Only
/// [`super::OwnTokens::login`] makes one:
///
/// ```compile_fail,E0423
/// fn forge(token: cambio::mint::OwnToken) -> cambio::mint::LoginToken {
///     cambio::mint::LoginToken(token)
/// }
/// ```
pub struct LoginToken(OwnToken);

impl LoginToken {
    pub(super) fn new(token: OwnToken) -> Self {
        Self(token)
    }

    /// What it says.
    #[must_use]
    pub fn token(&self) -> &OwnToken {
        &self.0
    }
}

impl Minter {
    /// The secrets token of a login: all that `login` says, by another `jti`, and until the same second.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn session(&self, login: &LoginToken, decision: DecisionId, now: Timestamp) -> Result<IssuedToken, MintError> {
        let (token, token_id) = (login.token(), new_token_id()?);
        let expires = token.expires_at();
        self.outlives(expires)?;
        let claims = Claims {
            iss: self.issuer(),
            sub: token.subject(),
            aud: token.target().as_str(),
            exp: expires.as_secs(),
            iat: now.as_secs(),
            jti: &token_id,
            client_id: token.client_id(),
            scope: token.scope(),
            policies: token.policies(),
            namespace: token.namespace().map(Namespace::as_str),
            rule: token.rule(),
            rule_digest: token.rule_digest(),
            policy_digest: token.policy_digest(),
            txn: decision,
            token_type: token.revocable().then_some(TokenKind::Service),
        };
        let unsigned = Unsigned {
            ring: std::sync::Arc::clone(self.ring()),
            usage: Usage::Access,
            claims: serde_json::to_vec(&claims).map_err(|_| MintError::Claims)?,
            token_id: token_id.into_boxed_str(),
            scope: Box::from(token.scope()),
            // In whole seconds, of which the one that has begun counts no more.
            lifetime: Duration::from_secs(expires.since(now).as_secs()),
            expires,
            subject: Box::from(token.subject()),
        };
        unsigned.sign()
    }
}

impl fmt::Debug for LoginToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginToken({:?})", self.0)
    }
}
