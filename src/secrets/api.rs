//! The KV engine's API (OpenBao API, KV version 2 and 1), read strictly: what a call within a mount means, and which
//! capability on which path it needs.
//!
//! Decides nothing about the caller. Refuses paths that two readers could take for two places, and bodies that are not what
//! the API says; members that the API does not have are named in a warning, as OpenBao does.

mod body;
mod duration;

use super::acl::Capability;
use super::path::{FolderPath, PathError, SecretPath};
use super::request::{KvMethod, KvRequest};
use super::{BadData, KvVersion};
use body::{MetadataBody, PatchBody, VersionsBody, WriteBody};
pub use duration::go_duration;
pub(crate) use duration::go_text;

/// What is done, by the words of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `GET`.
    Read,
    /// `LIST`, or `GET` with `list=true`.
    List,
    /// `SCAN`, or `GET` with `scan=true`.
    Scan,
    /// `POST` or `PUT`.
    Write,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

/// A call, as it came.
#[derive(Clone, Copy, Debug)]
pub struct ApiCall<'a> {
    /// What is to be done.
    pub verb: Verb,
    /// The path within the mount, decoded once; without a slash in front.
    pub path: &'a str,
    /// `version`, where the query has it.
    pub version: Option<&'a str>,
    /// `depth` of `subkeys`, where the query has it.
    pub depth: Option<&'a str>,
    /// The body; empty where there is none.
    pub body: &'a [u8],
}

/// A call that is understood.
#[derive(Debug)]
pub struct KvCall {
    /// What the store is asked.
    pub request: KvRequest,
    /// How its answer is told.
    pub shape: Shape,
    /// The path within the mount that the caller needs a capability on: `data/app/db`.
    pub path: String,
    /// Which one.
    pub needs: Needs,
    /// Members of the body that were ignored, for the `warnings` of the answer.
    pub ignored: Vec<String>,
}

/// Which capability a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// This one.
    One(Capability),
    /// `create` where there is nothing yet, else `update`.
    CreateOrUpdate,
}

/// How an answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As the API of version 2 tells it.
    V2,
    /// As that of version 1 does: the value itself.
    V1,
    /// The names in the value down to that depth (0: all), without values.
    Subkeys {
        /// How deep.
        depth: u32,
    },
}

