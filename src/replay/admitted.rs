//! The step from a permit to an admitted one.

use super::guard::AdmitInput;
use super::{ReplayError, ReplayGuard};
use crate::clock::Timestamp;
use crate::policy::Permit;

/// A permit whose token was admitted: once, or freely, as its issuer says. Only [`ReplayGuard::admit_permit`] makes one,
/// and only one can be minted from. What was made of the permit beforehand travels in it, so that what is admitted and
/// what is minted cannot be mixed up.
///
/// ```compile_fail,E0451
/// fn skip(draft: cambio::mint::Draft) -> cambio::replay::AdmittedPermit<cambio::mint::Draft> {
///     cambio::replay::AdmittedPermit { carrier: draft }
/// }
/// ```
#[derive(Debug)]
#[must_use = "an admitted permit that nobody mints from has burnt its token for nothing"]
pub struct AdmittedPermit<D: AsRef<Permit>> {
    carrier: D,
}

impl<D: AsRef<Permit>> AdmittedPermit<D> {
    /// The permit.
    pub fn permit(&self) -> &Permit {
        self.carrier.as_ref()
    }

    /// What carried the permit, for minting: the proof is used up.
    pub(crate) fn into_carrier(self) -> D {
        self.carrier
    }
}

impl ReplayGuard {
    /// Admits the token of the permit that `carrier` holds, by its issuer's rule. Asked after the decision, so that a
    /// denial burns nothing, and after everything that minting could stumble over. Waits only where replicas share a memory.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn admit_permit<D: AsRef<Permit>>(
        &self,
        carrier: D,
        now: Timestamp,
    ) -> Result<AdmittedPermit<D>, ReplayError> {
        let permit = carrier.as_ref();
        let token = permit.token();
        let issuer = token.trusted_issuer();
        self.admit(&AdmitInput {
            rule: issuer.replay(),
            issuer: issuer.name(),
            target: permit.target(),
            token_id: token.token_id(),
            token_digest: token.signed_digest(),
            // No token is accepted earlier than it says, nor any that lives longer than its issuer's may.
            earliest: token.issued().unwrap_or_else(|| token.expires().minus(issuer.max_token_lifetime())),
            expires: token.expires(),
            now,
        })
        .await?;
        Ok(AdmittedPermit { carrier })
    }
}
