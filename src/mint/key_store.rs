//! The keys on the disk: `<data>/keys/manifest.json`, and `<kid>.pem` for each key that signs or will.
//!
//! Every change is made under an advisory lock, private half first, manifest second, superfluous private halves last, so
//! that a crash between any two steps leaves a manifest whose keys are all there. A private half that no manifest names
//! was never used; it is left where it is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::MEDIA_TYPE;
use super::key_settings::KeyInfo;
use super::manifest::{Entry, KeyState, Manifest};
use crate::clock::Timestamp;
use crate::jose::{Algorithm, SigningError, SigningKey};
use crate::state::{DirLock, PrivateDir, StateError};

const MANIFEST: &str = "manifest.json";
const MAX_MANIFEST_BYTES: usize = 1024 * 1024;
pub(super) const MAX_PEM_BYTES: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// Why keys cannot be read, made or kept. Never quotes one.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The directory or a file in it.
    #[error(transparent)]
    State(#[from] StateError),
    /// A key could not be made or read.
    #[error("signing key `{name}`: {error}")]
    Key {
        /// The file.
        name: String,
        /// Why.
        error: SigningError,
    },
    /// The manifest names a key whose private half is gone.
    #[error("`{0}` is named by manifest.json and missing; restore it from a backup, or rotate immediately")]
    Missing(String),
    /// Key files, and no manifest.
    #[error("`{0}` holds keys and no manifest.json; restore it from a backup, or move the keys away to start afresh")]
    NoManifest(String),
    /// A file that does not hold the key it is named after.
    #[error("`{0}` holds another key than its name says")]
    Swapped(String),
    /// The keys are the operator's files.
    #[error("the signing keys are files of the operator's (`signing_key_files`): replace those to rotate")]
    OperatorFiles,
    /// No file at all.
    #[error("`signing_key_files` names no file")]
    NoFiles,
    /// Two files hold the same key.
    #[error("`{0}` holds a key that another file holds too")]
    Twice(String),
    /// What we would publish is not what we would accept.
    #[error("the key set to be published does not read back")]
    Published,
}

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

    /// The keys in `data_dir`, without making anything there.
    pub(super) fn look(data_dir: &Path) -> Result<Vec<KeyInfo>, KeyError> {
        let path = data_dir.join("keys");
        if !path.try_exists().map_err(|source| StateError::Io { doing: "look at", path: path.clone(), source })? {
            return Ok(Vec::new());
        }
        let store = Self::open(data_dir)?;
        match store.fingerprint() {
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
    fn manifest(&self) -> Result<Manifest, KeyError> {
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

    /// Makes a key; its private half is on the disk when this returns.
    pub(super) fn make(&self, algorithm: Algorithm, state: KeyState, now: Timestamp) -> Result<Entry, KeyError> {
        let fault = |error| KeyError::Key { name: "new".to_owned(), error };
        let pem = SigningKey::generate(algorithm).map_err(fault)?;
        let key = SigningKey::from_pem(algorithm, &pem, MEDIA_TYPE).map_err(fault)?;
        self.store.dir.write(&pem_name(key.key_id()), pem.as_bytes())?;
        Ok(Entry {
            kid: Box::from(key.key_id()),
            algorithm,
            created: now.as_secs(),
            state,
            public: key.public_jwk().clone(),
        })
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
