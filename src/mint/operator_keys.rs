//! Signing keys that the operator gives as files, and rotates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::MEDIA_TYPE;
use super::key_error::KeyError;
use super::key_store::{Fingerprint, MAX_PEM_BYTES};
use crate::jose::{Algorithm, SigningError, SigningKey};
use crate::state::read_private_file;

/// Group may read: the kubelet mounts a Secret with mode 0440 for a pod that has an `fsGroup`.
const WIDEST: u32 = 0o640;

/// What the files looked like when they were read.
pub(super) fn fingerprints(files: &[PathBuf]) -> Vec<Option<Fingerprint>> {
    files.iter().map(|path| Fingerprint::of(path)).collect()
}

/// Reads all files; the first key signs, all are published. A file tells its algorithm by the key it holds.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Arc<SigningKey>>, KeyError> {
    let mut keys: Vec<Arc<SigningKey>> = Vec::with_capacity(files.len());
    for path in files {
        let key = read_one(path)?;
        if keys.iter().any(|other| other.key_id() == key.key_id()) {
            return Err(KeyError::Twice(path.display().to_string()));
        }
        keys.push(Arc::new(key));
    }
    if keys.is_empty() { Err(KeyError::NoFiles) } else { Ok(keys) }
}

fn read_one(path: &Path) -> Result<SigningKey, KeyError> {
    let pem = read_private_file(path, MAX_PEM_BYTES, WIDEST)?;
    let pem = std::str::from_utf8(&pem).unwrap_or_default();
    let mut error = SigningError::Key;
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        match SigningKey::from_pem(algorithm, pem, MEDIA_TYPE) {
            Ok(key) => return Ok(key),
            Err(SigningError::Key) => {}
            Err(other) => error = other,
        }
    }
    Err(KeyError::Key { name: path.display().to_string(), error })
}
