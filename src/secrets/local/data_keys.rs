//! Data keys: one at a time per namespace for new writes, older ones for what they sealed. Decides when there is a new one;
//! keeps a bounded number of them unwrapped in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use super::error::LocalError;
use super::master_key::{MasterKey, MasterKeyId, MasterKeys};
use super::place;
use crate::clock::Timestamp;
use crate::jose::{MAX_MESSAGES_PER_KEY, SEALING_KEY_BYTES, SealingError, SealingKey, random};
use crate::state::database::{DataKeyRow, Database, NamespaceRow, Scope};

/// A data key seals no more once this many messages are counted in the database: half of what it may, so that what was
/// sealed and never committed, and so not counted, does not matter.
pub(super) const MAX_COUNTED: u64 = MAX_MESSAGES_PER_KEY / 2;
/// How many data keys are kept unwrapped.
const MAX_OPENED: usize = 4096;
/// How many rows are looked at at once while they are wrapped anew.
const BATCH: u32 = 100;

#[derive(Debug)]
pub(super) struct DataKeys {
    database: Database,
    /// Held for reading while a data key is wrapped and written: once others were taken up, nothing is written under a key
    /// from before.
    master: tokio::sync::RwLock<MasterKeys>,
    opened: RwLock<Opened>,
}

/// The unwrapped keys, by namespace and generation. A data key never changes, so nothing here ever goes stale.
#[derive(Debug, Default)]
struct Opened {
    keys: HashMap<Box<str>, BTreeMap<u64, Arc<SealingKey>>>,
    count: usize,
}

impl DataKeys {
    pub(super) async fn open(database: Database, master: MasterKeys) -> Result<Self, LocalError> {
        unwraps_all(&database, &master).await?;
        Ok(Self { database, master: tokio::sync::RwLock::new(master), opened: RwLock::default() })
    }

    /// A data key that sealed something.
    pub(super) async fn find(&self, namespace: &str, generation: u64) -> Result<Arc<SealingKey>, LocalError> {
        if let Some(key) = self.opened.read().unwrap_or_else(PoisonError::into_inner).find(namespace, generation) {
            return Ok(key);
        }
        let row = self.database.data_key(namespace, generation).await?;
        let row = row.ok_or_else(|| LocalError::NoDataKey { namespace: namespace.to_owned(), generation })?;
        let raw = unwrap(&*self.master.read().await, namespace, row).await?;
        let key = Arc::new(SealingKey::new(&raw)?);
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.keep(namespace, generation, &key);
        Ok(key)
    }

    /// The data key for new writes, made if there is none or if it has sealed enough.
    pub(super) async fn current(&self, namespace: &str, now: Timestamp) -> Result<(u64, Arc<SealingKey>), LocalError> {
        let generation = match self.database.namespace(namespace).await? {
            Some(NamespaceRow { current_key, sealed, .. }) if sealed < MAX_COUNTED => current_key,
            other => {
                let before = other.map(|row| row.current_key);
                self.rotate(namespace, before, now).await?;
                // Ours, or that of whoever was faster.
                before.map_or(1, |generation| generation + 1)
            }
        };
        Ok((generation, self.find(namespace, generation).await?))
    }

    /// Makes the data key that follows `before`, unless somebody else did already.
    pub(super) async fn rotate(&self, namespace: &str, before: Option<u64>, now: Timestamp) -> Result<(), LocalError> {
        let master = self.master.read().await;
        let raw: Zeroizing<[u8; SEALING_KEY_BYTES]> = Zeroizing::new(random()?);
        let generation = before.map_or(1, |generation| generation.saturating_add(1));
        let wrapped = wrap(master.first(), namespace, generation, raw.as_slice()).await?;
        let row =
            DataKeyRow { generation, master: master.first().id().bytes().to_vec(), wrapped, created: now, sealed: 0 };
        let mut transaction = self.database.write(Scope::Secrets(namespace)).await?;
        let found = transaction.namespace(namespace).await?;
        if found.map(|row| row.current_key) != before {
            return Ok(());
        }
        transaction.insert_data_key(namespace, &row).await?;
        match found {
            Some(_) => transaction.use_data_key(namespace, generation).await?,
            None => transaction.insert_namespace(namespace, generation).await?,
        }
        Ok(transaction.commit().await?)
    }

    /// Takes up other master keys, if they unwrap everything that is there.
    pub(super) async fn replace_master(&self, master: MasterKeys) -> Result<(), LocalError> {
        let mut held = self.master.write().await;
        unwraps_all(&self.database, &master).await?;
        *held = master;
        Ok(())
    }

