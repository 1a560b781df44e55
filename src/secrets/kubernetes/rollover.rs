//! A value that something is verified against, while it is being replaced.
//!
//! Decides which values count: the one that is in the cluster now, and for a while the one before it. Both sides of a
//! rotation can then change at their own time. A Secret that was deleted has no value of before: deleting revokes at once.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use super::KubernetesStore;
use super::names::SecretName;
use super::object::Object;
use crate::clock::Timestamp;
use crate::identity::Namespace;
use crate::secrets::KvError;

/// A verifying value and the one before it. Never prints either.
pub struct RolloverSecret {
    store: Arc<KubernetesStore>,
    secret: SecretName,
    key: Box<str>,
    tenant: Option<Namespace>,
    purpose: Box<str>,
    seen: Mutex<Option<Seen>>,
}

type Value = Zeroizing<Vec<u8>>;

/// What was in the cluster at the last use.
struct Seen {
    uid: String,
    version: Option<u64>,
    current: Value,
    /// The value of before, and until when it counts.
    previous: Option<(Value, Timestamp)>,
}

impl RolloverSecret {
    pub(super) fn new(
        store: Arc<KubernetesStore>,
        secret: SecretName,
        key: Box<str>,
        tenant: Option<Namespace>,
        purpose: Box<str>,
    ) -> Self {
        Self { store, secret, key, tenant, purpose, seen: Mutex::new(None) }
    }

    /// Whether `check` accepts the value that is in the cluster now, or the one that was there before a change that was
    /// first seen less than the settings' `rollover` ago. The cluster is asked each time. `check` compares in constant
    /// time, and is called for both values whatever it says about the first.
    ///
    /// # Errors
    /// [`KvError`]: then nothing is accepted. `Damaged` for an empty value, which anybody could sign with.
    pub async fn accepts(&self, check: impl Fn(&[u8]) -> bool, now: Timestamp) -> Result<bool, KvError> {
        let read = self.read().await;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match read {
            Ok(answer) => answer,
            Err(KvError::Unavailable(why)) => return Err(KvError::Unavailable(why)),
            Err(gone) => {
                *seen = None;
                return Err(gone);
            }
        };
        // The answer itself counts even where one that was asked for later came first.
        let by_answer = check(&answer.current);
        let by_seen = match &mut *seen {
            Some(seen) => {
                seen.take_in(answer, now, self.store.rollover());
                seen.accept(check)
            }
            nothing => nothing.insert(answer).accept(check),
        };
        Ok(by_answer | by_seen)
    }

    async fn read(&self) -> Result<Seen, KvError> {
        let readable = self.store.readable(&self.secret, self.tenant.as_ref(), &self.purpose).await?;
        if !readable.keys.contain(&self.key) {
            return Err(KvError::Refused("the key is not of the caller's namespace"));
        }
        let Object { uid, version, mut values, .. } = readable.object;
        let current = values.remove(&*self.key).ok_or(KvError::NotFound)?;
        if current.is_empty() {
            return Err(KvError::Damaged("the value is empty"));
        }
        Ok(Seen { uid, version, current, previous: None })
    }
}

impl Seen {
    /// Takes an answer in, unless it is older than what was seen.
    fn take_in(&mut self, answer: Self, now: Timestamp, rollover: Duration) {
        if self.uid != answer.uid {
            *self = answer; // made anew: what was deleted does not count any more
            return;
        }
        let is_old = matches!((self.version, answer.version), (Some(seen), Some(its)) if its < seen);
        if !is_old {
            self.version = answer.version;
            if self.current != answer.current {
                let before = std::mem::replace(&mut self.current, answer.current);
                self.previous = Some((before, now.plus(rollover)));
            }
        }
        self.previous.take_if(|(_, until)| *until <= now);
    }

    fn accept(&self, check: impl Fn(&[u8]) -> bool) -> bool {
        let previous = self.previous.as_ref().is_some_and(|(value, _)| check(value));
        check(&self.current) | previous
    }
}

impl fmt::Debug for RolloverSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RolloverSecret").field("secret", &self.secret).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const WINDOW: Duration = Duration::from_secs(600);

    fn at(secs: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(secs))
    }

    fn answer(uid: &str, version: u64, value: &str) -> Seen {
        let current = Zeroizing::new(value.as_bytes().to_vec());
        Seen { uid: uid.to_owned(), version: (version > 0).then_some(version), current, previous: None }
    }

    fn accepted(seen: &Seen) -> Vec<&'static str> {
        ["one", "two", "three"].into_iter().filter(|value| seen.accept(|known| known == value.as_bytes())).collect()
    }

    /// What is accepted after the first answer `u 1 one` and these: seconds, uid, version, value.
    #[rstest]
    #[case(&[], &["one"])]
    #[case(&[(0, "u", 1, "one")], &["one"])]
    #[case(&[(0, "u", 2, "two")], &["one", "two"])]
    #[case(&[(0, "u", 2, "two"), (599, "u", 2, "two")], &["one", "two"])]
    #[case(&[(0, "u", 2, "two"), (600, "u", 2, "two")], &["two"])]
    #[case(&[(0, "u", 2, "two"), (300, "u", 3, "two"), (600, "u", 3, "two")], &["two"])] // a label changed: no new window
    #[case(&[(0, "u", 2, "two"), (1, "u", 3, "three")], &["two", "three"])] // never more than two
    #[case(&[(0, "u", 3, "two"), (1, "u", 2, "one")], &["one", "two"])] // overtaken
    #[case(&[(0, "u", 3, "two"), (600, "u", 2, "one")], &["two"])]
    #[case(&[(0, "v", 2, "two")], &["two"])] // deleted, and made anew
    #[case(&[(0, "u", 0, "two")], &["one", "two"])] // a server whose versions are no numbers
    fn the_value_of_before_counts_for_a_while(#[case] answers: &[(u64, &str, u64, &str)], #[case] expected: &[&str]) {
        let mut seen = answer("u", 1, "one");
        for (secs, uid, version, value) in answers {
            seen.take_in(answer(uid, *version, value), at(*secs), WINDOW);
        }
        assert_eq!(accepted(&seen), expected);
    }

    #[test]
    fn without_a_window_only_the_current_value_counts() {
        let mut seen = answer("u", 1, "one");
        seen.take_in(answer("u", 2, "two"), NOW, Duration::ZERO);
        assert_eq!(accepted(&seen), ["two"]);
    }
}
