//! The database: what must outlive the process and be found again by more than a name.
//!
//! Decides when something counts as written (once the disk has it), that one process owns an embedded file, and which layout a
//! database must have. Refuses to know what a secret or an account is, how a value is encrypted, and who may read it: rows go
//! in and come out as plain Rust values, and no type of sqlx leaves this directory, which is the only one that knows sqlx.
//!
//! # SQLite or PostgreSQL, by one text
//! Every statement is written once, in what both speak: `$1` placeholders, `ON CONFLICT`, `RETURNING`, `BIGINT` milliseconds
//! and 0/1 instead of dates and booleans, no function that only one of them has. A file with rows looks like this:
//!
//! ```ignore
//! pub(super) const TABLES: &str = "CREATE TABLE things (name {text} NOT NULL PRIMARY KEY, n BIGINT NOT NULL);";
//! let row = query("SELECT n FROM things WHERE name = $1").bind(name).fetch_optional(self.reader().await?.connection()).await?;
//! let changed = query("UPDATE things SET n = $2 WHERE name = $1").bind(name).bind(7_i64).execute(self.connection()).await?;
//! row.map(|row| row.read::<i64>(0)).transpose()
//! ```
//!
//! Values are `i64`, `&str`, `&[u8]` and `Option`s of them; columns are read as `i64`, `String`, `Vec<u8>` and `Option`s.
//! `TABLES` stand in `schema.rs`, where `{bytes}` (`BLOB` or `BYTEA`), `{id}` (a key that counts up) and `{text}` (text that is
//! compared byte by byte) are filled in. Sums of `BIGINT` are no `BIGINT` in PostgreSQL: `CAST(... AS BIGINT)`.
//!
//! # Writers
//! Whoever writes names a [`Scope`], such as the secrets of a namespace: writers of one scope wait for each other, in this process and in
//! every replica, so that what a transaction has read stays as it is until it commits. SQLite has one writer anyway
//! (`BEGIN IMMEDIATE`); PostgreSQL takes an advisory lock that ends with the transaction. Rows that two scopes change are to be
//! changed by one statement that says in its `WHERE` what it replaces.
//!
//! # What an acknowledgement means
//! SQLite: `journal_mode = WAL` with `synchronous = FULL`: a commit returns after the write-ahead log was synced. With `NORMAL`,
//! which is faster and often recommended for WAL, power loss takes the last commits with it. PostgreSQL: `synchronous_commit =
//! on`, whatever the server's default is.

mod account_tokens;
mod accounts;
mod audit_heads;
mod decisions;
mod engine;
mod error;
mod gate;
mod keys;
mod leases;
mod postgres;
mod readers;
mod revocations;
mod schema;
mod secret_writes;
mod secrets;
mod server;
mod signing_keys;
mod sqlite;
mod wrapped_keys;

use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::Postgres;
use sqlx::sqlite::{Sqlite, SqliteConnection};
use tokio::sync::MappedMutexGuard;

pub use account_tokens::AccountTokenRow;
pub use accounts::AccountRow;
pub use audit_heads::HeadRow;
pub use decisions::{DecisionRow, DecisionsSought, FoundDecision, MOST_SCANNED};
pub use error::DatabaseError;
pub use keys::{DataKeyRow, NamespaceRow};
pub use leases::LeaseRow;
pub use postgres::{DatabaseUrl, DatabaseUrlFault};
pub use revocations::{RevocationRow, RevocationsFound};
pub use schema::SCHEMA_VERSION;
pub use secrets::{Place, Sealed, SecretRow, ValueRow, VersionRow};
pub use signing_keys::{Fence, ManifestRow};
pub use wrapped_keys::WrappedKeyRow;

use super::PrivateDir;
use crate::clock::Timestamp;
use engine::Connection;
use gate::Gate;
use postgres::PostgresDatabase;
use sqlite::{Opened, SqliteDatabase};

