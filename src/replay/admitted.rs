//! The step from a permit to an admitted one.

use super::guard::AdmitInput;
use super::{ReplayError, ReplayGuard};
use crate::clock::Timestamp;
use crate::policy::Permit;

/// A permit whose token was admitted: once, or freely, as its issuer says. Only [`ReplayGuard::admit_permit`] makes one,
/// and only one can be minted from.
///
/// ```compile_fail
/// fn skip(permit: cambio::policy::Permit) -> cambio::replay::AdmittedPermit {
///     cambio::replay::AdmittedPermit { permit }
/// }
/// ```
#[derive(Debug)]
#[must_use = "an admitted permit that nobody mints from has burnt its token for nothing"]
pub struct AdmittedPermit {
    permit: Permit,
}

impl AdmittedPermit {
    /// The permit.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}

impl ReplayGuard {
    /// Admits the token of a permit by its issuer's rule. Asked after the decision, so that a denial burns nothing.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn admit_permit(&self, permit: Permit, now: Timestamp) -> Result<AdmittedPermit, ReplayError> {
        let token = permit.token();
        let issuer = token.trusted_issuer();
        self.admit(&AdmitInput {
            rule: issuer.replay(),
            issuer: issuer.name(),
            target: permit.target(),
            token_id: token.token_id(),
            token_digest: token.digest(),
            expires: token.expires(),
            now,
        })?;
        Ok(AdmittedPermit { permit })
    }
}
