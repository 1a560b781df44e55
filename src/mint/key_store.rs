//! The keys on the disk: `<data>/keys/manifest.json`, and `<kid>.pem` for each key that signs or will.
//!
//! Every change is made under an advisory lock, private half first, manifest second, superfluous private halves last, so
//! that a crash between any two steps leaves a manifest whose keys are all there. A private half that no manifest names
//! was never used; it is left where it is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::MEDIA_TYPE;
use super::changes::Change;
use super::key_error::KeyError;
use super::key_settings::KeyInfo;
use super::manifest::{Entry, Manifest};
use crate::jose::SigningKey;
use crate::state::{DirLock, PrivateDir, StateError};

const MANIFEST: &str = "manifest.json";
/// Stands in a directory whose keys went to the database.
const MOVED: &str = "moved";
const MAX_MANIFEST_BYTES: usize = 1024 * 1024;
pub(super) const MAX_PEM_BYTES: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// What the manifest file looked like; another look differs once anybody replaced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Fingerprint {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let seen = fs::metadata(path).ok()?;
        Some(Self { inode: seen.ino(), len: seen.len(), modified: (seen.mtime(), seen.mtime_nsec()) })
    }
}

/// The key directory.
#[derive(Debug)]
pub(super) struct KeyStore {
    dir: PrivateDir,
}

/// The key directory while this process alone may change it.
pub(super) struct Locked<'a> {
    pub(super) store: &'a KeyStore,
    _lock: DirLock,
}

impl KeyStore {
    pub(super) fn open(data_dir: &Path) -> Result<Self, KeyError> {
        Ok(Self { dir: PrivateDir::open(&data_dir.join("keys"))? })
    }

    /// The directory, if it is there.
    pub(super) fn find(data_dir: &Path) -> Result<Option<Self>, KeyError> {
        let path = data_dir.join("keys");
        let there = path.try_exists().map_err(|source| StateError::Io { doing: "look at", path, source })?;
        there.then(|| Self::open(data_dir)).transpose()
    }

    /// The keys in `data_dir`, without making anything there.
    pub(super) fn look(data_dir: &Path) -> Result<Vec<KeyInfo>, KeyError> {
        let Some(store) = Self::find(data_dir)? else { return Ok(Vec::new()) };
        match store.fingerprint() {
            None if store.is_moved() => Err(store.moved()),
            Some(_) => Ok(store.manifest()?.keys.iter().map(Entry::info).collect()),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn lock(&self) -> Result<Locked<'_>, KeyError> {
        Ok(Locked { _lock: self.dir.lock(".lock", PATIENCE)?, store: self })
    }

    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        Fingerprint::of(&self.dir.join(MANIFEST))
    }

    /// The manifest; an empty one is written before the first key, so that a lost one is told from a first start.
    pub(super) fn manifest(&self) -> Result<Manifest, KeyError> {
        if self.is_moved() {
            // Others may have rotated them there: to sign with these again, or with new ones, would fail verifications.
            return Err(self.moved());
        }
        match self.dir.read(MANIFEST, MAX_MANIFEST_BYTES)? {
            Some(text) => Manifest::parse(&text)
                .map_err(|what| StateError::Damaged { path: self.dir.join(MANIFEST), what }.into()),
            None if self.dir.names()?.iter().any(|name| name.ends_with(".pem")) => {
                Err(KeyError::NoManifest(self.dir.path().display().to_string()))
            }
            None => {
                let manifest = Manifest::empty();
                self.dir.write(MANIFEST, &manifest.to_json())?;
                Ok(manifest)
            }
        }
    }

    pub(super) fn is_moved(&self) -> bool {
        self.dir.join(MOVED).exists()
    }

    /// Marks the directory as one whose keys are in the database, and destroys what is left of them here.
    pub(super) fn mark_moved(&self) -> Result<(), KeyError> {
        let _lock = self.lock()?;
        self.dir.write(MOVED, b"The signing keys of this directory were moved into the database.\n")?;
        self.clear()
    }

    /// Destroys what is left of keys that were moved.
    pub(super) fn clear(&self) -> Result<(), KeyError> {
        for name in self.dir.names()?.iter().filter(|name| name.ends_with(".pem") || *name == MANIFEST) {
            self.dir.remove(name)?;
        }
        Ok(())
    }

    fn moved(&self) -> KeyError {
        KeyError::Moved(self.dir.path().display().to_string())
    }

    /// A private half that was read before.
    pub(super) fn pem(&self, entry: &Entry) -> Result<Zeroizing<String>, KeyError> {
        let pem = self.dir.read(&pem_name(&entry.kid), MAX_PEM_BYTES)?;
        let pem = pem.ok_or_else(|| KeyError::Missing(entry.kid.to_string()))?;
        Ok(Zeroizing::new(std::str::from_utf8(&pem).unwrap_or_default().to_owned()))
    }

    /// Reads a private half, and checks that it is the key it is named after.
    pub(super) fn signing_key(&self, entry: &Entry) -> Result<SigningKey, KeyError> {
        let name = pem_name(&entry.kid);
        let path = || self.dir.join(&name).display().to_string();
        let pem = self.dir.read(&name, MAX_PEM_BYTES)?.ok_or_else(|| KeyError::Missing(path()))?;
        let pem = std::str::from_utf8(&pem).unwrap_or_default();
        let key = SigningKey::from_pem(entry.algorithm, pem, MEDIA_TYPE)
            .map_err(|error| KeyError::Key { name: path(), error })?;
        if key.key_id() != &*entry.kid {
            return Err(KeyError::Swapped(path()));
        }
        Ok(key)
    }
}

impl Locked<'_> {
    pub(super) fn read(&self) -> Result<Manifest, KeyError> {
        self.store.manifest()
    }

    /// Makes a change happen but for what it ends: private halves first, then the manifest.
    pub(super) fn make(&self, change: &Change) -> Result<(), KeyError> {
        for made in &change.made {
            self.store.dir.write(&pem_name(&made.kid), made.pem.as_bytes())?;
        }
        self.write(&change.manifest)
    }

    /// Writes the manifest: from here on the change has happened.
    pub(super) fn write(&self, manifest: &Manifest) -> Result<(), KeyError> {
        Ok(self.store.dir.write(MANIFEST, &manifest.to_json())?)
    }

    /// Destroys the private halves of `dropped`, and of keys that only verify.
    pub(super) fn destroy_unneeded(&self, manifest: &Manifest, dropped: &[Box<str>]) -> Result<(), KeyError> {
        let retired = manifest.keys.iter().filter(|entry| !entry.state.needs_private()).map(|entry| &entry.kid);
        for kid in retired.chain(dropped) {
            self.store.dir.remove(&pem_name(kid))?;
        }
        Ok(())
    }
}

/// A `kid` of ours is base64url, so this names a file in the directory and nowhere else.
fn pem_name(kid: &str) -> String {
    format!("{kid}.pem")
}
