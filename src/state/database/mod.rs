//! The database: what must outlive the process and be found again by more than a name.
//!
//! Decides when something counts as written (once the disk has it), that one process owns the file, and which layout a file
//! must have. Refuses to know what a secret is, how a value is encrypted, and who may read it: rows go in and come out as
//! plain Rust values, and no type of sqlx leaves this directory, which is the only one that knows sqlx.
//!
//! # SQLite now, PostgreSQL beside it
//! Every statement is written once, in what both speak: `$1` placeholders, `ON CONFLICT`, `RETURNING`, `BIGINT` milliseconds
//! and 0/1 instead of dates and booleans, no function that only one of them has. Where they differ, `schema.rs` has a word
//! that is filled in when a migration runs (`{bytes}`: `BLOB` or `BYTEA`; `{id}`: a key that counts up; `{text}`: text that is
//! compared byte by byte, `COLLATE "C"` in PostgreSQL). The one other difference is how a writer begins: here
//! `BEGIN IMMEDIATE`, as SQLite has one writer anyway; there `BEGIN` and `FOR UPDATE` on the namespace's row, which every
//! write reads first ([`WriteTransaction::namespace`]) for this reason. The functions that run statements name their
//! database in one alias, `Engine`; a second one makes that a macro's parameter, not a second text.
//!
//! # What an acknowledgement means
//! `journal_mode = WAL` with `synchronous = FULL`: a commit returns after the write-ahead log was synced. With `NORMAL`, which
//! is faster and often recommended for WAL, power loss takes the last commits with it.

mod error;
mod keys;
mod leases;
mod readers;
mod schema;
mod secret_writes;
mod secrets;
mod signing_keys;
mod wrapped_keys;

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

use tokio::sync::MappedMutexGuard;

pub use error::DatabaseError;
pub use keys::{DataKeyRow, NamespaceRow};
pub use leases::LeaseRow;
pub use schema::SCHEMA_VERSION;
pub use secrets::{Place, Sealed, SecretRow, ValueRow, VersionRow};
pub use signing_keys::{Fence, ManifestRow};
pub use wrapped_keys::WrappedKeyRow;

use super::{DirLock, PrivateDir};
use crate::clock::Timestamp;
use readers::Readers;

/// The database that statements run on.
type Engine = sqlx::Sqlite;

/// The file in the data directory; SQLite keeps `-wal` and `-shm` beside it, with the same mode.
pub const DATABASE_FILE: &str = "cambio.db";
const LOCK: &str = ".cambio.db.lock";
/// How many reads run at the same time; further ones wait.
const READERS: usize = 4;
/// How long a statement waits for a connection, and SQLite for a lock, before it fails as busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// The embedded database. Cheap to clone; one process at a time has it open.
#[derive(Clone, Debug)]
pub struct Database(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    /// One connection: SQLite has one writer, and waiting for a connection is fair, waiting for its lock is not.
    writer: SqlitePool,
    readers: Readers,
    _lock: DirLock,
}

/// Writes that are all done, or none of them. Dropped without [`commit`](Self::commit), nothing was done.
#[derive(Debug)]
pub struct WriteTransaction(sqlx::Transaction<'static, Engine>);

impl Database {
    /// Opens `cambio.db` in `dir`, made with mode 0600 if it is missing, and brings its layout up to date in one transaction.
    /// Waits up to five seconds for another process that has it open.
    ///
    /// # Errors
    /// [`DatabaseError::State`] where another process has it, or others may read the file; [`DatabaseError::Newer`] where a
    /// later cambio wrote it, and nothing was changed then; [`DatabaseError::Damaged`], [`DatabaseError::ReadOnly`],
    /// [`DatabaseError::Full`], [`DatabaseError::Failed`].
    pub async fn open(dir: &PrivateDir, now: Timestamp) -> Result<Self, DatabaseError> {
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
            .pragma("cell_size_check", "ON")
            .disable_statement_logging();
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
        schema::bring_up_to_date(&writer, now).await?;
        let readers = Readers::open(&options.pragma("query_only", "ON"), READERS).await?;
        Ok(Self(Arc::new(Pools { writer, readers, _lock: lock })))
    }

    /// Begins to write; waits for other writers.
    ///
    /// # Errors
    /// [`DatabaseError::Busy`] after five seconds, [`DatabaseError::ReadOnly`], [`DatabaseError::Failed`].
    pub async fn write(&self) -> Result<WriteTransaction, DatabaseError> {
        Ok(WriteTransaction(self.0.writer.begin_with("BEGIN IMMEDIATE").await?))
    }

    /// Reads every page and every index, and looks for rows that refer to nothing. Takes seconds for a large file.
    ///
    /// # Errors
    /// [`DatabaseError::Damaged`] with the first fault; it names tables and pages, no content.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        let mut reader = self.reader().await?;
        let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut *reader).await?;
        if found != "ok" {
            return Err(DatabaseError::Damaged(found));
        }
        match sqlx::query("PRAGMA foreign_key_check").fetch_optional(&mut *reader).await? {
            Some(_) => Err(DatabaseError::Damaged("a row refers to nothing".to_owned())),
            None => Ok(()),
        }
    }

    /// Closes the file once everybody is done with it, and writes the log back into it. Without it nothing is lost: the
    /// next one who opens the file does that.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    /// Runs statements that no code of ours would: how many rows they changed.
    #[cfg(test)]
    pub(crate) async fn tamper(&self, sql: &'static str) -> u64 {
        sqlx::raw_sql(sql).execute(&self.0.writer).await.unwrap().rows_affected()
    }

    async fn reader(&self) -> Result<MappedMutexGuard<'_, SqliteConnection>, DatabaseError> {
        self.0.readers.take().await
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

