//! Tokens that were revoked before they expired (RFC 7009), kept until a day after they would have expired anyway.
//!
//! Decides when a revocation counts (once the disk, or the database, has it), what is forgotten and when, and that a replica
//! which has not heard of revocations for [`BLIND_AFTER`] can't vouch for a token. Refuses to know what a token grants, and who
//! may revoke it.

mod journal;
mod remembered;
mod shared;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use journal::Journal;
use shared::Shared;

use super::database::{Database, DatabaseError};
use super::{PrivateDir, StateError};
use crate::clock::Timestamp;

/// How many live revocations are kept at most; one more is refused, none is forgotten.
pub const MAX_REVOCATIONS: usize = if cfg!(test) { 30_000 } else { 1_000_000 };
/// The longest token id (`jti`) that can be revoked, in bytes; our own have 22.
pub const MAX_TOKEN_ID_BYTES: usize = 128;
/// How long a replica goes on by what it knows while it cannot read the revocations of others. While the database is down for
/// everybody, nobody can revoke anything, so nothing is missed; but one replica may be cut off alone, and that must not keep a
/// revoked token alive until it expires. Long enough for a database to fail over.
pub const BLIND_AFTER: Duration = Duration::from_secs(60);

/// The revoked tokens, by `jti`. Asked on every introspection and every secret read, and then only memory is looked at.
#[derive(Debug)]
pub struct Revocations(Store);

#[derive(Debug)]
enum Store {
    Journal(Journal),
    Shared(Shared),
}

/// Why a revocation was not kept, or revocations cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The journal in the data directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// An id that could not have been minted here.
    #[error("the token's id is none of ours")]
    Foreign,
    /// [`MAX_REVOCATIONS`] live tokens are revoked.
    #[error("there are {MAX_REVOCATIONS} revocations of tokens that live")]
    Full,
    /// A revocation ends so far ahead that the clock must be far behind.
    #[error("the database has a revocation that ends at {end}, and now is {now}: is the clock right?")]
    Clock {
        /// The end.
        end: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// The process is going down.
    #[error("the revocation was cut off")]
    CutOff,
}

/// What a replica knows of the revocations that it shares with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedRevocations {
    /// When they were last read.
    pub read: Timestamp,
    /// Whether that is too long ago ([`BLIND_AFTER`]).
    pub blind: bool,
    /// Why the last look failed; none where it did not.
    pub error: Option<String>,
}

impl Revocations {
    /// Keeps them in a journal in `dir`, for one process. What expired more than a day ago is dropped from the file; a last line
    /// that a crash cut off is ignored, as it was never acknowledged.
    ///
    /// # Errors
    /// [`StateError`]; [`StateError::Damaged`] for any other odd line: to start without it would bring a revoked token back to
    /// life; [`StateError::Clock`].
    pub fn open(dir: &PrivateDir, now: Timestamp) -> Result<Self, StateError> {
        Ok(Self(Store::Journal(Journal::open(dir, now)?)))
    }

    /// Keeps them in the database that replicas share, and reads those that are there. What a journal in `dir` holds from
    /// before cambio had a database is revoked there too; the journal stays as it is.
    ///
    /// # Errors
    /// [`RevocationError`]: without them no token can be vouched for.
    pub async fn share(database: Database, dir: &PrivateDir, now: Timestamp) -> Result<Self, RevocationError> {
        let shared = Shared::new(database, now);
        let journal = dir.clone();
        let before = tokio::task::spawn_blocking(move || journal::left_behind(&journal, now));
        shared.revoke_all(before.await.map_err(|_| RevocationError::CutOff)??).await?;
        shared.look(now).await?;
        Ok(Self(Store::Shared(shared)))
    }

    /// Revokes a token until `expires`, its `exp`. Returns once the disk or the database has it; this replica knows it then, and
    /// every other one two seconds later, if it reaches the database. Revoking again changes nothing, unless the database has
    /// lost it; nor does revoking a token that expired more than a day ago.
    ///
    /// # Errors
    /// [`RevocationError`]; then the token is not revoked (RFC 7009 section 2.2.1 answers 503), unless the database went away
    /// while it answered, when it may be. Revoking again settles it.
    pub async fn revoke(
        self: &Arc<Self>,
        token_id: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), RevocationError> {
        if !well_formed(token_id) {
            return Err(RevocationError::Foreign);
        }
        match &self.0 {
            Store::Shared(shared) => shared.revoke(token_id, expires, now).await,
            Store::Journal(_) => {
                // The journal is on a disk, which may be slow: no worker of the runtime waits for it.
                let (own, token_id) = (Arc::clone(self), token_id.to_owned());
                let revoked = move || match &own.0 {
                    Store::Journal(journal) => journal.revoke(&token_id, expires, now),
                    Store::Shared(_) => Ok(()),
                };
                Ok(tokio::task::spawn_blocking(revoked).await.map_err(|_| RevocationError::CutOff)??)
            }
        }
    }

    /// Whether the token was revoked, or this cannot be told any more ([`is_blind`](Self::is_blind)): no token is good then.
    #[must_use]
    pub fn is_revoked(&self, token_id: &str, now: Timestamp) -> bool {
        match &self.0 {
            Store::Journal(journal) => journal.is_revoked(token_id),
            Store::Shared(shared) => shared.is_revoked(token_id) || shared.is_blind(now),
        }
    }

    /// Whether the revocations of other replicas could not be read for [`BLIND_AFTER`].
    #[must_use]
    pub fn is_blind(&self, now: Timestamp) -> bool {
        match &self.0 {
            Store::Journal(_) => false,
            Store::Shared(shared) => shared.is_blind(now),
        }
    }

    /// Learns what other replicas revoked. To be called every second; does nothing where none are shared.
    ///
    /// # Errors
    /// [`RevocationError`]; what is known already stays known.
    pub async fn look(&self, now: Timestamp) -> Result<(), RevocationError> {
        match &self.0 {
            Store::Journal(_) => Ok(()),
            Store::Shared(shared) => shared.look(now).await,
        }
    }

    /// How well this replica knows what others revoked; none where they are not shared.
    #[must_use]
    pub fn shared(&self, now: Timestamp) -> Option<SharedRevocations> {
        match &self.0 {
            Store::Journal(_) => None,
            Store::Shared(shared) => Some(shared.status(now)),
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Store::Journal(journal) => journal.len(),
            Store::Shared(shared) => shared.len(),
        }
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The alphabet of our own ids: base64url.
fn well_formed(token_id: &str) -> bool {
    (1..=MAX_TOKEN_ID_BYTES).contains(&token_id.len())
        && token_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
