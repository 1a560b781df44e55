//! What an operator writes about a cluster: how it is reached, and whose its Secrets are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::names::{SecretName, is_key, is_label, is_label_name, is_label_value};
use crate::clock::Span;
use crate::identity::{NameError, Namespace};

/// What a value is asked for when a caller reads it.
pub const READ: &str = "read";

const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// A cluster, and which of its Secrets belong to whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSettings {
    /// The operator's name for it: lower-case letters, digits and `-`, at most 40 bytes. The Roles are called by it.
    pub name: String,
    /// A kubeconfig; without one, the pod's own service account.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; without one, its current context.
    #[serde(default)]
    pub context: Option<String>,
    /// The Kubernetes namespace of `k8s://secret/key`. Its Secrets are asked for by their name alone.
    #[serde(default)]
    pub namespace: Option<String>,
    /// How long one read may take in all; up to a minute.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How long the value of before is accepted as well, where something is verified against a value that changed; 0: not
    /// at all.
    #[serde(default = "rollover")]
    pub rollover: Span,
    /// Whose the Secrets are, by name.
    #[serde(default)]
    pub secrets: Vec<AssignedSecret>,
    /// Whose all other Secrets are, by their labels; without it, nobody's.
    #[serde(default)]
    pub labels: Option<LabelNames>,
    /// Whether Secrets that are credentials of the cluster itself may be read (`kubernetes.io/service-account-token`,
    /// `bootstrap.kubernetes.io/token`).
    #[serde(default)]
    pub cluster_credentials: bool,
}

/// A Secret, its owners and its use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignedSecret {
    /// `namespace/name`.
    pub secret: SecretName,
    /// Its keys; without them, all.
    #[serde(default)]
    pub keys: Option<BTreeSet<String>>,
    /// The namespaces whose callers may read it.
    pub tenants: BTreeSet<Tenant>,
    /// What for.
    #[serde(default = "read_only")]
    pub purposes: BTreeSet<String>,
}

/// The labels of a Secret that tell whose it is and what for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelNames {
    /// Its value is a namespace, with `.` for `/`.
    pub tenant: String,
    /// Its value is a purpose.
    pub purpose: String,
}

/// A namespace of cambio's; the empty one is the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Tenant(pub Option<Namespace>);

/// What is wrong with the settings of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubernetesFault {
    /// The operator's name.
    #[error("`name` has lower-case letters, digits and `-`, at most 40 bytes")]
    Name,
    /// Not the name of a namespace.
    #[error("`namespace` is the name of a Kubernetes namespace: lower-case letters, digits and `-`")]
    Namespace,
    /// A context and nothing to find it in.
    #[error("`context` is one of a kubeconfig; name that as well")]
    Context,
    /// No time, or too much.
    #[error("`timeout` is more than 0 and at most a minute")]
    Timeout,
    /// Nobody could read anything.
    #[error("no Secret belongs to anybody; list them in `secrets`, or trust `labels`")]
    Nothing,
    /// A Secret of nobody.
    #[error("`{0}` has no `tenants`, no `purposes` or an empty list of `keys`; leave `keys` out for all of them")]
    Unassigned(SecretName),
    /// A key that no Secret has.
    #[error("`{0}` has a key that Kubernetes does not allow")]
    Key(SecretName),
    /// A purpose that is no word.
    #[error("a purpose has letters, digits, `-`, `_` and `.`, at most 63 bytes")]
    Purpose,
    /// Not the name of a label, or the same twice.
    #[error("`labels` has the names of two different labels, such as `cambio.dev/tenant` and `cambio.dev/purpose`")]
    Label,
    /// The kubeconfig, or what is in the pod.
    #[error("{0}")]
    Access(String),
}

impl KubernetesSettings {
    /// The same, its relative paths taken from `base`.
    #[must_use]
    pub fn below(mut self, base: &Path) -> Self {
        self.kubeconfig = self.kubeconfig.map(|file| base.join(file));
        self
    }

    /// Whether they can be meant. Opens nothing.
    ///
    /// # Errors
    /// [`KubernetesFault`] names the first fault.
    pub fn check(&self) -> Result<(), KubernetesFault> {
        if self.name.len() > 40 || !is_label(&self.name) {
            return Err(KubernetesFault::Name);
        }
        if self.namespace.as_deref().is_some_and(|namespace| !is_label(namespace)) {
            return Err(KubernetesFault::Namespace);
        }
        if self.context.is_some() && self.kubeconfig.is_none() {
            return Err(KubernetesFault::Context);
        }
        if self.timeout.duration().is_zero() || self.timeout.duration() > MAX_TIMEOUT {
            return Err(KubernetesFault::Timeout);
        }
        if self.secrets.is_empty() && self.labels.is_none() {
            return Err(KubernetesFault::Nothing);
        }
        for assigned in &self.secrets {
            let is_empty = assigned.keys.as_ref().is_some_and(BTreeSet::is_empty);
            if is_empty || assigned.tenants.is_empty() || assigned.purposes.is_empty() {
                return Err(KubernetesFault::Unassigned(assigned.secret.clone()));
            }
            if assigned.keys.iter().flatten().any(|key| !is_key(key)) {
                return Err(KubernetesFault::Key(assigned.secret.clone()));
            }
            if !assigned.purposes.iter().all(|purpose| is_label_value(purpose)) {
                return Err(KubernetesFault::Purpose);
            }
        }
        match &self.labels {
            Some(LabelNames { tenant, purpose })
                if tenant == purpose || !is_label_name(tenant) || !is_label_name(purpose) =>
            {
                Err(KubernetesFault::Label)
            }
            _ => Ok(()),
        }
    }
}

