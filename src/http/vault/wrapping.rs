//! Answers that wait for whoever unwraps them, once (OpenBao API, response wrapping).
//!
//! In memory, bounded: an answer that is lost with the process is a login that is made again. Only the digest of a wrapping
//! token is kept, so that nothing here could be presented.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::jose::{Sha256, random, sha256};

/// How many answers wait at once; one more is refused.
const MAX_WAITING: usize = 10_000;

/// The answers that wait.
#[derive(Default)]
pub struct Wrappings(Mutex<HashMap<Sha256, Waiting>>);

struct Waiting {
    answer: Zeroizing<Vec<u8>>,
    path: Box<str>,
    created: Timestamp,
    span: Duration,
}

impl Waiting {
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.created.plus(self.span)
    }
}

impl Wrappings {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has `answer` wait for `span`; what is told of it in its place. `None` where too many wait, or no token can be made.
    pub(super) fn wrap(&self, answer: Vec<u8>, path: &str, span: Duration, now: Timestamp) -> Option<Value> {
        let answer = Zeroizing::new(answer);
        let token = Zeroizing::new(format!("wrap.{}", URL_SAFE_NO_PAD.encode(random::<32>().ok()?)));
        let mut waiting = self.waiting();
        if waiting.len() >= MAX_WAITING {
            waiting.retain(|_, waiting| !waiting.is_over(now));
        }
        if waiting.len() >= MAX_WAITING {
            return None;
        }
        let path: Box<str> = Box::from(path);
        waiting.insert(sha256(token.as_bytes()), Waiting { answer, path: path.clone(), created: now, span });
        Some(json!({
            "token": token.as_str(),
            "accessor": "",
            "ttl": span.as_secs(),
            "creation_time": now.to_string(),
            "creation_path": path,
            "wrapped_accessor": "",
        }))
    }

    /// The answer that `token` stands for, which then waits no more.
    pub(super) fn unwrap(&self, token: &str, now: Timestamp) -> Option<Zeroizing<Vec<u8>>> {
        let waiting = self.waiting().remove(&sha256(token.as_bytes()))?;
        (!waiting.is_over(now)).then_some(waiting.answer)
    }

    /// What is known of the answer that `token` stands for.
    pub(super) fn lookup(&self, token: &str, now: Timestamp) -> Option<Value> {
        let waiting = self.waiting();
        let found = waiting.get(&sha256(token.as_bytes())).filter(|waiting| !waiting.is_over(now))?;
        Some(json!({
            "creation_path": found.path,
            "creation_time": found.created.to_string(),
            "creation_ttl": found.span.as_secs(),
        }))
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Sha256, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Wrappings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrappings({} waiting)", self.waiting().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn token(info: &Value) -> &str {
        info["token"].as_str().unwrap()
    }

    #[test]
    fn an_answer_is_unwrapped_once() {
        let wrappings = Wrappings::new();
        let info = wrappings.wrap(b"answer".to_vec(), "auth/jwt/login", MINUTE, NOW).unwrap();
        assert_eq!(wrappings.lookup(token(&info), NOW).unwrap()["creation_path"], "auth/jwt/login");
        assert_eq!(wrappings.unwrap("wrap.other", NOW), None);
        assert_eq!(wrappings.unwrap(token(&info), NOW).unwrap().as_slice(), b"answer");
        assert_eq!(wrappings.unwrap(token(&info), NOW), None);
        assert_eq!(wrappings.lookup(token(&info), NOW), None);
    }

    #[test]
    fn an_answer_that_waited_too_long_is_gone() {
        let wrappings = Wrappings::new();
        let info = wrappings.wrap(b"answer".to_vec(), "p", MINUTE, NOW).unwrap();
        assert_eq!(wrappings.lookup(token(&info), NOW.plus(MINUTE)), None);
        assert_eq!(wrappings.unwrap(token(&info), NOW.plus(MINUTE)), None);
    }

    #[test]
    fn no_more_wait_than_there_is_room_for_and_what_is_over_makes_room() {
        let wrappings = Wrappings::new();
        for _ in 0..MAX_WAITING {
            assert!(wrappings.wrap(vec![], "p", MINUTE, NOW).is_some());
        }
        assert!(wrappings.wrap(vec![], "p", MINUTE, NOW).is_none());
        assert!(wrappings.wrap(vec![], "p", MINUTE, NOW.plus(MINUTE)).is_some());
    }

    #[test]
    fn what_waits_is_not_printed() {
        let wrappings = Wrappings::new();
        wrappings.wrap(b"hunter2".to_vec(), "p", MINUTE, NOW).unwrap();
        assert_eq!(format!("{wrappings:?}"), "Wrappings(1 waiting)");
    }
}
