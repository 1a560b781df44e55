//! What a database answers instead of rows.

use sqlx::Error;

use crate::state::StateError;

/// Why the database did not do it. Names no value: SQLite's own words name tables, columns and pages.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The directory or the file is not as it must be, or another process has it.
    #[error(transparent)]
    State(#[from] StateError),
    /// A later cambio wrote the file. Nothing was changed.
    #[error(
        "the database has the layout {found}, and this cambio knows layouts up to {known}: run the newer cambio, or restore a \
         backup from before it"
    )]
    Newer {
        /// The layout of the file.
        found: u32,
        /// The newest layout that this program knows.
        known: u32,
    },
    /// No room on the disk. Nothing of the transaction was done.
    #[error("the disk of the database is full")]
    Full,
    /// The file or the disk is read-only.
    #[error("the database cannot be written: its file or its disk is read-only")]
    ReadOnly,
    /// Another writer did not finish in time.
    #[error("the database is busy")]
    Busy,
    /// The file is not what SQLite wrote, or a row is not what we wrote.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("the database failed: {0}")]
    Failed(String),
}

impl DatabaseError {
    /// A row that we cannot have written.
    pub(super) fn row(what: &'static str) -> Self {
        Self::Damaged(what.to_owned())
    }
}

/// Result codes (<https://www.sqlite.org/rescode.html>); the lowest byte is the kind.
impl From<Error> for DatabaseError {
    fn from(error: Error) -> Self {
        const IO_ERROR_OF_SHARED_MEMORY_SIZE: i32 = 4874;
        let code = match &error {
            Error::PoolTimedOut => return Self::Busy,
            Error::ColumnDecode { .. } => return Self::Damaged(error.to_string()),
            Error::Database(database) => database.code().and_then(|code| code.parse::<i32>().ok()),
            _ => None,
        };
        match code {
            Some(IO_ERROR_OF_SHARED_MEMORY_SIZE) => Self::Full,
            Some(code) => match code & 0xff {
                5 | 6 => Self::Busy,
                8 => Self::ReadOnly,
                11 | 26 => Self::Damaged(error.to_string()),
                13 => Self::Full,
                _ => Self::Failed(error.to_string()),
            },
            None => Self::Failed(error.to_string()),
        }
    }
}
