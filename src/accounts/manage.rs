//! Accounts are made, changed, switched off and removed.
//!
//! Decides what may be written; every call gives back what was and what is, so that it can be recorded. Refuses to know who may
//! manage accounts: whoever calls has seen to that, and says who it was.

use super::account::{Account, Wanted, namespace_key};
use super::authenticate::Accounts;
use super::change::Changed;
use super::error::AccountError;
use super::full_name::FullName;
use super::grants::Grants;
use super::ids::AccountId;
use super::settings::Approval;
use crate::clock::Timestamp;
use crate::identity::{AccountName, Namespace};
use crate::state::database::Scope;

/// The longest owner, and the longest name of a token, in bytes.
pub(super) const SHORT: usize = 200;
/// The longest description, in bytes.
const LONG: usize = 1000;
/// The most accounts of a page.
const PAGE: u32 = 500;
/// The most that ask for what waits, and the most bytes that their names have together: they are on record beside grants, which
/// must not be what is left out of it.
const ASKERS: (usize, usize) = (16, 3 * 1024);

/// An account that shall be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Where its secrets live; none for the root namespace.
    pub namespace: Option<Namespace>,
    /// Its name.
    pub name: AccountName,
    /// Who answers for it: 1 to 200 bytes.
    pub owner: String,
    /// What it is for: 1 to 1,000 bytes.
    pub description: String,
    /// What it may do.
    pub grants: Grants,
    /// Its end: ahead, and at most [`AccountSettings::max_lifetime`](super::AccountSettings::max_lifetime) from now.
    pub expires: Timestamp,
}

/// What shall be different about an account; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// The revision that the change was made for: where the account has another one by now, nothing is changed.
    pub revision: Option<u64>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// All that it may do.
    pub grants: Option<Grants>,
    /// Its end.
    pub expires: Option<Timestamp>,
    /// Whether it is switched off.
    pub disabled: Option<bool>,
}

impl Accounts {
    /// Makes an account. Where a second person has to approve, it can do nothing until then.
    ///
    /// # Errors
    /// [`AccountError::NameTaken`], [`AccountError::Invalid`], [`AccountError::Grants`], [`AccountError::Database`].
    pub async fn create(&self, new: NewAccount, by: &str, now: Timestamp) -> Result<Changed, AccountError> {
        let account = self.made(new, by, now)?;
        let mut transaction = self.database.write(Scope::Accounts).await?;
        if !transaction.insert_account(&account.row()?).await? {
            return Err(AccountError::NameTaken);
        }
        transaction.commit().await?;
        Ok(Changed { before: None, after: Some(account), tokens_revoked: 0 })
    }

    /// An account as it is to be written.
    pub(super) fn made(&self, new: NewAccount, by: &str, now: Timestamp) -> Result<Account, AccountError> {
        let grants = new.grants.checked()?;
        let (granted, wanted) = match self.settings.approval {
            Approval::None => (grants, None),
            Approval::SecondPerson => (Grants::default(), Some(Wanted { grants, by: vec![by.to_owned()] })),
        };
        Ok(Account {
            id: AccountId::new(now)?,
            namespace: new.namespace,
            name: new.name,
            owner: text("owner", new.owner, SHORT)?,
            description: text("description", new.description, LONG)?,
            approved: wanted.is_none(),
            granted,
            wanted,
            approved_by: None,
            expires: self.end(new.expires, now)?,
            disabled: false,
            created: now,
            created_by: by.to_owned(),
            updated: now,
            updated_by: by.to_owned(),
            revision: 1,
            epoch: 1,
            used: None,
        })
    }

    /// The account of that id.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Database`].
    pub async fn show(&self, id: AccountId) -> Result<Account, AccountError> {
        found(self.database.account(&id.to_string()).await?.map(Account::of).transpose()?)
    }

    /// The account of that name.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Database`].
    pub async fn show_named(&self, namespace: Option<&Namespace>, name: &AccountName) -> Result<Account, AccountError> {
        let row = self.database.account_named(namespace_key(namespace), name.as_str()).await?;
        found(row.map(Account::of).transpose()?)
    }

