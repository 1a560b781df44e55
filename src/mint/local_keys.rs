//! The keys of one machine: in the data directory, made and moved on here, or in files of the operator's. Everything in this
//! file reads and writes files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::changes::{advanced, rotated};
use super::key_error::KeyError;
use super::key_settings::{KeyInfo, KeySettings, KeySource};
use super::key_store::{Fingerprint, KeyStore, Locked};
use super::manifest::{Manifest, Rotation, Rules};
use super::operator_keys;
use super::snapshot::Snapshot;
use crate::clock::Timestamp;

/// How long a tick that failed is not tried again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Where the keys are, and how they looked last.
pub(super) enum LocalKeys {
    Managed {
        store: KeyStore,
        rules: Rules,
        manifest: Manifest,
        seen: Option<Fingerprint>,
        retry_at: Option<Timestamp>,
    },
    Files {
        files: Vec<PathBuf>,
        seen: Vec<Option<Fingerprint>>,
        retry_at: Option<Timestamp>,
    },
}

impl LocalKeys {
    pub(super) fn open(settings: &KeySettings, now: Timestamp) -> Result<(Self, Snapshot), KeyError> {
        match &settings.source {
            KeySource::Files(files) => {
                let seen = operator_keys::fingerprints(files);
                Ok((Self::Files { files: files.clone(), seen, retry_at: None }, Snapshot::of_files(files)?))
            }
            KeySource::Managed { data_dir, .. } => {
                let (store, rules) = (KeyStore::open(data_dir)?, settings.rules()?);
                let (manifest, snapshot) = store.lock()?.begin(&rules, now)?;
                Ok((Self::Managed { store, rules, manifest, seen: None, retry_at: Some(now) }, snapshot))
            }
            KeySource::Database { .. } => Err(KeyError::NoDatabase),
        }
    }

    pub(super) fn tick(&mut self, current: &ArcSwap<Snapshot>, now: Timestamp) -> Result<(), KeyError> {
        match self {
            Self::Files { files, seen, retry_at } => {
                let look = operator_keys::fingerprints(files);
                if look != *seen || retry_at.is_some_and(|at| !waits(at, now)) {
                    // Noted before reading: a change during the reading is then seen by the next look. A reading that fails
                    // comes again without a change: what was wrong may lie elsewhere, such as in a mode or an open-file limit.
                    *seen = look;
                    *retry_at = Some(now.plus(RETRY_AFTER));
                    current.store(Arc::new(Snapshot::of_files(files)?));
                    *retry_at = None;
                }
                Ok(())
            }
            Self::Managed { store, rules, manifest, seen, retry_at } => {
                let changed = store.fingerprint() != *seen || manifest.next(rules, now).is_some();
                let waiting = retry_at.is_some_and(|at| waits(at, now));
                if waiting || (!changed && retry_at.is_none()) {
                    return Ok(());
                }
                *retry_at = Some(now.plus(RETRY_AFTER));
                let locked = store.lock()?;
                let (advanced, snapshot) = locked.advance(rules, now)?;
                let snapshot = Arc::new(snapshot);
                current.store(Arc::clone(&snapshot));
                // Only now the world can see a prepared key: its time ahead of use begins here.
                *manifest = advanced;
                if manifest.note_published(now) {
                    locked.write(manifest)?;
                    current.store(Arc::new(snapshot.described_by(manifest)));
                }
                *seen = store.fingerprint();
                *retry_at = None;
                Ok(())
            }
        }
    }

    pub(super) fn rotate(&mut self, how: Rotation, now: Timestamp) -> Result<KeyInfo, KeyError> {
        match self {
            Self::Files { .. } => Err(KeyError::OperatorFiles),
            Self::Managed { store, rules, retry_at, .. } => {
                *retry_at = Some(now);
                store.lock()?.rotate(how, rules, now)
            }
        }
    }
}

/// Replaces the signing key of a data directory, as `cambio keys rotate` does: a running server takes it over within
/// [`super::TICK_EVERY`], publishes it, and activates it; a stopped one does so when it starts.
///
/// # Errors
/// [`KeyError`]; [`KeyError::NoDatabase`] where [`super::KeyDatabase::rotate`] is meant.
pub fn rotate(settings: &KeySettings, how: Rotation, now: Timestamp) -> Result<KeyInfo, KeyError> {
    match &settings.source {
        KeySource::Managed { data_dir, .. } => {
            let store = KeyStore::open(data_dir)?;
            store.lock()?.rotate(how, &settings.rules()?, now)
        }
        KeySource::Files(_) => Err(KeyError::OperatorFiles),
        KeySource::Database { .. } => Err(KeyError::NoDatabase),
    }
}

/// All keys as they are, for `cambio keys list`: makes none, moves none on; nothing where there are none yet.
///
/// # Errors
/// [`KeyError`]; [`KeyError::NoDatabase`] where [`super::KeyDatabase::list`] is meant.
pub fn list(settings: &KeySettings) -> Result<Vec<KeyInfo>, KeyError> {
    match &settings.source {
        KeySource::Files(files) => Ok(Snapshot::of_files(files)?.infos),
        KeySource::Managed { data_dir, .. } => KeyStore::look(data_dir),
        KeySource::Database { .. } => Err(KeyError::NoDatabase),
    }
}

/// Whether the next try is still to come; a clock that was set back does not put it off.
fn waits(retry_at: Timestamp, now: Timestamp) -> bool {
    now < retry_at && retry_at.since(now) <= RETRY_AFTER
}

impl Locked<'_> {
    /// The keys as they are; on the first start the first one is made.
    fn begin(&self, rules: &Rules, now: Timestamp) -> Result<(Manifest, Snapshot), KeyError> {
        let manifest = self.read()?;
        if manifest.active().is_none() {
            return self.advance(rules, now);
        }
        let snapshot = Snapshot::of_manifest(self.store, &manifest)?;
        Ok((manifest, snapshot))
    }

    /// Takes every step that is due.
    fn advance(&self, rules: &Rules, now: Timestamp) -> Result<(Manifest, Snapshot), KeyError> {
        let mut manifest = self.read()?;
        let change = advanced(&manifest, rules, now)?;
        // Nothing is destroyed before what replaces it was written, and read back.
        if let Some(change) = &change {
            self.make(change)?;
            manifest = self.read()?;
        }
        let snapshot = Snapshot::of_manifest(self.store, &manifest)?;
        self.destroy_unneeded(&manifest, change.as_ref().map_or(&[], |change| &change.dropped))?;
        Ok((manifest, snapshot))
    }

    fn rotate(&self, how: Rotation, rules: &Rules, now: Timestamp) -> Result<KeyInfo, KeyError> {
        let (change, next) = rotated(&self.read()?, how, rules, now)?;
        if let Some(change) = change {
            self.make(&change)?;
            self.destroy_unneeded(&change.manifest, &change.dropped)?;
        }
        Ok(next)
    }
}