    /// Wraps by the first master key what another one wraps, row by row: each is unwrapped, wrapped, unwrapped again to be
    /// sure, and replaced in a transaction of its own.
    pub(super) async fn rewrap(&self) -> Result<u64, LocalError> {
        let master = self.master.read().await;
        let first = master.first();
        let mut done = 0;
        loop {
            let rows = self.database.data_keys_not_under(first.id().bytes(), BATCH).await?;
            if rows.is_empty() {
                return Ok(done);
            }
            for (namespace, row) in rows {
                let raw = unwrap(&master, &namespace, row.clone()).await?;
                let wrapped = wrap(first, &namespace, row.generation, raw.as_slice()).await?;
                let mut transaction = self.database.write(Scope::Secrets(&namespace)).await?;
                let replaced = transaction.rewrap_data_key(&namespace, &row, first.id().bytes(), &wrapped).await?;
                transaction.commit().await?;
                done += u64::from(replaced);
            }
        }
    }
}

impl Opened {
    fn find(&self, namespace: &str, generation: u64) -> Option<Arc<SealingKey>> {
        self.keys.get(namespace)?.get(&generation).cloned()
    }

    fn keep(&mut self, namespace: &str, generation: u64, key: &Arc<SealingKey>) {
        if self.count >= MAX_OPENED {
            // Any namespace's: the map has no order, and to unwrap a key again takes one query.
            let other = self.keys.keys().find(|other| ***other != *namespace).cloned();
            let dropped = self.keys.remove(other.as_deref().unwrap_or(namespace));
            self.count -= dropped.map_or(0, |keys| keys.len());
        }
        let keys = self.keys.entry(Box::from(namespace)).or_default();
        self.count += usize::from(keys.insert(generation, Arc::clone(key)).is_none());
    }
}

/// Whether every master key that is needed was given.
pub(super) async fn unwraps_all(database: &Database, master: &MasterKeys) -> Result<(), LocalError> {
    for (id, count) in database.masters().await? {
        if master.find(&id).is_none() {
            let given: Vec<_> = master.all().map(|key| format!("`{}`", key.id())).collect();
            let missing = MasterKeyId::of_row(&id);
            return Err(LocalError::UnknownMasterKey { count, missing, given: given.join(", ") });
        }
    }
    Ok(())
}

/// Wraps, and unwraps what was wrapped: a data key that is lost here takes every value with it.
async fn wrap(master: &MasterKey, namespace: &str, generation: u64, raw: &[u8]) -> Result<Vec<u8>, LocalError> {
    let bound = place::of_data_key(namespace, generation, &master.id());
    let wrapped = master.wrap(&bound, raw).await?;
    if master.unwrap(&bound, wrapped.clone()).await?.as_slice() != raw {
        return Err(SealingError::Library.into());
    }
    Ok(wrapped)
}

async fn unwrap(
    master: &MasterKeys,
    namespace: &str,
    row: DataKeyRow,
) -> Result<Zeroizing<[u8; SEALING_KEY_BYTES]>, LocalError> {
    let DataKeyRow { generation, master: id, wrapped, .. } = row;
    let damaged = || LocalError::DataKey { namespace: namespace.to_owned(), generation };
    let key = master.find(&id).ok_or_else(damaged)?;
    let raw = key.unwrap(&place::of_data_key(namespace, generation, &key.id()), wrapped).await;
    let raw = raw.map_err(|_| damaged())?;
    let mut fixed = Zeroizing::new([0; SEALING_KEY_BYTES]);
    *fixed = raw.as_slice().try_into().map_err(|_| damaged())?;
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_keys_stay_in_memory_than_the_bound() {
        let mut opened = Opened::default();
        let key = Arc::new(SealingKey::new(&[1; SEALING_KEY_BYTES]).unwrap());
        for number in 0..MAX_OPENED + 100 {
            opened.keep(&format!("n{number}"), 1, &key);
            opened.keep(&format!("n{number}"), 1, &key);
        }
        let last = format!("n{}", MAX_OPENED + 99);
        assert!(opened.find(&last, 1).is_some() && opened.find(&last, 2).is_none());
        assert_eq!(opened.count, opened.keys.values().map(BTreeMap::len).sum::<usize>());
        assert!(opened.count <= MAX_OPENED);
        for generation in 0..2 * MAX_OPENED as u64 {
            opened.keep(&last, generation, &key);
        }
        assert!(opened.count <= MAX_OPENED);
    }
}
