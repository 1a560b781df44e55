//! Rows about the signing keys that replicas share: one manifest, which only moves from one version to the next, and the sealed
//! private halves. What they say and what seals them, this file does not know.

use super::engine::query;
use super::keys::{count, moment, whole};
use super::{Database, DatabaseError, WriteTransaction};
use crate::clock::Timestamp;

/// `signing_manifest` has one row, `id` 1.
pub(super) const TABLES: &str = "
    CREATE TABLE signing_manifest (
        id         BIGINT NOT NULL PRIMARY KEY,
        version    BIGINT NOT NULL,
        changed_ms BIGINT NOT NULL,
        seal       {bytes} NOT NULL,
        manifest   {text} NOT NULL
    );
    CREATE TABLE signing_keys (
        kid        {text} NOT NULL PRIMARY KEY,
        created_ms BIGINT NOT NULL,
        sealed     {bytes} NOT NULL
    );
";

/// The manifest of the signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestRow {
    /// From 1, one more with every change.
    pub version: u64,
    /// When it was written.
    pub changed: Timestamp,
    /// What shows that nobody else wrote it.
    pub seal: Vec<u8>,
    /// The text.
    pub manifest: String,
}

/// Who must still hold which lease, unchanged, for a write to happen.
#[derive(Clone, Copy, Debug)]
pub struct Fence<'a> {
    /// The name of the lease.
    pub lease: &'a str,
    /// Its holder.
    pub holder: &'a str,
}

const MANIFEST: &str = "SELECT version, changed_ms, seal, manifest FROM signing_manifest WHERE id = 1";
const MANIFEST_VERSION: &str = "SELECT version FROM signing_manifest WHERE id = 1";
const INSERT_MANIFEST: &str = "INSERT INTO signing_manifest (id, version, changed_ms, seal, manifest) \
     VALUES (1, $1, $2, $3, $4) ON CONFLICT (id) DO NOTHING";
const REPLACE_MANIFEST: &str = "UPDATE signing_manifest SET version = $1, changed_ms = $2, seal = $3, manifest = $4 \
     WHERE id = 1 AND version = $5";
/// The row is written, and so locked until the commit: nobody takes the lease between this look and the manifest.
const STILL_HELD: &str = "UPDATE leases SET holder = holder WHERE name = $1 AND holder = $2";
const SIGNING_KEY: &str = "SELECT sealed FROM signing_keys WHERE kid = $1";
const ANY_SIGNING_KEY: &str = "SELECT COUNT(*) FROM signing_keys";
const INSERT_SIGNING_KEY: &str = "INSERT INTO signing_keys (kid, created_ms, sealed) VALUES ($1, $2, $3)";
const DELETE_SIGNING_KEY: &str = "DELETE FROM signing_keys WHERE kid = $1";

impl Database {
    /// The manifest; none before the first key.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn signing_manifest(&self) -> Result<Option<ManifestRow>, DatabaseError> {
        let row = query(MANIFEST).fetch_optional(self.reader().await?.connection()).await?;
        let read = |row| {
            Ok(ManifestRow {
                version: count(&row, 0)?,
                changed: moment(&row, 1)?,
                seal: row.read(2)?,
                manifest: row.read(3)?,
            })
        };
        row.map(read).transpose()
    }

    /// Only its version, for a look every few seconds.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn signing_manifest_version(&self) -> Result<Option<u64>, DatabaseError> {
        let row = query(MANIFEST_VERSION).fetch_optional(self.reader().await?.connection()).await?;
        row.map(|row| count(&row, 0)).transpose()
    }

    /// The sealed private half of a key.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn signing_key(&self, kid: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        let row = query(SIGNING_KEY).bind(kid).fetch_optional(self.reader().await?.connection()).await?;
        row.map(|row| row.read(0)).transpose()
    }

    /// How many private halves there are.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn signing_keys(&self) -> Result<u64, DatabaseError> {
        count(&query(ANY_SIGNING_KEY).fetch_one(self.reader().await?.connection()).await?, 0)
    }
}

impl WriteTransaction {
    /// Puts a manifest in the place of the one of the version before, or is the first: false where another one was faster.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn replace_signing_manifest(&mut self, row: &ManifestRow) -> Result<bool, DatabaseError> {
        let first = row.version <= 1;
        let query = query(if first { INSERT_MANIFEST } else { REPLACE_MANIFEST })
            .bind(whole(row.version)?)
            .bind(row.changed.as_millis())
            .bind(row.seal.as_slice())
            .bind(row.manifest.as_str());
        let query = if first { query } else { query.bind(whole(row.version.saturating_sub(1))?) };
        Ok(query.execute(self.connection()).await? == 1)
    }

    /// Whether the lease is still held, until this transaction ends.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn is_held(&mut self, fence: Fence<'_>) -> Result<bool, DatabaseError> {
        let query = query(STILL_HELD).bind(fence.lease).bind(fence.holder);
        Ok(query.execute(self.connection()).await? == 1)
    }

    /// A sealed private half.
    ///
    /// # Errors
    /// [`DatabaseError`], also where the key has one.
    pub async fn insert_signing_key(&mut self, kid: &str, sealed: &[u8], now: Timestamp) -> Result<(), DatabaseError> {
        query(INSERT_SIGNING_KEY).bind(kid).bind(now.as_millis()).bind(sealed).execute(self.connection()).await?;
        Ok(())
    }

    /// Destroys a private half, if there is one.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn delete_signing_key(&mut self, kid: &str) -> Result<(), DatabaseError> {
        query(DELETE_SIGNING_KEY).bind(kid).execute(self.connection()).await?;
        Ok(())
    }
}
