//! The logins of callers, kept as long as they are good.
//!
//! Decides when a login is used again: for the very same token, until its lease or the token ends, whichever comes first.
//! Callers that come at once with one token share one login. Memory: at most [`KEPT`] sessions of about 1 KiB; what is
//! pushed out is a login more.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::error::UpstreamError;
use super::login::Login;
use super::request::Caller;
use crate::clock::Timestamp;
use crate::jose::{Sha256, sha256};

/// How many sessions are kept.
const KEPT: usize = 4096;
/// How long before its end a session is no longer used: a request takes its time to get there.
const SLACK: Duration = Duration::from_secs(2);
/// The age from which a session that OpenBao refuses is replaced. OpenBao says the same of a token that it does not know
/// and of a path that is not allowed: whoever asks for what is denied, again and again, must not cost a login each time.
const DOUBTED_AFTER: Duration = Duration::from_secs(10);

/// The sessions of all callers.
pub(super) struct Sessions(Cache<Key, Arc<Slot>>);

/// Whose session: the digest is of the whole token, so no two tokens share one, whatever their `jti` says.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    token_id: Box<str>,
    digest: Sha256,
}

/// One login, made or under way.
#[derive(Default)]
struct Slot(OnceCell<Result<Arc<Session>, UpstreamError>>);

/// A login that can be used.
pub(super) struct Session {
    pub(super) token: Zeroizing<String>,
    since: Timestamp,
    until: Timestamp,
}

impl Session {
    /// What of `login` can be used for `caller`. It never outlives the caller's own token: that is what was promised.
    pub(super) fn of(login: Login, caller: &Caller<'_>, now: Timestamp) -> Self {
        let lease = if login.lease.is_zero() { caller.expires } else { now.plus(login.lease) };
        // A login whose requests are counted is good for this one.
        let until = if login.num_uses > 0 { now } else { lease.min(caller.expires).minus(SLACK) };
        Self { token: login.client_token, since: now, until }
    }

    /// Whether a refusal may mean that OpenBao no longer knows it.
    pub(super) fn is_doubtful(&self, now: Timestamp) -> bool {
        now.since(self.since) >= DOUBTED_AFTER
    }

    fn is_good(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self(Cache::new(KEPT))
    }

    /// The session of `caller`: the one from before, or the one that `login` makes. No lock is held while it does.
    pub(super) async fn session<F>(
        &self,
        caller: &Caller<'_>,
        now: Timestamp,
        login: impl FnOnce() -> F,
    ) -> Result<Arc<Session>, UpstreamError>
    where
        F: Future<Output = Result<Session, UpstreamError>>,
    {
        let key = Key { token_id: Box::from(caller.token_id), digest: sha256(caller.token.as_bytes()) };
        let slot = self.slot(&key, now);
        let mut login = Some(login);
        let first = || {
            let login = login.take();
            async {
                match login {
                    Some(login) => login().await.map(Arc::new),
                    None => Err(UpstreamError::Ended),
                }
            }
        };
        let ended = slot.0.get_or_init(first).await.clone();
        // A failure is shared by those who waited for it, and by nobody after them.
        if !ended.as_ref().is_ok_and(|session| session.is_good(now)) {
            self.0.remove_if(&key, |kept| Arc::ptr_eq(kept, &slot));
        }
        match (ended, login) {
            // Somebody else's login, good for one request: this one makes its own.
            (Ok(session), Some(login)) if !session.is_good(now) => login().await.map(Arc::new),
            (ended, _) => ended,
        }
    }

    /// No longer uses `session`, if it is still the one that is used.
    pub(super) fn forget(&self, caller: &Caller<'_>, session: &Arc<Session>) {
        let key = Key { token_id: Box::from(caller.token_id), digest: sha256(caller.token.as_bytes()) };
        let is_it = |kept: &Arc<Slot>| matches!(kept.0.get(), Some(Ok(other)) if Arc::ptr_eq(other, session));
        self.0.remove_if(&key, is_it);
    }

