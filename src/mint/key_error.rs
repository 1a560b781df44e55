//! Why keys cannot be read, made or kept.

use crate::jose::{SealingError, SigningError};
use crate::secrets::local::LocalError;
use crate::state::StateError;
use crate::state::database::DatabaseError;

/// Why keys cannot be read, made or kept. Never quotes one.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The directory or a file in it.
    #[error(transparent)]
    State(#[from] StateError),
    /// A key could not be made or read.
    #[error("signing key `{name}`: {error}")]
    Key {
        /// The file, or the key id.
        name: String,
        /// Why.
        error: SigningError,
    },
    /// The manifest names a key whose private half is gone.
    #[error("`{0}` is named by the manifest and missing; restore it from a backup, or rotate immediately")]
    Missing(String),
    /// Private halves, and no manifest.
    #[error("`{0}` holds keys and no manifest; restore it from a backup, or move the keys away to start afresh")]
    NoManifest(String),
    /// A private half that is not the key it is named after.
    #[error("`{0}` holds another key than its name says")]
    Swapped(String),
    /// The keys are the operator's files.
    #[error("the signing keys are files of the operator's (`signing_key_files`): replace those to rotate")]
    OperatorFiles,
    /// No file at all.
    #[error("`signing_key_files` names no file")]
    NoFiles,
    /// Two files hold the same key.
    #[error("`{0}` holds a key that another file holds too")]
    Twice(String),
    /// What we would publish is not what we would accept.
    #[error("the key set to be published does not read back")]
    Published,
    /// The directory's keys went to the database.
    #[error(
        "the keys of `{0}` were moved into the database, and other replicas may have rotated them there: keep \
         `tokens.keys: database`, or move the directory away to start with new keys"
    )]
    Moved(String),
    /// The keys are in the database, which was not given.
    #[error("the signing keys are kept in the database, which is not open here")]
    NoDatabase,
    /// The database.
    #[error("the database: {0}")]
    Database(#[from] DatabaseError),
    /// The key that seals private halves.
    #[error(transparent)]
    Wrapped(#[from] LocalError),
    /// The cryptographic library.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// A row that nobody with the master key wrote.
    #[error("{0} in the database was not written by cambio, was moved, or belongs to another master key")]
    Tampered(String),
    /// The manifest is not one.
    #[error("the manifest of the signing keys in the database: {0}")]
    Damaged(String),
    /// The manifest became an older one, or vanished.
    #[error(
        "the manifest of the signing keys in the database went back from version {seen} to {found}: was a backup restored? \
         restart all replicas to take it up"
    )]
    WentBack {
        /// The version that was in use.
        seen: u64,
        /// What is there now; 0 for nothing.
        found: u64,
    },
    /// Others were faster each time.
    #[error("other replicas changed the signing keys at the same time again and again; try again")]
    Contended,
    /// The process is going down.
    #[error("the work on signing keys was cut off")]
    CutOff,
}
