//! A second person looks at what an account shall be able to do.

use super::authenticate::Accounts;
use super::change::Changed;
use super::error::AccountError;
use super::ids::AccountId;
use crate::clock::Timestamp;

impl Accounts {
    /// Grants what waits for approval: exactly what stands in the account of that revision, so that nobody changes it between
    /// the look and the word. Whoever asked for any of it cannot approve it. Where these
    /// are the account's first access documents, its tokens are revoked (see [`Accounts::update`]).
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
            if wanted.by.iter().any(|asker| asker == by) {
                return Err(AccountError::SamePerson);
            }
            account.granted = wanted.grants;
            (account.approved, account.approved_by) = (true, Some(by.to_owned()));
            Ok(())
        })
        .await
    }

    /// Drops what waits for approval: anybody may who manages accounts, those who asked too. An account that nobody has approved
    /// yet goes on waiting.
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
