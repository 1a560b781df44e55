//! Rows about secrets and their versions. Values are sealed; by what, this file does not know.

use std::time::Duration;

use super::engine::{Connection, Row, query};
use super::keys::{count, moment};
use super::{Database, DatabaseError};
use crate::clock::Timestamp;

/// Where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Empty for the root.
    pub namespace: &'a str,
    /// The mount within it.
    pub mount: &'a str,
    /// The path within that.
    pub path: &'a str,
}

/// Sealed bytes, and the data key that opens them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The generation of the namespace's data key.
    pub key: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A secret without its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// The database's own number for it; 0 before it is inserted.
    pub id: i64,
    /// When it was made.
    pub created: Timestamp,
    /// When its last version was written.
    pub updated: Timestamp,
    /// 0: none yet.
    pub current: u64,
    /// The oldest version that may be there; 0 until the first one was pruned away.
    pub oldest: u64,
    /// 0: as many as the store keeps of itself.
    pub max_versions: u32,
    /// Whether a write must say what it replaces.
    pub cas_required: bool,
    /// After how long a version deletes itself; zero: never.
    pub delete_after: Duration,
    /// The operator's own words.
    pub custom: Option<Sealed>,
}

/// A version without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// From 1.
    pub version: u64,
    /// When it was written.
    pub created: Timestamp,
    /// When it was, or will be, deleted.
    pub deletion: Option<Timestamp>,
    /// Whether its value is gone for good.
    pub destroyed: bool,
}

/// A version with its value, and what every answer about it says of its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueRow {
    /// About the version.
    pub version: VersionRow,
    /// Its value; none where it is destroyed.
    pub value: Option<Sealed>,
    /// The operator's own words about the secret.
    pub custom: Option<Sealed>,
}

/// One search in an index for the secret and one for the version, whichever is asked for.
const VALUE: &str = "SELECT v.version, v.created_ms, v.deletion_ms, v.destroyed, s.custom_key, s.custom, v.value_key, v.value \
     FROM secrets s JOIN secret_versions v \
     ON v.secret = s.id AND v.version = CASE WHEN $4 = 0 THEN s.current_version ELSE $4 END \
     WHERE s.namespace = $1 AND s.mount = $2 AND s.path = $3";
const SECRET: &str = "SELECT id, created_ms, updated_ms, current_version, oldest_version, max_versions, cas_required, \
     delete_after_ms, custom_key, custom FROM secrets WHERE namespace = $1 AND mount = $2 AND path = $3";
/// One statement, so one moment. A secret without versions is one row without one; its custom metadata, which may be long,
/// comes once, with the current version, which is the last.
const SECRET_AND_VERSIONS: &str = "SELECT s.id, s.created_ms, s.updated_ms, s.current_version, s.oldest_version, \
     s.max_versions, s.cas_required, s.delete_after_ms, \
     CASE WHEN v.version IS NULL OR v.version = s.current_version THEN s.custom_key END, \
     CASE WHEN v.version IS NULL OR v.version = s.current_version THEN s.custom END, \
     v.version, v.created_ms, v.deletion_ms, v.destroyed \
     FROM secrets s LEFT JOIN secret_versions v ON v.secret = s.id \
     WHERE s.namespace = $1 AND s.mount = $2 AND s.path = $3 ORDER BY v.version";
const VERSION_COLUMN: usize = 10;
const VERSIONS: &str =
    "SELECT version, created_ms, deletion_ms, destroyed FROM secret_versions WHERE secret = $1 ORDER BY version";
const PATHS: &str = "SELECT path FROM secrets WHERE namespace = $1 AND mount = $2 AND path >= $3 AND path < $4 \
     ORDER BY path LIMIT $5";

impl SecretRow {
    /// A secret that has nothing yet.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self {
            id: 0,
            created: now,
            updated: now,
            current: 0,
            oldest: 0,
            max_versions: 0,
            cas_required: false,
            delete_after: Duration::ZERO,
            custom: None,
        }
    }
}

