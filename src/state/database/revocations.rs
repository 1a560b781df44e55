//! Rows about revoked tokens. They are read in the order of their numbers, from the last one that was seen, so a number must
//! never become visible after a larger one: writers take the lock of [`Scope::Revocations`](super::Scope) first and keep it
//! until their commit is visible, so that whoever gets the next number begins after it.

use super::engine::{Row, query};
use super::keys::moment;
use super::{Database, DatabaseError, WriteTransaction};
use crate::clock::Timestamp;

pub(super) const TABLES: &str = "
    CREATE TABLE revocations (
        id         {id},
        token_id   {text} NOT NULL UNIQUE,
        expires_ms BIGINT NOT NULL
    );
    CREATE INDEX revocations_by_end ON revocations (expires_ms);
";

/// A revoked token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRow {
    /// The database's own number for it; later ones are larger.
    pub id: i64,
    /// Its `jti`.
    pub token_id: String,
    /// Its `exp`.
    pub expires: Timestamp,
}

/// What a look at the revocations found, all by one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationsFound {
    /// Which run of the server answered: another one may have lost its last rows and given their numbers once more. None of a
    /// file.
    pub run: Option<i64>,
    /// The largest number of a revocation that is there; 0 where there is none.
    pub newest: i64,
    /// Those that were asked for.
    pub rows: Vec<RevocationRow>,
}

const AFTER: &str = "SELECT id, token_id, expires_ms FROM revocations WHERE id > $1 ORDER BY id LIMIT $2";
const NEWEST: &str = "SELECT COALESCE(MAX(id), 0) FROM revocations";
const COUNT: &str = "SELECT COUNT(*) FROM revocations";
const INSERT: &str = "INSERT INTO revocations (token_id, expires_ms) VALUES ($1, $2) ON CONFLICT (token_id) DO NOTHING";
const REMOVE: &str = "DELETE FROM revocations WHERE expires_ms <= $1";

impl Database {
    /// At most `limit` revocations whose numbers are larger than `id`, in their order.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn revocations_after(&self, id: i64, limit: u32) -> Result<RevocationsFound, DatabaseError> {
        let mut reader = self.reader().await?;
        let run = reader.run().await?;
        let newest = query(NEWEST).fetch_one(reader.connection()).await?.read(0)?;
        let rows = query(AFTER).bind(id).bind(i64::from(limit)).fetch_all(reader.connection()).await?;
        let read = |row| Ok(RevocationRow { id: Row::read(row, 0)?, token_id: row.read(1)?, expires: moment(row, 2)? });
        Ok(RevocationsFound { run, newest, rows: rows.iter().map(read).collect::<Result<_, DatabaseError>>()? })
    }
}

impl WriteTransaction {
    /// How many revocations there are. Looks at all of them.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn count_revocations(&mut self) -> Result<usize, DatabaseError> {
        let count: i64 = query(COUNT).fetch_one(self.connection()).await?.read(0)?;
        usize::try_from(count).map_err(|_| DatabaseError::row("a number is negative"))
    }

    /// Keeps that a token is revoked; nothing new where it is already.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn insert_revocation(&mut self, token_id: &str, expires: Timestamp) -> Result<(), DatabaseError> {
        query(INSERT).bind(token_id).bind(expires.as_millis()).execute(self.connection()).await?;
        Ok(())
    }

    /// Removes the revocations of tokens that expired at `until` or before: how many.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn remove_revocations(&mut self, until: Timestamp) -> Result<u64, DatabaseError> {
        query(REMOVE).bind(until.as_millis()).execute(self.connection()).await
    }
}
