//! A published set of keys (RFC 7517 section 5), read key by key.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::jwk::{KeyRules, SkipReason, VerifyingKey};
use super::{Algorithm, Sha256, sha256};

/// The largest set that is read, in bytes.
pub const MAX_SET_BYTES: usize = 256 * 1024;
/// How many keys a set has at most.
pub const MAX_KEYS: usize = 100;
/// How many keys of one `kid` are tried for one token.
const MAX_SAME_KEY_ID: usize = 4;
/// How many keys are tried for a token without `kid`.
const MAX_WITHOUT_KEY_ID: usize = 16;

/// The usable keys of one issuer, and why the others are not.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
    skipped: Vec<Skipped>,
    digest: Sha256,
}

/// A key that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Why.
    pub reason: SkipReason,
}

/// Why a whole set was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Larger than [`MAX_SET_BYTES`].
    #[error("the key set is larger than 256 KiB")]
    TooLarge,
    /// Not a JSON object with an array `keys`.
    #[error("the key set is not a JSON object with an array `keys`")]
    Malformed,
    /// More than [`MAX_KEYS`] keys.
    #[error("the key set has more than 100 keys")]
    TooManyKeys,
}

impl KeySet {
    /// Reads a set. Other top-level members are ignored (GKE adds `cacheHeader`), odd keys are skipped. An empty result
    /// is no error here: what it means is for whoever holds the keys before.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn parse(body: &[u8], rules: &KeyRules) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Published<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        if body.len() > MAX_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        // serde would also read an array as the members in order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(KeySetError::Malformed);
        }
        let published: Published<'_> = serde_json::from_slice(body).map_err(|_| KeySetError::Malformed)?;
        if published.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let mut set = Self { keys: Vec::new(), skipped: Vec::new(), digest: sha256(body) };
        for (index, jwk) in published.keys.into_iter().enumerate() {
            match VerifyingKey::from_jwk(jwk.get().as_bytes(), rules) {
                Ok(key) => set.keys.push(Arc::new(key)),
                Err(reason) => set.skipped.push(Skipped { index, reason }),
            }
        }
        Ok(set)
    }

    /// A set without keys.
    #[must_use]
    pub fn empty() -> Self {
        Self { keys: Vec::new(), skipped: Vec::new(), digest: sha256(b"") }
    }

    /// The keys that may have signed a token with this header: those of its `kid`, at most 4 (Jenkins keeps a `kid` over
    /// rotation); for a token without `kid` all of its algorithm, at most 16.
    pub fn candidates<'a>(
        &'a self,
        algorithm: Algorithm,
        key_id: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<VerifyingKey>> {
        let most = if key_id.is_some() { MAX_SAME_KEY_ID } else { MAX_WITHOUT_KEY_ID };
        self.keys
            .iter()
            .filter(move |key| key.algorithm() == algorithm && (key_id.is_none() || key.key_id() == key_id))
            .take(most)
    }

    /// Whether a key of that `kid` is here, whatever its algorithm.
    #[must_use]
    pub fn knows(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.key_id() == Some(key_id))
    }

    /// Whether the key with that RFC 7638 thumbprint is here.
    #[must_use]
    pub fn contains(&self, thumbprint: Sha256) -> bool {
        self.keys.iter().any(|key| key.thumbprint() == thumbprint)
    }

    /// The usable keys.
    #[must_use]
    pub fn keys(&self) -> &[Arc<VerifyingKey>] {
        &self.keys
    }

    /// The keys that were left out.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// SHA-256 of the set as it was published.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }
}

impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} usable, {} skipped", self.keys.len(), self.skipped.len())
    }
}
