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
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Database`].
    pub async fn revoke(&self, id: AccountTokenId, now: Timestamp) -> Result<(TokenInfo, TokenInfo), AccountError> {
        let mut transaction = self.database.write(Scope::Accounts).await?;
        let row = transaction.account_token(&id.to_string()).await?.ok_or(AccountError::NotFound("token"))?;
        let (digest, before) = (row.digest.clone(), TokenInfo::of(row)?);
        let mut after = before.clone();
        if transaction.revoke_account_token(&id.to_string(), now, BY_HAND).await? {
            transaction.begin_account_epoch(&before.account.to_string()).await?;
            transaction.commit().await?;
            after.revoked = Some((now, BY_HAND.to_owned()));
        }
        self.memory.forget_digest(&digest);
        self.forget_account_of(&before, now);
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
        self.forget_account_of(token, now);
        Ok((self.token(token.id).await?, count))
    }

    fn forget_account_of(&self, token: &TokenInfo, now: Timestamp) {
        if let Some(account) = self.memory.account(&token.account, now) {
            self.memory.forget_account(&account);
        }
    }
}
