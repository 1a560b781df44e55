//! Everything that is derived from one state of the keys; replaced as a whole, so that nobody sees half a change.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::key_error::KeyError;
use super::key_settings::KeyInfo;
use super::key_store::KeyStore;
use super::manifest::{Entry, KeyState, Manifest};
use super::operator_keys;
use crate::clock::Timestamp;
use crate::jose::{Algorithm, KeyRules, KeySet, SigningKey};

/// The keys at one moment.
pub(super) struct Snapshot {
    pub(super) signer: Arc<SigningKey>,
    pub(super) jwks: Arc<str>,
    pub(super) own: Arc<KeySet>,
    pub(super) infos: Vec<KeyInfo>,
}

impl Snapshot {
    pub(super) fn of_manifest(store: &KeyStore, manifest: &Manifest) -> Result<Self, KeyError> {
        // A prepared key is read too: that it cannot be must show now, not when it is to sign.
        let private = manifest.keys.iter().filter(|entry| entry.state.needs_private());
        Self::of_keys(manifest, private.map(|entry| store.signing_key(entry)).collect::<Result<_, _>>()?)
    }

    /// Of a manifest, and of the private halves that it needs.
    pub(super) fn of_keys(manifest: &Manifest, private: Vec<SigningKey>) -> Result<Self, KeyError> {
        let (active, _) = manifest.active().ok_or(KeyError::Published)?;
        let signer = private.into_iter().find(|key| key.key_id() == &*active.kid);
        let signer = Arc::new(signer.ok_or_else(|| KeyError::Missing(active.kid.to_string()))?);
        let published = manifest.keys.iter().filter(|entry| entry.state.is_published());
        Self::new(signer, published.map(|entry| &entry.public), manifest.keys.iter().map(Entry::info).collect())
    }

    /// The published set is read back by our own strict reader before anybody else gets to see it.
    fn new<'a>(
        signer: Arc<SigningKey>,
        published: impl Iterator<Item = &'a Value>,
        infos: Vec<KeyInfo>,
    ) -> Result<Self, KeyError> {
        let published: Vec<&Value> = published.collect();
        let jwks: Arc<str> = Arc::from(json!({ "keys": published }).to_string());
        let rules = KeyRules { algorithms: Algorithm::ALL.to_vec(), jwt_svid: false };
        let own = KeySet::parse(jwks.as_bytes(), &rules).map_err(|_| KeyError::Published)?;
        if own.keys().len() != published.len() || !own.knows(signer.key_id()) {
            return Err(KeyError::Published);
        }
        Ok(Self { signer, jwks, own: Arc::new(own), infos })
    }

    /// The same keys, after a change that concerns only what is said about them.
    pub(super) fn described_by(&self, manifest: &Manifest) -> Self {
        let (signer, jwks, own) = (Arc::clone(&self.signer), Arc::clone(&self.jwks), Arc::clone(&self.own));
        Self { signer, jwks, own, infos: manifest.keys.iter().map(Entry::info).collect() }
    }

    pub(super) fn of_files(files: &[PathBuf]) -> Result<Self, KeyError> {
        let keys = operator_keys::read(files)?;
        let signer = keys.first().cloned().ok_or(KeyError::NoFiles)?;
        let infos = keys.iter().map(|key| KeyInfo {
            key_id: Box::from(key.key_id()),
            algorithm: key.algorithm(),
            created: None,
            state: if Arc::ptr_eq(key, &signer) {
                KeyState::Active { since: 0 }
            } else {
                KeyState::Prepared { published: None }
            },
        });
        Self::new(Arc::clone(&signer), keys.iter().map(|key| key.public_jwk()), infos.collect())
    }
}

impl Entry {
    pub(super) fn info(&self) -> KeyInfo {
        KeyInfo {
            key_id: self.kid.clone(),
            algorithm: self.algorithm,
            created: Some(Timestamp::from_secs(self.created)),
            state: self.state,
        }
    }
}
