//! What a database answers instead of rows.

use sqlx::Error;
use sqlx::postgres::PgDatabaseError;

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
    /// A server that cannot be reached, does not answer, or does not let us in.
    #[error("the database is not available: {0}")]
    Unavailable(String),
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

impl From<Error> for DatabaseError {
    fn from(error: Error) -> Self {
        match &error {
            Error::PoolTimedOut => Self::Busy,
            Error::ColumnDecode { .. } => Self::Damaged(error.to_string()),
            // A server's words about a connection may name hosts and users: only the kind is told.
            Error::Io(error) => Self::Unavailable(error.kind().to_string()),
            Error::Tls(_) => Self::Unavailable("no TLS with it".to_owned()),
            Error::Protocol(_) => Self::Unavailable("it does not speak PostgreSQL".to_owned()),
            Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
                Some(server) => of_server(server.code(), &error),
                None => of_file(database.code().as_deref(), &error),
            },
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// SQLite's result codes (<https://www.sqlite.org/rescode.html>); the lowest byte is the kind.
fn of_file(code: Option<&str>, error: &Error) -> DatabaseError {
    const IO_ERROR_OF_SHARED_MEMORY_SIZE: i32 = 4874;
    match code.and_then(|code| code.parse::<i32>().ok()) {
        Some(IO_ERROR_OF_SHARED_MEMORY_SIZE) => DatabaseError::Full,
        Some(code) => match code & 0xff {
            5 | 6 => DatabaseError::Busy,
            8 => DatabaseError::ReadOnly,
            11 | 26 => DatabaseError::Damaged(error.to_string()),
            13 => DatabaseError::Full,
            _ => DatabaseError::Failed(error.to_string()),
        },
        None => DatabaseError::Failed(error.to_string()),
    }
}

/// PostgreSQL's SQLSTATE codes (its manual, appendix A).
fn of_server(code: &str, error: &Error) -> DatabaseError {
    match code {
        "53100" => DatabaseError::Full,
        // Serialization, deadlock, lock not to be had, statement too slow.
        "40001" | "40P01" | "55P03" | "57014" | "25P03" => DatabaseError::Busy,
        "25006" => DatabaseError::ReadOnly,
        "28000" | "28P01" => DatabaseError::Unavailable("it does not let us in".to_owned()),
        "3D000" => DatabaseError::Unavailable("there is no database of that name".to_owned()),
        _ => match code.get(..2) {
            // Connections, resources, an operator's doing, the server's own disk.
            Some("08" | "53" | "57" | "58") => DatabaseError::Unavailable(format!("SQLSTATE {code}")),
            Some("XX") => DatabaseError::Damaged(format!("SQLSTATE {code}")),
            _ => DatabaseError::Failed(error.to_string()),
        },
    }
}
