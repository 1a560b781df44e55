//! What can be asked of a store, in the words of the KV engine (OpenBao API, KV version 2), and what it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::data::SecretData;
use super::path::{FolderPath, SecretPath};
use crate::clock::Timestamp;

/// One request to the KV engine of a mount.
#[derive(Clone, Debug)]
pub enum KvRequest {
    /// What lies in a folder: names, those of folders with a slash at their end. `GET|LIST metadata/<folder>`.
    List(FolderPath),
    /// Something about one secret.
    Secret(SecretPath, KvMethod),
}

/// What is to be done with one secret.
#[derive(Clone, Debug)]
pub enum KvMethod {
    /// A version's value; none: the current one. `GET data/<path>?version=`.
    Read {
        /// Which version.
        version: Option<u64>,
    },
    /// Everything known about the secret but its values. `GET metadata/<path>`.
    ReadMetadata,
    /// A new version. `POST|PUT data/<path>`.
    Write {
        /// The value.
        data: SecretData,
        /// Only if this is the current version; 0: only if there is none yet.
        cas: Option<u64>,
    },
    /// A new version, made of the current one by a JSON merge patch (RFC 7396). `PATCH data/<path>`.
    Patch {
        /// The patch: a JSON object.
        data: SecretData,
        /// Only if this is the current version.
        cas: Option<u64>,
    },
    /// Marks the current version as deleted. `DELETE data/<path>`.
    DeleteCurrent,
    /// Marks versions as deleted. `POST|PUT delete/<path>`.
    Delete(Vec<u64>),
    /// Takes that back. `POST|PUT undelete/<path>`.
    Undelete(Vec<u64>),
    /// Removes the values of versions for good. `POST|PUT destroy/<path>`.
    Destroy(Vec<u64>),
    /// Sets what is known about the secret. `POST|PUT metadata/<path>`.
    WriteMetadata(MetadataUpdate),
    /// Changes some of what is known about it: custom metadata by a merge patch. `PATCH metadata/<path>`.
    PatchMetadata(MetadataPatch),
    /// Removes the secret, all versions and metadata, for good. `DELETE metadata/<path>`; KV version 1 `DELETE <path>`.
    DeleteAll,
}

/// What [`KvMethod::WriteMetadata`] sets; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataUpdate {
    /// How many versions are kept; 0: ten.
    pub max_versions: Option<u32>,
    /// Whether every write must give `cas`.
    pub cas_required: Option<bool>,
    /// After how long a version deletes itself; zero: never.
    pub delete_version_after: Option<Duration>,
    /// The operator's own words: at most 64, names up to 128 bytes, values up to 512. Replaces those from before.
    pub custom_metadata: Option<BTreeMap<String, String>>,
}

/// What [`KvMethod::PatchMetadata`] changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataPatch {
    /// As in [`MetadataUpdate`].
    pub max_versions: Option<u32>,
    /// As in [`MetadataUpdate`].
    pub cas_required: Option<bool>,
    /// As in [`MetadataUpdate`].
    pub delete_version_after: Option<Duration>,
    /// Words to set, or with `None` to remove.
    pub custom_metadata: BTreeMap<String, Option<String>>,
}

/// An answer of a store.
#[derive(Debug)]
pub enum KvAnswer {
    /// To `Read`.
    Version {
        /// The value; none where the version is deleted or destroyed.
        data: Option<SecretData>,
        /// About the version.
        metadata: VersionMetadata,
        /// About the secret.
        custom_metadata: Option<BTreeMap<String, String>>,
    },
    /// To `ReadMetadata`.
    Metadata(Box<SecretMetadata>),
    /// To `Write` and `Patch`: the version that was made.
    Written {
        /// About the version.
        metadata: VersionMetadata,
        /// About the secret.
        custom_metadata: Option<BTreeMap<String, String>>,
    },
    /// To `List`; never empty.
    Keys(Vec<String>),
    /// To everything else.
    Done,
}

/// What is known about one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionMetadata {
    /// From 1.
    pub version: u64,
    /// When it was written.
    pub created: Timestamp,
    /// When it was, or will be, deleted.
    pub deletion: Option<Timestamp>,
    /// Whether its value is gone for good.
    pub destroyed: bool,
}

/// What is known about a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMetadata {
    /// When it was first written.
    pub created: Timestamp,
    /// When it was written last.
    pub updated: Timestamp,
    /// The current version; 0 where there is none yet.
    pub current_version: u64,
    /// The oldest version that is kept; 0 where there is none yet.
    pub oldest_version: u64,
    /// How many versions are kept; 0: ten.
    pub max_versions: u32,
    /// Whether every write must give `cas`.
    pub cas_required: bool,
    /// After how long a version deletes itself; zero: never.
    pub delete_version_after: Duration,
    /// The operator's own words.
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// The versions that are kept, in their order.
    pub versions: Vec<VersionMetadata>,
}

/// Why a store did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// There is no such secret, folder or version.
    #[error("there is nothing at that path")]
    NotFound,
    /// `cas` is not the current version.
    #[error("check-and-set parameter did not match the current version")]
    CasMismatch,
    /// The secret wants `cas` with every write.
    #[error("check-and-set parameter required for this call")]
    CasRequired,
    /// The request can't be done, whoever asks; the text is constant.
    #[error("{0}")]
    Invalid(&'static str),
    /// This store does not do that.
    #[error("unsupported operation")]
    Unsupported,
    /// The store's own rules keep it from this caller (a Kubernetes secret of another tenant). Told to the operator, never
    /// to the caller.
    #[error("the store's rules refuse it: {0}")]
    Refused(&'static str),
    /// The store can't be reached or refuses its work for now; the text is for the operator.
    #[error("the store is not available: {0}")]
    Unavailable(&'static str),
    /// What is stored can't be decrypted or read.
    #[error("what is stored is damaged: {0}")]
    Damaged(&'static str),
}
