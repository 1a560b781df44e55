//! The embedded store: secrets in the database, versioned like KV version 2, sealed at rest.
//!
//! Decides what a request to a KV mount does and answers (OpenBao's KV API, version 2, and version 1 over the same rows),
//! which key seals a value, and where a sealed value belongs. Refuses to know who asks, whether they may, and how an answer
//! is said on the wire. What it stands on:
//!
//! - **Values, and the custom metadata, are sealed** (AES-256-GCM) under a data key of their namespace; data keys are wrapped
//!   by a master key ([`MasterKey`]) that the database never sees. Whoever has the file has no value.
//! - **A value is sealed for its place**: namespace, mount, path, version, time and data key. A row that somebody who may
//!   write the file puts in another's place does not open ([`KvError::Damaged`]). What such a person *can* do is bring back an
//!   older state of the whole file, or undelete a version, or point at another version of the same secret: that needs a
//!   witness outside the file, and there is none.
//! - **Namespaces, mounts, paths, times and version numbers are in clear**: listing and finding need them.
//! - **Every write is one transaction**, acknowledged when the disk has it.

mod data_keys;
mod error;
mod listing;
mod master_key;
mod merge_patch;
mod metadata;
mod place;
#[cfg(test)]
mod replica_tests;
#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the same tests over another engine")]
mod tests;
#[cfg(test)]
#[path = "tests.rs"]
#[allow(clippy::duplicate_mod, reason = "the same tests over another engine")]
mod tests_on_postgres;
mod versions;
mod wrapped_keys;
mod writing;

pub use error::LocalError;
pub use master_key::{MAX_MASTER_KEYS, MasterKey, MasterKeyError, MasterKeyId, MasterKeys};
pub use wrapped_keys::WrappedKeys;

use super::{KvAnswer, KvError, KvMethod, KvRequest, SecretData, VersionMetadata};
use crate::clock::Timestamp;
use crate::identity::Namespace;
use crate::state::database::{Database, Place, Sealed, ValueRow, VersionRow};
use data_keys::DataKeys;

/// Which KV API a mount speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvVersion {
    /// Values without versions: read, write, list, delete.
    V1,
    /// Versions, check-and-set, soft deletion, metadata.
    V2,
}

/// How much the store takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalLimits {
    /// How many secrets a namespace has at most; more are refused, those that exist can still be written.
    pub max_secrets: u64,
    /// How many versions of a secret are kept where its metadata does not say.
    pub max_versions: u32,
}

impl Default for LocalLimits {
    /// 100,000 secrets and, as in OpenBao, 10 versions.
    fn default() -> Self {
        Self { max_secrets: 100_000, max_versions: 10 }
    }
}

/// The embedded store. One for the process: it and its database own the file.
#[derive(Debug)]
pub struct LocalStore {
    database: Database,
    keys: DataKeys,
    limits: LocalLimits,
}

impl LocalStore {
    /// Opens the store in `database`.
    ///
    /// # Errors
    /// [`LocalError::UnknownMasterKey`] where a data key is wrapped by a master key that is not among `master`: nothing was
    /// changed then. [`LocalError::Database`].
    pub async fn open(database: Database, master: MasterKeys, limits: LocalLimits) -> Result<Self, LocalError> {
        let keys = DataKeys::open(database.clone(), master).await?;
        Ok(Self { database, keys, limits })
    }

    /// Does what `request` asks of the mount `mount` of `namespace` (none: the root), and returns once the disk has it.
    ///
    /// A version that is deleted or destroyed is answered with its metadata and no value. `List` answers names in byte
    /// order. To a mount of version 1, `Write` without `cas`, `Read` of the current version, `List`, `DeleteCurrent` and
    /// `DeleteAll` (both remove the secret) are all there is.
    ///
    /// # Errors
    /// [`KvError`]; with [`KvError::Unavailable`] and [`KvError::Damaged`] nothing was written, unless the disk itself failed.
    pub async fn run(
        &self,
        namespace: Option<&Namespace>,
        mount: &str,
        version: KvVersion,
        request: &KvRequest,
        now: Timestamp,
    ) -> Result<KvAnswer, KvError> {
        let namespace = namespace.map_or("", Namespace::as_str);
        let (path, method) = match request {
            KvRequest::List(folder) => return self.list(namespace, mount, folder.as_str()).await,
            KvRequest::Secret(path, method) => (path.as_str(), method),
        };
        let place = Place { namespace, mount, path };
        match version {
            KvVersion::V1 => self.run_v1(place, method, now).await,
            KvVersion::V2 => self.run_v2(place, method, now).await,
        }
    }

    /// Does the work of a read or a list that finds nothing, whatever is there, and touches nothing that is: for a caller
    /// who is refused and must not learn, from how long it takes, whether something is there. (To run the refused read
    /// itself, and drop its answer, would take longer for a large value than for none.) Other requests: nothing.
    pub async fn probe(&self, namespace: Option<&Namespace>, mount: &str, request: &KvRequest) {
        /// No path begins with it, see `SecretPath`.
        const NOWHERE: &str = "%";
        let namespace = namespace.map_or("", Namespace::as_str);
        match request {
            KvRequest::List(folder) => {
                let nowhere = NOWHERE.repeat(folder.as_str().len().max(1)) + "/";
                drop(self.list(namespace, mount, &nowhere).await);
            }
            KvRequest::Secret(path, KvMethod::Read { .. }) => {
                let nowhere = NOWHERE.repeat(path.as_str().len());
                drop(self.database.value(Place { namespace, mount, path: &nowhere }, None).await);
            }
            KvRequest::Secret(path, KvMethod::ReadMetadata) => {
                let nowhere = NOWHERE.repeat(path.as_str().len());
                drop(self.database.secret(Place { namespace, mount, path: &nowhere }).await);
            }
            KvRequest::Secret(..) => {}
        }
    }

