//! Which key is in which state, and what is due: a pure state machine over the list of our keys.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::jose::{Algorithm, KeyRules, VerifyingKey};

const VERSION: u32 = 1;
/// How late another process, or a cache in front of us, may notice a change of the manifest. Added to every wait.
pub(super) const NOTICE: Duration = Duration::from_secs(60);

/// Our keys, as `manifest.json` lists them. Times are whole seconds since the Unix epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    pub(super) keys: Vec<Entry>,
}

/// One key. The public half stands here, so that a key that no longer signs needs no private half any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) kid: Box<str>,
    pub(super) algorithm: Algorithm,
    pub(super) created: i64,
    pub(super) state: KeyState,
    pub(super) public: Value,
}

/// Where a key is in its life. Times are whole seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum KeyState {
    /// Published ahead of use.
    Prepared {
        /// When a running server first published it; none has if absent. Other replicas do so at most a minute later.
        published: Option<i64>,
    },
    /// Signs.
    Active {
        /// Since when.
        since: i64,
    },
    /// Signs no more; published until the longest token that it signed has expired. Its private half is destroyed.
    Retiring {
        /// Since when.
        since: i64,
        /// Until when it is published.
        until: i64,
    },
    /// Replaced at once: neither published nor accepted. Listed for the record.
    Revoked {
        /// Since when.
        since: i64,
        /// Until when it is listed.
        until: i64,
    },
}

/// How a key is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// A new key is prepared, published ahead of use, and signs after that; no verification ever fails.
    Ahead,
    /// For a key that may have leaked. A fresh key signs from now on (a prepared one may have leaked too); all others
    /// are revoked: not published, not accepted here, their private halves destroyed. Tokens that they signed fail here
    /// at once, and elsewhere as soon as the verifier fetches our keys again (one hour at most, if it honours our
    /// `max-age`); until then such a verifier may fail on new tokens, unless it fetches on an unknown `kid`.
    Immediately,
}

/// What the machine waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) algorithm: Algorithm,
    pub(super) rotate_every: Option<Duration>,
    pub(super) publish_ahead: Duration,
    /// How long the last token of a key may be presented after the key stops signing.
    pub(super) overlap: Duration,
}

/// The next thing that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing signs: make a key that does.
    Begin,
    /// The time of a retired or revoked key is over.
    Forget(Box<str>),
    /// A prepared key is of another algorithm than the configured one; it never signed.
    Discard(Box<str>),
    /// A prepared key was published for long enough.
    Activate(Box<str>),
    /// The active key is old, or of another algorithm than the configured one.
    Prepare,
}

impl Manifest {
    pub(super) const fn empty() -> Self {
        Self { version: VERSION, keys: Vec::new() }
    }

    /// Reads and checks a manifest; the error says what is wrong with it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(text).map_err(|error| format!("no manifest of keys ({error})"))?;
        if manifest.version != VERSION {
            return Err(format!("version {} instead of {VERSION}", manifest.version));
        }
        let rules = KeyRules { algorithms: Algorithm::ALL.to_vec(), jwt_svid: false };
        let mut seen = BTreeSet::new();
        for entry in &manifest.keys {
            let public = VerifyingKey::from_jwk(entry.public.to_string().as_bytes(), &rules)
                .map_err(|reason| format!("the public key of `{}`: {reason}", entry.kid))?;
            let same = encoded(public.thumbprint().bytes()) == *entry.kid
                && public.key_id() == Some(&*entry.kid)
                && public.algorithm() == entry.algorithm;
            if !same || !seen.insert(&entry.kid) {
                return Err(format!("`{}` is not the key id of its own key, or stands twice", entry.kid));
            }
        }
        let count = |of: fn(&KeyState) -> bool| manifest.keys.iter().filter(|entry| of(&entry.state)).count();
        let active = count(|state| matches!(state, KeyState::Active { .. }));
        let prepared = count(|state| matches!(state, KeyState::Prepared { .. }));
        if (active != 1 && !manifest.keys.is_empty()) || prepared > 1 {
            return Err(format!("{active} active and {prepared} prepared keys"));
        }
        Ok(manifest)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// The first thing that is due at `now`, if any.
    pub(super) fn next(&self, rules: &Rules, now: Timestamp) -> Option<Step> {
        for entry in &self.keys {
            let kid = || entry.kid.clone();
            match entry.state {
                KeyState::Retiring { until, .. } | KeyState::Revoked { until, .. } if until <= now.as_secs() => {
                    return Some(Step::Forget(kid()));
                }
                KeyState::Prepared { .. } if entry.algorithm != rules.algorithm => return Some(Step::Discard(kid())),
                KeyState::Prepared { published: Some(published) }
                    if now.since(Timestamp::from_secs(published)) >= rules.publish_ahead + NOTICE =>
                {
                    return Some(Step::Activate(kid()));
                }
                _ => {}
            }
        }
        let Some((active, since)) = self.active() else { return Some(Step::Begin) };
        let age = now.since(Timestamp::from_secs(since));
        let due = active.algorithm != rules.algorithm || rules.rotate_every.is_some_and(|every| age >= every);
        (due && self.prepared().is_none()).then_some(Step::Prepare)
    }

