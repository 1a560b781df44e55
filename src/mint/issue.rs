//! The last steps of the chain: a permit becomes a draft, and an admitted draft a token.

use std::fmt;
use std::time::Duration;

use super::minter::{MintInput, Unsigned};
use super::{IssuedToken, LifetimeInput, MIN_LIFETIME, MintError, Minter, SubjectExpiresTooSoon, Usage};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, Namespace, TargetName};
use crate::jose::Sha256;
use crate::oauth::Scope;
use crate::policy::{Grant, Permit};
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
    /// What the token is to be used for.
    pub usage: Usage,
    /// The end of the service account that the caller acts as: the token ends no later.
    pub ends: Option<Timestamp>,
}

/// A token but for its signature, and the permit that it is of. Only an admitted one becomes a token:
///
/// ```compile_fail,E0599
/// fn skip(draft: cambio::mint::Draft) -> Result<cambio::mint::IssuedToken, cambio::mint::MintError> {
///     draft.issue()
/// }
/// ```
pub struct Draft {
    permit: Permit,
    unsigned: Unsigned,
}

/// What an issued token was granted.
#[derive(Debug)]
pub struct Granted {
    /// What it is for.
    pub target: TargetName,
    /// Where the target's secrets live.
    pub namespace: Option<Namespace>,
    /// The policies, and what else the rule says.
    pub grant: Grant,
}

impl Minter {
    /// Drafts the token of a permit: everything that could go wrong goes wrong here, before a single-use token is burnt.
    /// Writes nothing anywhere.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn draft(&self, permit: Permit, wish: Wish<'_>, now: Timestamp) -> Result<Draft, MintError> {
        let token = permit.token();
        let left = wish.ends.map_or(Duration::MAX, |ends| ends.since(now));
        if left < MIN_LIFETIME {
            return Err(SubjectExpiresTooSoon.into());
        }
        let unsigned = self.prepare(&MintInput {
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
                issuer_cap: Some(token.trusted_issuer().max_issued_ttl().unwrap_or(Duration::MAX).min(left)),
                subject_expires: token.expires(),
                outlive_subject: permit.outlive_subject(),
            },
            decision: wish.decision,
            revocable: permit.grant().revocable(),
            usage: wish.usage,
            now,
        })?;
        Ok(Draft { permit, unsigned })
    }
}

impl AsRef<Permit> for Draft {
    fn as_ref(&self) -> &Permit {
        &self.permit
    }
}

impl AdmittedPermit<Draft> {
    /// Mints the token of an admitted permit, and of nothing else: signs it with the key that signs now. With it comes what
    /// was granted, for surfaces that tell it.
    ///
    /// # Errors
    /// [`MintError::Signing`], where the cryptographic library fails: the one thing that can go wrong this late.
    pub fn issue(self) -> Result<(IssuedToken, Granted), MintError> {
        let Draft { permit, unsigned } = self.into_carrier();
        let token = unsigned.sign()?;
        let (target, namespace, grant) = permit.into_grant();
        Ok((token, Granted { target, namespace, grant }))
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({:?})", self.permit)
    }
}
