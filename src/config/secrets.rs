//! The `secrets` and `vault` sections: where values live, and at which mounts logins are answered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::Problem;
use crate::exchange::{LoginMount, LoginMounts};
use crate::identity::{IssuerName, Namespace, TargetName};
use crate::secrets::kubernetes::KubernetesSettings;
use crate::secrets::openbao::OpenBaoSettings;
use crate::secrets::{KvVersion, MountPath, Reach, check_apart};

/// The variable that holds the master key where no file does.
const MASTER_KEY: &str = "CAMBIO_MASTER_KEY";

/// `secrets`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SecretsFile {
    /// The key that wraps all data keys of the `local` store; else `CAMBIO_MASTER_KEY`, else one is made in the data directory.
    pub(super) master_key_file: Option<PathBuf>,
    /// Master keys of before, which only unwrap.
    pub(super) previous_master_key_files: Vec<PathBuf>,
    /// The mounts; one `secret` of the `local` store in every namespace where none are given.
    pub(super) mounts: Option<Vec<MountFile>>,
    /// OpenBao servers, by name.
    pub(super) openbao: Vec<OpenBaoSettings>,
    /// Kubernetes clusters, by name.
    pub(super) kubernetes: Vec<KubernetesSettings>,
    /// Targets whose exchange returns the token of an OpenBao.
    pub(super) direct: Vec<DirectFile>,
}

/// A mount.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MountFile {
    mount: String,
    /// `*` for every one; none for the root.
    #[serde(default)]
    namespace: Option<String>,
    /// Of the KV engine.
    #[serde(default = "version_2")]
    version: u8,
    store: StoreKind,
    /// Which of `secrets.openbao`.
    #[serde(default)]
    openbao: Option<String>,
    /// Which of `secrets.kubernetes`.
    #[serde(default)]
    kubernetes: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoreKind {
    Local,
    OpenBao,
    Kubernetes,
}

/// Targets whose exchange returns the token of an OpenBao.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectFile {
    targets: Vec<TargetName>,
    openbao: String,
}

/// `vault`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct VaultFile {
    /// The mounts at which targets answer logins; `jwt` and `kubernetes` where none are given.
    pub(super) logins: Option<Vec<LoginFile>>,
}

/// A mount of logins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginFile {
    mount: String,
    #[serde(default)]
    namespace: Option<Namespace>,
    #[serde(default)]
    issuer: Option<IssuerName>,
    #[serde(default)]
    default_role: Option<TargetName>,
}

fn version_2() -> u8 {
    2
}

/// Where secrets live.
pub struct SecretsSettings {
    /// The key that wraps all data keys of the `local` store.
    pub master_key: MasterKeySource,
    /// Files with master keys of before.
    pub previous_master_keys: Vec<PathBuf>,
    /// The mounts.
    pub mounts: Vec<MountSettings>,
    /// OpenBao servers.
    pub openbao: Vec<OpenBaoSettings>,
    /// Kubernetes clusters.
    pub kubernetes: Vec<KubernetesSettings>,
    /// Targets whose exchange returns the token of an OpenBao, with its name.
    pub direct: Vec<(Vec<TargetName>, String)>,
}

/// Where the master key is.
pub enum MasterKeySource {
    /// In a file.
    File(PathBuf),
    /// In the environment.
    Text(Zeroizing<String>),
    /// In the data directory, where it is made if it is not there.
    DataDirectory,
}

