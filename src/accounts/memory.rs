//! What was read from the database a moment ago. Decides for how long it counts.
//!
//! | what | by | for |
//! |---|---|---|
//! | tokens that are on record | keyed digest | [`FRESH`], at most 16,384 |
//! | accounts | id | [`FRESH`], at most 16,384 |
//! | ids of accounts | namespace and name | as long as the account, at most 16,384 |
//!
//! What is not on record is not remembered: nobody can fill this with guesses.
//!
//! What is forgotten stays so: whoever asked the database before a change may come back with what was before it, after the
//! change was told to be done. So a look-up says [`since`](Memory::since) when it asks, and what it found is not kept where
//! anything was forgotten meanwhile.

use std::sync::{Arc, PoisonError, RwLock};
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

/// How often something had been forgotten when a look-up began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Since(u64);

pub(super) struct Memory {
    tokens: Cache<Sha256, Dated<TokenInfo>>,
    accounts: Cache<AccountId, Dated<Account>>,
    /// An id and no account: so there is one place where an account is forgotten.
    names: Cache<Named, AccountId>,
    /// How often something was forgotten. Held while something is kept, and alone while something is forgotten; both take
    /// microseconds, and nothing is waited for.
    forgotten: RwLock<Since>,
}

impl Memory {
    pub(super) fn new() -> Self {
        let (tokens, accounts, names) = (Cache::new(REMEMBERED), Cache::new(REMEMBERED), Cache::new(REMEMBERED));
        Self { tokens, accounts, names, forgotten: RwLock::new(Since(0)) }
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
        self.account(&self.names.get(&Named(namespace.cloned(), name.clone()))?, now)
    }

    /// To be asked before the database is.
    pub(super) fn since(&self) -> Since {
        *self.forgotten.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an account, and the token of that digest, by which it was looked up at `asked`; nothing where anything was forgotten
    /// since then.
    pub(super) fn keep(
        &self,
        token: Option<(Sha256, &Arc<TokenInfo>)>,
        account: &Arc<Account>,
        asked: Timestamp,
        since: Since,
    ) {
        let forgotten = self.forgotten.read().unwrap_or_else(PoisonError::into_inner);
        if *forgotten != since {
            return;
        }
        if let Some((digest, token)) = token {
            self.tokens.insert(digest, Dated(Arc::clone(token), asked));
        }
        self.names.insert(Named(account.namespace.clone(), account.name.clone()), account.id);
        self.accounts.insert(account.id, Dated(Arc::clone(account), asked));
    }

    /// No token is what it was, perhaps.
    pub(super) fn forget_tokens(&self) {
        self.forget(|| self.tokens.clear());
    }

    /// The account is not what it was. Also what was asked for at a later moment than the change: a request counts from when it
    /// came in, and may have been faster than one that came before it.
    pub(super) fn forget_account(&self, id: &AccountId) {
        self.forget(|| drop(self.accounts.remove(id)));
    }

    /// The token of that digest is not what it was.
    pub(super) fn forget_digest(&self, digest: &[u8]) {
        if let Some(digest) = Sha256::from_bytes(digest) {
            self.forget(|| drop(self.tokens.remove(&digest)));
        }
    }

    fn forget(&self, what: impl FnOnce()) {
        let mut forgotten = self.forgotten.write().unwrap_or_else(PoisonError::into_inner);
        forgotten.0 += 1;
        what();
    }
}

/// A clock that was set back makes nothing fresh again.
fn fresh<T>(found: Option<Dated<T>>, now: Timestamp) -> Option<Arc<T>> {
    found.filter(|Dated(_, asked)| *asked <= now && now.since(*asked) < FRESH).map(|Dated(what, _)| what)
}

#[cfg(test)]
mod tests {
    use super::super::grants::Grants;
    use super::super::ids::AccountTokenId;
    use super::*;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const DIGEST: [u8; 32] = [3; 32];

    fn digest() -> Sha256 {
        Sha256::from_bytes(&DIGEST).unwrap()
    }

    fn account() -> Arc<Account> {
        Arc::new(Account {
            id: AccountId::new(NOW).unwrap(),
            namespace: None,
            name: AccountName::new("ci").unwrap(),
            owner: "team-a".to_owned(),
            description: "reports".to_owned(),
            granted: Grants::default(),
            wanted: None,
            approved: true,
            approved_by: None,
            expires: NOW.plus(FRESH * 100),
            disabled: false,
            created: NOW,
            created_by: "ada".to_owned(),
            updated: NOW,
            updated_by: "ada".to_owned(),
            revision: 1,
            epoch: 1,
            used: None,
        })
    }

    fn token(account: &Account) -> Arc<TokenInfo> {
        let id = AccountTokenId::new(NOW).unwrap();
        Arc::new(TokenInfo {
            id,
            account: account.id,
            family: id,
            name: "t".to_owned(),
            created: NOW,
            created_by: "ada".to_owned(),
            expires: account.expires,
            used: None,
            rotated: None,
            revoked: None,
        })
    }

    /// Whether the token, the account by its id, and the account by its name are remembered.
    fn known(memory: &Memory, account: &Account, now: Timestamp) -> [bool; 3] {
        [
            memory.token(&digest(), now).is_some(),
            memory.account(&account.id, now).is_some(),
            memory.named(None, &account.name, now).is_some(),
        ]
    }

    #[rstest]
    #[case::at_once(NOW, true)]
    #[case::a_moment_later(NOW.plus(FRESH - Duration::from_millis(1)), true)]
    #[case::too_late(NOW.plus(FRESH), false)]
    #[case::by_a_clock_that_was_set_back(NOW.minus(Duration::from_millis(1)), false)]
    fn what_was_read_counts_for_two_seconds(#[case] now: Timestamp, #[case] counts: bool) {
        let (memory, account) = (Memory::new(), account());
        memory.keep(Some((digest(), &token(&account))), &account, NOW, memory.since());
        assert_eq!(known(&memory, &account, now), [counts; 3]);
    }

    #[test]
    fn what_was_asked_for_after_the_change_began_is_forgotten_too() {
        let (memory, account, later) = (Memory::new(), account(), NOW.plus(FRESH / 2));
        memory.keep(Some((digest(), &token(&account))), &account, later, memory.since());
        memory.forget_account(&account.id);
        memory.forget_digest(&DIGEST);
        assert_eq!(known(&memory, &account, later), [false; 3]);
    }

    #[rstest]
    #[case::the_account(|memory: &Memory, account: &Account| memory.forget_account(&account.id))]
    #[case::the_token(|memory: &Memory, _: &Account| memory.forget_digest(&DIGEST))]
    #[case::all_tokens(|memory: &Memory, _: &Account| memory.forget_tokens())]
    fn what_was_read_before_something_was_forgotten_is_not_kept(#[case] forget: fn(&Memory, &Account)) {
        let (memory, account) = (Memory::new(), account());
        let since = memory.since();
        forget(&memory, &account);
        memory.keep(Some((digest(), &token(&account))), &account, NOW, since);
        assert_eq!(known(&memory, &account, NOW), [false; 3]);
        memory.keep(Some((digest(), &token(&account))), &account, NOW, memory.since());
        assert_eq!(known(&memory, &account, NOW), [true; 3], "whoever asks afterwards is believed");
    }
}