    /// Takes up other master keys, and wraps every data key that the first of them does not wrap by it: how many. Reads and
    /// writes go on meanwhile. Stopped at any point, it leaves every data key wrapped by one of the given keys, and can be
    /// repeated. When it returns, the other keys are not needed any more.
    ///
    /// # Errors
    /// [`LocalError::UnknownMasterKey`], then the keys from before stay; [`LocalError::DataKey`] names a data key that does
    /// not open.
    pub async fn change_master_keys(&self, master: MasterKeys) -> Result<u64, LocalError> {
        self.keys.replace_master(master).await?;
        self.keys.rewrap().await
    }

    /// Wraps by the first master key what another one wraps: how many data keys that were. For the start, after the
    /// configuration got a new first key; costs one query where there is nothing to do.
    ///
    /// # Errors
    /// As [`change_master_keys`](Self::change_master_keys).
    pub async fn rewrap(&self) -> Result<u64, LocalError> {
        self.keys.rewrap().await
    }

    /// Makes a new data key for the namespace's future writes; what is there stays under the key that sealed it. The
    /// generation of the new key.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn rotate_data_key(&self, namespace: Option<&Namespace>, now: Timestamp) -> Result<u64, LocalError> {
        let namespace = namespace.map_or("", Namespace::as_str);
        let before = self.database.namespace(namespace).await?;
        self.keys.rotate(namespace, before.map(|row| row.current_key), now).await?;
        Ok(self.database.namespace(namespace).await?.map_or(0, |row| row.current_key))
    }

    async fn run_v2(&self, place: Place<'_>, method: &KvMethod, now: Timestamp) -> Result<KvAnswer, KvError> {
        match method {
            KvMethod::Read { version } => self.read(place, *version, now).await,
            KvMethod::ReadMetadata => self.read_metadata(place).await,
            KvMethod::Write { data, cas } => self.write(place, KvVersion::V2, data, *cas, now).await,
            KvMethod::Patch { data, cas } => self.patch(place, data, *cas, now).await,
            KvMethod::DeleteCurrent => self.delete_current(place, now).await,
            KvMethod::Delete(versions) => self.delete(place, versions, now).await,
            KvMethod::Undelete(versions) => self.undelete(place, versions).await,
            KvMethod::Destroy(versions) => self.destroy(place, versions).await,
            KvMethod::WriteMetadata(update) => self.write_metadata(place, update, now).await,
            KvMethod::PatchMetadata(patch) => self.patch_metadata(place, patch, now).await,
            KvMethod::DeleteAll => self.delete_all(place).await,
        }
    }

    async fn run_v1(&self, place: Place<'_>, method: &KvMethod, now: Timestamp) -> Result<KvAnswer, KvError> {
        match method {
            KvMethod::Read { version: None } => match self.read(place, None, now).await? {
                // A version 1 client has no way to hear of it, and none to bring it back.
                KvAnswer::Version { data: None, .. } => Err(KvError::NotFound),
                found => Ok(found),
            },
            KvMethod::Write { data, cas: None } => self.write(place, KvVersion::V1, data, None, now).await,
            KvMethod::DeleteCurrent | KvMethod::DeleteAll => self.delete_all(place).await,
            _ => Err(KvError::Unsupported),
        }
    }

    async fn read(&self, place: Place<'_>, version: Option<u64>, now: Timestamp) -> Result<KvAnswer, KvError> {
        let found = self.database.value(place, version).await?.ok_or(KvError::NotFound)?;
        let ValueRow { version, value, custom } = found;
        let data = match value {
            Some(value) if !is_gone(&version, now) => Some(self.open_value(place, &version, value).await?),
            _ => None,
        };
        let custom_metadata = self.open_custom(place, custom).await?;
        Ok(KvAnswer::Version { data, metadata: version_metadata(&version), custom_metadata })
    }

    async fn open_value(&self, place: Place<'_>, row: &VersionRow, value: Sealed) -> Result<SecretData, KvError> {
        let key = self.keys.find(place.namespace, value.key).await?;
        let bound = place::of_value(place, value.key, row.version, row.created);
        let opened = key.open(&bound, value.bytes).map_err(|_| VALUE_DAMAGED)?;
        Ok(SecretData::trusted(opened))
    }
}

const VALUE_DAMAGED: KvError = KvError::Damaged("a value does not open where it stands");

/// Whether a version has no value for its readers.
fn is_gone(row: &VersionRow, now: Timestamp) -> bool {
    row.destroyed || row.deletion.is_some_and(|at| at <= now)
}

const fn version_metadata(row: &VersionRow) -> VersionMetadata {
    VersionMetadata { version: row.version, created: row.created, deletion: row.deletion, destroyed: row.destroyed }
}
