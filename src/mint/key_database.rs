//! The keys in the database: one manifest, and one sealed private half for each key that signs or will.
//!
//! Decides that a change happens as a whole or not at all, that of two changes to the same manifest one happens, and that
//! what was not written by somebody with the master key is no key of ours. The manifest is in clear and carries a seal: with
//! public halves alone, whoever may write the table could otherwise have keys of his own published and accepted.

use std::sync::Arc;

use super::MEDIA_TYPE;
use super::changes::{Change, PrivateHalf, rotated};
use super::key_error::KeyError;
use super::key_settings::{KeyInfo, KeySettings};
use super::manifest::{Entry, Manifest, Rotation};
use crate::clock::Timestamp;
use crate::jose::{SealingKey, SigningKey};
use crate::secrets::local::WrappedKeys;
use crate::state::database::{Database, Fence, LeaseRow, ManifestRow, Scope};

const MANIFEST: &[u8] = b"cambio signing manifest 1";
const PRIVATE_HALF: &[u8] = b"cambio signing key 1";
/// How often a change that lost against another one is tried anew.
const TRIES: u32 = 10;

/// Where replicas keep their signing keys together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyDatabase {
    pub(super) database: Database,
    seal: Arc<SealingKey>,
}

impl KeyDatabase {
    /// The keys in `database`, sealed under a key of `wrapped` of its own.
    ///
    /// # Errors
    /// [`KeyError::Wrapped`], [`KeyError::Sealing`].
    pub async fn open(database: Database, wrapped: &WrappedKeys, now: Timestamp) -> Result<Self, KeyError> {
        let key = wrapped.obtain(WrappedKeys::SIGNING_KEYS, now).await?;
        Ok(Self { database, seal: Arc::new(SealingKey::new(&key)?) })
    }

    /// All keys as they are; nothing where there are none yet. Changes nothing.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let found = self.read().await?;
        Ok(found.iter().flat_map(|(_, manifest)| &manifest.keys).map(Entry::info).collect())
    }

    /// Replaces the signing key, as `cambio keys rotate` does: running replicas take it over within
    /// [`super::TICK_EVERY`].
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Contended`] where replicas were faster ten times.
    pub async fn rotate(&self, settings: &KeySettings, how: Rotation, now: Timestamp) -> Result<KeyInfo, KeyError> {
        let rules = settings.rules()?;
        for _ in 0..TRIES {
            let (version, before) = self.read().await?.unwrap_or((0, Manifest::empty()));
            let work = move || rotated(&before, how, &rules, now);
            let (change, info) = tokio::task::spawn_blocking(work).await.map_err(|_| KeyError::CutOff)??;
            let Some(change) = change else { return Ok(info) };
            if self.write(version, &change, None, now).await? {
                return Ok(info);
            }
        }
        Err(KeyError::Contended)
    }

    /// The manifest and its version; none before the first key.
    pub(super) async fn read(&self) -> Result<Option<(u64, Manifest)>, KeyError> {
        let mut found = self.database.signing_manifest().await?;
        if found.is_none() {
            if self.database.signing_keys().await? == 0 {
                return Ok(None);
            }
            // Another replica may have made both since the first look; it made them at one moment.
            found = self.database.signing_manifest().await?;
        }
        let row = found.ok_or_else(|| KeyError::NoManifest("signing_keys".to_owned()))?;
        self.seal
            .open(&manifest_place(row.version, &row.manifest), row.seal)
            .map_err(|_| KeyError::Tampered("the manifest of the signing keys".to_owned()))?;
        let manifest = Manifest::parse(row.manifest.as_bytes()).map_err(KeyError::Damaged)?;
        Ok(Some((row.version, manifest)))
    }

    /// Makes `change` happen to the manifest of version `before` (0: none): false where that is not the version any more, or
    /// the lease not held; nothing happened then.
    pub(super) async fn write(
        &self,
        before: u64,
        change: &Change,
        fence: Option<Fence<'_>>,
        now: Timestamp,
    ) -> Result<bool, KeyError> {
        let version = before.saturating_add(1);
        let manifest = String::from_utf8_lossy(&change.manifest.to_json()).into_owned();
        let seal = self.seal.seal(&manifest_place(version, &manifest), b"")?;
        let made = change.made.iter().map(|made| Ok((&*made.kid, self.seal_half(made)?)));
        let made = made.collect::<Result<Vec<_>, KeyError>>()?;
        let mut transaction = self.database.write(Scope::Keys).await?;
        if let Some(fence) = fence
            && !transaction.is_held(fence).await?
        {
            return Ok(false);
        }
        let row = ManifestRow { version, changed: now, seal, manifest };
        if !transaction.replace_signing_manifest(&row).await? {
            return Ok(false);
        }
        for (kid, sealed) in made {
            transaction.insert_signing_key(kid, &sealed, now).await?;
        }
        for kid in change.unneeded() {
            transaction.delete_signing_key(kid).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Reads a private half, and checks that it is the key it is named after.
    pub(super) async fn signing_key(&self, entry: &Entry) -> Result<SigningKey, KeyError> {
        let name = || entry.kid.to_string();
        let sealed = self.database.signing_key(&entry.kid).await?.ok_or_else(|| KeyError::Missing(name()))?;
        let pem = self.seal.open(&half_place(&entry.kid), sealed);
        let pem = pem.map_err(|_| KeyError::Tampered(format!("the private half of `{}`", entry.kid)))?;
        let key = SigningKey::from_pem(entry.algorithm, std::str::from_utf8(&pem).unwrap_or_default(), MEDIA_TYPE)
            .map_err(|error| KeyError::Key { name: name(), error })?;
        if key.key_id() == &*entry.kid { Ok(key) } else { Err(KeyError::Swapped(name())) }
    }

    /// Takes or renews a lease.
    pub(super) async fn take_lease(&self, name: &str, lease: &LeaseRow, over: Timestamp) -> Result<bool, KeyError> {
        let mut transaction = self.database.write(Scope::Keys).await?;
        let taken = transaction.take_lease(name, lease, over).await?;
        transaction.commit().await?;
        Ok(taken)
    }

    /// The same rows, written and read with our sealing key.
    #[cfg(test)]
    pub(super) fn over(&self, database: Database) -> Self {
        Self { database, seal: Arc::clone(&self.seal) }
    }

    /// A private half in PEM.
    #[cfg(test)]
    pub(super) fn open_for_tests(&self, kid: &str, sealed: Vec<u8>) -> String {
        String::from_utf8(self.seal.open(&half_place(kid), sealed).unwrap().to_vec()).unwrap()
    }

    fn seal_half(&self, half: &PrivateHalf) -> Result<Vec<u8>, KeyError> {
        Ok(self.seal.seal(&half_place(&half.kid), half.pem.as_bytes())?)
    }
}

fn manifest_place(version: u64, manifest: &str) -> Vec<u8> {
    [MANIFEST, &[0], &version.to_be_bytes(), manifest.as_bytes()].concat()
}

fn half_place(kid: &str) -> Vec<u8> {
    [PRIVATE_HALF, &[0], kid.as_bytes()].concat()
}
