//! The `kubernetes` store: values in the Secrets of a cluster, which are read there at each use.
//!
//! Decides whose a Secret is and what of it a caller sees, by the server's configuration or the Secret's labels. Refuses to
//! list, to watch and to write, to keep a value, and to answer from anywhere else when the cluster does not: an outage is
//! an error. What is refused looks to the caller like what is not there (`KvError::Refused`); the operator's text says why.
//!
//! ```text
//! path -> SecretName -> whose, by configuration -> GET -> Object -> whose, by labels -> KvAnswer
//! ```

mod access;
mod assign;
pub(in crate::secrets) mod names;
mod object;
mod rbac;
mod rollover;
mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use self::access::Access;
use self::assign::{Assigned, Keys, configured, labelled};
pub use self::names::{NotASecretName, SecretName};
use self::object::Object;
pub use self::rbac::{ServiceAccount, UnrenderedRoles, render_roles, render_token_review};
pub use self::rollover::RolloverSecret;
pub use self::settings::{AssignedSecret, KubernetesFault, KubernetesSettings, LabelNames, READ, Tenant};
use super::reference::Reference;
use super::{
    KvAnswer, KvError, KvMethod, KvRequest, MAX_DATA_BYTES, SecretData, SecretMetadata, SecretPath, VersionMetadata,
};
use crate::clock::Timestamp;
use crate::identity::Namespace;

/// What the answer's `custom_metadata` calls the keys that are not text.
const NOT_TEXT: &str = "keys_that_are_not_text";

/// The Secrets of a cluster.
pub struct KubernetesStore {
    settings: KubernetesSettings,
    access: Access,
}

/// A Secret that the caller may read, and what of it.
struct Readable<'s> {
    object: Object,
    keys: Keys<'s>,
}

impl KubernetesStore {
    /// Prepares what is needed to reach the cluster, and asks it nothing. Needs a Tokio runtime around it.
    ///
    /// # Errors
    /// [`KubernetesFault`]: the settings can't be meant, the kubeconfig is missing or asks for what is not done (programs,
    /// unverified TLS), or there is none and this is no pod.
    pub async fn new(settings: KubernetesSettings) -> Result<Self, KubernetesFault> {
        settings.check()?;
        let access = Access::open(&settings).await?;
        Ok(Self { settings, access })
    }

    /// The operator's name for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Answers a request of a caller in `namespace`, for the purpose [`READ`]. A path is `namespace/name`; in the namespace
    /// that is configured it is `name`, and only that: one Secret has one path, so that one rule covers it. The version is
    /// the Secret's `resourceVersion`; no other is kept.
    ///
    /// # Errors
    /// [`KvError`]: `Refused` for another namespace's Secret, another purpose or by the cluster's RBAC; `Unavailable` while
    /// the API server can't be asked; `Unsupported` for everything but a read.
    pub async fn run(
        &self,
        namespace: Option<&Namespace>,
        request: &KvRequest,
        _now: Timestamp,
    ) -> Result<KvAnswer, KvError> {
        let KvRequest::Secret(path, method) = request else { return Err(KvError::Unsupported) };
        match method {
            KvMethod::Read { version } => {
                let readable = self.readable(&self.secret_at(path)?, namespace, READ).await?;
                // 0 is the current one (OpenBao API, "Read secret version").
                match version.filter(|version| *version != 0) {
                    Some(asked) if asked != number(&readable.object) => Err(KvError::NotFound),
                    _ => readable.answer(),
                }
            }
            KvMethod::ReadMetadata => {
                let Readable { object, .. } = self.readable(&self.secret_at(path)?, namespace, READ).await?;
                Ok(KvAnswer::Metadata(Box::new(about(object))))
            }
            _ => Err(KvError::Unsupported),
        }
    }

    /// A value that something is verified against (an HMAC key, a client's secret), for callers of `tenant` and that
    /// `purpose`. Asks the cluster nothing yet.
    ///
    /// # Errors
    /// [`KvError::Invalid`] where `reference` leads elsewhere, or names no namespace and none is configured.
    pub fn verifier(
        self: &Arc<Self>,
        reference: &Reference,
        tenant: Option<Namespace>,
        purpose: &str,
    ) -> Result<RolloverSecret, KvError> {
        const ELSEWHERE: KvError = KvError::Invalid("the reference does not lead to a Secret of this store");
        let location = reference.location("");
        if !reference.is_kubernetes() {
            return Err(ELSEWHERE);
        }
        let secret = self.secret_at(&location.path).map_err(|_| ELSEWHERE)?;
        Ok(RolloverSecret::new(Arc::clone(self), secret, location.field, tenant, Box::from(purpose)))
    }

