//! The step from a call to one that may be done.
//!
//! Decides by the caller's access documents, and holds what they say to the end: whoever may only `create` never overwrites,
//! whoever may only `update` never creates, whatever others do at the same moment.

use serde_json::{Map, Value};

use super::acl::{Acl, Capability, Granted};
use super::api::{KvCall, Needs};
use super::mounts::{Mount, Store};
use super::request::{KvAnswer, KvError, KvMethod, KvRequest};
use crate::clock::Timestamp;
use crate::identity::Namespace;

/// How often a write that lost a race against another is tried again.
const TRIES: usize = 8;

/// A call that the caller's access documents allow. Only [`Authorized::check`] makes one, and a store does nothing without:
///
/// ```compile_fail
/// fn forge(call: cambio::secrets::KvCall, one: cambio::secrets::Authorized) -> cambio::secrets::Authorized {
///     cambio::secrets::Authorized { call, ..one }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a call that is allowed and not done is none"]
pub struct Authorized {
    call: KvCall,
    only: Only,
}

/// What a write may meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    Any,
    /// `create` without `update`.
    New,
    /// `update` without `create`.
    Existing,
}

/// Why a call may not be done, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAllowed(String);

impl Authorized {
    /// Whether `acl` allows `call` in that mount at `now`; `body` is the call's own, for rules about parameters.
    ///
    /// # Errors
    /// [`NotAllowed`], with the call, so that a refused read can take as long as another.
    pub fn check(
        acl: &Acl<'_>,
        mount: &Mount,
        call: KvCall,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Self, Box<(NotAllowed, KvCall)>> {
        let path = [mount.path.as_str(), "/", call.path.as_str()].concat();
        let check = |capability| -> Result<(), NotAllowed> {
            let granted = acl.check(&path, capability, now).map_err(|denied| NotAllowed(denied.to_string()))?;
            parameters(&granted, body)
        };
        let only = match call.needs {
            Needs::One(capability) => check(capability).map(|()| Only::Any),
            Needs::CreateOrUpdate => match (check(Capability::Create), check(Capability::Update)) {
                (Ok(()), Ok(())) => Ok(Only::Any),
                (Ok(()), Err(_)) => Ok(Only::New),
                (Err(_), Ok(())) => Ok(Only::Existing),
                (Err(_), Err(denied)) => Err(denied),
            },
        };
        match only {
            Ok(only) => Ok(Self { call, only }),
            Err(denied) => Err(Box::new((denied, call))),
        }
    }

    /// The call.
    #[must_use]
    pub fn call(&self) -> &KvCall {
        &self.call
    }

    /// The call, when it is done.
    #[must_use]
    pub fn into_call(self) -> KvCall {
        self.call
    }

    /// Has the mount's store do it.
    ///
    /// # Errors
    /// [`KvError`]; [`KvError::Refused`] where the secret exists and the caller may only create, or the other way round.
    pub async fn run(&self, mount: &Mount, namespace: Option<&Namespace>, now: Timestamp) -> Result<KvAnswer, KvError> {
        let KvRequest::Secret(path, method) = &self.call.request else {
            return run(mount, namespace, &self.call.request, now).await;
        };
        let secret = |method: KvMethod| KvRequest::Secret(path.clone(), method);
        match (self.only, method) {
            (Only::Any, _) => run(mount, namespace, &self.call.request, now).await,
            (Only::New, KvMethod::Write { data, cas: None | Some(0) }) => {
                let new = secret(KvMethod::Write { data: data.clone(), cas: Some(0) });
                match run(mount, namespace, &new, now).await {
                    Err(KvError::CasMismatch) => Err(NEW_ONLY),
                    other => other,
                }
            }
            (Only::New, KvMethod::Write { .. }) => Err(NEW_ONLY),
            (Only::Existing, KvMethod::Write { data, cas: None }) => {
                for _ in 0..TRIES {
                    let current = current_version(mount, namespace, secret(KvMethod::ReadMetadata), now).await?;
                    let current = current.filter(|version| *version > 0).ok_or(EXISTING_ONLY)?;
                    let next = secret(KvMethod::Write { data: data.clone(), cas: Some(current) });
                    match run(mount, namespace, &next, now).await {
                        Err(KvError::CasMismatch) => {}
                        other => return other,
                    }
                }
                Err(KvError::Unavailable("too many write at once"))
            }
            (Only::Existing, KvMethod::Write { cas: Some(0), .. }) => Err(EXISTING_ONLY),
            (only, _) => {
                let exists = current_version(mount, namespace, secret(KvMethod::ReadMetadata), now).await?.is_some();
                match (only, exists) {
                    (Only::New, true) => Err(NEW_ONLY),
                    (Only::Existing, false) => Err(EXISTING_ONLY),
                    _ => run(mount, namespace, &self.call.request, now).await,
                }
            }
        }
    }
}

const NEW_ONLY: KvError = KvError::Refused("the caller may create, and the secret exists");
const EXISTING_ONLY: KvError = KvError::Refused("the caller may update, and the secret does not exist");

/// Does the work of a refused read and throws its answer away, so that what is refused takes as long as what is missing.
pub(crate) async fn pretend(mount: &Mount, namespace: Option<&Namespace>, call: &KvCall, now: Timestamp) {
    match &mount.store {
        // The same query where nothing can be: opening a large value would take longer, and so tell that it is there.
        Store::Local(local) => local.probe(namespace, mount.path.as_str(), &call.request).await,
        Store::Kubernetes(_) if call.is_read() => drop(run(mount, namespace, &call.request, now).await),
        Store::Kubernetes(_) | Store::OpenBao(_) => {}
    }
}

async fn current_version(
    mount: &Mount,
    namespace: Option<&Namespace>,
    request: KvRequest,
    now: Timestamp,
) -> Result<Option<u64>, KvError> {
    match run(mount, namespace, &request, now).await {
        Ok(KvAnswer::Metadata(metadata)) => Ok(Some(metadata.current_version)),
        Ok(_) => Err(KvError::Damaged("metadata was asked for, and something else came")),
        Err(KvError::NotFound) => Ok(None),
        Err(other) => Err(other),
    }
}

async fn run(
    mount: &Mount,
    namespace: Option<&Namespace>,
    request: &KvRequest,
    now: Timestamp,
) -> Result<KvAnswer, KvError> {
    match &mount.store {
        Store::Local(local) => local.run(namespace, mount.path.as_str(), mount.version, request, now).await,
        Store::Kubernetes(kubernetes) => kubernetes.run(namespace, request, now).await,
        // An OpenBao holds the caller to its own documents: see `OpenBaoStore::forward`.
        Store::OpenBao(_) => Err(KvError::Unsupported),
    }
}

/// Rules about parameters see the members of the body, not those within `data`.
fn parameters(granted: &Granted, body: &[u8]) -> Result<(), NotAllowed> {
    if !granted.binds_parameters() {
        return Ok(());
    }
    let members: Map<String, Value> = if body.is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(body).map_err(|_| NotAllowed("the body is not a JSON object".to_owned()))?
    };
    granted.parameters(&members).map_err(|denied| NotAllowed(denied.to_string()))
}