impl Database {
    /// A version's value, of the current version if `version` is none.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn value(&self, place: Place<'_>, version: Option<u64>) -> Result<Option<ValueRow>, DatabaseError> {
        value(self.reader().await?.connection(), place, version).await
    }

    /// A secret and its versions, in their order, as they are at one moment.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn secret(&self, place: Place<'_>) -> Result<Option<(SecretRow, Vec<VersionRow>)>, DatabaseError> {
        let query = query(SECRET_AND_VERSIONS).bind(place.namespace).bind(place.mount).bind(place.path);
        let rows = query.fetch_all(self.reader().await?.connection()).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        let versions = rows.iter().filter(|row| !matches!(row.read::<Option<i64>>(VERSION_COLUMN), Ok(None)));
        let versions = versions.map(|row| read_version(row, VERSION_COLUMN)).collect::<Result<_, _>>()?;
        Ok(Some((read_secret(last)?, versions)))
    }

    /// At most `limit` paths of a mount in byte order, from `from` on and before `end`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn paths(
        &self,
        namespace: &str,
        mount: &str,
        from: &str,
        end: &str,
        limit: u32,
    ) -> Result<Vec<String>, DatabaseError> {
        let query = query(PATHS).bind(namespace).bind(mount).bind(from).bind(end).bind(i64::from(limit));
        query.fetch_all(self.reader().await?.connection()).await?.iter().map(|row| row.read(0)).collect()
    }
}

pub(super) async fn value(
    connection: Connection<'_>,
    place: Place<'_>,
    version: Option<u64>,
) -> Result<Option<ValueRow>, DatabaseError> {
    // A version beyond what the database can count does not exist.
    let Ok(version) = i64::try_from(version.unwrap_or(0)) else { return Ok(None) };
    let query = query(VALUE).bind(place.namespace).bind(place.mount).bind(place.path).bind(version);
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    Ok(Some(ValueRow { version: read_version(&row, 0)?, custom: read_sealed(&row, 4)?, value: read_sealed(&row, 6)? }))
}

pub(super) async fn secret(connection: Connection<'_>, place: Place<'_>) -> Result<Option<SecretRow>, DatabaseError> {
    let query = query(SECRET).bind(place.namespace).bind(place.mount).bind(place.path);
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    read_secret(&row).map(Some)
}

fn read_secret(row: &Row) -> Result<SecretRow, DatabaseError> {
    Ok(SecretRow {
        id: row.read(0)?,
        created: moment(row, 1)?,
        updated: moment(row, 2)?,
        current: count(row, 3)?,
        oldest: count(row, 4)?,
        max_versions: u32::try_from(count(row, 5)?).map_err(|_| DatabaseError::row("a number is too large"))?,
        cas_required: count(row, 6)? != 0,
        delete_after: Duration::from_millis(count(row, 7)?),
        custom: read_sealed(row, 8)?,
    })
}

pub(super) async fn versions(connection: Connection<'_>, id: i64) -> Result<Vec<VersionRow>, DatabaseError> {
    query(VERSIONS).bind(id).fetch_all(connection).await?.iter().map(|row| read_version(row, 0)).collect()
}

fn read_version(row: &Row, from: usize) -> Result<VersionRow, DatabaseError> {
    Ok(VersionRow {
        version: count(row, from)?,
        created: moment(row, from + 1)?,
        deletion: row.read::<Option<i64>>(from + 2)?.map(Timestamp::from_millis),
        destroyed: count(row, from + 3)? != 0,
    })
}

fn read_sealed(row: &Row, from: usize) -> Result<Option<Sealed>, DatabaseError> {
    let (key, bytes): (Option<i64>, Option<Vec<u8>>) = (row.read(from)?, row.read(from + 1)?);
    match (key, bytes) {
        (Some(_), Some(bytes)) => Ok(Some(Sealed { key: count(row, from)?, bytes })),
        (None, None) => Ok(None),
        _ => Err(DatabaseError::row("sealed bytes without their key")),
    }
}
