//! What becomes of an issued token: whether it is still good, and how it ends.

use std::sync::Arc;

use super::Counter;
use crate::clock::Timestamp;
use crate::mint::{AccessorClaims, OwnToken};
use crate::state::StateError;

/// Why a revocation was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The journal of revocations did not take it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The server is going down.
    #[error("the revocation was cut off")]
    CutOff,
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
        if let Some(token) = self.own(token) {
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
        // The journal is on a disk, which may be slow: no worker of the runtime waits for it.
        let (revocations, now, token_id) = (Arc::clone(self.revocations()), self.clock().now(), token_id.to_owned());
        let revoked = move || revocations.revoke(&token_id, expires, now);
        Ok(tokio::task::spawn_blocking(revoked).await.map_err(|_| RevokeError::CutOff)??)
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
        let good = claims.expires_at() > self.clock().now() && !self.revocations().is_revoked(claims.jti());
        good.then_some(claims)
    }

    fn own(&self, token: &str) -> Option<Arc<OwnToken>> {
        let now = self.clock().now();
        let token = self.own_tokens().verify(token, now).ok()?;
        (!self.revocations().is_revoked(token.jti())).then_some(token)
    }
}