/// The file in the data directory; SQLite keeps `-wal` and `-shm` beside it, with the same mode.
pub const DATABASE_FILE: &str = "cambio.db";
const LOCK: &str = ".cambio.db.lock";
/// How many reads of a file run at the same time; further ones wait.
const READERS: usize = 4;
/// How long a statement waits for a connection to a file, and SQLite for a lock, before it fails as busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// The durable store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database(Arc<Engine>);

#[derive(Debug)]
enum Engine {
    /// A file; one process at a time has it open.
    Sqlite(SqliteDatabase),
    /// A server that replicas share.
    Postgres(PostgresDatabase),
}

/// Writes that are all done, or none of them. Dropped without [`commit`](Self::commit), nothing was done.
#[derive(Debug)]
pub struct WriteTransaction(Transaction);

#[derive(Debug)]
enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>, Arc<Gate>),
}

/// Whose writers wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The secrets of a namespace; the root's name is empty.
    Secrets(&'a str),
    /// Service accounts and their tokens.
    Accounts,
    /// Signing keys and other keys that replicas share.
    Keys,
    /// Revoked tokens.
    Revocations,
    /// Records of decisions.
    Decisions,
}

/// A connection that only reads.
enum Reader<'a> {
    Sqlite(MappedMutexGuard<'a, SqliteConnection>),
    Postgres(PoolConnection<Postgres>, &'a Gate),
}

impl Database {
    /// Opens `cambio.db` in `dir`, made with mode 0600 if it is missing, and brings its layout up to date in one transaction.
    /// Waits up to five seconds for another process that has it open.
    ///
    /// # Errors
    /// [`DatabaseError::State`] where another process has it, or others may read the file; [`DatabaseError::Newer`] where a
    /// later cambio wrote it, and nothing was changed then; [`DatabaseError::Damaged`], [`DatabaseError::ReadOnly`],
    /// [`DatabaseError::Full`], [`DatabaseError::Failed`].
    pub async fn open(dir: &PrivateDir, now: Timestamp) -> Result<Self, DatabaseError> {
        let opened = Opened::file(dir).await?;
        let mut migration = opened.writer.begin_with("BEGIN IMMEDIATE").await?;
        schema::bring_up_to_date(Connection::Sqlite(&mut migration), schema::SQLITE, now).await?;
        migration.commit().await?;
        Ok(Self(Arc::new(Engine::Sqlite(opened.with_readers().await?))))
    }

    /// Connects to a PostgreSQL, for which it waits up to 15 seconds, and brings its layout up to date in one transaction; of
    /// replicas that start at once, one does that and the others wait for it.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] where it cannot be reached or does not let us in; [`DatabaseError::Newer`] as for a file;
    /// others. None names the URL, the user or the password.
    pub async fn connect(url: &DatabaseUrl, now: Timestamp) -> Result<Self, DatabaseError> {
        let server = PostgresDatabase::connect(url).await?;
        let mut migration = server.begin_layout().await?;
        let on = Connection::Postgres(&mut migration, &server.gate);
        schema::bring_up_to_date(on, schema::POSTGRES, now).await?;
        server.gate.in_time(migration.commit()).await?;
        Ok(Self(Arc::new(Engine::Postgres(server))))
    }

    /// Whether replicas can share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(&*self.0, Engine::Postgres(_))
    }

    /// Begins to write; waits for other writers of the scope.
    ///
    /// # Errors
    /// [`DatabaseError::Busy`] after five seconds, [`DatabaseError::ReadOnly`], [`DatabaseError::Unavailable`],
    /// [`DatabaseError::Failed`].
    pub async fn write(&self, scope: Scope<'_>) -> Result<WriteTransaction, DatabaseError> {
        Ok(WriteTransaction(match &*self.0 {
            Engine::Sqlite(file) => Transaction::Sqlite(file.begin().await?),
            Engine::Postgres(server) => {
                Transaction::Postgres(server.begin(&scope.text()).await?, Arc::clone(&server.gate))
            }
        }))
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        let mut reader = self.reader().await?;
        engine::query("SELECT 1").execute(reader.connection()).await.map(|_| ())
    }

    /// Of a file: reads every page and every index, and looks for rows that refer to nothing, which takes seconds for a large
    /// one. A server looks after its own.
    ///
    /// # Errors
    /// [`DatabaseError::Damaged`] with the first fault; it names tables and pages, no content.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        match &*self.0 {
            Engine::Sqlite(file) => file.check().await,
            Engine::Postgres(_) => self.ping().await,
        }
    }

    /// Closes it once everybody is done with it; a file's log is written back into it. Without it nothing is lost: the
    /// next one who opens the file does that.
    pub async fn close(&self) {
        match &*self.0 {
            Engine::Sqlite(file) => {
                file.readers.close().await;
                file.writer.close().await;
            }
            Engine::Postgres(server) => server.pool.close().await,
        }
    }

    /// Runs statements that no code of ours would: how many rows they changed.
    #[cfg(test)]
    pub(crate) async fn tamper(&self, sql: &'static str) -> u64 {
        match &*self.0 {
            Engine::Sqlite(file) => sqlx::raw_sql(sql).execute(&file.writer).await.unwrap().rows_affected(),
            Engine::Postgres(server) => sqlx::raw_sql(sql).execute(&server.pool).await.unwrap().rows_affected(),
        }
    }

    /// Makes the file of an earlier release.
    #[cfg(test)]
    pub(crate) async fn make_file(dir: &PrivateDir, sql: &str) {
        let opened = Opened::file(dir).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&opened.writer).await.unwrap();
        opened.writer.close().await;
    }

    async fn reader(&self) -> Result<Reader<'_>, DatabaseError> {
        Ok(match &*self.0 {
            Engine::Sqlite(file) => Reader::Sqlite(file.readers.take().await?),
            Engine::Postgres(server) => Reader::Postgres(server.acquire().await?, &server.gate),
        })
    }
}