impl WriteTransaction {
    /// Makes it happen; returns once the disk has it.
    ///
    /// # Errors
    /// [`DatabaseError::Full`] and others; then nothing of it happened, unless the disk itself failed
    /// ([`DatabaseError::Failed`]), when it is unknown.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        Ok(self.0.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::small_disk::SmallDisk;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn home() -> (tempfile::TempDir, PrivateDir) {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("data")).unwrap();
        (home, dir)
    }

    async fn pragma(pool: &SqlitePool, name: &str) -> String {
        let text = sqlx::AssertSqlSafe(format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"));
        sqlx::query_scalar(text).fetch_one(pool).await.unwrap()
    }

    async fn fill_a_secret(database: &Database, path: &str, bytes: usize) -> Result<(), DatabaseError> {
        let mut write = database.write().await?;
        if write.namespace("").await?.is_none() {
            let key = DataKeyRow { generation: 1, master: vec![1; 8], wrapped: vec![2; 60], created: NOW, sealed: 0 };
            write.insert_data_key("", &key).await?;
            write.insert_namespace("", 1).await?;
        }
        let place = Place { namespace: "", mount: "kv", path };
        let id = write.insert_secret(place, &SecretRow::new(NOW)).await?;
        let row = VersionRow { version: 1, created: NOW, deletion: None, destroyed: false };
        write.insert_version(id, &row, &Sealed { key: 1, bytes: vec![7; bytes] }).await?;
        write.commit().await
    }

    #[tokio::test]
    async fn a_commit_waits_for_the_disk_and_the_file_is_private() {
        let (_home, dir) = home();
        let database = Database::open(&dir, NOW).await.unwrap();
        fill_a_secret(&database, "a", 100).await.unwrap();
        for (name, value) in
            [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("secure_delete", "1")]
        {
            assert_eq!(pragma(&database.0.writer, name).await, value, "{name}");
        }
        let mut reader = database.reader().await.unwrap();
        assert!(sqlx::query("DELETE FROM secrets").execute(&mut *reader).await.is_err(), "readers only read");
        drop(reader);
        for name in dir.names().unwrap() {
            let mode = fs::metadata(dir.join(&name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
        database.check().await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_others_may_read_is_refused() {
        let (_home, dir) = home();
        Database::open(&dir, NOW).await.unwrap().close().await;
        fs::set_permissions(dir.join(DATABASE_FILE), fs::Permissions::from_mode(0o640)).unwrap();
        let error = Database::open(&dir, NOW).await.unwrap_err();
        assert!(error.to_string().contains("is open to other users"), "{error}");
    }

    #[tokio::test]
    async fn a_second_process_waits_and_then_is_told() {
        let (_home, dir) = home();
        let held = dir.lock(LOCK, Duration::ZERO).unwrap();
        let error = Database::open(&dir, NOW).await.unwrap_err();
        assert!(matches!(error, DatabaseError::State(crate::state::StateError::Busy(_))), "{error}");
        drop(held);
        assert!(Database::open(&dir, NOW).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_of_a_newer_version_is_left_alone() {
        let (_home, dir) = home();
        let database = Database::open(&dir, NOW).await.unwrap();
        let later = "INSERT INTO schema_versions (version, applied_ms) VALUES (99, 0)";
        sqlx::query(later).execute(&database.0.writer).await.unwrap();
        database.close().await;
        drop(database);
        let before = fs::read(dir.join(DATABASE_FILE)).unwrap();
        let error = Database::open(&dir, NOW).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Newer { found: 99, known: SCHEMA_VERSION }), "{error}");
        assert_eq!(fs::read(dir.join(DATABASE_FILE)).unwrap(), before);
    }

    #[tokio::test]
    async fn what_is_no_database_is_left_alone() {
        let (_home, dir) = home();
        dir.write(DATABASE_FILE, &[b'x'; 4096]).unwrap();
        let error = Database::open(&dir, NOW).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Damaged(_)), "{error}");
        assert_eq!(fs::read(dir.join(DATABASE_FILE)).unwrap(), [b'x'; 4096]);
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_leaves_nothing_half_written() {
        let Some(disk) = SmallDisk::mount("3m") else { return };
        let dir = PrivateDir::open(&disk.path().join("data")).unwrap();
        let database = Database::open(&dir, NOW).await.unwrap();
        fill_a_secret(&database, "before", 1000).await.unwrap();
        let filler = disk.fill();
        let error = fill_a_secret(&database, "big", 500_000).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Full), "{error}");
        let place = |path| Place { namespace: "", mount: "kv", path };
        assert!(database.value(place("big"), Some(1)).await.unwrap().is_none());
        assert!(database.value(place("before"), Some(1)).await.unwrap().is_some());
        fs::remove_file(filler).unwrap();
        fill_a_secret(&database, "big", 500_000).await.unwrap();
        assert_eq!(database.value(place("big"), Some(1)).await.unwrap().unwrap().value.unwrap().bytes.len(), 500_000);
        database.check().await.unwrap();
        database.close().await;
    }

    #[tokio::test]
    async fn a_read_only_disk_is_said() {
        let Some(disk) = SmallDisk::mount("3m") else { return };
        let dir = PrivateDir::open(&disk.path().join("data")).unwrap();
        let database = Database::open(&dir, NOW).await.unwrap();
        fill_a_secret(&database, "before", 1000).await.unwrap();
        database.close().await;
        drop(database);
        let remounted = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status();
        assert!(remounted.unwrap().success());
        let error = Database::open(&dir, NOW).await.unwrap_err();
        assert!(error.to_string().contains("ead-only"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn readers_that_give_up_leave_their_connections_usable() {
        let (_home, dir) = home();
        let database = Database::open(&dir, NOW).await.unwrap();
        for path in ["a", "b"] {
            fill_a_secret(&database, path, 300_000).await.unwrap();
        }
        let place = |path| Place { namespace: "", mount: "kv", path };
        for round in 0..300_u64 {
            let reading = (0..8).map(|_| {
                let database = database.clone();
                let patience = Duration::from_micros(round);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(patience, database.value(place("a"), Some(1))).await;
                })
            });
            for reading in reading.collect::<Vec<_>>() {
                reading.await.unwrap();
            }
            let row = database.value(place("b"), Some(1)).await.unwrap().unwrap();
            assert_eq!(row.value.unwrap().bytes.len(), 300_000);
        }
        fill_a_secret(&database, "c", 10).await.unwrap();
        database.close().await;
        assert!(matches!(database.value(place("b"), Some(1)).await, Err(DatabaseError::Failed(_))));
    }

    #[tokio::test]
    async fn a_writer_that_gives_up_leaves_no_trace_and_no_lock() {
        let (_home, dir) = home();
        let database = Database::open(&dir, NOW).await.unwrap();
        for round in 0..50_u64 {
            let writing = fill_a_secret(&database, "given-up", 1000);
            // Cut off at another moment each time, also in the middle of a statement.
            let _ = tokio::time::timeout(Duration::from_micros(round * 20), writing).await;
            let mut write = database.write().await.unwrap();
            if let Some(row) = write.secret(Place { namespace: "", mount: "kv", path: "given-up" }).await.unwrap() {
                write.delete_secret(row.id).await.unwrap();
            }
            write.commit().await.unwrap();
        }
        fill_a_secret(&database, "after", 1000).await.unwrap();
        database.check().await.unwrap();
    }
}
