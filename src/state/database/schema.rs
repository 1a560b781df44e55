//! The layout of the tables, and how an older file gets there. Forwards only: what a later cambio wrote is refused.

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqlitePool;

use super::{DatabaseError, leases, signing_keys, wrapped_keys};
use crate::clock::Timestamp;

/// The layout that this program writes.
#[allow(clippy::cast_possible_truncation, reason = "there are few migrations")]
pub const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// One per layout, in order; never changed once released. `{bytes}`, `{id}` and `{text}` are the words in which databases
/// differ (see the module's page).
///
/// - `secret_namespaces` counts secrets, so that a bound on them costs no count, and names the data key of new writes.
/// - `data_keys.master` tells which master key wraps the row's key; `sealed` counts messages under the key.
/// - `secrets.current_version` is 0 while a secret has only metadata; `oldest_version` is as OpenBao counts it.
/// - `secret_versions.value` stands last: a row's other columns are read without its (up to 1 MiB of) value.
const MIGRATIONS: [&[&str]; 2] = [&[FIRST], &[wrapped_keys::TABLES, leases::TABLES, signing_keys::TABLES]];

const FIRST: &str = "
    CREATE TABLE data_keys (
        namespace  {text} NOT NULL,
        generation BIGINT NOT NULL,
        created_ms BIGINT NOT NULL,
        sealed     BIGINT NOT NULL,
        master     {bytes} NOT NULL,
        wrapped    {bytes} NOT NULL,
        PRIMARY KEY (namespace, generation)
    );
    CREATE TABLE secret_namespaces (
        namespace   {text} NOT NULL PRIMARY KEY,
        current_key BIGINT NOT NULL,
        secrets     BIGINT NOT NULL,
        FOREIGN KEY (namespace, current_key) REFERENCES data_keys (namespace, generation)
    );
    CREATE TABLE secrets (
        id              {id},
        namespace       {text} NOT NULL REFERENCES secret_namespaces (namespace),
        mount           {text} NOT NULL,
        path            {text} NOT NULL,
        created_ms      BIGINT NOT NULL,
        updated_ms      BIGINT NOT NULL,
        current_version BIGINT NOT NULL,
        oldest_version  BIGINT NOT NULL,
        max_versions    BIGINT NOT NULL,
        cas_required    BIGINT NOT NULL,
        delete_after_ms BIGINT NOT NULL,
        custom_key      BIGINT,
        custom          {bytes},
        UNIQUE (namespace, mount, path)
    );
    CREATE TABLE secret_versions (
        secret      BIGINT NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
        version     BIGINT NOT NULL,
        created_ms  BIGINT NOT NULL,
        deletion_ms BIGINT,
        destroyed   BIGINT NOT NULL,
        value_key   BIGINT,
        value       {bytes},
        PRIMARY KEY (secret, version)
    );
";

/// The words of SQLite. `INTEGER PRIMARY KEY` is the row's number itself; its text is compared byte by byte already.
fn in_this_dialect(migration: &str) -> String {
    migration.replace("{bytes}", "BLOB").replace("{id}", "INTEGER PRIMARY KEY").replace("{text}", "TEXT")
}

/// Runs the migrations that the file has not seen, all in one transaction.
pub(super) async fn bring_up_to_date(writer: &SqlitePool, now: Timestamp) -> Result<(), DatabaseError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let table =
        "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)";
    sqlx::query(table).execute(&mut *transaction).await?;
    let newest = "SELECT COALESCE(MAX(version), 0) FROM schema_versions";
    let found: i64 = sqlx::query_scalar(newest).fetch_one(&mut *transaction).await?;
    let found = u32::try_from(found).map_err(|_| DatabaseError::row("its layout has no number"))?;
    if found > SCHEMA_VERSION {
        return Err(DatabaseError::Newer { found, known: SCHEMA_VERSION });
    }
    for (version, migration) in (1_u32..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        for statement in migration.iter().flat_map(|tables| tables.split(';')).filter(|statement| !statement.trim().is_empty()) {
            sqlx::query(AssertSqlSafe(in_this_dialect(statement))).execute(&mut *transaction).await?;
        }
        sqlx::query("INSERT INTO schema_versions (version, applied_ms) VALUES ($1, $2)")
            .bind(i64::from(version))
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}
