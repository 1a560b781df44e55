//! A token takes the place of another, which stays good beside it for a while.

use std::time::Duration;

use super::account::Account;
use super::acting::ActingAccount;
use super::authenticate::Accounts;
use super::error::AccountError;
use super::ids::AccountTokenId;
use super::issue::IssuedAccountToken;
use super::manage::found;
use super::refusal::AccountRefusal;
use super::token_info::TokenInfo;
use crate::clock::{Span, Timestamp};
use crate::identity::IssuerName;
use crate::state::database::Scope;

/// How a token shall be rotated.
#[derive(Clone, Copy, Debug, Default)]
pub struct RotateWish {
    /// The new token's end; where nothing is said it lives as long as the old one was made to, within the bounds. Whoever rotates
    /// its own token gets no more than that.
    pub expires: Option<Timestamp>,
    /// How long the old one stays good: at most [`AccountSettings::max_overlap`](super::AccountSettings::max_overlap), and not
    /// beyond its end; an hour where nothing is said. Zero: not at all.
    pub overlap: Option<Duration>,
}

/// Who rotates: that bounds the new token's life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Whoever has the token.
    Own,
    /// Whoever may rotate tokens of the account.
    Any,
}

/// A rotation.
#[derive(Debug)]
pub struct RotatedAccountToken {
    /// The token that took the place.
    pub new: IssuedAccountToken,
    /// What is known about the old one from now on.
    pub old: TokenInfo,
}

impl Accounts {
    /// Makes a new token that takes the place of this one, in its family. Of several at once, one does; the others are told
    /// that it was done. When the overlap is over, whoever presents the old one ends the family.
    ///
    /// # Errors
    /// [`AccountError::Rotated`] with the id of the token that took its place, [`AccountError::NotGood`] where the token or its
    /// account is not good, [`AccountError::Invalid`], [`AccountError::NotFound`], [`AccountError::Database`].
    pub async fn rotate(
        &self,
        id: AccountTokenId,
        wish: RotateWish,
        by: &str,
        now: Timestamp,
    ) -> Result<RotatedAccountToken, AccountError> {
        self.rotated(id, wish, (Whose::Any, by), now).await
    }

    /// Rotates the token that was presented: whoever has a token may have a new one for it, which lives no longer than the old
    /// one was made to, and nothing else needs to be allowed.
    ///
    /// # Errors
    /// As [`Accounts::rotate`]; [`AccountError::NotFound`] where the account is acted as by a rule, without a token.
    pub async fn rotate_self(
        &self,
        acting: &ActingAccount,
        wish: RotateWish,
        now: Timestamp,
    ) -> Result<RotatedAccountToken, AccountError> {
        let id = acting.token_id().ok_or(AccountError::NotFound("token"))?;
        let by = format!("{}:{}", IssuerName::SERVICE_ACCOUNTS, acting.subject());
        self.rotated(id, wish, (Whose::Own, &by), now).await
    }

    async fn rotated(
        &self,
        id: AccountTokenId,
        wish: RotateWish,
        (whose, by): (Whose, &str),
        now: Timestamp,
    ) -> Result<RotatedAccountToken, AccountError> {
        let overlap = wish.overlap.unwrap_or_else(|| self.settings.overlap());
        if overlap > self.settings.max_overlap.duration() {
            let why = format_args!("is at most {}", self.settings.max_overlap);
            return Err(AccountError::invalid("overlap", why));
        }
        let mut transaction = self.database.write(Scope::Accounts).await?;
        let row = transaction.account_token(&id.to_string()).await?.ok_or(AccountError::NotFound("token"))?;
        let (digest, before) = (row.digest.clone(), TokenInfo::of(row)?);
        if let Some((.., successor)) = before.rotated {
            return Err(already(successor));
        }
        before.stands(now)?;
        let account = found(transaction.account(&before.account.to_string()).await?.map(Account::of).transpose()?)?;
        account.stands(now)?;
        let info = TokenInfo {
            id: AccountTokenId::new(now)?,
            created: now,
            created_by: by.to_owned(),
            expires: self.new_end(wish.expires, whose, (&before, &account), now)?,
            used: None,
            ..before.clone()
        };
        let good_until = now.plus(overlap).min(before.expires);
        if !transaction.rotate_account_token(&id.to_string(), (now, good_until), &info.id.to_string()).await? {
            // Somebody else was faster, at another replica.
            drop(transaction);
            let now_there = self.token(id).await?;
            return Err(match now_there.rotated {
                Some((.., successor)) => already(successor),
                None => AccountRefusal::Revoked.into(),
            });
        }
        let token = self.insert(&mut transaction, &info).await?;
        transaction.commit().await?;
        self.memory.forget_digest(&digest);
        let old = TokenInfo { rotated: Some((now, good_until, Some(info.id))), ..before };
        Ok(RotatedAccountToken { new: IssuedAccountToken { token, info, account }, old })
    }

    fn new_end(
        &self,
        asked: Option<Timestamp>,
        whose: Whose,
        (old, account): (&TokenInfo, &Account),
        now: Timestamp,
    ) -> Result<Timestamp, AccountError> {
        let lifetime = old.expires.since(old.created);
        match asked {
            // Else a token for a day would be one for as long as there are any, for whoever has it, and nobody was asked.
            Some(asked) if whose == Whose::Own && asked > now.plus(lifetime) => {
                let lifetime = Span::from_secs(lifetime.as_secs());
                let why = format_args!("lies ahead by at most {lifetime}, which is what the token was made for");
                Err(AccountError::invalid("expires_at", why))
            }
            Some(asked) => self.token_end(asked, account, now),
            None => Ok(now.plus(lifetime.min(self.settings.max_token_lifetime.duration())).min(account.expires)),
        }
    }
}

fn already(successor: Option<AccountTokenId>) -> AccountError {
    AccountError::Rotated(successor.map_or_else(|| "unknown".to_owned(), |successor| successor.to_string()))
}