/// One mount.
pub struct MountSettings {
    /// Its path.
    pub path: MountPath,
    /// Its namespaces.
    pub reach: Reach,
    /// The version of the KV engine.
    pub version: KvVersion,
    /// Where its values live.
    pub store: StoreName,
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreName {
    /// cambio's own.
    Local,
    /// An OpenBao, by its name.
    OpenBao(String),
    /// A cluster, by its name.
    Kubernetes(String),
}

impl SecretsSettings {
    pub(super) fn of(file: SecretsFile, base: &Path, problems: &mut Vec<Problem>) -> Self {
        let openbao: Vec<OpenBaoSettings> = file.openbao.into_iter().map(|one| one.below(base)).collect();
        let kubernetes: Vec<KubernetesSettings> = file.kubernetes.into_iter().map(|one| one.below(base)).collect();
        for one in &openbao {
            if let Err(fault) = one.check() {
                problems.push(Problem::new(&format!("secrets.openbao.{}", one.name), fault, ""));
            }
        }
        for one in &kubernetes {
            if let Err(fault) = one.check() {
                problems.push(Problem::new(&format!("secrets.kubernetes.{}", one.name), fault, ""));
            }
        }
        each_once("secrets.openbao", openbao.iter().map(|one| one.name.as_str()), problems);
        each_once("secrets.kubernetes", kubernetes.iter().map(|one| one.name.as_str()), problems);
        let known = |name: &str| openbao.iter().any(|one| one.name == name);
        let direct = file.direct.into_iter().map(|direct| (direct.targets, direct.openbao)).collect::<Vec<_>>();
        for (index, (_, name)) in direct.iter().enumerate().filter(|(_, (_, name))| !known(name)) {
            problems.push(no_such(&format!("secrets.direct[{index}].openbao"), "secrets.openbao", name));
        }
        let mounts = match file.mounts {
            Some(mounts) => {
                mounts.into_iter().filter_map(|mount| mount.checked(&openbao, &kubernetes, problems)).collect()
            }
            None => MountPath::new("secret").map(default_mount).into_iter().collect::<Vec<_>>(),
        };
        if let Err(fault) = check_apart(mounts.iter().map(|mount| (&mount.path, &mount.reach))) {
            problems.push(Problem::new("secrets.mounts", fault, "give each its own path"));
        }
        let master_key = match file.master_key_file {
            Some(file) => MasterKeySource::File(base.join(file)),
            None => from_environment().map_or(MasterKeySource::DataDirectory, MasterKeySource::Text),
        };
        let previous_master_keys = file.previous_master_key_files.iter().map(|file| base.join(file)).collect();
        Self { master_key, previous_master_keys, mounts, openbao, kubernetes, direct }
    }
}

fn default_mount(path: MountPath) -> MountSettings {
    MountSettings { path, reach: Reach::Every, version: KvVersion::V2, store: StoreName::Local }
}

impl MountFile {
    fn checked(
        self,
        openbao: &[OpenBaoSettings],
        kubernetes: &[KubernetesSettings],
        problems: &mut Vec<Problem>,
    ) -> Option<MountSettings> {
        let place = format!("secrets.mounts.{}", self.mount);
        let before = problems.len();
        let path = MountPath::new(&self.mount).map_err(|fault| problems.push(Problem::new(&place, fault, "")));
        let reach = match self.namespace.as_deref() {
            None | Some("") => Some(Reach::Only(None)),
            Some("*") => Some(Reach::Every),
            Some(name) => {
                let named = Namespace::new(name).map_err(|fault| problems.push(Problem::new(&place, fault, "")));
                named.ok().map(|namespace| Reach::Only(Some(namespace)))
            }
        };
        let version = match (self.version, self.store) {
            (1, StoreKind::Local | StoreKind::OpenBao) => KvVersion::V1,
            (2, _) => KvVersion::V2,
            _ => {
                let fault = "`version` is 1 or 2, and 2 for `kubernetes`";
                problems.push(Problem::new(&place, fault, "leave it out for 2"));
                KvVersion::V2
            }
        };
        let mut named = |given: Option<String>, list: &str, is_known: &dyn Fn(&str) -> bool| {
            let name = given.unwrap_or_default();
            if !is_known(&name) {
                problems.push(no_such(&place, list, &name));
            }
            name
        };
        let store = match self.store {
            StoreKind::Local => StoreName::Local,
            StoreKind::OpenBao => StoreName::OpenBao(named(self.openbao, "secrets.openbao", &|name| {
                openbao.iter().any(|one| one.name == name)
            })),
            StoreKind::Kubernetes => StoreName::Kubernetes(named(self.kubernetes, "secrets.kubernetes", &|name| {
                kubernetes.iter().any(|one| one.name == name)
            })),
        };
        (problems.len() == before).then_some(MountSettings { path: path.ok()?, reach: reach?, version, store })
    }
}

fn no_such(place: &str, list: &str, name: &str) -> Problem {
    Problem::new(place, format!("there is no `{name}` in `{list}`"), "name one that is there, or add it")
}

fn each_once<'n>(list: &str, names: impl Iterator<Item = &'n str>, problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            problems.push(Problem::new(list, format!("`{name}` is there twice"), "give each a name of its own"));
        }
    }
}

pub(super) fn login_mounts(file: VaultFile, problems: &mut Vec<Problem>) -> LoginMounts {
    let Some(mounts) = file.logins else { return LoginMounts::default() };
    for mount in &mounts {
        if mount.mount == "token" || mount.mount.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            let place = format!("vault.logins.{}", mount.mount);
            problems.push(Problem::new(&place, "no login can have that mount", "write e.g. `jwt` or `kubernetes`"));
        }
    }
    let mount =
        |LoginFile { mount, namespace, issuer, default_role }| LoginMount { mount, namespace, issuer, default_role };
    LoginMounts::new(mounts.into_iter().map(mount).collect())
}

#[allow(clippy::disallowed_methods, reason = "secrets are what the environment is for")]
fn from_environment() -> Option<Zeroizing<String>> {
    std::env::var(MASTER_KEY).ok().map(Zeroizing::new)
}