    fn secret_at(&self, path: &SecretPath) -> Result<SecretName, KvError> {
        let own = self.settings.namespace.as_deref();
        // What Kubernetes could not call a Secret is not there.
        match (path.as_str().split_once('/'), own) {
            (None, Some(own)) => SecretName::new(own, path.as_str()).map_err(|_| KvError::NotFound),
            (None, None) => Err(KvError::Refused("the path names no Kubernetes namespace, and none is configured")),
            (Some((namespace, _)), Some(own)) if namespace == own => {
                Err(KvError::Refused("a Secret of the configured Kubernetes namespace is asked for by its name alone"))
            }
            (Some((namespace, name)), _) => SecretName::new(namespace, name).map_err(|_| KvError::NotFound),
        }
    }

    async fn readable(
        &self,
        secret: &SecretName,
        caller: Option<&Namespace>,
        purpose: &str,
    ) -> Result<Readable<'_>, KvError> {
        let assigned = configured(&self.settings, secret, caller, purpose)?;
        let object = Object::read(secret, &self.access.get(secret).await?)?;
        let keys = match assigned {
            Assigned::Own(keys) => keys,
            Assigned::ByLabels(names) => labelled(names, &object.labels, caller, purpose).map(|()| Keys::All)?,
        };
        if object.is_cluster_credential() && !self.settings.cluster_credentials {
            return Err(KvError::Refused("the Secret is a credential of the cluster itself"));
        }
        Ok(Readable { object, keys })
    }

    fn rollover(&self) -> Duration {
        self.settings.rollover.duration()
    }
}

impl fmt::Debug for KubernetesStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesStore").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl Readable<'_> {
    /// The keys that the caller may see, as strings. Those that are not UTF-8 have no form in which every client would read
    /// them alike: they are left out, and named.
    fn answer(self) -> Result<KvAnswer, KvError> {
        let mut values = BTreeMap::new();
        let mut left_out = vec![];
        for (key, value) in self.object.values.iter().filter(|(key, _)| self.keys.contain(key)) {
            match std::str::from_utf8(value) {
                Ok(text) => drop(values.insert(key.as_str(), text)),
                Err(_) => left_out.push(key.as_str()),
            }
        }
        if values.is_empty() && left_out.is_empty() {
            return Err(KvError::NotFound);
        }
        let custom_metadata = (!left_out.is_empty()).then(|| [(NOT_TEXT.to_owned(), left_out.join(","))].into());
        Ok(KvAnswer::Version { data: Some(data(&values)?), metadata: version(&self.object), custom_metadata })
    }
}

/// One JSON object, written into memory that is as large as it needs to be: what does not grow leaves no copy behind.
fn data(values: &BTreeMap<&str, &str>) -> Result<SecretData, KvError> {
    const DAMAGED: KvError = KvError::Damaged("the values can't be told as JSON");
    let mut length = Length(0);
    serde_json::to_writer(&mut length, values).map_err(|_| DAMAGED)?;
    if length.0 > MAX_DATA_BYTES {
        return Err(KvError::Invalid("the values are larger than 1 MiB as JSON"));
    }
    let mut json = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *json, values).map_err(|_| DAMAGED)?;
    Ok(SecretData::trusted(json))
}

struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Versions count from 1. A server whose `resourceVersion` is no number has only ever the first.
fn number(object: &Object) -> u64 {
    object.version.unwrap_or(1)
}

fn version(object: &Object) -> VersionMetadata {
    VersionMetadata { version: number(object), created: object.created, deletion: None, destroyed: false }
}

/// What is known without values: labels, as the operator's own words.
fn about(object: Object) -> SecretMetadata {
    let version = version(&object);
    SecretMetadata {
        created: object.created,
        updated: object.created,
        current_version: version.version,
        oldest_version: version.version,
        max_versions: 1,
        cas_required: false,
        delete_version_after: Duration::ZERO,
        custom_metadata: (!object.labels.is_empty()).then_some(object.labels),
        versions: vec![version],
    }
}

#[cfg(test)]
mod tests;
