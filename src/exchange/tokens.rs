//! What becomes of an issued token: whether it is still good, and how it ends.

use super::Counter;
use crate::mint::OwnToken;
use crate::state::RevocationError;

impl Counter {
    /// Our own token, if it is good now: signed by a published key, in its times, not revoked, and the rule that granted
    /// it stands unchanged. Deleting or changing a rule ends what it granted.
    #[must_use]
    pub fn introspect(&self, token: &str) -> Option<OwnToken> {
        let token = self.own(token)?;
        let standing = self.rules().policies.rule_is_current(token.audience(), token.rule(), token.rule_digest());
        standing.then_some(token)
    }

    /// Ends one of our tokens before its time. A token that is not ours, or no longer good, needs no ending.
    ///
    /// # Errors
    /// [`RevocationError`] where the revocation could not be recorded: the token is still good.
    pub async fn revoke(&self, token: &str) -> Result<(), RevocationError> {
        match self.own(token) {
            Some(token) => self.revocations().revoke(token.jti(), token.expires(), self.clock().now()).await,
            None => Ok(()),
        }
    }

    fn own(&self, token: &str) -> Option<OwnToken> {
        let now = self.clock().now();
        let token = self.minter().read_own(token, now).ok()?;
        (!self.revocations().is_revoked(token.jti())).then_some(token)
    }
}
