//! Tokens end before their time.

use super::account::Account;
use super::authenticate::Accounts;
use super::error::AccountError;
use super::ids::AccountTokenId;
use super::token_info::TokenInfo;
use crate::clock::Timestamp;
use crate::state::database::Scope;

/// Why a token is revoked, as it is kept.
const BY_HAND: &str = "revoked";
const LEAKED: &str = "leaked";

impl Accounts {
    /// Revokes a token, and ends whatever was minted for the account's tokens: those who have good ones exchange them again.
    /// Gives back what was and what is; the same twice where it was revoked already.
    ///
    /// A token that was rotated goes with its whole family. Else a thief could rotate it, end it, and keep the new one: the
    /// owner would be told of a token that was revoked, and nobody of one that was used after its rotation.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Database`].
    pub async fn revoke(&self, id: AccountTokenId, now: Timestamp) -> Result<(TokenInfo, TokenInfo), AccountError> {
        let mut transaction = self.database.write(Scope::Accounts).await?;
        let row = transaction.account_token(&id.to_string()).await?.ok_or(AccountError::NotFound("token"))?;
        let (digest, before) = (row.digest.clone(), TokenInfo::of(row)?);
        let mut after = before.clone();
        let ended = match before.rotated {
            Some(_) => transaction.revoke_account_tokens(&before.family.to_string(), now, BY_HAND).await? > 0,
            None => transaction.revoke_account_token(&id.to_string(), now, BY_HAND).await?,
        };
        if ended {
            transaction.begin_account_epoch(&before.account.to_string()).await?;
            transaction.commit().await?;
            after.revoked.get_or_insert((now, BY_HAND.to_owned()));
        }
        match before.rotated {
            Some(_) => self.memory.forget_tokens(),
            None => self.memory.forget_digest(&digest),
        }
        self.memory.forget_account(&before.account);
        Ok((before, after))
    }

    /// Revokes a token that was found somewhere, by its text, with its whole family: whoever had it may have rotated it. Gives
    /// back whose it was, and how many tokens were good until now; none where it is none of ours.
    ///
    /// # Errors
    /// [`AccountError::NotGood`] where it is not well-formed, [`AccountError::Database`].
    pub async fn revoke_leaked(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<Option<(TokenInfo, Account, u64)>, AccountError> {
        let Some((token, account)) = self.identify(text).await? else { return Ok(None) };
        let (_, count) = self.revoke_family(&token, now).await?;
        Ok(Some((token, account, count)))
    }

    /// Revokes a token with its whole family, and ends whatever was minted for the account's tokens. Gives back what is known of
    /// the token from now on, and how many tokens were good until now.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Database`].
    pub async fn revoke_family(&self, token: &TokenInfo, now: Timestamp) -> Result<(TokenInfo, u64), AccountError> {
        let mut transaction = self.database.write(Scope::Accounts).await?;
        let count = transaction.revoke_account_tokens(&token.family.to_string(), now, LEAKED).await?;
        if count > 0 {
            transaction.begin_account_epoch(&token.account.to_string()).await?;
        }
        transaction.commit().await?;
        self.memory.forget_tokens();
        self.memory.forget_account(&token.account);
        Ok((self.token(token.id).await?, count))
    }
}