    /// Takes a step; `Begin` and `Prepare` need a new key.
    pub(super) fn take(&mut self, step: &Step, new: Option<Entry>, rules: &Rules, now: Timestamp) {
        match step {
            Step::Begin | Step::Prepare => self.keys.extend(new),
            Step::Forget(kid) | Step::Discard(kid) => self.keys.retain(|entry| entry.kid != *kid),
            Step::Activate(kid) => {
                let until = now.plus(rules.overlap + NOTICE).as_secs();
                for entry in &mut self.keys {
                    if entry.kid == *kid {
                        entry.state = KeyState::Active { since: now.as_secs() };
                    } else if matches!(entry.state, KeyState::Active { .. }) {
                        entry.state = KeyState::Retiring { since: now.as_secs(), until };
                    }
                }
            }
        }
    }

    /// Replaces every key by `new`, see [`Rotation::Immediately`].
    pub(super) fn replace_all(&mut self, new: Entry, rules: &Rules, now: Timestamp) {
        let until = now.plus(rules.overlap + NOTICE).as_secs();
        for entry in &mut self.keys {
            if !matches!(entry.state, KeyState::Revoked { .. }) {
                entry.state = KeyState::Revoked { since: now.as_secs(), until };
            }
        }
        self.keys.push(new);
    }

    /// Publishes the keys of `other`, whose holders signed with them until now, until the longest token that they signed has
    /// expired; whether that is news. Those that never signed are left out.
    pub(super) fn absorb(&mut self, other: &Self, rules: &Rules, now: Timestamp) -> bool {
        let until = now.plus(rules.overlap + NOTICE).as_secs();
        let before = self.keys.len();
        for entry in &other.keys {
            let state = match entry.state {
                KeyState::Prepared { .. } => continue,
                KeyState::Active { .. } => KeyState::Retiring { since: now.as_secs(), until },
                over => over,
            };
            if !self.keys.iter().any(|own| own.kid == entry.kid) {
                self.keys.push(Entry { state, ..entry.clone() });
            }
        }
        self.keys.len() != before
    }

    /// Whether every key of `other` that may have signed is here.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let mut signed = other.keys.iter().filter(|entry| !matches!(entry.state, KeyState::Prepared { .. }));
        signed.all(|entry| self.keys.iter().any(|own| own.kid == entry.kid))
    }

    /// Notes that the prepared key is published from now on; whether that is news.
    pub(super) fn note_published(&mut self, now: Timestamp) -> bool {
        let unpublished = self.keys.iter_mut().find(|entry| entry.state == KeyState::Prepared { published: None });
        unpublished.map(|entry| entry.state = KeyState::Prepared { published: Some(now.as_secs()) }).is_some()
    }

    /// The key that signs, and since when.
    pub(super) fn active(&self) -> Option<(&Entry, i64)> {
        self.keys.iter().find_map(|entry| match entry.state {
            KeyState::Active { since } => Some((entry, since)),
            _ => None,
        })
    }

    pub(super) fn prepared(&self) -> Option<&Entry> {
        self.keys.iter().find(|entry| matches!(entry.state, KeyState::Prepared { .. }))
    }
}

impl KeyState {
    /// Whether the key stands in the published set.
    #[must_use]
    pub const fn is_published(self) -> bool {
        !matches!(self, Self::Revoked { .. })
    }

    /// Whether the private half must be on the disk.
    pub(super) const fn needs_private(self) -> bool {
        matches!(self, Self::Prepared { .. } | Self::Active { .. })
    }
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
