//! Why the embedded store does not work, for the operator; a caller hears a [`KvError`].

use super::master_key::{MasterKeyError, MasterKeyId};
use crate::jose::{NoRandomness, SealingError};
use crate::secrets::KvError;
use crate::state::database::DatabaseError;

/// Why the store cannot be opened, or its keys not used. Names namespaces and key ids, no key and no value.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// Data keys, or keys that replicas share, cannot be unwrapped with what was given.
    #[error(
        "{count} keys are wrapped by the master key `{missing}`, which was not given (given: {given}): give it too, or \
         restore the one that belongs to this database; nothing was changed"
    )]
    UnknownMasterKey {
        /// How many.
        count: u64,
        /// The key that is needed.
        missing: MasterKeyId,
        /// The keys that were given.
        given: String,
    },
    /// One data key does not open, although its master key is there.
    #[error("data key {generation} of namespace `{namespace}` is damaged or was moved")]
    DataKey {
        /// Whose key; empty for the root.
        namespace: String,
        /// Which of its keys.
        generation: u64,
    },
    /// A key that replicas share does not open, although its master key is there.
    #[error("the shared key `{0}` is damaged or was moved")]
    WrappedKey(String),
    /// A key that replicas share was there, and is gone.
    #[error("the shared key `{0}` vanished while it was made")]
    NoWrappedKey(String),
    /// A row refers to a data key that does not exist.
    #[error("data key {generation} of namespace `{namespace}` is missing")]
    NoDataKey {
        /// Whose key; empty for the root.
        namespace: String,
        /// Which of its keys.
        generation: u64,
    },
    /// The cryptographic library.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The system.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<LocalError> for KvError {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::Database(error) => error.into(),
            LocalError::MasterKey(_) => Self::Unavailable("the master key cannot be used"),
            LocalError::UnknownMasterKey { .. } => Self::Unavailable("the master key of a data key was not given"),
            LocalError::DataKey { .. } => Self::Damaged("a data key does not open where it stands"),
            LocalError::NoDataKey { .. } => Self::Damaged("a data key is missing"),
            LocalError::WrappedKey(_) | LocalError::NoWrappedKey(_) => Self::Damaged("a shared key does not open"),
            LocalError::Sealing(SealingError::NotOurs) => Self::Damaged("sealed bytes do not open where they stand"),
            LocalError::Sealing(_) => Self::Unavailable("the cryptographic library failed"),
            LocalError::NoRandomness(_) => Self::Unavailable("the system gave no randomness"),
        }
    }
}

impl From<DatabaseError> for KvError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Full => Self::Unavailable("the disk of the database is full"),
            DatabaseError::ReadOnly => Self::Unavailable("the database's file or disk is read-only"),
            DatabaseError::Busy => Self::Unavailable("the database is busy"),
            DatabaseError::Unavailable(_) => Self::Unavailable("the database cannot be reached"),
            DatabaseError::Damaged(_) => Self::Damaged("the database"),
            DatabaseError::State(_) | DatabaseError::Newer { .. } | DatabaseError::Failed(_) => {
                Self::Unavailable("the database failed")
            }
        }
    }
}