impl Scope<'_> {
    fn text(self) -> String {
        match self {
            Self::Secrets(namespace) => format!("secrets/{namespace}"),
            Self::Accounts => "accounts".to_owned(),
            Self::Keys => "keys".to_owned(),
            Self::Revocations => "revocations".to_owned(),
            Self::Decisions => "decisions".to_owned(),
        }
    }
}

impl Reader<'_> {
    fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(connection) => Connection::Sqlite(connection),
            Self::Postgres(connection, gate) => Connection::Postgres(connection, gate),
        }
    }
}

impl WriteTransaction {
    /// Makes it happen; returns once the disk has it.
    ///
    /// # Errors
    /// [`DatabaseError::Full`] and others; then nothing of it happened, unless the disk itself failed
    /// ([`DatabaseError::Failed`]) or the server went away meanwhile ([`DatabaseError::Unavailable`]), when it is unknown.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        match self.0 {
            Transaction::Sqlite(transaction) => Ok(transaction.commit().await?),
            Transaction::Postgres(transaction, gate) => gate.in_time(transaction.commit()).await,
        }
    }

    fn connection(&mut self) -> Connection<'_> {
        match &mut self.0 {
            Transaction::Sqlite(transaction) => Connection::Sqlite(transaction),
            Transaction::Postgres(transaction, gate) => Connection::Postgres(transaction, gate),
        }
    }
}

#[cfg(test)]
impl super::real_postgres::Postgres {
    pub(crate) fn database_url(&self) -> DatabaseUrl {
        DatabaseUrl::new(zeroize::Zeroizing::new(self.url())).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::small_disk::SmallDisk;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    impl Database {
        fn file_writer(&self) -> &sqlx::SqlitePool {
            match &*self.0 {
                Engine::Sqlite(file) => &file.writer,
                Engine::Postgres(_) => panic!("not a file"),
            }
        }
    }

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn home() -> (tempfile::TempDir, PrivateDir) {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("data")).unwrap();
        (home, dir)
    }

