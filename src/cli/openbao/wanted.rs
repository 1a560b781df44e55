//! What an OpenBao is wanted for: which targets' tokens come to which of its namespaces, by the configuration and the
//! policies.

use std::collections::BTreeMap;

use super::super::CliError;
use crate::cli::keys::Ring;
use crate::clock::Clock;
use crate::config::{Config, StoreName};
use crate::identity::Namespace;
use crate::mint::KeySource;
use crate::policy::PolicySet;
use crate::secrets::openbao::setup::NamespaceSetup;
use crate::secrets::{KvVersion, Reach};

/// What is wanted of the OpenBao `store`, by namespace.
pub(super) fn namespaces(
    config: &Config,
    store: &str,
) -> Result<BTreeMap<Option<Namespace>, NamespaceSetup>, CliError> {
    let set = PolicySet::load(&config.policies, &config.catalog()).map_err(CliError::new)?;
    let secrets = &config.secrets;
    let mut wanted: BTreeMap<Option<Namespace>, NamespaceSetup> = BTreeMap::new();
    for target in set.targets() {
        let namespace = target.namespace().cloned();
        let reaches = |reach: &Reach| match reach {
            Reach::Every => true,
            Reach::Only(only) => *only == namespace,
        };
        let mounts = secrets
            .mounts
            .iter()
            .filter(|mount| matches!(&mount.store, StoreName::OpenBao(name) if name == store) && reaches(&mount.reach));
        // A mount of that very namespace goes before one of every namespace.
        let own = |path: &crate::secrets::MountPath| {
            secrets.mounts.iter().any(|other| other.path == *path && other.reach == Reach::Only(namespace.clone()))
        };
        let mounts: BTreeMap<String, u8> = mounts
            .filter(|mount| mount.reach != Reach::Every || !own(&mount.path))
            .map(|mount| (mount.path.to_string(), if mount.version == KvVersion::V1 { 1 } else { 2 }))
            .collect();
        let is_direct = secrets.direct.iter().any(|(targets, name)| name == store && targets.contains(target.name()));
        if mounts.is_empty() && !is_direct {
            continue;
        }
        let entry = wanted.entry(namespace.clone()).or_default();
        entry.targets.insert(target.name().clone());
        entry.mounts.extend(mounts);
    }
    Ok(wanted)
}

/// The algorithms that cambio signs with.
pub(super) fn algorithms(config: &Config) -> Result<Vec<String>, CliError> {
    let configured = match &config.keys.source {
        KeySource::Managed { algorithm, .. } | KeySource::Database { algorithm, .. } => {
            vec![algorithm.name().to_owned()]
        }
        KeySource::Files(_) => vec![],
    };
    // Keys of before still sign tokens that are not over yet.
    let kept = Ring::of(config, Clock::System.now())?.list()?;
    let mut all: Vec<String> =
        configured.into_iter().chain(kept.iter().map(|key| key.algorithm.name().to_owned())).collect();
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
