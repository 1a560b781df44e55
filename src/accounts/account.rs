//! An account as it is on record. Decides whether it can be acted as, and what makes it the same account as before.

use serde_json::{Value, json};

use super::full_name::FullName;
use super::grants::Grants;
use super::ids::AccountId;
use super::refusal::AccountRefusal;
use crate::clock::Timestamp;
use crate::identity::{AccountName, Namespace, PolicyName};
use crate::jose::{Sha256, sha256};
use crate::state::database::{AccountRow, DatabaseError};

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Where its secrets live; none for the root namespace.
    pub namespace: Option<Namespace>,
    /// Its name, unique in the namespace.
    pub name: AccountName,
    /// Who answers for it, 1 to 200 bytes.
    pub owner: String,
    /// What it is for, 1 to 1,000 bytes.
    pub description: String,
    /// What it may do.
    pub granted: Grants,
    /// What it shall be able to do, once somebody has approved.
    pub wanted: Option<Wanted>,
    /// Whether somebody has approved it once, or nobody had to: until then nobody acts as it.
    pub approved: bool,
    /// Who approved what it may do, where somebody had to.
    pub approved_by: Option<String>,
    /// Its end.
    pub expires: Timestamp,
    /// Whether it is switched off.
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was changed last.
    pub updated: Timestamp,
    /// By whom.
    pub updated_by: String,
    /// One more with every change.
    pub revision: u64,
    /// One more whenever what was minted for its tokens ended.
    pub epoch: u64,
    /// When it was used last, to about ten minutes.
    pub used: Option<Timestamp>,
}

/// Grants that wait for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// All that the account shall be able to do.
    pub grants: Grants,
    /// Whoever asked for any of it, each once: what one began and another went on with is what both have asked for.
    pub by: Vec<String>,
}

/// What can be said about an account in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// It can be acted as.
    Active,
    /// It waits for its first approval, or was refused it.
    Pending,
    /// It is switched off.
    Disabled,
    /// It is over.
    Expired,
}

impl AccountStatus {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
        }
    }
}

impl Account {
    /// Whether it can be acted as, and why not.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> AccountStatus {
        if self.disabled {
            AccountStatus::Disabled
        } else if now >= self.expires {
            AccountStatus::Expired
        } else if !self.approved {
            // Not by what is wanted: whoever takes that back has not approved anything.
            AccountStatus::Pending
        } else {
            AccountStatus::Active
        }
    }

    /// The policy that a token carries whose bearer acts as this account.
    #[must_use]
    pub fn policy(&self) -> PolicyName {
        PolicyName::of_account(&self.name)
    }

    /// Its name among all accounts, which is its subject.
    #[must_use]
    pub fn full_name(&self) -> FullName {
        FullName { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// All that there is to know of it, for whoever manages accounts and for the audit.
    #[must_use]
    pub fn described(&self, now: Timestamp) -> Value {
        let wanted = self.wanted.as_ref().map(|wanted| json!({"grants": wanted.grants, "requested_by": wanted.by}));
        json!({
            "id": self.id,
            "namespace": self.namespace,
            "name": self.name,
            "owner": self.owner,
            "description": self.description,
            "status": self.status(now).as_str(),
            "permissions": self.granted.permissions,
            "policies": self.granted.policies,
            "pending": wanted,
            "approved_by": self.approved_by,
            "expires_at": self.expires.to_string(),
            "disabled": self.disabled,
            "created_at": self.created.to_string(),
            "created_by": self.created_by,
            "updated_at": self.updated.to_string(),
            "updated_by": self.updated_by,
            "revision": self.revision,
            "last_used_at": self.used.map(|used| used.to_string()),
        })
    }

    /// # Errors
    /// [`AccountRefusal`] says why nobody can act as it.
    pub(super) fn stands(&self, now: Timestamp) -> Result<(), AccountRefusal> {
        match self.status(now) {
            AccountStatus::Active => Ok(()),
            AccountStatus::Pending => Err(AccountRefusal::Pending),
            AccountStatus::Disabled => Err(AccountRefusal::Disabled),
            AccountStatus::Expired => Err(AccountRefusal::AccountExpired),
        }
    }

    /// What a token that was minted for it refers to: another id, other grants or another epoch, and it is not the same.
    pub(super) fn digest(&self) -> Sha256 {
        let standing = json!([
            "cambio service account 1",
            self.id,
            self.namespace,
            self.name,
            self.granted.permissions,
            self.granted.policies,
            self.epoch,
        ]);
        sha256(standing.to_string().as_bytes())
    }

    pub(super) fn of(row: AccountRow) -> Result<Self, DatabaseError> {
        let damaged = |what: &str| DatabaseError::Damaged(format!("a service account's {what} is none"));
        let namespace = match row.namespace.as_str() {
            "" => None,
            name => Some(Namespace::new(name).map_err(|_| damaged("namespace"))?),
        };
        let grants = |text: &str| serde_json::from_str::<Grants>(text).map_err(|_| damaged("list of grants"));
        let wanted = row.wanted.as_deref().map(grants).transpose()?;
        let askers = |text: &str| serde_json::from_str::<Vec<String>>(text).map_err(|_| damaged("list of who asked"));
        let wanted_by = row.wanted_by.as_deref().map(askers).transpose()?;
        Ok(Self {
            id: AccountId::parse(&row.id).ok_or_else(|| damaged("id"))?,
            namespace,
            name: AccountName::new(&row.name).map_err(|_| damaged("name"))?,
            owner: row.owner,
            description: row.description,
            granted: grants(&row.granted)?,
            wanted: wanted.zip(wanted_by).map(|(grants, by)| Wanted { grants, by }),
            approved: row.approved,
            approved_by: row.approved_by,
            expires: row.expires,
            disabled: row.disabled,
            created: row.created,
            created_by: row.created_by,
            updated: row.updated,
            updated_by: row.updated_by,
            revision: row.revision,
            epoch: row.epoch,
            used: row.used,
        })
    }

    pub(super) fn row(&self) -> Result<AccountRow, DatabaseError> {
        let failed = |_| DatabaseError::Failed("grants could not be written".to_owned());
        let text = |grants: &Grants| serde_json::to_string(grants).map_err(failed);
        let askers = |wanted: &Wanted| serde_json::to_string(&wanted.by).map_err(failed);
        Ok(AccountRow {
            id: self.id.to_string(),
            namespace: namespace_key(self.namespace.as_ref()).to_owned(),
            name: self.name.as_str().to_owned(),
            owner: self.owner.clone(),
            description: self.description.clone(),
            granted: text(&self.granted)?,
            wanted: self.wanted.as_ref().map(|wanted| text(&wanted.grants)).transpose()?,
            wanted_by: self.wanted.as_ref().map(askers).transpose()?,
            approved_by: self.approved_by.clone(),
            expires: self.expires,
            disabled: self.disabled,
            created: self.created,
            created_by: self.created_by.clone(),
            updated: self.updated,
            updated_by: self.updated_by.clone(),
            revision: self.revision,
            epoch: self.epoch,
            used: self.used,
            approved: self.approved,
        })
    }
}

/// As the database keeps a namespace: the root's name is empty.
pub(super) fn namespace_key(namespace: Option<&Namespace>) -> &str {
    namespace.map_or("", Namespace::as_str)
}
