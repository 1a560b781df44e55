//! What becomes of an issued token: whether it is still good, and how it ends.

use std::sync::Arc;

use super::Counter;
use crate::clock::Timestamp;
use crate::mint::{AccessorClaims, OwnToken};
use crate::state::RevocationError;

/// Why a revocation was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The store of revocations did not take it.
    #[error(transparent)]
    NotKept(#[from] RevocationError),
}

impl Counter {
    /// Our own token, if it is good now: signed by a published key, in its times, not revoked, and the rule that granted
    /// it stands unchanged. Deleting or changing a rule ends what it granted.
    #[must_use]
    pub fn introspect(&self, token: &str) -> Option<Arc<OwnToken>> {
        let token = self.own(token)?;
        let standing =
            self.rules().policies.rule_is_current(token.target().as_str(), token.rule(), token.rule_digest());
        standing.then_some(token)
    }

    /// Ends one of our tokens before its time, one to log in with as well: what was made of that goes on. A token that is not ours, or no longer good, needs no ending.
    ///
    /// # Errors
    /// [`RevokeError`] where the revocation could not be recorded: the token is still good.
    pub async fn revoke(&self, token: &str) -> Result<(), RevokeError> {
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

    fn own(&self, token: &str) -> Option<Arc<OwnToken>> {
        let now = self.clock().now();
        let token = self.own_tokens().verify(token, now).ok()?;
        (!self.revocations().is_revoked(token.jti(), now)).then_some(token)
    }
}
