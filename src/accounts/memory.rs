//! What was read from the database a moment ago. Decides for how long it counts.
//!
//! | what | by | for |
//! |---|---|---|
//! | tokens that are on record | keyed digest | [`FRESH`], at most 16,384 |
//! | accounts | id, and namespace with name | [`FRESH`], at most 16,384 |
//!
//! What is not on record is not remembered: nobody can fill this with guesses.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use super::account::Account;
use super::ids::AccountId;
use super::token_info::TokenInfo;
use crate::clock::Timestamp;
use crate::identity::{AccountName, Namespace};
use crate::jose::Sha256;

/// For how long a row counts after it was asked for. A revocation is seen everywhere by then.
pub const FRESH: Duration = Duration::from_secs(2);
/// How many of each are remembered, at about 1 KiB an account and 300 bytes a token.
const REMEMBERED: usize = 16_384;

/// Something, and when it was asked for: not when it came, as it may have been read any time between.
#[derive(Clone)]
struct Dated<T>(Arc<T>, Timestamp);

/// The name of an account in its namespace.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Named(Option<Namespace>, AccountName);

pub(super) struct Memory {
    tokens: Cache<Sha256, Dated<TokenInfo>>,
    accounts: Cache<AccountId, Dated<Account>>,
    names: Cache<Named, Dated<Account>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { tokens: Cache::new(REMEMBERED), accounts: Cache::new(REMEMBERED), names: Cache::new(REMEMBERED) }
    }

    pub(super) fn token(&self, digest: &Sha256, now: Timestamp) -> Option<Arc<TokenInfo>> {
        fresh(self.tokens.get(digest), now)
    }

    /// The same, however long ago it was asked for: that it is on record still is not said by that.
    pub(super) fn token_of_any_age(&self, digest: &Sha256) -> Option<Arc<TokenInfo>> {
        self.tokens.get(digest).map(|Dated(token, _)| token)
    }

    pub(super) fn account(&self, id: &AccountId, now: Timestamp) -> Option<Arc<Account>> {
        fresh(self.accounts.get(id), now)
    }

    pub(super) fn named(
        &self,
        namespace: Option<&Namespace>,
        name: &AccountName,
        now: Timestamp,
    ) -> Option<Arc<Account>> {
        fresh(self.names.get(&Named(namespace.cloned(), name.clone())), now)
    }

    pub(super) fn keep_token(&self, digest: Sha256, token: Arc<TokenInfo>, asked: Timestamp) {
        self.tokens.insert(digest, Dated(token, asked));
    }

    pub(super) fn keep_account(&self, account: &Arc<Account>, asked: Timestamp) {
        let named = Named(account.namespace.clone(), account.name.clone());
        self.names.insert(named, Dated(Arc::clone(account), asked));
        self.accounts.insert(account.id, Dated(Arc::clone(account), asked));
    }

    /// No token is what it was, perhaps.
    pub(super) fn forget_tokens(&self) {
        self.tokens.clear();
    }

    /// The account is not what it was.
    pub(super) fn forget_account(&self, account: &Account) {
        self.accounts.remove(&account.id);
        self.names.remove(&Named(account.namespace.clone(), account.name.clone()));
    }

    /// The token of that digest is not what it was.
    pub(super) fn forget_digest(&self, digest: &[u8]) {
        if let Some(digest) = Sha256::from_bytes(digest) {
            self.tokens.remove(&digest);
        }
    }
}

/// A clock that was set back makes nothing fresh again.
fn fresh<T>(found: Option<Dated<T>>, now: Timestamp) -> Option<Arc<T>> {
    found.filter(|Dated(_, asked)| *asked <= now && now.since(*asked) < FRESH).map(|Dated(what, _)| what)
}
