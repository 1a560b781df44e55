//! Who acts as which account.
//!
//! Decides by rows that were read at most [`FRESH`](super::FRESH) ago. A token that was rotated out and comes back ends its
//! whole family here, on the disk, before the answer goes out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::account::{Account, namespace_key};
use super::acting::ActingAccount;
use super::memory::Memory;
use super::refusal::AccountRefusal;
use super::settings::AccountSettings;
use super::token_info::TokenInfo;
use super::token_text::AccountToken;
use super::uses::Uses;
use crate::clock::Timestamp;
use crate::identity::{AccountName, Namespace};
use crate::jose::{DIGEST_KEY_BYTES, DigestKey, Sha256};
use crate::state::database::{Database, DatabaseError, Scope};

/// How many tokens that ended long ago are removed at a time.
const PURGED: u32 = 500;

/// The key of the digests under which tokens are kept. All replicas have the same; another one makes every token unknown.
#[derive(Debug)]
pub struct TokenKey(pub(super) DigestKey);

impl TokenKey {
    /// The key of these bytes, which must be random. The caller zeroes its own copy.
    #[must_use]
    pub fn new(key: &[u8; DIGEST_KEY_BYTES]) -> Self {
        Self(DigestKey::new(key))
    }
}

/// All service accounts.
pub struct Accounts {
    pub(super) database: Database,
    pub(super) key: TokenKey,
    pub(super) settings: AccountSettings,
    pub(super) memory: Memory,
    uses: Uses,
    reuses: Arc<AtomicU64>,
}

impl Accounts {
    /// The accounts in `database`, whose tokens are kept under `key`. Reads nothing yet. Needs no server around it: the
    /// operator's commands open it on the file itself.
    #[must_use]
    pub fn open(database: Database, key: TokenKey, settings: AccountSettings) -> Self {
        let (memory, uses) = (Memory::new(), Uses::default());
        Self { database, key, settings, memory, uses, reuses: Arc::default() }
    }

    /// What the operator says about all of them.
    #[must_use]
    pub fn settings(&self) -> &AccountSettings {
        &self.settings
    }

    /// Who bears a token.
    ///
    /// # Errors
    /// [`AccountRefusal`]. [`AccountRefusal::Reused`] comes once for a family: its tokens are revoked, durably, by then.
    pub async fn authenticate(&self, text: &str, now: Timestamp) -> Result<ActingAccount, AccountRefusal> {
        // Its form first: what is no token costs no lookup.
        let token = AccountToken::parse(text).map_err(AccountRefusal::Malformed)?;
        let digest = token.digest(&self.key.0);
        let known = self.memory.token(&digest, now).filter(|token| token.stands(now).is_ok());
        let known = known.and_then(|token| Some((self.memory.account(&token.account, now)?, token)));
        let (account, token) = match known {
            Some(known) => known,
            None => self.look_up(digest, now).await?,
        };
        if let Err(refusal) = token.stands(now) {
            let gives_itself_away = self.is_kept_copy(&token, refusal, now).await?;
            return Err(if gives_itself_away { self.end_family(&token, now).await } else { refusal });
        }
        account.stands(now)?;
        self.uses.token(token.id, token.used, now);
        self.uses.account(account.id, account.used, now);
        Ok(ActingAccount { account, by: Some((token, digest)) })
    }

    /// What is kept of a token, and what the audit calls it by; none where the text is no token. Says nothing about whether
    /// anybody has it.
    #[must_use]
    pub fn digest(&self, text: &str) -> Option<Sha256> {
        Some(AccountToken::parse(text).ok()?.digest(&self.key.0))
    }

    /// Whether a token of that digest was on record and good when it was looked up last: who asks for it need not be taken for
    /// somebody who tries out texts.
    #[must_use]
    pub fn knows(&self, digest: &Sha256, now: Timestamp) -> bool {
        self.memory.token_of_any_age(digest).is_some_and(|token| token.stands(now).is_ok())
    }

    /// The account of that name, for whoever acts as it by a rule.
    ///
    /// # Errors
    /// [`AccountRefusal`].
    pub async fn acting(
        &self,
        namespace: Option<&Namespace>,
        name: &AccountName,
        now: Timestamp,
    ) -> Result<ActingAccount, AccountRefusal> {
        let account = match self.memory.named(namespace, name, now) {
            Some(account) => account,
            None => {
                let since = self.memory.since();
                let row = self.database.account_named(namespace_key(namespace), name.as_str()).await;
                let row = row.map_err(|error| not_reached(&error))?.ok_or(AccountRefusal::NoAccount)?;
                let account = Arc::new(Account::of(row).map_err(|error| not_reached(&error))?);
                self.memory.keep(None, &account, now, since);
                account
            }
        };
        account.stands(now)?;
        self.uses.account(account.id, account.used, now);
        Ok(ActingAccount { account, by: None })
    }

