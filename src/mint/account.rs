//! Tokens for service accounts: who acts as one needs no permit, and gets no more than the account has.

use std::fmt;

use super::minter::{MintInput, Unsigned};
use super::{Granted, IssuedToken, LifetimeInput, MintError, Minter, Wish};
use crate::accounts::ActingAccount;
use crate::clock::Timestamp;
use crate::identity::{IssuerName, TargetName};
use crate::policy::Grant;

/// What the rule of such a token is called, before the account's name. Names of rules have no `/`.
const RULE: &str = "service-account/";

/// A token of a service account but for its signature. Nothing is burnt by it: an account's own token is presented again and
/// again.
pub struct AccountDraft {
    acting: ActingAccount,
    target: TargetName,
    unsigned: Unsigned,
}

impl Minter {
    /// Drafts the token of whoever acts as an account, for `target`, which has its secrets in the account's namespace: whoever
    /// calls has seen to that. It says what the account is and may do by a digest, and ends with the account, or with the
    /// account's token where that ends sooner. Writes nothing anywhere.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn draft_for_account(
        &self,
        acting: ActingAccount,
        target: &TargetName,
        wish: Wish<'_>,
        now: Timestamp,
    ) -> Result<AccountDraft, MintError> {
        let subject = acting.subject();
        let unsigned = self.prepare(&MintInput {
            issuer: &IssuerName::of_service_accounts(),
            subject: &subject,
            target,
            namespace: acting.namespace(),
            rule: &[RULE, acting.name().as_str()].concat(),
            rule_digest: acting.digest(),
            policy_digest: wish.policy_digest,
            policies: &acting.policies(),
            scope: &wish.scope.to_string(),
            lifetime: LifetimeInput {
                asked: wish.lifetime,
                rule: None,
                issuer_cap: None,
                subject_expires: acting.expires(),
                outlive_subject: false,
            },
            decision: wish.decision,
            revocable: false,
            usage: wish.usage,
            now,
        })?;
        Ok(AccountDraft { acting, target: target.clone(), unsigned })
    }
}

impl AccountDraft {
    /// Signs it. With it comes what was granted.
    ///
    /// # Errors
    /// [`MintError::Signing`].
    pub fn issue(self) -> Result<(IssuedToken, Granted), MintError> {
        let Self { acting, target, unsigned } = self;
        let grant = Grant::of_account(acting.name(), acting.digest(), acting.policies());
        Ok((unsigned.sign()?, Granted { target, namespace: acting.namespace().cloned(), grant }))
    }
}

impl fmt::Debug for AccountDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountDraft({:?} for {})", self.acting, self.target)
    }
}
