//! What callers were told, and may hold the replicas to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Unanswered;
use crate::support::Answer;

/// An answer that something was done, of the decision with this id.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub decision: String,
    pub kind: &'static str,
    pub replica: usize,
    pub at: Instant,
}

/// A token that was revoked, or took the place of another.
#[derive(Clone, Debug)]
pub struct Noted {
    pub token: String,
    pub at: Instant,
}

#[derive(Default)]
pub struct Ledger(Mutex<Entries>);

#[derive(Default)]
pub struct Entries {
    /// How often calls of a kind ended so.
    pub tally: BTreeMap<(&'static str, String), u64>,
    pub acknowledged: Vec<Acknowledged>,
    /// Values, by path and version.
    pub written: BTreeMap<(String, u64), String>,
    /// Values that somebody tried to write, acknowledged or not.
    pub attempted: BTreeSet<String>,
    pub rotated: Vec<Noted>,
    pub revoked: Vec<Noted>,
    /// Tokens of one use, and whether somebody was told that one was admitted.
    pub presented: Vec<(String, bool)>,
    /// When something was done last, and the longest time in which nothing was.
    last_done: Option<Instant>,
    pub longest_gap: Duration,
    /// The longest that a caller waited for an answer.
    pub longest_wait: Duration,
}

impl Ledger {
    pub fn with<T>(&self, work: impl FnOnce(&mut Entries) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    /// Notes how a call ended that was sent at `sent`.
    pub fn note(&self, kind: &'static str, replica: usize, sent: Instant, answer: &Result<Answer, Unanswered>) {
        let now = Instant::now();
        self.with(|entries| {
            let how = match answer {
                Ok(answer) => answer.status.to_string(),
                Err(Unanswered { refused: true }) => "nobody there".to_owned(),
                Err(Unanswered { refused: false }) => "cut off".to_owned(),
            };
            *entries.tally.entry((kind, how)).or_default() += 1;
            let Ok(answer) = answer else { return };
            entries.longest_wait = entries.longest_wait.max(now - sent);
            if !(200..300).contains(&answer.status) {
                return;
            }
            if let Some(last) = entries.last_done {
                entries.longest_gap = entries.longest_gap.max(now - last);
            }
            entries.last_done = Some(now);
            let decision = answer.decision().to_owned();
            if !decision.is_empty() {
                entries.acknowledged.push(Acknowledged { decision, kind, replica, at: now });
            }
        });
    }

    /// The newest version of a path that a writer was told of; 0 where there is none.
    pub fn newest(&self, path: &str) -> u64 {
        self.with(|entries| {
            let versions = entries.written.range((path.to_owned(), 0)..=(path.to_owned(), u64::MAX));
            versions.last().map_or(0, |((_, version), _)| *version)
        })
    }

    pub fn attempts(&self, value: &str) {
        assert!(self.with(|entries| entries.attempted.insert(value.to_owned())));
    }

    pub fn wrote(&self, path: &str, version: u64, value: &str) {
        let before = self.with(|entries| entries.written.insert((path.to_owned(), version), value.to_owned()));
        assert_eq!(before, None, "{path} {version} was acknowledged twice");
    }

    /// That a value was read is right: where the version was acknowledged it is that one, else one that was tried.
    pub fn is_right(&self, path: &str, version: u64, value: &str) {
        self.with(|entries| match entries.written.get(&(path.to_owned(), version)) {
            Some(written) => assert_eq!(written, value, "{path} {version}"),
            None => assert!(
                value.starts_with(&format!("{path} ")) && entries.attempted.contains(value),
                "{path} {version} is `{value}`, which nobody wrote there"
            ),
        });
    }

    /// Some token that was revoked at least so long ago.
    pub fn revoked_before(&self, age: Duration, number: usize) -> Option<String> {
        self.with(|entries| {
            let old = entries.revoked.partition_point(|revoked| revoked.at.elapsed() >= age);
            (old > 0).then(|| entries.revoked[number % old].token.clone())
        })
    }
}