    fn slot(&self, key: &Key, now: Timestamp) -> Arc<Slot> {
        let is_over = |slot: &Arc<Slot>| match slot.0.get() {
            Some(Ok(session)) => !session.is_good(now),
            Some(Err(_)) => true,
            None => false,
        };
        self.0.remove_if(key, is_over);
        let made = self.0.get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        match made {
            Ok(slot) => slot,
            Err(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const START: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn caller(token: &str) -> Caller<'_> {
        Caller { token, token_id: "same", expires: START.plus(Duration::from_secs(600)), namespace: None }
    }

    fn session(lease: u64, num_uses: u64, now: Timestamp) -> Session {
        let body =
            format!(r#"{{"auth": {{"client_token": "s.x", "lease_duration": {lease}, "num_uses": {num_uses}}}}}"#);
        Session::of(Login::read(body.as_bytes()).unwrap(), &caller("t"), now)
    }

    struct Counted(Sessions, AtomicU32);

    impl Counted {
        fn new() -> Self {
            Self(Sessions::new(), AtomicU32::new(0))
        }

        async fn ask(&self, token: &str, now: Timestamp, made: Result<Session, UpstreamError>) -> bool {
            let login = || async {
                self.1.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                made
            };
            self.0.session(&caller(token), now, login).await.is_ok()
        }

        fn logins(&self) -> u32 {
            self.1.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn callers_that_come_at_once_share_one_login() {
        let sessions = Counted::new();
        let good = || Ok(session(300, 0, START));
        let (a, b, c) = tokio::join!(
            sessions.ask("t", START, good()),
            sessions.ask("t", START, good()),
            sessions.ask("t", START, good())
        );
        assert!(a && b && c);
        assert_eq!(sessions.logins(), 1);
    }

    #[tokio::test]
    async fn another_token_has_another_session_even_with_the_same_jti() {
        let sessions = Counted::new();
        sessions.ask("t", START, Ok(session(300, 0, START))).await;
        sessions.ask("u", START, Ok(session(300, 0, START))).await;
        assert_eq!(sessions.logins(), 2);
    }

    #[rstest::rstest]
    #[case::within_its_lease(300, 0, 297, 1)]
    #[case::at_the_end_of_its_lease(300, 0, 298, 2)]
    #[case::a_lease_without_end_ends_with_the_token(0, 0, 597, 1)]
    #[case::and_not_after_it(0, 0, 598, 2)]
    #[case::a_long_lease_ends_with_the_token(3600, 0, 598, 2)]
    #[case::counted_uses_are_not_shared(300, 1, 0, 2)]
    #[tokio::test]
    async fn a_session_is_used_as_long_as_lease_and_token_are_good(
        #[case] lease: u64,
        #[case] num_uses: u64,
        #[case] later: u64,
        #[case] logins: u32,
    ) {
        let sessions = Counted::new();
        sessions.ask("t", START, Ok(session(lease, num_uses, START))).await;
        let later = START.plus(Duration::from_secs(later));
        sessions.ask("t", later, Ok(session(lease, num_uses, later))).await;
        assert_eq!(sessions.logins(), logins);
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let sessions = Counted::new();
        assert!(!sessions.ask("t", START, Err(UpstreamError::Ended)).await);
        assert!(sessions.ask("t", START, Ok(session(300, 0, START))).await);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_the_login_to_the_next() {
        let sessions = Counted::new();
        let who = caller("t");
        let gone = sessions.0.session(&who, START, std::future::pending);
        assert!(tokio::time::timeout(Duration::from_millis(10), gone).await.is_err());
        assert!(sessions.ask("t", START, Ok(session(300, 0, START))).await);
    }

    #[tokio::test]
    async fn only_the_session_that_was_refused_is_forgotten() {
        let sessions = Counted::new();
        sessions.ask("t", START, Ok(session(300, 0, START))).await;
        sessions.0.forget(&caller("t"), &Arc::new(session(300, 0, START)));
        sessions.ask("t", START, Ok(session(300, 0, START))).await;
        assert_eq!(sessions.logins(), 1);
        let used = sessions.0.session(&caller("t"), START, || async { Err(UpstreamError::Ended) }).await.unwrap();
        sessions.0.forget(&caller("t"), &used);
        sessions.ask("t", START, Ok(session(300, 0, START))).await;
        assert_eq!(sessions.logins(), 2);
    }
}
