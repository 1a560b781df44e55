//! A change of an account, all of it or nothing. Decides what ends with it; refuses to know what is changed.

use serde_json::Value;

use super::account::Account;
use super::authenticate::Accounts;
use super::error::AccountError;
use super::ids::AccountId;
use super::manage::found;
use crate::clock::Timestamp;
use crate::state::database::Scope;

/// How often a change that lost against another one is tried again.
const TRIES: usize = 4;
/// Why tokens are revoked that are older than their account's access documents, as it is kept.
const DOCUMENTS: &str = "documents";

/// A change, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The account as it was; none where it is new.
    pub before: Option<Account>,
    /// The account as it is; none where it is gone.
    pub after: Option<Account>,
    /// How many of its tokens were revoked by it, because it has access documents from now on, and had none. A deleted
    /// account's tokens are gone, and are none of these.
    pub tokens_revoked: u64,
}

impl Changed {
    /// What was and what is, as it is recorded and told. What is has `tokens_revoked`, where any were.
    #[must_use]
    pub fn described(&self, now: Timestamp) -> [Option<Value>; 2] {
        let [before, mut after] = [&self.before, &self.after].map(|state| Some(state.as_ref()?.described(now)));
        if self.tokens_revoked > 0
            && let Some(Value::Object(members)) = &mut after
        {
            members.insert("tokens_revoked".to_owned(), self.tokens_revoked.into());
        }
        [before, after]
    }
}

impl Accounts {
    /// Has `edit` change an account as it stands, and writes it as long as nobody else changed it meanwhile.
    pub(super) async fn change(
        &self,
        id: AccountId,
        revision: Option<u64>,
        by: &str,
        now: Timestamp,
        edit: impl Fn(&mut Account) -> Result<(), AccountError>,
    ) -> Result<Changed, AccountError> {
        for _ in 0..TRIES {
            let mut transaction = self.database.write(Scope::Accounts).await?;
            let before = found(transaction.account(&id.to_string()).await?.map(Account::of).transpose()?)?;
            if revision.is_some_and(|revision| revision != before.revision) {
                return Err(AccountError::Changed);
            }
            let mut after = before.clone();
            edit(&mut after)?;
            (after.updated, after.updated_by) = (now, by.to_owned());
            if !transaction.update_account(&after.row()?).await? {
                continue;
            }
            after.revision += 1;
            let first_documents = before.granted.policies.is_empty() && !after.granted.policies.is_empty();
            let tokens_revoked = match first_documents {
                // Whoever may make tokens of accounts without documents makes one, and waits for the documents.
                true => transaction.revoke_tokens_of_account(&id.to_string(), now, DOCUMENTS).await?,
                false => 0,
            };
            if first_documents || (after.disabled && !before.disabled) {
                transaction.begin_account_epoch(&id.to_string()).await?;
                after.epoch += 1;
            }
            transaction.commit().await?;
            self.memory.forget_account(&id);
            if first_documents {
                self.memory.forget_tokens();
            }
            return Ok(Changed { before: Some(before), after: Some(after), tokens_revoked });
        }
        Err(AccountError::Changed)
    }
}
