//! Tokens are made and shown once.

use super::account::Account;
use super::authenticate::Accounts;
use super::error::AccountError;
use super::ids::{AccountId, AccountTokenId};
use super::manage::{SHORT, found, text};
use super::refusal::AccountRefusal;
use super::token_info::TokenInfo;
use super::token_text::AccountToken;
use crate::clock::Timestamp;
use crate::jose::Sha256;
use crate::state::database::{AccountTokenRow, Scope, WriteTransaction};

/// How many tokens of an account are good at a time.
const MOST_LIVE: u64 = 100;
/// The most tokens of a page.
const PAGE: u32 = 500;

/// A token that shall be made.
#[derive(Clone, Debug)]
pub struct NewAccountToken {
    /// For people: 1 to 200 bytes.
    pub name: String,
    /// Its end: ahead, not after the account's, and at most
    /// [`AccountSettings::max_token_lifetime`](super::AccountSettings::max_token_lifetime) from now.
    pub expires: Timestamp,
}

/// A token that was made. The text is nowhere else, and never will be again.
#[derive(Debug)]
pub struct IssuedAccountToken {
    /// The token.
    pub token: AccountToken,
    /// What is known about it from now on.
    pub info: TokenInfo,
    /// Whose it is.
    pub account: Account,
}

impl Accounts {
    /// Makes a token of an account, the first of a new family.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::NotGood`] where the account is over, [`AccountError::TooManyTokens`],
    /// [`AccountError::Invalid`], [`AccountError::Database`].
    pub async fn issue(
        &self,
        account: AccountId,
        new: NewAccountToken,
        by: &str,
        now: Timestamp,
    ) -> Result<IssuedAccountToken, AccountError> {
        self.issued((account, None), new, by, now).await
    }

    /// The same, of an account as it was looked at: whether somebody may make tokens of it depends on what it may do.
    ///
    /// # Errors
    /// As [`Accounts::issue`]; [`AccountError::Changed`] where the account was changed since.
    pub async fn issue_as_seen(
        &self,
        seen: &Account,
        new: NewAccountToken,
        by: &str,
        now: Timestamp,
    ) -> Result<IssuedAccountToken, AccountError> {
        self.issued((seen.id, Some(seen.revision)), new, by, now).await
    }

    async fn issued(
        &self,
        (account, revision): (AccountId, Option<u64>),
        new: NewAccountToken,
        by: &str,
        now: Timestamp,
    ) -> Result<IssuedAccountToken, AccountError> {
        let mut transaction = self.database.write(Scope::Accounts).await?;
        let account = found(transaction.account(&account.to_string()).await?.map(Account::of).transpose()?)?;
        if revision.is_some_and(|revision| revision != account.revision) {
            return Err(AccountError::Changed);
        }
        let info = self.first_of_family(&account, new, by, now)?;
        let live = transaction.live_account_tokens(&account.id.to_string(), now).await?;
        if live >= MOST_LIVE {
            return Err(AccountError::TooManyTokens(live));
        }
        let token = self.insert(&mut transaction, &info).await?;
        transaction.commit().await?;
        Ok(IssuedAccountToken { token, info, account })
    }

    /// What is to be known about a new token.
    pub(super) fn first_of_family(
        &self,
        account: &Account,
        new: NewAccountToken,
        by: &str,
        now: Timestamp,
    ) -> Result<TokenInfo, AccountError> {
        let name = text("name", new.name, SHORT)?;
        let expires = self.token_end(new.expires, account, now)?;
        let id = AccountTokenId::new(now)?;
        Ok(TokenInfo {
            id,
            account: account.id,
            family: id,
            name,
            created: now,
            created_by: by.to_owned(),
            expires,
            used: None,
            rotated: None,
            revoked: None,
        })
    }

    /// The tokens of an account, oldest first, after that one: at most `limit`, and at most 500. Those that ended long ago are
    /// gone.
    ///
    /// # Errors
    /// [`AccountError::Database`].
    pub async fn tokens(
        &self,
        account: AccountId,
        after: Option<AccountTokenId>,
        limit: u32,
    ) -> Result<Vec<TokenInfo>, AccountError> {
        let after = after.map_or_else(String::new, |after| after.to_string());
        let rows = self.database.account_tokens(&account.to_string(), &after, limit.min(PAGE)).await?;
        Ok(rows.into_iter().map(TokenInfo::of).collect::<Result<_, _>>()?)
    }

