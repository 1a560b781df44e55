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

/// The names in use; each stands for one purpose, and for no other.
pub mod names {
    /// The key of the digests (HMAC-SHA-256) under which tokens of service accounts are kept.
    pub const SERVICE_ACCOUNT_TOKENS: &str = "service-account-tokens";
    /// The key that seals the private halves of signing keys, and the manifest of them.
    pub const SIGNING_KEYS: &str = "signing-keys";
}

/// The shared keys of a database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WrappedKeys {
    database: Database,
    master: MasterKeys,
}

impl WrappedKeys {
    /// The shared keys in `database`.
    ///
    /// # Errors
    /// [`LocalError::UnknownMasterKey`] where a key is wrapped by a master key that is not among `master`: nothing was changed
    /// then. [`LocalError::Database`].
    pub async fn open(database: Database, master: MasterKeys) -> Result<Self, LocalError> {
        unwraps_all(&database, &master).await?;
        Ok(Self { database, master })
    }

    /// The 32 random bytes of this name (see [`names`]): the same for everybody who asks this database, also where several
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
mod tests {
    use super::*;
    use crate::secrets::local::MasterKey;
    use crate::state::PrivateDir;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    async fn database() -> (tempfile::TempDir, Database) {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("data")).unwrap();
        let database = Database::open(&dir, NOW).await.unwrap();
        (home, database)
    }

    fn master(byte: u8) -> MasterKey {
        MasterKey::from_text(&format!("{}{}", "00".repeat(31), hex(byte))).unwrap()
    }

    fn hex(byte: u8) -> String {
        format!("{byte:02x}")
    }

    async fn keys(database: &Database, first: u8, others: &[u8]) -> Result<WrappedKeys, LocalError> {
        let others = others.iter().map(|byte| master(*byte)).collect();
        WrappedKeys::open(database.clone(), MasterKeys::new(master(first), others).unwrap()).await
    }

    #[tokio::test]
    async fn a_name_has_one_key_which_stays_and_is_nobody_elses() {
        let (_home, database) = database().await;
        let shared = keys(&database, 1, &[]).await.unwrap();
        let one = shared.obtain("one", NOW).await.unwrap();
        assert_eq!(*shared.obtain("one", NOW.plus(std::time::Duration::from_secs(9))).await.unwrap(), *one);
        assert_eq!(*keys(&database, 1, &[]).await.unwrap().obtain("one", NOW).await.unwrap(), *one);
        assert_ne!(*shared.obtain("two", NOW).await.unwrap(), *one);
        let row = database.wrapped_key("one").await.unwrap().unwrap();
        assert!(!row.wrapped.windows(16).any(|part| part == &one[..16]), "it is wrapped");
        assert_eq!(row.created, NOW);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_who_ask_at_once_for_the_first_time_get_the_same_key() {
        let (_home, database) = database().await;
        for round in 0..5 {
            let asking = (0..16).map(|_| {
                let database = database.clone();
                tokio::spawn(async move {
                    let shared = keys(&database, 1, &[]).await.unwrap();
                    *shared.obtain(&format!("round {round}"), NOW).await.unwrap()
                })
            });
            let mut got = Vec::new();
            for asking in asking.collect::<Vec<_>>() {
                got.push(asking.await.unwrap());
            }
            got.dedup();
            assert_eq!(got.len(), 1, "round {round}");
        }
    }

    #[rstest]
    #[case::swapped(
        "UPDATE wrapped_keys SET wrapped = (SELECT wrapped FROM wrapped_keys WHERE name = 'two') WHERE name = 'one'"
    )]
    #[case::renamed(
        "DELETE FROM wrapped_keys WHERE name = 'one'; UPDATE wrapped_keys SET name = 'one' WHERE name = 'two'"
    )]
    #[case::edited("UPDATE wrapped_keys SET wrapped = zeroblob(60) WHERE name = 'one'")]
    #[case::cut("UPDATE wrapped_keys SET wrapped = zeroblob(0) WHERE name = 'one'")]
    #[tokio::test]
    async fn a_row_that_was_tampered_with_is_refused_and_not_replaced(#[case] sql: &'static str) {
        let (_home, database) = database().await;
        let shared = keys(&database, 1, &[]).await.unwrap();
        shared.obtain("one", NOW).await.unwrap();
        let two = shared.obtain("two", NOW).await.unwrap();
        database.tamper(sql).await;
        for _ in 0..2 {
            let error = shared.obtain("one", NOW).await.unwrap_err();
            assert!(matches!(&error, LocalError::WrappedKey(name) if name == "one"), "{error}");
        }
        if !sql.contains("SET name") {
            assert_eq!(*shared.obtain("two", NOW).await.unwrap(), *two);
        }
    }

    #[tokio::test]
    async fn another_master_key_wraps_the_same_keys_anew() {
        let (_home, database) = database().await;
        let before = keys(&database, 1, &[]).await.unwrap();
        let one = before.obtain("one", NOW).await.unwrap();
        assert_eq!(before.rewrap().await.unwrap(), 0);

        let error = keys(&database, 2, &[]).await.unwrap_err();
        assert!(matches!(error, LocalError::UnknownMasterKey { count: 1, missing, .. } if missing == master(1).id()));

        let both = keys(&database, 2, &[1]).await.unwrap();
        assert_eq!((both.rewrap().await.unwrap(), both.rewrap().await.unwrap()), (1, 0));
        assert_eq!(*both.obtain("one", NOW).await.unwrap(), *one);
        assert_eq!(*keys(&database, 2, &[]).await.unwrap().obtain("one", NOW).await.unwrap(), *one);
        // A replica that was started with the old key alone says what it lacks, and makes no second key.
        assert!(matches!(before.obtain("one", NOW).await, Err(LocalError::UnknownMasterKey { .. })));
        assert_eq!(database.masters().await.unwrap(), [(master(2).id().bytes().to_vec(), 1)]);
    }
}
