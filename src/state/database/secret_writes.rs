//! Writing rows about secrets and their versions, within a transaction.

use std::time::Duration;

use super::engine::query;
use super::keys::whole;
use super::secrets::{Place, Sealed, SecretRow, ValueRow, VersionRow, secret, value, versions};
use super::{DatabaseError, WriteTransaction};
use crate::clock::Timestamp;

const INSERT: &str = "INSERT INTO secrets (namespace, mount, path, created_ms, updated_ms, current_version, oldest_version, \
     max_versions, cas_required, delete_after_ms, custom_key, custom) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id";
const ONE_MORE: &str = "UPDATE secret_namespaces SET secrets = secrets + 1 WHERE namespace = $1";
const UPDATE: &str = "UPDATE secrets SET updated_ms = $2, current_version = $3, oldest_version = $4, max_versions = $5, \
     cas_required = $6, delete_after_ms = $7, custom_key = $8, custom = $9 WHERE id = $1";
const ONE_LESS: &str = "UPDATE secret_namespaces SET secrets = secrets - 1 \
     WHERE namespace = (SELECT namespace FROM secrets WHERE id = $1)";
const DELETE: &str = "DELETE FROM secrets WHERE id = $1";
const INSERT_VERSION: &str = "INSERT INTO secret_versions (secret, version, created_ms, deletion_ms, destroyed, value_key, value) \
     VALUES ($1, $2, $3, $4, 0, $5, $6)";
const SET_DELETION: &str = "UPDATE secret_versions SET deletion_ms = $3 WHERE secret = $1 AND version = $2";
const DESTROY: &str =
    "UPDATE secret_versions SET destroyed = 1, value_key = NULL, value = NULL WHERE secret = $1 AND version = $2";
const PRUNE: &str = "DELETE FROM secret_versions WHERE secret = $1 AND version < $2";

impl WriteTransaction {
    /// As [`super::Database::value`].
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn value(&mut self, place: Place<'_>, version: Option<u64>) -> Result<Option<ValueRow>, DatabaseError> {
        value(self.connection(), place, version).await
    }

    /// A secret without its versions.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn secret(&mut self, place: Place<'_>) -> Result<Option<SecretRow>, DatabaseError> {
        secret(self.connection(), place).await
    }

    /// The versions of a secret, in their order.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn versions(&mut self, id: i64) -> Result<Vec<VersionRow>, DatabaseError> {
        versions(self.connection(), id).await
    }

    /// Inserts a secret, counts it, and returns its number.
    ///
    /// # Errors
    /// [`DatabaseError`], also where it exists.
    pub async fn insert_secret(&mut self, place: Place<'_>, row: &SecretRow) -> Result<i64, DatabaseError> {
        let row = query(INSERT)
            .bind(place.namespace)
            .bind(place.mount)
            .bind(place.path)
            .bind(row.created.as_millis())
            .bind(row.updated.as_millis())
            .bind(whole(row.current)?)
            .bind(whole(row.oldest)?)
            .bind(i64::from(row.max_versions))
            .bind(i64::from(row.cas_required))
            .bind(span(row.delete_after))
            .bind(row.custom.as_ref().map(|custom| whole(custom.key)).transpose()?)
            .bind(row.custom.as_ref().map(|custom| custom.bytes.as_slice()))
            .fetch_one(self.connection())
            .await?;
        let id: i64 = row.read(0)?;
        query(ONE_MORE).bind(place.namespace).execute(self.connection()).await?;
        Ok(id)
    }

    /// Writes all of a secret but when it was made and where it is.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn update_secret(&mut self, row: &SecretRow) -> Result<(), DatabaseError> {
        query(UPDATE)
            .bind(row.id)
            .bind(row.updated.as_millis())
            .bind(whole(row.current)?)
            .bind(whole(row.oldest)?)
            .bind(i64::from(row.max_versions))
            .bind(i64::from(row.cas_required))
            .bind(span(row.delete_after))
            .bind(row.custom.as_ref().map(|custom| whole(custom.key)).transpose()?)
            .bind(row.custom.as_ref().map(|custom| custom.bytes.as_slice()))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Removes a secret and its versions.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn delete_secret(&mut self, id: i64) -> Result<(), DatabaseError> {
        query(ONE_LESS).bind(id).execute(self.connection()).await?;
        query(DELETE).bind(id).execute(self.connection()).await?;
        Ok(())
    }

    /// A new version.
    ///
    /// # Errors
    /// [`DatabaseError`], also where it exists.
    pub async fn insert_version(&mut self, id: i64, row: &VersionRow, value: &Sealed) -> Result<(), DatabaseError> {
        query(INSERT_VERSION)
            .bind(id)
            .bind(whole(row.version)?)
            .bind(row.created.as_millis())
            .bind(row.deletion.map(Timestamp::as_millis))
            .bind(whole(value.key)?)
            .bind(value.bytes.as_slice())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// When a version is deleted; none: not.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn set_deletion(&mut self, id: i64, version: u64, at: Option<Timestamp>) -> Result<(), DatabaseError> {
        let query = query(SET_DELETION).bind(id).bind(whole(version)?).bind(at.map(Timestamp::as_millis));
        query.execute(self.connection()).await?;
        Ok(())
    }

    /// Removes a version's value for good.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn destroy(&mut self, id: i64, version: u64) -> Result<(), DatabaseError> {
        query(DESTROY).bind(id).bind(whole(version)?).execute(self.connection()).await?;
        Ok(())
    }

    /// Removes versions before `oldest`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn prune(&mut self, id: i64, oldest: u64) -> Result<(), DatabaseError> {
        query(PRUNE).bind(id).bind(whole(oldest)?).execute(self.connection()).await?;
        Ok(())
    }
}

fn span(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