    async fn pragma(pool: &sqlx::SqlitePool, name: &str) -> String {
        let text = sqlx::AssertSqlSafe(format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"));
        sqlx::query_scalar(text).fetch_one(pool).await.unwrap()
    }

    async fn fill_a_secret(database: &Database, path: &str, bytes: usize) -> Result<(), DatabaseError> {
        let mut write = database.write(Scope::Secrets("")).await?;
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
            assert_eq!(pragma(database.file_writer(), name).await, value, "{name}");
        }
        let mut reader = database.reader().await.unwrap();
        assert!(engine::query("DELETE FROM secrets").execute(reader.connection()).await.is_err(), "readers only read");
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
        sqlx::query(later).execute(database.file_writer()).await.unwrap();
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
    async fn a_server_whose_disk_is_full_says_so_and_leaves_nothing_half_written() {
        let Some(disk) = SmallDisk::mount("160m") else { return };
        fs::set_permissions(disk.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = tempfile::tempdir_in(disk.path()).unwrap();
        let settings = ["max_wal_size=32MB", "min_wal_size=32MB", "wal_recycle=off", "checkpoint_timeout=30s"];
        let Some(postgres) = crate::state::real_postgres::Postgres::start_in(cluster, &settings) else { return };
        let database = Database::connect(&postgres.database_url(), NOW).await.unwrap();
        fill_a_secret(&database, "before", 1000).await.unwrap();
        let filler = disk.fill();
        let place = |path| Place { namespace: "", mount: "kv", path };
        let mut written = Vec::new();
        let error = loop {
            let path = format!("big-{}", written.len());
            match fill_a_secret(&database, &path, 900_000).await {
                Ok(()) => written.push(path),
                Err(error) => break error,
            }
            assert!(written.len() < 500, "it never got full");
        };
        assert!(matches!(error, DatabaseError::Full | DatabaseError::Unavailable(_)), "{error}");
        fs::remove_file(filler).unwrap();
        // Where the log had no room, the server starts itself again.
        let mut tries = 0;
        while fill_a_secret(&database, &format!("after-{tries}"), 900_000).await.is_err() {
            tries += 1;
            assert!(tries < 100, "it does not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let lost = format!("big-{}", written.len());
        assert!(database.value(place(&lost), Some(1)).await.unwrap().is_none());
        for path in written.iter().map(String::as_str).chain(["before", &format!("after-{tries}")]) {
            assert!(database.value(place(path), Some(1)).await.unwrap().is_some(), "{path}");
        }
    }

    #[tokio::test]
    async fn a_read_only_server_says_so() {
        let Some(postgres) = crate::state::real_postgres::Postgres::start() else { return };
        let database = Database::connect(&postgres.database_url(), NOW).await.unwrap();
        fill_a_secret(&database, "before", 10).await.unwrap();
        postgres.ask("ALTER SYSTEM SET default_transaction_read_only = on");
        postgres.ask("SELECT pg_reload_conf()");
        let mut error = fill_a_secret(&database, "during", 10).await;
        for turn in 0..100 {
            if error.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            error = fill_a_secret(&database, &format!("during-{turn}"), 10).await;
        }
        assert!(matches!(error, Err(DatabaseError::ReadOnly)), "{error:?}");
        let place = Place { namespace: "", mount: "kv", path: "before" };
        assert!(database.value(place, Some(1)).await.unwrap().is_some());
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
            let mut write = database.write(Scope::Secrets("")).await.unwrap();
            if let Some(row) = write.secret(Place { namespace: "", mount: "kv", path: "given-up" }).await.unwrap() {
                write.delete_secret(row.id).await.unwrap();
            }
            write.commit().await.unwrap();
        }
        fill_a_secret(&database, "after", 1000).await.unwrap();
        database.check().await.unwrap();
    }
}
