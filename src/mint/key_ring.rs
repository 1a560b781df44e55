//! The keys as the server uses them: one that signs, a published set, and a clock that moves them on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::MAX_LIFETIME;
use super::key_settings::{KeyInfo, KeySettings, KeySource};
use super::key_store::{Fingerprint, KeyError, KeyStore, Locked};
use super::manifest::{KeyState, Manifest, Rotation, Rules, Step};
use super::operator_keys;
use super::snapshot::Snapshot;
use crate::clock::Timestamp;
use crate::jose::{KeySet, SigningKey};

/// How often a server must call [`KeyRing::tick`] at least. It costs one look at a file while nothing is due.
pub const TICK_EVERY: Duration = Duration::from_secs(5);
/// How long a tick that failed is not tried again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The signing keys of a server.
///
/// Reading takes one atomic load; [`Self::tick`] and [`Self::rotate`] read and write files, so they belong on a thread
/// that may block. A change that fails changes nothing: the keys in use stay in use.
pub struct KeyRing {
    current: ArcSwap<Snapshot>,
    source: Mutex<Source>,
    publish_ahead: Duration,
}

enum Source {
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

impl KeyRing {
    /// Reads the keys, or makes the first one.
    ///
    /// # Errors
    /// [`KeyError`]; a damaged or incomplete directory is left as it is.
    pub fn open(settings: &KeySettings, now: Timestamp) -> Result<Self, KeyError> {
        let (source, snapshot) = match &settings.source {
            KeySource::Files(files) => {
                let seen = operator_keys::fingerprints(files);
                (Source::Files { files: files.clone(), seen, retry_at: None }, Snapshot::of_files(files)?)
            }
            KeySource::Managed { .. } => {
                let (store, rules) = managed(settings)?;
                let (manifest, snapshot) = store.lock()?.begin(&rules, now)?;
                (Source::Managed { store, rules, manifest, seen: None, retry_at: Some(now) }, snapshot)
            }
        };
        let ring = Self {
            current: ArcSwap::from_pointee(snapshot),
            source: Mutex::new(source),
            publish_ahead: settings.publish_ahead,
        };
        // Keys that are there serve, also while a full disk stops the next step; later ticks report that.
        let _ = ring.tick(now);
        Ok(ring)
    }

    /// The key that signs now.
    #[must_use]
    pub fn signer(&self) -> Arc<SigningKey> {
        Arc::clone(&self.current.load().signer)
    }

    /// The body of our published key set (RFC 7517 section 5): prepared, active and retiring keys.
    #[must_use]
    pub fn public_jwks(&self) -> Arc<str> {
        Arc::clone(&self.current.load().jwks)
    }

    /// How long verifiers may keep the published set: the `max-age` to send with it.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        self.publish_ahead
    }

    /// All keys, as an operator may see them.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.current.load().infos.clone()
    }

    /// The keys that verify our own tokens: the published ones.
    pub(super) fn own(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.load().own)
    }

    /// Takes the steps that are due, and takes over what another process changed. To be called every [`TICK_EVERY`].
    ///
    /// # Errors
    /// [`KeyError`]; the keys in use stay in use, and the next try comes half a minute later.
    pub fn tick(&self, now: Timestamp) -> Result<(), KeyError> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *source {
            Source::Files { files, seen, retry_at } => {
                let look = operator_keys::fingerprints(files);
                if look != *seen || retry_at.is_some_and(|at| !waits(at, now)) {
                    // Noted before reading: a change during the reading is then seen by the next look. A reading that fails
                    // comes again without a change: what was wrong may lie elsewhere, such as in a mode or an open-file limit.
                    *seen = look;
                    *retry_at = Some(now.plus(RETRY_AFTER));
                    self.current.store(Arc::new(Snapshot::of_files(files)?));
                    *retry_at = None;
                }
                Ok(())
            }
            Source::Managed { store, rules, manifest, seen, retry_at } => {
                let changed = store.fingerprint() != *seen || manifest.next(rules, now).is_some();
                let waiting = retry_at.is_some_and(|at| waits(at, now));
                if waiting || (!changed && retry_at.is_none()) {
                    return Ok(());
                }
                *retry_at = Some(now.plus(RETRY_AFTER));
                let locked = store.lock()?;
                let (advanced, snapshot) = locked.advance(rules, now)?;
                let snapshot = Arc::new(snapshot);
                self.current.store(Arc::clone(&snapshot));
                // Only now the world can see a prepared key: its time ahead of use begins here.
                *manifest = advanced;
                if manifest.note_published(now) {
                    locked.write(manifest)?;
                    self.current.store(Arc::new(snapshot.described_by(manifest)));
                }
                *seen = store.fingerprint();
                *retry_at = None;
                Ok(())
            }
        }
    }

    /// Replaces the signing key, see [`Rotation`], and says which key comes next.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::OperatorFiles`] where the keys are not ours to rotate.
    pub fn rotate(&self, how: Rotation, now: Timestamp) -> Result<KeyInfo, KeyError> {
        let next = match &mut *self.source.lock().unwrap_or_else(PoisonError::into_inner) {
            Source::Files { .. } => return Err(KeyError::OperatorFiles),
            Source::Managed { store, rules, retry_at, .. } => {
                *retry_at = Some(now);
                store.lock()?.rotate(how, rules, now)?
            }
        };
        self.tick(now)?;
        Ok(next)
    }
}

