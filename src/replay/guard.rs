//! The guard: one question, asked between the decision and minting.

use std::sync::Arc;

use super::journal::{Journal, JournalError};
use super::memory::{Key, MARGIN, Memory, Remembered};
use crate::clock::Timestamp;
use crate::identity::{IssuerName, TargetName};
use crate::jose::{Sha256, sha256};
use crate::state::PrivateDir;
use crate::state::counters::{Counters, CountersError, OnceAsk};
use crate::trust::{MAX_LEEWAY, ReplayRule};

/// Where single use is remembered.
#[derive(Clone, Debug)]
pub struct ReplaySettings {
    /// How many live tokens are remembered at most; some 60 bytes each. Default 200,000.
    pub capacity: usize,
    /// The directory of the journal that carries the memory over a restart; `None` loses it.
    pub journal: Option<PrivateDir>,
}

/// A presentation of a verified token.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdmitInput<'a> {
    /// The issuer's rule.
    pub(super) rule: ReplayRule,
    /// The issuer: two of them may use the same `jti`.
    pub(super) issuer: &'a IssuerName,
    /// The target: a job may need tokens for several.
    pub(super) target: &'a TargetName,
    /// The verified `jti`.
    pub(super) token_id: Option<&'a str>,
    /// The token's digest; stands in where there is no `jti`. The strict reader accepts one spelling per token only.
    pub(super) token_digest: Sha256,
    /// The earliest moment at which the token can have been presented.
    pub(super) earliest: Timestamp,
    /// The verified `exp`.
    pub(super) expires: Timestamp,
    /// The moment of the exchange.
    pub(super) now: Timestamp,
}

/// The proof that a presentation was admitted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admission {
    remembered: bool,
}

/// Why a presentation was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The token was exchanged for this target before.
    #[error("the token was exchanged for this target before, and its issuer's tokens are for single use")]
    Replayed,
    /// The memory is full of live tokens. None is forgotten to make room.
    #[error("the memory of single-use tokens is full")]
    MemoryFull,
    /// The clock was set back behind what is still remembered.
    #[error("the token may have been forgotten already: the clock was set back")]
    Forgotten,
    /// The journal could not take the admission; nothing was burnt.
    #[error("the journal of single-use tokens cannot be written: {0}")]
    Journal(#[from] JournalError),
    /// The memory that replicas share does not say.
    #[error(transparent)]
    Shared(#[from] CountersError),
}

/// Admits each single-use token once per target.
#[derive(Debug)]
pub struct ReplayGuard {
    store: Store,
}

/// Where admissions are remembered: here, or where all replicas look.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one, and it is the large one where nobody may wait for a pointer"
)]
enum Store {
    Local { memory: Memory, journal: Option<Journal> },
    Shared(Arc<Counters>),
}

impl Default for ReplaySettings {
    fn default() -> Self {
        Self { capacity: 200_000, journal: None }
    }
}

impl ReplayGuard {
    /// Opens the guard; with a journal, everything alive in it is remembered, also beyond the capacity.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(settings: &ReplaySettings, now: Timestamp) -> Result<Self, JournalError> {
        let memory = Memory::new(settings.capacity, now);
        let journal = match &settings.journal {
            Some(dir) => Some(Journal::open(dir, now, |key, until| memory.restore(key, until))?),
            None => None,
        };
        Ok(Self { store: Store::Local { memory, journal } })
    }

    /// A guard that remembers where all replicas do. It keeps nothing itself: what the shared memory loses is refused, not
    /// looked up elsewhere.
    #[must_use]
    pub fn shared(counters: Arc<Counters>) -> Self {
        Self { store: Store::Shared(counters) }
    }

    /// Admits the presentation, or not. Of any number of concurrent presentations of one token exactly one is admitted, on
    /// whatever replica. Waits only for a shared memory, and for a single-use token, at most as long as its commands may take.
    ///
    /// # Errors
    /// [`ReplayError`]; all but [`ReplayError::Replayed`] are no fault of the caller's, and burn nothing. But an answer of the shared
    /// memory may get lost, which burns the token: it is never admitted twice, and sometimes not at all.
    pub(super) async fn admit(&self, input: &AdmitInput<'_>) -> Result<Admission, ReplayError> {
        if input.rule == ReplayRule::Reusable {
            return Ok(Admission { remembered: false });
        }
        let key = key(input);
        // The largest leeway that verification could ever be told to grant; see the module's description for the attack.
        let until = input.expires.plus(MAX_LEEWAY).plus(MARGIN);
        match &self.store {
            Store::Local { memory, journal } => remember(memory, journal.as_ref(), key, until, input.now)?,
            Store::Shared(counters) => {
                let ask = OnceAsk { key, earliest: input.earliest, until };
                // In a box, so that exchanges which ask nobody do not carry the room for it about.
                if !Box::pin(counters.remember_once(&ask, input.now)).await? {
                    return Err(ReplayError::Replayed);
                }
            }
        }
        Ok(Admission { remembered: true })
    }

    /// Syncs the journal to the disk and drops the parts of it that are over. Reads and writes files, so it belongs on a
    /// thread that may block; to be called every second or so, and at shutdown.
    ///
    /// # Errors
    /// [`JournalError`]; admissions go on.
    pub fn maintain(&self, now: Timestamp) -> Result<(), JournalError> {
        match &self.store {
            Store::Local { journal: Some(journal), .. } => journal.maintain(now),
            Store::Local { journal: None, .. } | Store::Shared(_) => Ok(()),
        }
    }

    /// How many tokens are remembered here: none where replicas share a memory.
    #[must_use]
    pub fn remembered(&self) -> usize {
        match &self.store {
            Store::Local { memory, .. } => memory.len(),
            Store::Shared(_) => 0,
        }
    }
}

/// Remembers in this process, and in its journal where there is one.
fn remember(
    memory: &Memory,
    journal: Option<&Journal>,
    key: Key,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), ReplayError> {
    match memory.remember(key, until, now) {
        Remembered::New => {}
        Remembered::Before => return Err(ReplayError::Replayed),
        Remembered::Full => return Err(ReplayError::MemoryFull),
        Remembered::TooOld => return Err(ReplayError::Forgotten),
    }
    if let Some(journal) = journal
        && let Err(error) = journal.append(key, until)
    {
        memory.forget(&key);
        return Err(error.into());
    }
    Ok(())
}

impl Admission {
    /// Whether the token was burnt for this target.
    #[must_use]
    #[cfg(test)]
    pub(super) fn is_remembered(&self) -> bool {
        self.remembered
    }
}

/// Names and lengths first, so that no two inputs read alike; `jti` and digest are told apart. A cryptographic digest:
/// whoever chooses a `jti` must not be able to make it collide with another's.
fn key(input: &AdmitInput<'_>) -> Key {
    let (issuer, target) = (input.issuer.as_str(), input.target.as_str());
    let (kind, id) = match input.token_id {
        Some(token_id) => (1, token_id.as_bytes()),
        None => (0, input.token_digest.bytes().as_slice()),
    };
    let mut text = Vec::with_capacity(issuer.len() + target.len() + id.len() + 3);
    text.extend_from_slice(issuer.as_bytes());
    text.push(0); // neither kind of name contains it
    text.extend_from_slice(target.as_bytes());
    text.extend_from_slice(&[0, kind]);
    text.extend_from_slice(id);
    let digest = sha256(&text);
    digest.bytes().first_chunk().copied().unwrap_or_default()
}