    /// The token of that id.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Database`].
    pub async fn token(&self, id: AccountTokenId) -> Result<TokenInfo, AccountError> {
        let row = self.database.account_token(&id.to_string()).await?;
        Ok(TokenInfo::of(row.ok_or(AccountError::NotFound("token"))?)?)
    }

    /// Whose token a text is, whatever became of it: for whoever found it somewhere. None where it is none of ours.
    ///
    /// # Errors
    /// [`AccountError::NotGood`] where it is not well-formed, [`AccountError::Database`].
    pub async fn identify(&self, text: &str) -> Result<Option<(TokenInfo, Account)>, AccountError> {
        let token = AccountToken::parse(text).map_err(AccountRefusal::Malformed)?;
        let found = self.database.account_token_of(token.digest(&self.key.0).bytes()).await?;
        found.map(|(token, account)| Ok((TokenInfo::of(token)?, Account::of(account)?))).transpose()
    }

    /// The same, by the keyed digest that the audit has in place of the token: 64 hex digits.
    ///
    /// # Errors
    /// [`AccountError::Database`].
    pub async fn identify_digest(&self, digest: &str) -> Result<Option<(TokenInfo, Account)>, AccountError> {
        let Some(digest) = Sha256::parse(digest) else { return Ok(None) };
        match self.database.account_token_of(digest.bytes()).await? {
            Some((token, account)) => Ok(Some((TokenInfo::of(token)?, Account::of(account)?))),
            None => Ok(None),
        }
    }

    /// The same, by its id.
    ///
    /// # Errors
    /// [`AccountError::Database`].
    pub async fn identify_id(&self, id: AccountTokenId) -> Result<Option<(TokenInfo, Account)>, AccountError> {
        let Some(row) = self.database.account_token(&id.to_string()).await? else { return Ok(None) };
        self.identify_row(&row.digest).await
    }

    /// A token, and the keyed digest that stands for it in the audit.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Database`].
    pub async fn token_digest(&self, id: AccountTokenId) -> Result<(TokenInfo, Sha256), AccountError> {
        let row = self.database.account_token(&id.to_string()).await?.ok_or(AccountError::NotFound("token"))?;
        let digest = Sha256::from_bytes(&row.digest).ok_or(AccountError::NotFound("token"))?;
        Ok((TokenInfo::of(row)?, digest))
    }

    async fn identify_row(&self, digest: &[u8]) -> Result<Option<(TokenInfo, Account)>, AccountError> {
        match Sha256::from_bytes(digest) {
            Some(digest) => self.identify_digest(&digest.to_string()).await,
            None => Ok(None),
        }
    }

    /// A new token with what is known about it; the text goes to the caller alone.
    pub(super) async fn insert(
        &self,
        transaction: &mut WriteTransaction,
        info: &TokenInfo,
    ) -> Result<AccountToken, AccountError> {
        let token = AccountToken::new()?;
        let row = AccountTokenRow {
            id: info.id.to_string(),
            account: info.account.to_string(),
            family: info.family.to_string(),
            name: info.name.clone(),
            digest: token.digest(&self.key.0).bytes().to_vec(),
            created: info.created,
            created_by: info.created_by.clone(),
            expires: info.expires,
            used: None,
            rotated: None,
            successor: None,
            revoked: None,
        };
        transaction.insert_account_token(&row).await?;
        Ok(token)
    }

    /// # Errors
    /// [`AccountError::Invalid`] for an end that lies too far ahead, or not ahead at all.
    pub(super) fn token_end(
        &self,
        expires: Timestamp,
        account: &Account,
        now: Timestamp,
    ) -> Result<Timestamp, AccountError> {
        if now >= account.expires {
            return Err(AccountRefusal::AccountExpired.into());
        }
        let most = self.settings.max_token_lifetime;
        if expires <= now || expires > now.plus(most.duration()) || expires > account.expires {
            let why =
                format_args!("lies ahead, by at most {most}, and not after the account's end, {}", account.expires);
            return Err(AccountError::invalid("expires_at", why));
        }
        Ok(expires)
    }
}