/// Replaces the signing key of a data directory, as `cambio keys rotate` does: a running server takes it over within
/// [`TICK_EVERY`], publishes it, and activates it; a stopped one does so when it starts.
///
/// # Errors
/// [`KeyError`].
pub fn rotate(settings: &KeySettings, how: Rotation, now: Timestamp) -> Result<KeyInfo, KeyError> {
    let (store, rules) = managed(settings)?;
    let locked = store.lock()?;
    locked.rotate(how, &rules, now)
}

/// All keys as they are, for `cambio keys list`: makes none, moves none on; nothing where there are none yet.
///
/// # Errors
/// [`KeyError`].
pub fn list(settings: &KeySettings) -> Result<Vec<KeyInfo>, KeyError> {
    match &settings.source {
        KeySource::Files(files) => Ok(Snapshot::of_files(files)?.infos),
        KeySource::Managed { data_dir, .. } => KeyStore::look(data_dir),
    }
}

/// Whether the next try is still to come; a clock that was set back does not put it off.
fn waits(retry_at: Timestamp, now: Timestamp) -> bool {
    now < retry_at && retry_at.since(now) <= RETRY_AFTER
}

fn managed(settings: &KeySettings) -> Result<(KeyStore, Rules), KeyError> {
    let KeySource::Managed { data_dir, algorithm, rotate_every } = &settings.source else {
        return Err(KeyError::OperatorFiles);
    };
    let rules = Rules {
        algorithm: *algorithm,
        rotate_every: *rotate_every,
        publish_ahead: settings.publish_ahead,
        overlap: MAX_LIFETIME + settings.leeway,
    };
    Ok((KeyStore::open(data_dir)?, rules))
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
        let (mut changed, mut dropped) = (false, Vec::new());
        while let Some(step) = manifest.next(rules, now) {
            let new = match &step {
                Step::Begin => Some(self.make(rules.algorithm, KeyState::Active { since: now.as_secs() }, now)?),
                Step::Prepare => Some(self.make(rules.algorithm, KeyState::Prepared { published: None }, now)?),
                Step::Discard(kid) | Step::Forget(kid) => {
                    dropped.push(kid.clone());
                    None
                }
                Step::Activate(_) => None,
            };
            manifest.take(&step, new, rules, now);
            changed = true;
        }
        // Nothing is destroyed before what replaces it was written, and read back.
        if changed {
            self.write(&manifest)?;
            manifest = self.read()?;
        }
        let snapshot = Snapshot::of_manifest(self.store, &manifest)?;
        self.destroy_unneeded(&manifest, &dropped)?;
        Ok((manifest, snapshot))
    }

    fn rotate(&self, how: Rotation, rules: &Rules, now: Timestamp) -> Result<KeyInfo, KeyError> {
        let mut manifest = self.read()?;
        if manifest.active().is_none() {
            // Nothing to replace: the first key is the new one.
            manifest = self.advance(rules, now)?.0;
        }
        let next = match (how, manifest.prepared()) {
            (Rotation::Ahead, Some(prepared)) => return Ok(prepared.info()),
            (Rotation::Ahead, None) => self.make(rules.algorithm, KeyState::Prepared { published: None }, now)?,
            (Rotation::Immediately, _) => self.make(rules.algorithm, KeyState::Active { since: now.as_secs() }, now)?,
        };
        let info = next.info();
        match how {
            Rotation::Ahead => manifest.keys.push(next),
            Rotation::Immediately => manifest.replace_all(next, rules, now),
        }
        self.write(&manifest)?;
        self.destroy_unneeded(&manifest, &[])?;
        Ok(info)
    }
}
