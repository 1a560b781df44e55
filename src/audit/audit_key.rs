//! The key that signs heads, and the newest head: private files apart from the journal.
//!
//! Decides which key signs. It is never a key that signs tokens: whoever may rotate or read one has no say over the other.
//! Refuses to know what a head says.

use std::path::Path;
use std::sync::Arc;

use super::AuditError;
use crate::jose::{Algorithm, SigningError, SigningKey};
use crate::state::PrivateDir;

/// The `typ` of heads: no verifier of tokens takes one for its own.
pub(super) const MEDIA_TYPE: &str = "cambio-audit+jwt";
const KEY: &str = "audit.pem";
/// A key that waits to take over; made by `cambio audit rotate-key`, taken up by whoever writes the journal.
const NEXT: &str = "audit-next.pem";
const HEAD: &str = "head.jws";
const MAX_PEM_BYTES: usize = 16 * 1024;
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The directory of the key; none where the journal is a stream without a data directory, whose key lives as long as the
/// process.
#[derive(Clone, Debug)]
pub(super) struct AuditKeys(Option<Arc<PrivateDir>>);

impl AuditKeys {
    pub(super) fn open(dir: Option<&Path>) -> Result<Self, AuditError> {
        Ok(Self(dir.map(PrivateDir::open).transpose()?.map(Arc::new)))
    }

    /// The key, made if there is none.
    pub(super) fn current(&self) -> Result<Arc<SigningKey>, AuditError> {
        let Some(dir) = &self.0 else { return Ok(Arc::new(parsed(&generated()?)?)) };
        if let Some(pem) = dir.read(KEY, MAX_PEM_BYTES)? {
            return Ok(Arc::new(parsed(std::str::from_utf8(&pem).unwrap_or_default())?));
        }
        let pem = generated()?;
        dir.write(KEY, pem.as_bytes())?;
        Ok(Arc::new(parsed(&pem)?))
    }

    /// The key that waits, if one does.
    pub(super) fn next(&self) -> Result<Option<Arc<SigningKey>>, AuditError> {
        let Some(dir) = &self.0 else { return Ok(None) };
        let Some(pem) = dir.read(NEXT, MAX_PEM_BYTES)? else { return Ok(None) };
        Ok(Some(Arc::new(parsed(std::str::from_utf8(&pem).unwrap_or_default())?)))
    }

    /// Makes a key that waits, unless one does already; its thumbprint.
    pub(super) fn prepare(&self) -> Result<String, AuditError> {
        if let Some(next) = self.next()? {
            return Ok(next.key_id().to_owned());
        }
        let pem = generated()?;
        let key = parsed(&pem)?;
        if let Some(dir) = &self.0 {
            dir.write(NEXT, pem.as_bytes())?;
        }
        Ok(key.key_id().to_owned())
    }

    /// The key that waited takes the place of the one of before, which is gone then: nobody can sign by it any more.
    pub(super) fn promote(&self) -> Result<(), AuditError> {
        let Some(dir) = &self.0 else { return Ok(()) };
        if let Some(pem) = dir.read(NEXT, MAX_PEM_BYTES)? {
            dir.write(KEY, &pem)?;
            dir.remove(NEXT)?;
        }
        Ok(())
    }

    /// The newest head that was on the disk for sure.
    pub(super) fn head(&self) -> Result<Option<String>, AuditError> {
        let Some(dir) = &self.0 else { return Ok(None) };
        let head = dir.read(HEAD, MAX_HEAD_BYTES)?;
        Ok(head.map(|head| String::from_utf8_lossy(&head).trim().to_owned()))
    }

    pub(super) fn keep_head(&self, head: &str) -> Result<(), AuditError> {
        self.0.as_ref().map_or(Ok(()), |dir| Ok(dir.write(HEAD, head.as_bytes())?))
    }
}

/// What is known of a journal's key beside the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownKey {
    /// The thumbprint of the key that signs.
    pub thumbprint: Option<String>,
    /// The newest head that was on the disk for sure.
    pub head: Option<String>,
}

/// Looks into the directory of a key, and makes nothing there.
///
/// # Errors
/// [`AuditError`], where it is there and cannot be read.
pub fn known_key(dir: &Path) -> Result<KnownKey, AuditError> {
    if !dir.try_exists().map_err(AuditError::Look)? {
        return Ok(KnownKey::default());
    }
    let keys = PrivateDir::open(dir)?;
    let pem = keys.read(KEY, MAX_PEM_BYTES)?;
    let key = pem.map(|pem| parsed(std::str::from_utf8(&pem).unwrap_or_default())).transpose()?;
    let head = AuditKeys(Some(Arc::new(keys))).head()?;
    Ok(KnownKey { thumbprint: key.map(|key| key.key_id().to_owned()), head })
}

/// Makes the key that is to sign next, which whoever writes the journal takes up within some seconds; its thumbprint.
///
/// # Errors
/// [`AuditError`].
pub fn prepare_key(dir: &Path) -> Result<String, AuditError> {
    AuditKeys::open(Some(dir))?.prepare()
}

fn generated() -> Result<zeroize::Zeroizing<String>, SigningError> {
    SigningKey::generate(Algorithm::EdDSA)
}

fn parsed(pem: &str) -> Result<SigningKey, SigningError> {
    SigningKey::from_pem(Algorithm::EdDSA, pem, MEDIA_TYPE)
}
