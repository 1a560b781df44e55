//! What must outlive the process: private files, and the tokens that were revoked before they expired.
//!
//! Decides when something counts as written (only once the disk said so), and that what holds keys or decisions is
//! nobody else's to read, and that nothing is forgotten on the word of a clock that may be wrong, or of a server that may
//! have forgotten. Refuses to know what a key, a token or a decision is. Revocations are kept in
//! a file by one process, and in the database by replicas.

pub mod counters;
pub mod database;
mod private_dir;
#[cfg(test)]
#[path = "../../tests/support/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the whole")]
pub(crate) mod real_postgres;
mod revocations;
#[cfg(test)]
pub(crate) mod small_disk;
mod wrong_clock;

pub use private_dir::{DirLock, PrivateDir, StateError, append_private_file, read_private_file};
pub use revocations::{
    BLIND_AFTER, MAX_REVOCATIONS, MAX_TOKEN_ID_BYTES, RevocationError, Revocations, SharedRevocations,
};
pub use wrong_clock::{KEPT_PAST_END, check_end, is_long_over};
