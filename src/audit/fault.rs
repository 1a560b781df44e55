//! Why records cannot be kept, and what became of them.

use crate::jose::{NoRandomness, SigningError};
use crate::state::StateError;

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file.
    #[error(transparent)]
    State(#[from] StateError),
    /// The writer's thread.
    #[error("the audit writer cannot be started: {0}")]
    Thread(std::io::Error),
    /// The journal that is there.
    #[error("the audit journal cannot be looked at: {0}")]
    Look(std::io::Error),
    /// The key that signs heads.
    #[error("the audit key: {0}")]
    Key(#[from] SigningError),
    /// A sink besides the file.
    #[error("the audit sink `{0}` cannot be opened: {1}")]
    Outlet(String, std::io::Error),
    /// A new chain needs a name.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Records cannot be kept at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditUnavailable {
    /// The sink refuses them.
    #[error("the audit sink refuses records")]
    Sink,
    /// Too many wait.
    #[error("too many audit records wait to be written")]
    Full,
    /// The journal was shut down.
    #[error("the audit journal is closed")]
    Closed,
}

/// What became of records, since the start; for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Handed to the sink.
    pub written: u64,
    /// Lost: no room for them, or given up at shutdown.
    pub lost: u64,
    /// Times that the sink refused.
    pub failures: u64,
    /// Exchanges refused because their record could not have been kept.
    pub refused: u64,
    /// Admitted and under way, or waiting now.
    pub pending: u64,
}
