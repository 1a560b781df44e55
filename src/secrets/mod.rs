//! Reading and writing secrets: what a caller may do, and where values live.
//!
//! Decides what a path means, which access documents allow what, and which store answers. Refuses to know how a caller
//! proved who it is, and how an answer is said on the wire. A value is [`SecretData`]: it prints as `[redacted]`, is zeroed,
//! and leaves this module only in the answer to the caller that was allowed to read it.
//!
//! ```text
//! ApiCall -> KvCall -> Authorized -> KvAnswer
//!   http      api       acl          local, kubernetes; an openbao is asked as the caller instead
//! ```

pub mod acl;
mod api;
mod authorized;
mod data;
pub mod kubernetes;
pub mod local;
mod mounts;
pub mod openbao;
mod path;
pub mod reference;
mod request;

pub(crate) use api::go_text;
pub use api::{ApiCall, ApiFault, KvCall, Needs, Shape, Verb, go_duration};
pub(crate) use authorized::pretend;
pub use authorized::{Authorized, NotAllowed};
pub use data::{BadData, MAX_DATA_BYTES, SecretData};
pub use local::KvVersion;
pub use mounts::{Mount, MountFault, MountPath, Mounts, Reach, Store, check_apart};
pub use path::{FolderPath, MAX_PATH_BYTES, PathError, SecretPath};
pub use request::{
    KvAnswer, KvError, KvMethod, KvRequest, MetadataPatch, MetadataUpdate, SecretMetadata, VersionMetadata,
};