    /// Writes when accounts and tokens were used, and removes tokens that ended long ago; to be called every
    /// [`USES_WRITTEN_EVERY`](super::USES_WRITTEN_EVERY) and at the end.
    ///
    /// # Errors
    /// [`DatabaseError`]: nothing is lost by it but time.
    pub async fn maintain(&self, now: Timestamp) -> Result<(), DatabaseError> {
        self.uses.write(&self.database, now).await?;
        let mut transaction = self.database.write(Scope::Accounts).await?;
        // As long after their end as they could live at most: a copy of a rotated token gives itself away until then.
        let before = now.minus(self.settings.max_token_lifetime.duration());
        transaction.purge_account_tokens(before, PURGED).await?;
        transaction.commit().await
    }

    /// How often a token that was rotated out came back, at this replica, and ended its family.
    #[must_use]
    pub fn reuses(&self) -> u64 {
        self.reuses.load(Ordering::Relaxed)
    }

    async fn look_up(&self, digest: Sha256, now: Timestamp) -> Result<(Arc<Account>, Arc<TokenInfo>), AccountRefusal> {
        let since = self.memory.since();
        let found = self.database.account_token_of(digest.bytes()).await.map_err(|error| not_reached(&error))?;
        if found.is_none() && self.memory.token_of_any_age(&digest).is_some() {
            self.memory.forget_digest(digest.bytes());
        }
        let (token, account) = found.ok_or(AccountRefusal::Unknown)?;
        let token = Arc::new(TokenInfo::of(token).map_err(|error| not_reached(&error))?);
        let account = Arc::new(Account::of(account).map_err(|error| not_reached(&error))?);
        self.memory.keep(Some((digest, &token)), &account, now, since);
        Ok((account, token))
    }

    /// Whether a token that is refused is one that somebody kept after it was rotated out, with something of its family left to
    /// end. Revoking it, by whoever has it, does not take that away.
    async fn is_kept_copy(
        &self,
        token: &TokenInfo,
        refusal: AccountRefusal,
        now: Timestamp,
    ) -> Result<bool, AccountRefusal> {
        match refusal {
            AccountRefusal::Reused => Ok(true),
            // A read first: what is all over, as nearly always, costs no writing however often it comes.
            AccountRefusal::Revoked if token.is_rotated_out(now) => {
                let alive = self.database.family_of_account_tokens(&token.family.to_string()).await;
                Ok(alive.map_err(|error| not_reached(&error))? > 0)
            }
            _ => Ok(false),
        }
    }

    /// Revokes all tokens of a family, one of which somebody has kept. Whoever really does it is told [`Reused`]; others
    /// that come with a copy at the same moment are told [`Revoked`]. It goes on when the caller hangs up.
    ///
    /// [`Reused`]: AccountRefusal::Reused
    /// [`Revoked`]: AccountRefusal::Revoked
    async fn end_family(&self, token: &Arc<TokenInfo>, now: Timestamp) -> AccountRefusal {
        let (database, reuses, token) = (self.database.clone(), Arc::clone(&self.reuses), Arc::clone(token));
        let account = token.account;
        let ended = tokio::spawn(async move { end_family(&database, &token, &reuses, now).await }).await;
        self.memory.forget_tokens();
        self.memory.forget_account(&account);
        match ended {
            Ok(Ok(true)) => AccountRefusal::Reused,
            Ok(Ok(false)) => AccountRefusal::Revoked,
            // Not said to be done: it is tried again with the next one that comes.
            Ok(Err(error)) => not_reached(&error),
            Err(_) => AccountRefusal::Unavailable,
        }
    }
}

/// Whether there was anything left to revoke.
async fn end_family(
    database: &Database,
    token: &TokenInfo,
    reuses: &AtomicU64,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    let mut transaction = database.write(Scope::Accounts).await?;
    let count = transaction.revoke_account_tokens(&token.family.to_string(), now, "reused").await?;
    if count > 0 {
        // What was minted for any of them may be in the wrong hands too.
        transaction.begin_account_epoch(&token.account.to_string()).await?;
    }
    transaction.commit().await?;
    if count > 0 {
        reuses.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            account = %token.account, token = %token.id, family = %token.family, count,
            "a rotated token of a service account came back after its overlap: its family is revoked"
        );
    }
    Ok(count > 0)
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The database did not answer. Its error names no value.
pub(super) fn not_reached(error: &DatabaseError) -> AccountRefusal {
    tracing::error!(%error, "service accounts cannot be looked up");
    AccountRefusal::Unavailable
}
