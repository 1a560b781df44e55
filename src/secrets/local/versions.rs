//! Versions that go and come back: soft deletion, its undoing, destruction, and the removal of a secret. As in OpenBao, what is
//! not there is no error: it is gone, as was asked.

use std::collections::BTreeSet;

use super::{KvAnswer, KvError, LocalStore, is_gone};
use crate::clock::Timestamp;
use crate::state::database::{Place, Scope, VersionRow, WriteTransaction};

const NO_VERSIONS: KvError = KvError::Invalid("no version number provided");

/// What becomes of a version.
#[derive(Clone, Copy)]
enum Fate {
    Deleted(Timestamp),
    Undeleted,
    Destroyed,
}

impl LocalStore {
    pub(super) async fn delete_current(&self, place: Place<'_>, now: Timestamp) -> Result<KvAnswer, KvError> {
        self.decide(place, None, Fate::Deleted(now)).await
    }

    pub(super) async fn delete(&self, place: Place<'_>, versions: &[u64], now: Timestamp) -> Result<KvAnswer, KvError> {
        self.decide(place, Some(versions), Fate::Deleted(now)).await
    }

    pub(super) async fn undelete(&self, place: Place<'_>, versions: &[u64]) -> Result<KvAnswer, KvError> {
        self.decide(place, Some(versions), Fate::Undeleted).await
    }

    pub(super) async fn destroy(&self, place: Place<'_>, versions: &[u64]) -> Result<KvAnswer, KvError> {
        self.decide(place, Some(versions), Fate::Destroyed).await
    }

    pub(super) async fn delete_all(&self, place: Place<'_>) -> Result<KvAnswer, KvError> {
        let mut transaction = self.database.write(Scope::Secrets(place.namespace)).await?;
        transaction.namespace(place.namespace).await?;
        if let Some(secret) = transaction.secret(place).await? {
            transaction.delete_secret(secret.id).await?;
            transaction.commit().await?;
        }
        Ok(KvAnswer::Done)
    }

    /// Applies `fate` to versions, or to the current one.
    async fn decide(&self, place: Place<'_>, versions: Option<&[u64]>, fate: Fate) -> Result<KvAnswer, KvError> {
        if versions.is_some_and(<[u64]>::is_empty) {
            return Err(NO_VERSIONS);
        }
        let mut transaction = self.database.write(Scope::Secrets(place.namespace)).await?;
        transaction.namespace(place.namespace).await?;
        let Some(secret) = transaction.secret(place).await? else { return Ok(KvAnswer::Done) };
        let asked: BTreeSet<u64> =
            versions.map_or_else(|| [secret.current].into(), |list| list.iter().copied().collect());
        for row in transaction.versions(secret.id).await? {
            if asked.contains(&row.version) {
                apply(&mut transaction, secret.id, &row, fate).await?;
            }
        }
        transaction.commit().await?;
        Ok(KvAnswer::Done)
    }
}

async fn apply(transaction: &mut WriteTransaction, id: i64, row: &VersionRow, fate: Fate) -> Result<(), KvError> {
    match fate {
        // Keeps the time of the first deletion.
        Fate::Deleted(now) if !is_gone(row, now) => transaction.set_deletion(id, row.version, Some(now)).await?,
        Fate::Undeleted if !row.destroyed => transaction.set_deletion(id, row.version, None).await?,
        Fate::Destroyed if !row.destroyed => transaction.destroy(id, row.version).await?,
        _ => {}
    }
    Ok(())
}
