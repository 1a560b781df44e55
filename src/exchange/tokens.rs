//! What becomes of an issued token: whether it is still good.

use std::sync::Arc;

use super::Counter;
use crate::mint::{AccessorClaims, OwnToken};

impl Counter {
    /// Our own token, if it is good now: see [`Counter::bearer`]. The token of a service account is none of these.
    pub async fn introspect(&self, token: &str) -> Option<Arc<OwnToken>> {
        self.standing_token(token).await.ok()
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
}
