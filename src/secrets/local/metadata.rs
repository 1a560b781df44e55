//! What is known about a secret besides its values.

use std::collections::BTreeMap;

use super::writing::Writing;
use super::{KvAnswer, KvError, LocalStore, place, version_metadata};
use crate::clock::Timestamp;
use crate::secrets::{MetadataPatch, MetadataUpdate, SecretMetadata};
use crate::state::database::{Place, Sealed, SecretRow};

type Words = BTreeMap<String, String>;

/// OpenBao's bounds on custom metadata.
const MAX_WORDS: usize = 64;
const MAX_NAME_BYTES: usize = 128;
const MAX_WORD_BYTES: usize = 512;

impl LocalStore {
    pub(super) async fn read_metadata(&self, place: Place<'_>) -> Result<KvAnswer, KvError> {
        let (secret, versions) = self.database.secret(place).await?.ok_or(KvError::NotFound)?;
        Ok(KvAnswer::Metadata(Box::new(SecretMetadata {
            created: secret.created,
            updated: secret.updated,
            current_version: secret.current,
            oldest_version: secret.oldest,
            max_versions: secret.max_versions,
            cas_required: secret.cas_required,
            delete_version_after: secret.delete_after,
            custom_metadata: self.open_custom(place, secret.custom).await?,
            versions: versions.iter().map(version_metadata).collect(),
        })))
    }

    /// Makes the secret, without versions, where there is none. Versions that are too many now go with the next write.
    pub(super) async fn write_metadata(
        &self,
        place: Place<'_>,
        update: &MetadataUpdate,
        now: Timestamp,
    ) -> Result<KvAnswer, KvError> {
        if let Some(words) = &update.custom_metadata {
            check(words)?;
        }
        let mut writing = self.writing(place, now).await?;
        let mut secret = match writing.secret.take() {
            Some(secret) => secret,
            None => writing.insert(now).await?,
        };
        secret.max_versions = update.max_versions.unwrap_or(secret.max_versions);
        secret.cas_required = update.cas_required.unwrap_or(secret.cas_required);
        secret.delete_after = update.delete_version_after.unwrap_or(secret.delete_after);
        if let Some(words) = &update.custom_metadata {
            secret.custom = seal(&mut writing, words)?;
        }
        finish(writing, &secret).await
    }

    pub(super) async fn patch_metadata(
        &self,
        place: Place<'_>,
        patch: &MetadataPatch,
        now: Timestamp,
    ) -> Result<KvAnswer, KvError> {
        let mut writing = self.writing(place, now).await?;
        let mut secret = writing.secret.take().ok_or(KvError::NotFound)?;
        secret.max_versions = patch.max_versions.unwrap_or(secret.max_versions);
        secret.cas_required = patch.cas_required.unwrap_or(secret.cas_required);
        secret.delete_after = patch.delete_version_after.unwrap_or(secret.delete_after);
        if !patch.custom_metadata.is_empty() {
            let mut words = self.open_custom(place, secret.custom).await?.unwrap_or_default();
            for (name, word) in &patch.custom_metadata {
                match word {
                    Some(word) => drop(words.insert(name.clone(), word.clone())),
                    None => drop(words.remove(name)),
                }
            }
            check(&words)?;
            secret.custom = seal(&mut writing, &words)?;
        }
        finish(writing, &secret).await
    }

    pub(super) async fn open_custom(&self, place: Place<'_>, custom: Option<Sealed>) -> Result<Option<Words>, KvError> {
        const DAMAGED: KvError = KvError::Damaged("custom metadata does not open where it stands");
        let Some(custom) = custom else { return Ok(None) };
        let key = self.keys.find(place.namespace, custom.key).await?;
        let opened = key.open(&place::of_custom_metadata(place, custom.key), custom.bytes).map_err(|_| DAMAGED)?;
        serde_json::from_slice(&opened).map(Some).map_err(|_| DAMAGED)
    }
}

fn seal(writing: &mut Writing<'_>, words: &Words) -> Result<Option<Sealed>, KvError> {
    if words.is_empty() {
        return Ok(None);
    }
    let json = serde_json::to_vec(words).map_err(|_| KvError::Invalid("custom metadata is no JSON"))?;
    writing.seal_custom(&json).map(Some)
}

async fn finish(mut writing: Writing<'_>, secret: &SecretRow) -> Result<KvAnswer, KvError> {
    writing.transaction.update_secret(secret).await?;
    writing.commit().await?;
    Ok(KvAnswer::Done)
}

/// OpenBao's `validateCustomMetadata`.
fn check(words: &Words) -> Result<(), KvError> {
    if words.len() > MAX_WORDS {
        return Err(KvError::Invalid("custom_metadata has at most 64 keys"));
    }
    for (name, word) in words {
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) {
            return Err(KvError::Invalid("a key of custom_metadata has 1 to 128 bytes"));
        }
        if !(1..=MAX_WORD_BYTES).contains(&word.len()) {
            return Err(KvError::Invalid("a value of custom_metadata has 1 to 512 bytes"));
        }
        if name.chars().chain(word.chars()).any(char::is_control) {
            return Err(KvError::Invalid("custom_metadata has an unprintable character"));
        }
    }
    Ok(())
}