impl Default for LabelNames {
    fn default() -> Self {
        Self { tenant: "cambio.dev/tenant".to_owned(), purpose: "cambio.dev/purpose".to_owned() }
    }
}

impl TryFrom<String> for Tenant {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if text.is_empty() { Ok(Self(None)) } else { Namespace::new(&text).map(|namespace| Self(Some(namespace))) }
    }
}

fn timeout() -> Span {
    Span::from_secs(5)
}

fn rollover() -> Span {
    Span::from_secs(600)
}

fn read_only() -> BTreeSet<String> {
    BTreeSet::from([READ.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GOOD: &str = "
name: main
kubeconfig: kube/config
context: prod
namespace: shared
timeout: 2s
rollover: 0
secrets:
  - {secret: team-a/db, keys: [password], tenants: [group_100/group_200, ''], purposes: [read, hmac]}
  - {secret: team-b/db, tenants: [group_300]}
labels: {}
";

    fn settings(yaml: &str) -> Result<KubernetesSettings, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_have_defaults_that_are_narrow() {
        let good = settings(GOOD).unwrap().below(Path::new("/etc/cambio"));
        assert_eq!(good.check(), Ok(()));
        assert_eq!(good.kubeconfig.as_deref(), Some(Path::new("/etc/cambio/kube/config")));
        assert!(good.secrets[0].tenants.contains(&Tenant(None)));
        assert_eq!(good.secrets[1].purposes, read_only());
        assert!(good.secrets[1].keys.is_none() && !good.cluster_credentials);
        assert_eq!(good.labels.unwrap().tenant, "cambio.dev/tenant");
        let small = settings("{name: a, labels: {}}").unwrap();
        assert_eq!((small.timeout, small.rollover), (Span::from_secs(5), Span::from_secs(600)));
    }

    #[rstest]
    #[case("name: main", "name: Main", KubernetesFault::Name)]
    #[case("namespace: shared", "namespace: a.b", KubernetesFault::Namespace)]
    #[case("kubeconfig: kube/config", "", KubernetesFault::Context)]
    #[case("timeout: 2s", "timeout: 0", KubernetesFault::Timeout)]
    #[case("timeout: 2s", "timeout: 61s", KubernetesFault::Timeout)]
    #[case("keys: [password]", "keys: [a/b]", KubernetesFault::Key(SecretName::new("team-a", "db").unwrap()))]
    #[case("keys: [password]", "keys: []", KubernetesFault::Unassigned(SecretName::new("team-a", "db").unwrap()))]
    #[case("tenants: [group_300]", "tenants: []", KubernetesFault::Unassigned(SecretName::new("team-b", "db").unwrap()))]
    #[case("[read, hmac]", "[]", KubernetesFault::Unassigned(SecretName::new("team-a", "db").unwrap()))]
    #[case("[read, hmac]", "['read or write']", KubernetesFault::Purpose)]
    #[case("labels: {}", "labels: {tenant: a, purpose: a}", KubernetesFault::Label)]
    #[case("labels: {}", "labels: {tenant: a b}", KubernetesFault::Label)]
    fn what_cannot_be_meant_is_refused(#[case] from: &str, #[case] to: &str, #[case] fault: KubernetesFault) {
        assert_eq!(settings(&GOOD.replace(from, to)).unwrap().check(), Err(fault));
    }

    #[rstest]
    #[case("labels: {}", "label: {}")]
    #[case("team-a/db", "team-a")]
    #[case("team-a/db", "team-a/../db")]
    #[case("tenants: [group_300]", "tenants: [../group_300]")]
    #[case(", tenants: [group_300]", "")]
    fn what_has_another_shape_is_refused(#[case] from: &str, #[case] to: &str) {
        assert!(settings(&GOOD.replace(from, to)).is_err());
    }

    #[test]
    fn a_cluster_whose_secrets_belong_to_nobody_is_refused() {
        assert_eq!(settings("name: a").unwrap().check(), Err(KubernetesFault::Nothing));
    }
}