/// Why a call is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiFault {
    /// No such path in the API.
    #[error("unsupported path")]
    Path,
    /// The path exists, and does not do that.
    #[error("unsupported operation")]
    Operation,
    /// A path that is no path.
    #[error("invalid path: {0}")]
    BadPath(#[from] PathError),
    /// A body that is not what the API says; the text never quotes it.
    #[error("{0}")]
    Body(&'static str),
    /// The value.
    #[error("{0}")]
    Data(#[from] BadData),
    /// A member of the query.
    #[error("`{0}` is not a number")]
    Query(&'static str),
}

impl KvCall {
    /// What `call` means in a mount of that version.
    ///
    /// # Errors
    /// [`ApiFault`].
    pub fn read(version: KvVersion, call: ApiCall<'_>) -> Result<Self, ApiFault> {
        match version {
            KvVersion::V1 => Self::read_v1(call),
            KvVersion::V2 => Self::read_v2(call),
        }
    }

    fn read_v1(call: ApiCall<'_>) -> Result<Self, ApiFault> {
        let (method, needs) = match call.verb {
            Verb::List => return Self::list(call.path, "", Shape::V1),
            Verb::Read => (KvMethod::Read { version: None }, Needs::One(Capability::Read)),
            Verb::Write => (body::whole(call.body)?, Needs::CreateOrUpdate),
            Verb::Delete => (KvMethod::DeleteAll, Needs::One(Capability::Delete)),
            Verb::Scan | Verb::Patch => return Err(ApiFault::Operation),
        };
        let path = SecretPath::new(call.path)?;
        Ok(Self {
            path: path.as_str().to_owned(),
            request: KvRequest::Secret(path, method),
            shape: Shape::V1,
            needs,
            ignored: vec![],
        })
    }

    fn read_v2(call: ApiCall<'_>) -> Result<Self, ApiFault> {
        use Capability::{Delete, Patch, Read, Update};
        let (kind, rest) = call.path.split_once('/').unwrap_or((call.path, ""));
        let (mut shape, mut ignored) = (Shape::V2, vec![]);
        let (method, needs) = match (kind, call.verb) {
            ("metadata", Verb::List) => return Self::list(rest, "metadata/", Shape::V2),
            ("data", Verb::Read) => (KvMethod::Read { version: number(call.version, "version")? }, Needs::One(Read)),
            ("data", Verb::Write) => (WriteBody::read(call.body, &mut ignored)?, Needs::CreateOrUpdate),
            ("data", Verb::Patch) => (PatchBody::read(call.body, &mut ignored)?, Needs::One(Patch)),
            ("data", Verb::Delete) => (KvMethod::DeleteCurrent, Needs::One(Delete)),
            ("subkeys", Verb::Read) => {
                let depth = number(call.depth, "depth")?.unwrap_or(0);
                shape = Shape::Subkeys { depth: u32::try_from(depth).unwrap_or(u32::MAX) };
                (KvMethod::Read { version: number(call.version, "version")? }, Needs::One(Read))
            }
            ("metadata", Verb::Read) => (KvMethod::ReadMetadata, Needs::One(Read)),
            ("metadata", Verb::Write) => {
                (KvMethod::WriteMetadata(MetadataBody::update(call.body, &mut ignored)?), Needs::CreateOrUpdate)
            }
            ("metadata", Verb::Patch) => {
                (KvMethod::PatchMetadata(MetadataBody::patch(call.body, &mut ignored)?), Needs::One(Patch))
            }
            ("metadata", Verb::Delete) => (KvMethod::DeleteAll, Needs::One(Delete)),
            ("delete", Verb::Write) => {
                (KvMethod::Delete(VersionsBody::read(call.body, &mut ignored)?), Needs::One(Update))
            }
            ("undelete", Verb::Write) => {
                (KvMethod::Undelete(VersionsBody::read(call.body, &mut ignored)?), Needs::One(Update))
            }
            ("destroy", Verb::Write) => {
                (KvMethod::Destroy(VersionsBody::read(call.body, &mut ignored)?), Needs::One(Update))
            }
            ("data" | "metadata" | "subkeys" | "delete" | "undelete" | "destroy", _) => {
                return Err(ApiFault::Operation);
            }
            _ => return Err(ApiFault::Path),
        };
        let path = SecretPath::new(rest)?;
        Ok(Self { path: format!("{kind}/{path}"), request: KvRequest::Secret(path, method), shape, needs, ignored })
    }

    fn list(folder: &str, prefix: &str, shape: Shape) -> Result<Self, ApiFault> {
        let folder = FolderPath::new(folder)?;
        Ok(Self {
            path: format!("{prefix}{folder}"),
            request: KvRequest::List(folder),
            shape,
            needs: Needs::One(Capability::List),
            ignored: vec![],
        })
    }

    /// A word for the audit record: what is done, without saying to what.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match &self.request {
            KvRequest::List(_) => "list",
            KvRequest::Secret(_, method) => match method {
                KvMethod::Read { .. } if matches!(self.shape, Shape::Subkeys { .. }) => "read_subkeys",
                KvMethod::Read { .. } => "read",
                KvMethod::ReadMetadata => "read_metadata",
                KvMethod::Write { .. } => "write",
                KvMethod::Patch { .. } => "patch",
                KvMethod::DeleteCurrent | KvMethod::Delete(_) => "delete",
                KvMethod::Undelete(_) => "undelete",
                KvMethod::Destroy(_) => "destroy",
                KvMethod::WriteMetadata(_) => "write_metadata",
                KvMethod::PatchMetadata(_) => "patch_metadata",
                KvMethod::DeleteAll => "delete_all",
            },
        }
    }

    /// Whether it changes nothing. A refused read looks like a read of what is not there.
    #[must_use]
    pub fn is_read(&self) -> bool {
        let read = |method: &KvMethod| matches!(method, KvMethod::Read { .. } | KvMethod::ReadMetadata);
        match &self.request {
            KvRequest::List(_) => true,
            KvRequest::Secret(_, method) => read(method),
        }
    }
}

/// A number of the query; `version=0` is the current one.
fn number(text: Option<&str>, name: &'static str) -> Result<Option<u64>, ApiFault> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let digits = text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten().ok_or(ApiFault::Query(name))?;
    Ok((number != 0).then_some(number))
}

#[cfg(test)]
mod tests;
