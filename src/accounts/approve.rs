//! A second person looks at what an account shall be able to do.

use super::authenticate::Accounts;
use super::error::AccountError;
use super::ids::AccountId;
use super::manage::Changed;
use crate::clock::Timestamp;

impl Accounts {
    /// Grants what waits for approval: exactly what stands in the account of that revision, so that nobody changes it between
    /// the look and the word. Whoever asked for it cannot approve it.
    ///
    /// # Errors
    /// [`AccountError::NothingPending`], [`AccountError::SamePerson`], [`AccountError::Changed`], [`AccountError::NotFound`],
    /// [`AccountError::Database`].
    pub async fn approve(
        &self,
        id: AccountId,
        revision: u64,
        by: &str,
        now: Timestamp,
    ) -> Result<Changed, AccountError> {
        self.change(id, Some(revision), by, now, |account| {
            let wanted = account.wanted.take().ok_or(AccountError::NothingPending)?;
            if wanted.by == by {
                return Err(AccountError::SamePerson);
            }
            account.granted = wanted.grants;
            account.approved_by = Some(by.to_owned());
            Ok(())
        })
        .await
    }

    /// Drops what waits for approval: anybody may who manages accounts, the one who asked too.
    ///
    /// # Errors
    /// As [`Accounts::approve`], but for [`AccountError::SamePerson`].
    pub async fn refuse(
        &self,
        id: AccountId,
        revision: u64,
        by: &str,
        now: Timestamp,
    ) -> Result<Changed, AccountError> {
        self.change(id, Some(revision), by, now, |account| {
            account.wanted.take().map(drop).ok_or(AccountError::NothingPending)
        })
        .await
    }
}
