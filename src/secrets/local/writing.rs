//! New versions: written, or patched from the current one.

use std::sync::Arc;

use super::merge_patch::merge_patch;
use super::{KvAnswer, KvError, KvVersion, LocalStore, SecretData, data_keys, is_gone, place, version_metadata};
use crate::clock::Timestamp;
use crate::jose::SealingKey;
use crate::secrets::BadData;
use crate::state::database::{Place, Scope, Sealed, SecretRow, ValueRow, VersionRow, WriteTransaction};

/// A transaction that has a data key to seal with, and the secret as it is.
pub(super) struct Writing<'a> {
    pub(super) transaction: WriteTransaction,
    pub(super) place: Place<'a>,
    /// None where there is no such secret.
    pub(super) secret: Option<SecretRow>,
    has_room: bool,
    generation: u64,
    key: Arc<SealingKey>,
    sealed: u64,
}

/// How often somebody else may take another data key between our finding one and our turn to write.
const TRIES: usize = 5;
const FULL: KvError = KvError::Invalid("the namespace has as many secrets as it may have");

impl LocalStore {
    pub(super) async fn write(
        &self,
        place: Place<'_>,
        version: KvVersion,
        data: &SecretData,
        cas: Option<u64>,
        now: Timestamp,
    ) -> Result<KvAnswer, KvError> {
        let mut writing = self.writing(place, now).await?;
        if version == KvVersion::V2 {
            check_cas(writing.secret.as_ref(), cas)?;
        }
        let row = self.add(&mut writing, version, data, now).await?;
        self.finish(writing, row).await
    }

    pub(super) async fn patch(
        &self,
        place: Place<'_>,
        patch: &SecretData,
        cas: Option<u64>,
        now: Timestamp,
    ) -> Result<KvAnswer, KvError> {
        let mut writing = self.writing(place, now).await?;
        if writing.secret.is_none() {
            return Err(KvError::NotFound);
        }
        check_cas(writing.secret.as_ref(), cas)?;
        let current = writing.transaction.value(place, None).await?.ok_or(KvError::NotFound)?;
        let ValueRow { version, value: Some(value), .. } = current else { return Err(KvError::NotFound) };
        if is_gone(&version, now) {
            return Err(KvError::NotFound);
        }
        let old = self.open_value(place, &version, value).await?;
        let merged =
            merge_patch(old.as_json(), patch.as_json()).ok_or(KvError::Invalid("the patch is no JSON object"))?;
        let data = SecretData::new(merged).map_err(|error| match error {
            BadData::TooLarge => KvError::Invalid("a secret has at most 1 MiB"),
            BadData::NotAnObject => KvError::Invalid("a secret is a JSON object"),
        })?;
        let row = self.add(&mut writing, KvVersion::V2, &data, now).await?;
        self.finish(writing, row).await
    }

    /// Begins to write to a secret, with the namespace's present data key.
    pub(super) async fn writing<'a>(&self, place: Place<'a>, now: Timestamp) -> Result<Writing<'a>, KvError> {
        for _ in 0..TRIES {
            // Outside of the transaction: to unwrap a key may take a question to somebody else.
            let (generation, key) = self.keys.current(place.namespace, now).await?;
            let mut transaction = self.database.write(Scope::Secrets(place.namespace)).await?;
            let Some(namespace) = transaction.namespace(place.namespace).await? else { continue };
            if namespace.current_key == generation && namespace.sealed < data_keys::MAX_COUNTED {
                let secret = transaction.secret(place).await?;
                let has_room = namespace.secrets < self.limits.max_secrets;
                return Ok(Writing { transaction, place, secret, has_room, generation, key, sealed: 0 });
            }
        }
        Err(KvError::Unavailable("the namespace's data key changes too often"))
    }

    /// Adds a version, and removes those that are too many.
    async fn add(
        &self,
        writing: &mut Writing<'_>,
        version: KvVersion,
        data: &SecretData,
        now: Timestamp,
    ) -> Result<VersionRow, KvError> {
        let mut secret = match writing.secret.take() {
            Some(secret) => secret,
            None => writing.insert(now).await?,
        };
        secret.current = secret.current.checked_add(1).ok_or(KvError::Invalid("the secret has too many versions"))?;
        secret.updated = now;
        let deletion = (!secret.delete_after.is_zero()).then(|| now.plus(secret.delete_after));
        let row = VersionRow { version: secret.current, created: now, deletion, destroyed: false };
        let value =
            writing.seal(&place::of_value(writing.place, writing.generation, row.version, now), data.as_json())?;
        writing.transaction.insert_version(secret.id, &row, &value).await?;
        // OpenBao's arithmetic (`KeyMetadata.AddVersion`): the oldest version is 0 until the bound is reached once.
        let most = match (version, secret.max_versions) {
            (KvVersion::V1, _) => 1,
            (KvVersion::V2, 0) => u64::from(self.limits.max_versions.max(1)),
            (KvVersion::V2, own) => u64::from(own),
        };
        if secret.current.saturating_sub(secret.oldest) >= most {
            secret.oldest = (secret.current - most).saturating_add(1);
            writing.transaction.prune(secret.id, secret.oldest).await?;
        }
        writing.transaction.update_secret(&secret).await?;
        writing.secret = Some(secret);
        Ok(row)
    }

    async fn finish(&self, mut writing: Writing<'_>, row: VersionRow) -> Result<KvAnswer, KvError> {
        // Opened before it counts: what is damaged is told instead of written around.
        let custom = writing.secret.as_mut().and_then(|secret| secret.custom.take());
        let custom_metadata = self.open_custom(writing.place, custom).await?;
        writing.commit().await?;
        Ok(KvAnswer::Written { metadata: version_metadata(&row), custom_metadata })
    }
}

impl Writing<'_> {
    /// Makes the secret, without versions.
    pub(super) async fn insert(&mut self, now: Timestamp) -> Result<SecretRow, KvError> {
        if !self.has_room {
            return Err(FULL);
        }
        let mut secret = SecretRow::new(now);
        secret.id = self.transaction.insert_secret(self.place, &secret).await?;
        Ok(secret)
    }

    /// Seals with the namespace's present data key.
    fn seal(&mut self, bound: &[u8], plaintext: &[u8]) -> Result<Sealed, KvError> {
        let bytes = self.key.seal(bound, plaintext).map_err(super::LocalError::from)?;
        self.sealed += 1;
        Ok(Sealed { key: self.generation, bytes })
    }

    /// Seals custom metadata, as JSON.
    pub(super) fn seal_custom(&mut self, json: &[u8]) -> Result<Sealed, KvError> {
        let bound = place::of_custom_metadata(self.place, self.generation);
        self.seal(&bound, json)
    }

    /// Counts what was sealed, and makes everything happen.
    pub(super) async fn commit(mut self) -> Result<(), KvError> {
        if self.sealed > 0 {
            self.transaction.count_sealed(self.place.namespace, self.generation, self.sealed).await?;
        }
        Ok(self.transaction.commit().await?)
    }
}

/// OpenBao's `validateCheckAndSetOption`.
fn check_cas(secret: Option<&SecretRow>, cas: Option<u64>) -> Result<(), KvError> {
    match cas {
        Some(cas) if cas != secret.map_or(0, |secret| secret.current) => Err(KvError::CasMismatch),
        None if secret.is_some_and(|secret| secret.cas_required) => Err(KvError::CasRequired),
        _ => Ok(()),
    }
}
