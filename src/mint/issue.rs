//! The last step of the chain: an admitted permit becomes a token.

use std::time::Duration;

use super::minter::MintInput;
use super::{IssuedToken, LifetimeInput, MintError, Minter};
use crate::clock::Timestamp;
use crate::identity::DecisionId;
use crate::jose::Sha256;
use crate::oauth::Scope;
use crate::replay::AdmittedPermit;

/// What a token depends on beside its permit.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The granted scope.
    pub scope: &'a Scope,
    /// The lifetime that was asked for.
    pub lifetime: Option<Duration>,
    /// The decision that this is.
    pub decision: DecisionId,
    /// The digest of the policy set that decided.
    pub policy_digest: Sha256,
}

impl Minter {
    /// Mints the token of an admitted permit, and of nothing else. Writes nothing anywhere.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn issue(&self, admitted: &AdmittedPermit, wish: Wish<'_>, now: Timestamp) -> Result<IssuedToken, MintError> {
        let permit = admitted.permit();
        let token = permit.token();
        self.mint(&MintInput {
            issuer: token.issuer(),
            subject: token.subject(),
            target: permit.target(),
            namespace: permit.namespace(),
            rule: permit.rule(),
            rule_digest: permit.rule_digest(),
            policy_digest: wish.policy_digest,
            policies: permit.policies(),
            scope: &wish.scope.to_string(),
            lifetime: LifetimeInput {
                asked: wish.lifetime,
                rule: permit.ttl(),
                issuer_cap: token.trusted_issuer().max_issued_ttl(),
                subject_expires: token.expires(),
                outlive_subject: permit.outlive_subject(),
            },
            decision: wish.decision,
            now,
        })
    }
}
