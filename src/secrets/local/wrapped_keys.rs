//! Keys that replicas share: one per name, made once, kept in the database under the master key. Decides that all replicas get
//! the same key for a name, and that a key opens under its own name only; refuses to know what a key is used for.
//!
//! A key never changes once it was made: whoever has it may keep it. Another master key wraps it anew, and leaves it the same.

use zeroize::Zeroizing;

use super::LocalError;
use super::data_keys::unwraps_all;
use super::master_key::{MasterKeyId, MasterKeys};
use super::place;
use crate::clock::Timestamp;
use crate::jose::{SEALING_KEY_BYTES, SealingError, random};
use crate::state::database::{Database, Scope, WrappedKeyRow};

/// How many rows are looked at at once while they are wrapped anew.
const BATCH: u32 = 100;

/// The shared keys of a database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WrappedKeys {
    database: Database,
    master: MasterKeys,
}

impl WrappedKeys {
    /// The name of the key of the digests (HMAC-SHA-256) under which tokens of service accounts are kept.
    pub const SERVICE_ACCOUNT_TOKENS: &'static str = "service-account-tokens";
    /// The name of the key that seals the private halves of signing keys, and their manifest.
    pub const SIGNING_KEYS: &'static str = "signing-keys";

    /// The shared keys in `database`.
    ///
    /// # Errors
    /// [`LocalError::UnknownMasterKey`] where a key is wrapped by a master key that is not among `master`: nothing was changed
    /// then. [`LocalError::Database`].
    pub async fn open(database: Database, master: MasterKeys) -> Result<Self, LocalError> {
        unwraps_all(&database, &master).await?;
        Ok(Self { database, master })
    }

    /// The 32 random bytes of this name, which stands for one purpose and for no other: the same for everybody who asks this database, also where several
    /// ask for the first time at once. On the disk, wrapped, when this returns.
    ///
    /// # Errors
    /// [`LocalError::WrappedKey`] where the row was edited, or is another name's; [`LocalError::UnknownMasterKey`];
    /// [`LocalError::Database`]. A key that does not open is never replaced by a new one.
    pub async fn obtain(&self, name: &str, now: Timestamp) -> Result<Zeroizing<[u8; SEALING_KEY_BYTES]>, LocalError> {
        if let Some(row) = self.database.wrapped_key(name).await? {
            return self.unwrap(row).await;
        }
        let raw: Zeroizing<[u8; SEALING_KEY_BYTES]> = Zeroizing::new(random()?);
        let row = self.wrap(name, &raw, now).await?;
        let mut transaction = self.database.write(Scope::Keys).await?;
        transaction.insert_wrapped_key(&row).await?;
        transaction.commit().await?;
        // Ours, or that of whoever was faster: what everybody else reads, and nothing that only we have.
        let row = self.database.wrapped_key(name).await?;
        self.unwrap(row.ok_or_else(|| LocalError::NoWrappedKey(name.to_owned()))?).await
    }

    /// Wraps by the first master key what another one wraps, row by row: how many. Stopped at any point, it leaves every key
    /// wrapped by one of the given ones, and can be repeated.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn rewrap(&self) -> Result<u64, LocalError> {
        let first = self.master.first().id();
        let mut done = 0;
        loop {
            let rows = self.database.wrapped_keys_not_under(first.bytes(), BATCH).await?;
            if rows.is_empty() {
                return Ok(done);
            }
            for old in rows {
                let raw = self.unwrap(old.clone()).await?;
                let new = self.wrap(&old.name, &raw, old.created).await?;
                let mut transaction = self.database.write(Scope::Keys).await?;
                let replaced = transaction.rewrap_wrapped_key(&old, &new.master, &new.wrapped).await?;
                transaction.commit().await?;
                done += u64::from(replaced);
            }
        }
    }

    /// Wraps, and unwraps what was wrapped: a key that is lost here takes with it what it is for.
    async fn wrap(
        &self,
        name: &str,
        raw: &[u8; SEALING_KEY_BYTES],
        created: Timestamp,
    ) -> Result<WrappedKeyRow, LocalError> {
        let master = self.master.first();
        let bound = place::of_wrapped_key(name, &master.id());
        let wrapped = master.wrap(&bound, raw).await?;
        if master.unwrap(&bound, wrapped.clone()).await?.as_slice() != raw {
            return Err(SealingError::Library.into());
        }
        Ok(WrappedKeyRow { name: name.to_owned(), master: master.id().bytes().to_vec(), wrapped, created })
    }

    async fn unwrap(&self, row: WrappedKeyRow) -> Result<Zeroizing<[u8; SEALING_KEY_BYTES]>, LocalError> {
        let damaged = || LocalError::WrappedKey(row.name.clone());
        let Some(master) = self.master.find(&row.master) else {
            let given: Vec<_> = self.master.all().map(|key| format!("`{}`", key.id())).collect();
            let missing = MasterKeyId::of_row(&row.master);
            return Err(LocalError::UnknownMasterKey { count: 1, missing, given: given.join(", ") });
        };
        let raw = master.unwrap(&place::of_wrapped_key(&row.name, &master.id()), row.wrapped.clone()).await;
        let raw = raw.map_err(|_| damaged())?;
        let mut fixed = Zeroizing::new([0; SEALING_KEY_BYTES]);
        *fixed = raw.as_slice().try_into().map_err(|_| damaged())?;
        Ok(fixed)
    }
}

#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the same tests over another engine")]
#[path = "wrapped_keys/tests.rs"]
mod on_postgres;
#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the same tests over another engine")]
mod tests;
