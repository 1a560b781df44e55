//! Rows about namespaces and their data keys. The keys are wrapped; by what, this file does not know.

use super::engine::{Row, query};
use super::{Database, DatabaseError, WriteTransaction};
use crate::clock::Timestamp;

/// What is known about a namespace that has, or had, secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceRow {
    /// The generation of the data key for new writes.
    pub current_key: u64,
    /// How many messages were sealed under it.
    pub sealed: u64,
    /// How many secrets there are.
    pub secrets: u64,
}

/// A wrapped data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyRow {
    /// From 1, per namespace.
    pub generation: u64,
    /// Which master key wraps it.
    pub master: Vec<u8>,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// How many messages were sealed under it.
    pub sealed: u64,
}

const NAMESPACE: &str = "SELECT n.current_key, k.sealed, n.secrets FROM secret_namespaces n \
     JOIN data_keys k ON k.namespace = n.namespace AND k.generation = n.current_key WHERE n.namespace = $1";
const DATA_KEY: &str =
    "SELECT generation, master, wrapped, created_ms, sealed FROM data_keys WHERE namespace = $1 AND generation = $2";
const MASTERS: &str = "SELECT master, COUNT(*) FROM (SELECT master FROM data_keys UNION ALL SELECT master FROM wrapped_keys) \
     AS all_keys GROUP BY master ORDER BY master";
const NOT_UNDER: &str = "SELECT namespace, generation, master, wrapped, created_ms, sealed FROM data_keys \
     WHERE master <> $1 ORDER BY namespace, generation LIMIT $2";
const INSERT_KEY: &str = "INSERT INTO data_keys (namespace, generation, created_ms, sealed, master, wrapped) \
     VALUES ($1, $2, $3, $4, $5, $6)";
const REWRAP: &str =
    "UPDATE data_keys SET master = $3, wrapped = $4 WHERE namespace = $1 AND generation = $2 AND wrapped = $5";
const COUNT_SEALED: &str = "UPDATE data_keys SET sealed = sealed + $3 WHERE namespace = $1 AND generation = $2";
const INSERT_NAMESPACE: &str = "INSERT INTO secret_namespaces (namespace, current_key, secrets) VALUES ($1, $2, 0)";
const USE_KEY: &str = "UPDATE secret_namespaces SET current_key = $2 WHERE namespace = $1";

impl Database {
    /// About the namespace; the root's name is empty.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn namespace(&self, namespace: &str) -> Result<Option<NamespaceRow>, DatabaseError> {
        let row = query(NAMESPACE).bind(namespace).fetch_optional(self.reader().await?.connection()).await?;
        row.as_ref().map(read_namespace).transpose()
    }

    /// One data key of a namespace.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn data_key(&self, namespace: &str, generation: u64) -> Result<Option<DataKeyRow>, DatabaseError> {
        let query = query(DATA_KEY).bind(namespace).bind(whole(generation)?);
        query
            .fetch_optional(self.reader().await?.connection())
            .await?
            .as_ref()
            .map(|row| read_data_key(row, 0))
            .transpose()
    }

    /// Which master keys wrap data keys, or shared keys by name, and how many each.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn masters(&self) -> Result<Vec<(Vec<u8>, u64)>, DatabaseError> {
        let rows = query(MASTERS).fetch_all(self.reader().await?.connection()).await?;
        rows.iter().map(|row| Ok((row.read(0)?, count(row, 1)?))).collect()
    }

    /// At most `limit` data keys, with their namespaces, that another master key than `master` wraps.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn data_keys_not_under(
        &self,
        master: &[u8],
        limit: u32,
    ) -> Result<Vec<(String, DataKeyRow)>, DatabaseError> {
        let rows =
            query(NOT_UNDER).bind(master).bind(i64::from(limit)).fetch_all(self.reader().await?.connection()).await?;
        rows.iter().map(|row| Ok((row.read(0)?, read_data_key(row, 1)?))).collect()
    }
}

impl WriteTransaction {
    /// As [`Database::namespace`]. Every write reads it first: it is what writers of a namespace would lock.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn namespace(&mut self, namespace: &str) -> Result<Option<NamespaceRow>, DatabaseError> {
        let row = query(NAMESPACE).bind(namespace).fetch_optional(self.connection()).await?;
        row.as_ref().map(read_namespace).transpose()
    }

    /// A namespace without secrets, whose data key exists already.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn insert_namespace(&mut self, namespace: &str, current_key: u64) -> Result<(), DatabaseError> {
        query(INSERT_NAMESPACE).bind(namespace).bind(whole(current_key)?).execute(self.connection()).await?;
        Ok(())
    }

    /// From now on new writes use this key.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn use_data_key(&mut self, namespace: &str, generation: u64) -> Result<(), DatabaseError> {
        query(USE_KEY).bind(namespace).bind(whole(generation)?).execute(self.connection()).await?;
        Ok(())
    }

    /// A new data key.
    ///
    /// # Errors
    /// [`DatabaseError`], also where the generation exists.
    pub async fn insert_data_key(&mut self, namespace: &str, key: &DataKeyRow) -> Result<(), DatabaseError> {
        query(INSERT_KEY)
            .bind(namespace)
            .bind(whole(key.generation)?)
            .bind(key.created.as_millis())
            .bind(whole(key.sealed)?)
            .bind(key.master.as_slice())
            .bind(key.wrapped.as_slice())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Puts the same data key, wrapped anew, in the place of `old`; false where that is not what stands there any more.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn rewrap_data_key(
        &mut self,
        namespace: &str,
        old: &DataKeyRow,
        master: &[u8],
        wrapped: &[u8],
    ) -> Result<bool, DatabaseError> {
        let query = query(REWRAP).bind(namespace).bind(whole(old.generation)?).bind(master).bind(wrapped);
        Ok(query.bind(old.wrapped.as_slice()).execute(self.connection()).await? == 1)
    }

    /// Counts messages that were sealed under a key.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn count_sealed(&mut self, namespace: &str, generation: u64, messages: u64) -> Result<(), DatabaseError> {
        let query = query(COUNT_SEALED).bind(namespace).bind(whole(generation)?).bind(whole(messages)?);
        query.execute(self.connection()).await?;
        Ok(())
    }
}

fn read_namespace(row: &Row) -> Result<NamespaceRow, DatabaseError> {
    Ok(NamespaceRow { current_key: count(row, 0)?, sealed: count(row, 1)?, secrets: count(row, 2)? })
}

fn read_data_key(row: &Row, from: usize) -> Result<DataKeyRow, DatabaseError> {
    Ok(DataKeyRow {
        generation: count(row, from)?,
        master: row.read(from + 1)?,
        wrapped: row.read(from + 2)?,
        created: moment(row, from + 3)?,
        sealed: count(row, from + 4)?,
    })
}

/// A number that is never negative.
pub(super) fn count(row: &Row, column: usize) -> Result<u64, DatabaseError> {
    u64::try_from(row.read::<i64>(column)?).map_err(|_| DatabaseError::row("a number is negative"))
}

pub(super) fn moment(row: &Row, column: usize) -> Result<Timestamp, DatabaseError> {
    Ok(Timestamp::from_millis(row.read(column)?))
}

/// As the database keeps a number.
pub(super) fn whole(number: u64) -> Result<i64, DatabaseError> {
    i64::try_from(number).map_err(|_| DatabaseError::Failed("a number is too large".to_owned()))
}