    /// The accounts of a namespace (none: the root) by name, after that one: at most `limit`, and at most 500.
    ///
    /// # Errors
    /// [`AccountError::Database`].
    pub async fn list(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Vec<Account>, AccountError> {
        let after = after.map_or("", AccountName::as_str);
        let rows = self.database.accounts_of(namespace_key(namespace), after, limit.min(PAGE)).await?;
        Ok(rows.into_iter().map(Account::of).collect::<Result<_, _>>()?)
    }

    /// The accounts of all namespaces, by namespace and name, after that place, where there need not be one any more: at most
    /// `limit`, and at most 500.
    ///
    /// # Errors
    /// [`AccountError::Database`].
    pub async fn list_all(&self, after: Option<&FullName>, limit: u32) -> Result<Vec<Account>, AccountError> {
        let after = after.map_or(("", ""), |last| (namespace_key(last.namespace.as_ref()), last.name.as_str()));
        let rows = self.database.accounts(after, limit.min(PAGE)).await?;
        Ok(rows.into_iter().map(Account::of).collect::<Result<_, _>>()?)
    }

    /// Changes an account. Wider grants wait where a second person has to approve, and then nothing of them counts yet;
    /// narrower ones count at once, but for an account that nobody has approved yet. Switched off, nobody acts as it, by token or
    /// by rule, and what was minted for its tokens ends for good.
    ///
    /// With its first access documents an account may do what it could not when its tokens were made, and whoever made them was
    /// not asked for as much: they are revoked as these documents come into force.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Changed`], [`AccountError::Invalid`], [`AccountError::Grants`],
    /// [`AccountError::Database`].
    pub async fn update(
        &self,
        id: AccountId,
        change: AccountChange,
        by: &str,
        now: Timestamp,
    ) -> Result<Changed, AccountError> {
        let grants = change.grants.clone().map(Grants::checked).transpose()?;
        let owner = change.owner.clone().map(|owner| text("owner", owner, SHORT)).transpose()?;
        let described = change.description.clone();
        let description = described.map(|description| text("description", description, LONG)).transpose()?;
        let expires = change.expires.map(|expires| self.end(expires, now)).transpose()?;
        self.change(id, change.revision, by, now, |account| {
            account.owner = owner.clone().unwrap_or_else(|| account.owner.clone());
            account.description = description.clone().unwrap_or_else(|| account.description.clone());
            account.expires = expires.unwrap_or(account.expires);
            account.disabled = change.disabled.unwrap_or(account.disabled);
            if let Some(grants) = &grants {
                let asks = !account.approved || grants.widen(&account.granted);
                if self.settings.approval == Approval::SecondPerson && asks {
                    let asked = account.wanted.take().map_or_else(Vec::new, |wanted| wanted.by);
                    account.wanted = Some(Wanted { grants: grants.clone(), by: askers(asked, by)? });
                } else {
                    (account.granted, account.wanted, account.approved) = (grants.clone(), None, true);
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes an account and its tokens. An account that takes its name is another one.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Changed`] where it has another revision than the one given,
    /// [`AccountError::Database`].
    pub async fn delete(&self, id: AccountId, revision: Option<u64>) -> Result<Changed, AccountError> {
        let mut transaction = self.database.write(Scope::Accounts).await?;
        let before = found(transaction.account(&id.to_string()).await?.map(Account::of).transpose()?)?;
        let is_that = revision.is_none_or(|revision| revision == before.revision);
        if !is_that || !transaction.delete_account(&id.to_string(), before.revision).await? {
            return Err(AccountError::Changed);
        }
        transaction.commit().await?;
        self.memory.forget_account(&before.id);
        self.memory.forget_tokens();
        Ok(Changed { before: Some(before), after: None, tokens_revoked: 0 })
    }

    fn end(&self, expires: Timestamp, now: Timestamp) -> Result<Timestamp, AccountError> {
        let most = self.settings.max_lifetime;
        if expires <= now || expires > now.plus(most.duration()) {
            return Err(AccountError::invalid("expires_at", format_args!("lies ahead, by at most {most}")));
        }
        Ok(expires)
    }
}

/// Those who asked before, and whoever does now. None of them approves it: else one could ask, have another change a word of it,
/// and approve the rest alone.
fn askers(mut before: Vec<String>, now: &str) -> Result<Vec<String>, AccountError> {
    if !before.iter().any(|asker| asker == now) {
        before.push(now.to_owned());
    }
    if before.len() > ASKERS.0 || before.iter().map(String::len).sum::<usize>() > ASKERS.1 {
        let why = "too many have asked for what waits: approve or refuse that first";
        return Err(AccountError::invalid("permissions", why));
    }
    Ok(before)
}

pub(super) fn found(account: Option<Account>) -> Result<Account, AccountError> {
    account.ok_or(AccountError::NotFound("service account"))
}

/// A text for people, without spaces at its ends.
pub(super) fn text(field: &'static str, text: String, most: usize) -> Result<String, AccountError> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.len() > most || trimmed.chars().any(char::is_control) {
        return Err(AccountError::invalid(
            field,
            format_args!("has 1 to {most} bytes, none of them a control character"),
        ));
    }
    Ok(trimmed.to_owned())
}
