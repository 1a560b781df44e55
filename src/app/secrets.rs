//! Opens the stores that the configuration names, and puts their mounts together.

use std::collections::HashMap;
use std::sync::Arc;

use super::AppError;
use super::store::Keeping;
use crate::config::{SecretsSettings, StoreName};
use crate::identity::TargetName;
use crate::secrets::kubernetes::KubernetesStore;
use crate::secrets::local::{LocalLimits, LocalStore};
use crate::secrets::openbao::OpenBaoStore;
use crate::secrets::{Mount, Mounts, Store};
use crate::trust::Fetcher;

/// What was opened.
pub(super) struct Opened {
    pub(super) mounts: Mounts,
    /// The OpenBao whose token an exchange for a target returns.
    pub(super) direct: HashMap<TargetName, Arc<OpenBaoStore>>,
}

/// Opens what is named; asks no other server anything.
pub(super) async fn open(settings: SecretsSettings, keeping: Option<Keeping>) -> Result<Opened, AppError> {
    let openbao: HashMap<String, Arc<OpenBaoStore>> = settings
        .openbao
        .iter()
        .map(|one| Ok((one.name.clone(), Arc::new(OpenBaoStore::new(one.clone(), Fetcher::new())?))))
        .collect::<Result<_, AppError>>()?;
    let mut kubernetes = HashMap::new();
    for one in &settings.kubernetes {
        kubernetes.insert(one.name.clone(), Arc::new(KubernetesStore::new(one.clone()).await?));
    }
    let is_local = settings.mounts.iter().any(|mount| mount.store == StoreName::Local);
    let local = match keeping.filter(|_| is_local) {
        Some(keeping) => Some(Arc::new(open_local(keeping).await?)),
        None => None,
    };
    let mut mounts = vec![];
    for mount in settings.mounts {
        let store = match &mount.store {
            StoreName::Local => local.clone().map(Store::Local),
            StoreName::OpenBao(name) => openbao.get(name).cloned().map(Store::OpenBao),
            StoreName::Kubernetes(name) => kubernetes.get(name).cloned().map(Store::Kubernetes),
        };
        // Checked with the configuration.
        let Some(store) = store else { continue };
        mounts.push(Mount { path: mount.path, reach: mount.reach, version: mount.version, store });
    }
    let mut direct = HashMap::new();
    for (targets, name) in settings.direct {
        let Some(store) = openbao.get(&name) else { continue };
        direct.extend(targets.into_iter().map(|target| (target, Arc::clone(store))));
    }
    Ok(Opened { mounts: Mounts::new(mounts)?, direct })
}

/// The store in the database. A change of the master key is carried out here for data keys: what was wrapped by a previous
/// one is wrapped by the first.
async fn open_local(keeping: Keeping) -> Result<LocalStore, AppError> {
    let store = LocalStore::open(keeping.database, keeping.master, LocalLimits::default()).await?;
    if keeping.rewraps {
        let count = store.rewrap().await?;
        tracing::info!(count, "data keys wrapped by the first master key");
    }
    Ok(store)
}
