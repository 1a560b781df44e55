//! Opens the stores that the configuration names, and puts their mounts together.

use std::collections::HashMap;
use std::sync::Arc;

use super::AppError;
use crate::clock::Timestamp;
use crate::config::{MasterKeySource, SecretsSettings, StoreName};
use crate::identity::TargetName;
use crate::secrets::kubernetes::KubernetesStore;
use crate::secrets::local::{LocalError, LocalLimits, LocalStore, MasterKey, MasterKeys};
use crate::secrets::openbao::OpenBaoStore;
use crate::secrets::{Mount, Mounts, Store};
use crate::state::PrivateDir;
use crate::state::database::Database;
use crate::trust::Fetcher;

/// What was opened.
pub(super) struct Opened {
    pub(super) mounts: Mounts,
    /// The OpenBao whose token an exchange for a target returns.
    pub(super) direct: HashMap<TargetName, Arc<OpenBaoStore>>,
}

/// Opens what is named; asks no other server anything.
pub(super) async fn open(settings: SecretsSettings, data: &PrivateDir, now: Timestamp) -> Result<Opened, AppError> {
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
    let local = if is_local { Some(Arc::new(open_local(&settings, data, now).await?)) } else { None };
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

/// The database and its keys. A change of the master key is carried out here: what was wrapped by a previous one is wrapped
/// by the first.
async fn open_local(settings: &SecretsSettings, data: &PrivateDir, now: Timestamp) -> Result<LocalStore, AppError> {
    let database = Database::open(data, now).await?;
    let first = match &settings.master_key {
        MasterKeySource::File(path) => MasterKey::from_file(path).map_err(LocalError::from)?,
        MasterKeySource::Text(text) => MasterKey::from_text(text).map_err(LocalError::from)?,
        MasterKeySource::DataDirectory => MasterKey::embedded(data, &database).await?,
    };
    let previous = settings.previous_master_keys.iter().map(|path| MasterKey::from_file(path));
    let previous = previous.collect::<Result<Vec<_>, _>>().map_err(LocalError::from)?;
    let rewraps = !previous.is_empty();
    let keys = MasterKeys::new(first, previous).map_err(LocalError::from)?;
    let store = LocalStore::open(database, keys, LocalLimits::default()).await?;
    if rewraps {
        let count = store.rewrap().await?;
        tracing::info!(count, "data keys wrapped by the first master key");
    }
    Ok(store)
}
