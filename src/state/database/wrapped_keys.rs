//! Rows about keys that the replicas share, by name. The keys are wrapped; by what, and what they are for, this file does not
//! know.

use super::engine::{Row, query};
use super::keys::moment;
use super::{Database, DatabaseError, WriteTransaction};
use crate::clock::Timestamp;

/// `master` tells which master key wraps the row's key, as in `data_keys`.
pub(super) const TABLES: &str = "
    CREATE TABLE wrapped_keys (
        name       {text} NOT NULL PRIMARY KEY,
        master     {bytes} NOT NULL,
        wrapped    {bytes} NOT NULL,
        created_ms BIGINT NOT NULL
    );
";

/// A wrapped key and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKeyRow {
    /// What it is called; one key per name.
    pub name: String,
    /// Which master key wraps it.
    pub master: Vec<u8>,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
}

const WRAPPED_KEY: &str = "SELECT name, master, wrapped, created_ms FROM wrapped_keys WHERE name = $1";
const WRAPPED_NOT_UNDER: &str =
    "SELECT name, master, wrapped, created_ms FROM wrapped_keys WHERE master <> $1 ORDER BY name LIMIT $2";
const INSERT_WRAPPED: &str = "INSERT INTO wrapped_keys (name, master, wrapped, created_ms) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (name) DO NOTHING";
const REWRAP_WRAPPED: &str = "UPDATE wrapped_keys SET master = $2, wrapped = $3 WHERE name = $1 AND wrapped = $4";

impl Database {
    /// The wrapped key of this name.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn wrapped_key(&self, name: &str) -> Result<Option<WrappedKeyRow>, DatabaseError> {
        let row = query(WRAPPED_KEY).bind(name).fetch_optional(self.reader().await?.connection()).await?;
        row.as_ref().map(read_wrapped_key).transpose()
    }

    /// At most `limit` wrapped keys that another master key than `master` wraps.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn wrapped_keys_not_under(&self, master: &[u8], limit: u32) -> Result<Vec<WrappedKeyRow>, DatabaseError> {
        let query = query(WRAPPED_NOT_UNDER).bind(master).bind(i64::from(limit));
        query.fetch_all(self.reader().await?.connection()).await?.iter().map(read_wrapped_key).collect()
    }
}

impl WriteTransaction {
    /// Inserts a wrapped key; false where one of this name is there already, which stays.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn insert_wrapped_key(&mut self, row: &WrappedKeyRow) -> Result<bool, DatabaseError> {
        let query = query(INSERT_WRAPPED)
            .bind(row.name.as_str())
            .bind(row.master.as_slice())
            .bind(row.wrapped.as_slice())
            .bind(row.created.as_millis());
        Ok(query.execute(self.connection()).await? == 1)
    }

    /// Puts the same key, wrapped anew, in the place of `old`; false where that is not what stands there any more.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn rewrap_wrapped_key(
        &mut self,
        old: &WrappedKeyRow,
        master: &[u8],
        wrapped: &[u8],
    ) -> Result<bool, DatabaseError> {
        let query = query(REWRAP_WRAPPED).bind(old.name.as_str()).bind(master).bind(wrapped);
        Ok(query.bind(old.wrapped.as_slice()).execute(self.connection()).await? == 1)
    }
}

fn read_wrapped_key(row: &Row) -> Result<WrappedKeyRow, DatabaseError> {
    Ok(WrappedKeyRow { name: row.read(0)?, master: row.read(1)?, wrapped: row.read(2)?, created: moment(row, 3)? })
}
