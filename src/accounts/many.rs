//! Many accounts at once, for whoever moves here from elsewhere: one commit for all of them instead of one for each.

use super::authenticate::Accounts;
use super::error::AccountError;
use super::issue::{IssuedAccountToken, NewAccountToken};
use super::manage::NewAccount;
use crate::clock::Timestamp;
use crate::state::database::Scope;

/// The most accounts of one call, and the most tokens of each.
const MOST: (usize, usize) = (1_000, 100);

impl Accounts {
    /// Makes accounts with tokens: all of them, or none. In the order in which they are given, the tokens of each.
    ///
    /// # Errors
    /// As [`Accounts::create`] and [`Accounts::issue`]; [`AccountError::Invalid`] for more than 1,000 accounts, or 100 tokens
    /// of one.
    pub async fn create_many(
        &self,
        new: Vec<(NewAccount, Vec<NewAccountToken>)>,
        by: &str,
        now: Timestamp,
    ) -> Result<Vec<Vec<IssuedAccountToken>>, AccountError> {
        if new.len() > MOST.0 || new.iter().any(|(_, tokens)| tokens.len() > MOST.1) {
            return Err(AccountError::invalid("accounts", "are at most 1,000 at once, with at most 100 tokens each"));
        }
        let mut made = Vec::with_capacity(new.len());
        let mut transaction = self.database.write(Scope::Accounts).await?;
        for (account, tokens) in new {
            let account = self.made(account, by, now)?;
            if !transaction.insert_account(&account.row()?).await? {
                return Err(AccountError::NameTaken);
            }
            let mut issued = Vec::with_capacity(tokens.len());
            for token in tokens {
                let info = self.first_of_family(&account, token, by, now)?;
                let token = self.insert(&mut transaction, &info).await?;
                issued.push(IssuedAccountToken { token, info, account: account.clone() });
            }
            made.push(issued);
        }
        transaction.commit().await?;
        Ok(made)
    }
}
