//! The proof that somebody acts as a service account.

use std::fmt;
use std::sync::Arc;

use super::account::Account;
use super::grants::Grants;
use super::ids::{AccountId, AccountTokenId};
use super::token_info::TokenInfo;
use crate::clock::Timestamp;
use crate::identity::{AccountName, Namespace, PolicyName};
use crate::jose::Sha256;

/// Somebody acts as a service account, by one of its tokens or by a rule: the account is enabled, approved and not over, and so
/// is the token. Only [`super::Accounts`] makes one.
///
/// ```compile_fail
/// fn twice(one: cambio::accounts::ActingAccount) -> (cambio::accounts::ActingAccount, cambio::accounts::ActingAccount) {
///     (one.clone(), one)
/// }
/// ```
///
/// ```compile_fail
/// fn forge(account: cambio::accounts::Account) -> cambio::accounts::ActingAccount {
///     cambio::accounts::ActingAccount { account: std::sync::Arc::new(account), by: None }
/// }
/// ```
#[must_use = "nobody acts as an account for nothing"]
pub struct ActingAccount {
    pub(super) account: Arc<Account>,
    /// The token that was presented, with its keyed digest; none by a rule.
    pub(super) by: Option<(Arc<TokenInfo>, Sha256)>,
}

impl ActingAccount {
    /// The account's id.
    #[must_use]
    pub fn id(&self) -> AccountId {
        self.account.id
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &AccountName {
        &self.account.name
    }

    /// Where its secrets live; none for the root namespace.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.account.namespace.as_ref()
    }

    /// The account's subject, without the issuer's name before it: see [`FullName`](super::FullName).
    #[must_use]
    pub fn subject(&self) -> String {
        self.account.full_name().to_string()
    }

    /// What it may do.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.account.granted
    }

    /// The policy that stands for what it may do.
    #[must_use]
    pub fn policy(&self) -> PolicyName {
        self.account.policy()
    }

    /// The policies of a token that is minted for it: the one that stands for the account, and its access documents.
    #[must_use]
    pub fn policies(&self) -> Vec<PolicyName> {
        std::iter::once(self.policy()).chain(self.account.granted.policies.iter().cloned()).collect()
    }

    /// The digest of what it is and may do. A token that was minted for it is good as long as this stays the same.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.account.digest()
    }

    /// The end of the account, or of the token where that is sooner.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        let token = self.by.as_ref().map(|(token, _)| token.rotated.map_or(token.expires, |(_, until, _)| until));
        token.map_or(self.account.expires, |end| end.min(self.account.expires))
    }

    /// The id of the token that was presented; none where a rule says so.
    #[must_use]
    pub fn token_id(&self) -> Option<AccountTokenId> {
        self.by.as_ref().map(|(token, _)| token.id)
    }

    /// When the token that was presented was made.
    #[must_use]
    pub fn token_created(&self) -> Option<Timestamp> {
        self.by.as_ref().map(|(token, _)| token.created)
    }

    /// The keyed digest of the token that was presented, for the audit.
    #[must_use]
    pub fn token_digest(&self) -> Option<Sha256> {
        self.by.as_ref().map(|(_, digest)| *digest)
    }
}

impl fmt::Debug for ActingAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActingAccount({} {})", self.account.id, self.account.name)
    }
}
