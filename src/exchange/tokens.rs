//! What becomes of an issued token: whether it is still good, and how it ends.

use std::sync::Arc;

use super::Counter;
use crate::accounts::AccountToken;
use crate::clock::Timestamp;
use crate::mint::{AccessorClaims, OwnToken};
use crate::state::RevocationError;

/// Why a revocation was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The store of revocations did not take it.
    #[error(transparent)]
    NotKept(#[from] RevocationError),
    /// The database of service accounts did not take it.
    #[error("service accounts cannot be reached now")]
    Accounts,
}

impl Counter {
    /// Our own token, if it is good now: see [`Counter::bearer`]. The token of a service account is none of these.
    pub async fn introspect(&self, token: &str) -> Option<Arc<OwnToken>> {
        self.standing_token(token).await.ok()
    }

    /// Ends one of our tokens before its time, one to log in with as well (what was made of that goes on), or the token of a
    /// service account. A token that is not ours, or no longer good, needs no ending.
    ///
    /// # Errors
    /// [`RevokeError`] where the revocation could not be recorded: the token is still good.
    pub async fn revoke(&self, token: &str) -> Result<(), RevokeError> {
        if AccountToken::is_meant(token.as_bytes()) {
            return self.revoke_account_token(token).await;
        }
        // Also where this replica is blind and calls no token good: it may reach the database again by now.
        if let Ok(token) = self.own_tokens().verify(token, self.clock().now()) {
            return self.revoke_by_id(token.jti(), token.expires_at()).await;
        }
        match self.own_tokens().login(token, self.clock().now()) {
            Ok(login) => self.revoke_by_id(login.token().jti(), login.token().expires_at()).await,
            Err(_) => Ok(()),
        }
    }

    /// Ends a token by its `jti`, which expires then.
    ///
    /// # Errors
    /// As [`Counter::revoke`].
    pub async fn revoke_by_id(&self, token_id: &str, expires: Timestamp) -> Result<(), RevokeError> {
        Ok(self.revocations().revoke(token_id, expires, self.clock().now()).await?)
    }

    /// Whether this replica has not heard of revocations for so long that it holds no token for good
    /// ([`BLIND_AFTER`](crate::state::BLIND_AFTER)): who is refused for this may try again later.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.revocations().is_blind(self.clock().now())
    }

    /// The accessor of one of our tokens; `None` where it cannot be signed.
    #[must_use]
    pub fn accessor(&self, token: &OwnToken) -> Option<String> {
        self.minter().accessor(token).ok()
    }

    /// The token that an accessor names, if it is good now, as far as can be told without it.
    #[must_use]
    pub fn token_of(&self, accessor: &str) -> Option<AccessorClaims> {
        let claims = self.own_tokens().accessor(accessor).ok()?;
        let now = self.clock().now();
        let good = claims.expires_at() > now && !self.revocations().is_revoked(claims.jti(), now);
        good.then_some(claims)
    }

    /// Whoever has it may end it.
    async fn revoke_account_token(&self, token: &str) -> Result<(), RevokeError> {
        let Some(accounts) = self.accounts() else { return Ok(()) };
        let now = self.clock().now();
        match accounts.authenticate(token, now).await {
            Ok(acting) => match acting.token_id() {
                Some(id) => accounts.revoke(id, now).await.map(drop).map_err(|_| RevokeError::Accounts),
                None => Ok(()),
            },
            Err(refusal) if refusal.may_pass() => Err(RevokeError::Accounts),
            Err(_) => Ok(()),
        }
    }
}
