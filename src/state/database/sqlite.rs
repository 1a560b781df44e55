//! The embedded engine: a file in the data directory, one writer, some readers.

use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Transaction};

use super::readers::Readers;
use super::{DATABASE_FILE, DatabaseError, LOCK, PATIENCE, READERS};
use crate::state::{DirLock, PrivateDir};

#[derive(Debug)]
pub(super) struct SqliteDatabase {
    /// One connection: SQLite has one writer, and waiting for a connection is fair, waiting for its lock is not.
    pub(super) writer: SqlitePool,
    pub(super) readers: Readers,
    _lock: DirLock,
}

/// An open file whose layout is not known yet.
pub(super) struct Opened {
    pub(super) writer: SqlitePool,
    options: SqliteConnectOptions,
    lock: DirLock,
}

impl Opened {
    pub(super) async fn file(dir: &PrivateDir) -> Result<Self, DatabaseError> {
        let held = dir.clone();
        let lock = tokio::task::spawn_blocking(move || {
            let lock = held.lock(LOCK, PATIENCE)?;
            // Made here, so that it never has a wider mode, not for a moment, and its name is on the disk.
            held.append(DATABASE_FILE).map(|_| lock)
        });
        let lock = lock.await.map_err(|_| DatabaseError::Failed("the thread that opens it stopped".to_owned()))??;
        let options = SqliteConnectOptions::new()
            .filename(dir.join(DATABASE_FILE))
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            // What is removed for good is overwritten, not only unlinked.
            .pragma("secure_delete", "ON")
            // Nothing about secrets in files under /tmp.
            .pragma("temp_store", "MEMORY")
            // A file that somebody prepared runs no function of ours from a view or a trigger, and an odd page is noticed.
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON");
        let options = sqlx::ConnectOptions::disable_statement_logging(options);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            // It is a file: a connection does not die of silence.
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(is_done(connection)))
            .connect_with(options.clone())
            .await?;
        Ok(Self { writer, options, lock })
    }

    pub(super) async fn with_readers(self) -> Result<SqliteDatabase, DatabaseError> {
        let readers = Readers::open(&self.options.pragma("query_only", "ON"), READERS).await?;
        Ok(SqliteDatabase { writer: self.writer, readers, _lock: self.lock })
    }
}

impl SqliteDatabase {
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, DatabaseError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Reads every page and every index, and looks for rows that refer to nothing.
    pub(super) async fn check(&self) -> Result<(), DatabaseError> {
        let mut reader = self.readers.take().await?;
        let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut *reader).await?;
        if found != "ok" {
            return Err(DatabaseError::Damaged(found));
        }
        match sqlx::query("PRAGMA foreign_key_check").fetch_optional(&mut *reader).await? {
            Some(_) => Err(DatabaseError::Damaged("a row refers to nothing".to_owned())),
            None => Ok(()),
        }
    }
}

/// Whether a connection that was given back can be used again. On some errors, a full disk among them, SQLite rolls back of
/// itself; sqlx then counts a transaction that does not exist, and would never begin another one on this connection.
async fn is_done(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A rollback may be on its way; this comes after it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}
