//! The keys of several replicas: which of them moves the keys on, and until when a replica may rely on what it last read.
//!
//! Every replica looks at the manifest's version every five seconds, and takes over what changed. The one that holds a lease
//! takes the steps that are due; that no step is taken twice does not rest on the lease, but on every write being a write to
//! the version that was read, and on the lease still being held where it is made. A holder that slept past its lease, and
//! whose place somebody took, writes nothing.
//!
//! # What a replica that cannot read may still do
//! Let it have read the manifest last at `R`. A key that was prepared after `R` signs at `R` + `publish_ahead` + a minute
//! at the earliest. Until then the set that it read is right, if no verifier keeps it longer: `max-age` shrinks
//! ([`Reading::max_age`]). After that it does not know the keys any more, and says that it is not ready
//! ([`Reading::is_current`]). What its key signs stays verifiable as long as a key that retired right after `R` is
//! published, so no token is signed that lives beyond ([`Reading::signs_until`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Mutex;

use super::changes::{Change, advanced};
use super::key_database::KeyDatabase;
use super::key_error::KeyError;
use super::key_settings::{KeyInfo, KeySettings};
use super::manifest::{Manifest, NOTICE, Rotation, Rules};
use super::snapshot::Snapshot;
use super::{MAX_LIFETIME, TICK_EVERY};
use crate::clock::Timestamp;
use crate::jose::{SealingError, random};
use crate::state::database::{Fence, LeaseRow};

const LEASE: &str = "signing-keys";
/// How long a lease lasts; it is renewed when a third of it is over.
const LEASE_FOR: Duration = Duration::from_secs(30);
const RENEW_BEFORE: Duration = Duration::from_secs(20);
/// How long after its end a lease is left to its holder, whose clock may be behind ours by as much.
const SKEW: Duration = Duration::from_secs(15);
/// How often a manifest that changes while it is read is read anew.
const TRIES: u32 = 5;

/// The ring of one replica.
pub(super) struct SharedKeys {
    store: KeyDatabase,
    settings: KeySettings,
    rules: Rules,
    /// Names this process among those that share the database.
    holder: String,
    held: Mutex<Held>,
    /// When the manifest was last known to be the current one, in milliseconds.
    read_ms: AtomicI64,
}

/// What was read last.
struct Held {
    version: u64,
    manifest: Manifest,
    looked: Timestamp,
    lease_until: Option<Timestamp>,
}

/// How far a ring may rely on what it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When it was read.
    pub read: Timestamp,
    publish_ahead: Duration,
}

impl Reading {
    /// How long verifiers may keep the published set from `now` on.
    #[must_use]
    pub fn max_age(&self, now: Timestamp) -> Duration {
        self.published_until().since(now).min(self.publish_ahead)
    }

    /// Whether the published set holds every key that signs at `now`.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        now < self.published_until()
    }

    /// When the last token must have expired that is signed without reading again.
    #[must_use]
    pub fn signs_until(&self) -> Timestamp {
        self.read.plus(MAX_LIFETIME + NOTICE)
    }

    fn published_until(&self) -> Timestamp {
        self.read.plus(self.publish_ahead + NOTICE)
    }
}

impl SharedKeys {
    /// Reads the keys; the first of all replicas makes the first one, or moves those of the data directory.
    pub(super) async fn open(
        settings: &KeySettings,
        store: KeyDatabase,
        now: Timestamp,
    ) -> Result<(Self, Snapshot), KeyError> {
        let rules = settings.rules()?;
        super::moving::move_directory(settings, &store, &rules, now).await?;
        let begun = begin(&store, &rules, now).await?;
        let (version, manifest, snapshot) = begun;
        let holder = URL_SAFE_NO_PAD.encode(random::<16>().map_err(SealingError::from)?);
        let held = Mutex::new(Held { version, manifest, looked: now.minus(TICK_EVERY), lease_until: None });
        let read_ms = AtomicI64::new(now.as_millis());
        Ok((Self { store, settings: settings.clone(), rules, holder, held, read_ms }, snapshot))
    }

    pub(super) fn reading(&self) -> Reading {
        let read = Timestamp::from_millis(self.read_ms.load(Ordering::Acquire));
        Reading { read, publish_ahead: self.settings.publish_ahead }
    }

    /// Looks, if the last look is five seconds ago; then, if it is this replica's turn, takes the steps that are due.
    pub(super) async fn tick(&self, current: &ArcSwap<Snapshot>, now: Timestamp) -> Result<(), KeyError> {
        let mut held = self.held.lock().await;
        // A clock that was set back does not put the next look off.
        if now < held.looked.plus(TICK_EVERY) && now >= held.looked {
            return Ok(());
        }
        held.looked = now;
        self.take_over(&mut held, current, now).await?;
        if self.is_elected(&mut held, now).await? {
            self.move_on(&mut held, current, now).await?;
        }
        Ok(())
    }

    pub(super) async fn rotate(
        &self,
        current: &ArcSwap<Snapshot>,
        how: Rotation,
        now: Timestamp,
    ) -> Result<KeyInfo, KeyError> {
        let next = self.store.rotate(&self.settings, how, now).await?;
        let mut held = self.held.lock().await;
        self.take_over(&mut held, current, now).await?;
        if self.is_elected(&mut held, now).await? {
            self.move_on(&mut held, current, now).await?;
        }
        Ok(next)
    }

    /// Takes over what another replica wrote.
    async fn take_over(&self, held: &mut Held, current: &ArcSwap<Snapshot>, now: Timestamp) -> Result<(), KeyError> {
        let found = self.store.database.signing_manifest_version().await?.unwrap_or(0);
        if found < held.version {
            return Err(KeyError::WentBack { seen: held.version, found });
        }
        if found > held.version {
            let (version, manifest, snapshot) = load(&self.store).await?;
            if version < held.version {
                return Err(KeyError::WentBack { seen: held.version, found: version });
            }
            current.store(Arc::new(snapshot));
            (held.version, held.manifest) = (version, manifest);
        }
        self.read_ms.store(now.as_millis(), Ordering::Release);
        Ok(())
    }

    /// Whether this replica moves the keys on: takes the lease where nobody has it, and keeps it.
    async fn is_elected(&self, held: &mut Held, now: Timestamp) -> Result<bool, KeyError> {
        if held.lease_until.is_some_and(|until| until.since(now) >= RENEW_BEFORE && until.since(now) <= LEASE_FOR) {
            return Ok(true);
        }
        held.lease_until = None;
        let over = now.minus(SKEW);
        let other = self.store.database.lease(LEASE).await?.filter(|lease| lease.holder != self.holder);
        if other.is_some_and(|lease| lease.until >= over && lease.until <= now.plus(LEASE_FOR + SKEW)) {
            return Ok(false);
        }
        let lease = LeaseRow { holder: self.holder.clone(), until: now.plus(LEASE_FOR) };
        if self.store.take_lease(LEASE, &lease, over).await? {
            held.lease_until = Some(lease.until);
        }
        Ok(held.lease_until.is_some())
    }

    /// Takes every step that is due. Where another replica was faster, its next look takes that over.
    async fn move_on(&self, held: &mut Held, current: &ArcSwap<Snapshot>, now: Timestamp) -> Result<(), KeyError> {
        let fence = Some(Fence { lease: LEASE, holder: &self.holder });
        if held.manifest.next(&self.rules, now).is_some() {
            let (manifest, rules) = (held.manifest.clone(), self.rules);
            if let Some(change) = blocking(move || advanced(&manifest, &rules, now)).await? {
                if !self.store.write(held.version, &change, fence, now).await? {
                    held.lease_until = None;
                    return Ok(());
                }
                self.take_over(held, current, now).await?;
            }
        }
        // Only now the world can see a prepared key: its time ahead of use begins here.
        let mut noted = held.manifest.clone();
        if noted.note_published(now) && self.store.write(held.version, &Change::of(noted), fence, now).await? {
            self.take_over(held, current, now).await?;
        }
        Ok(())
    }
}

/// The keys as they are; the first of all is made where there are none.
async fn begin(store: &KeyDatabase, rules: &Rules, now: Timestamp) -> Result<(u64, Manifest, Snapshot), KeyError> {
    for _ in 0..TRIES {
        let (version, manifest) = store.read().await?.unwrap_or((0, Manifest::empty()));
        if manifest.active().is_some() {
            return load(store).await;
        }
        let rules = *rules;
        if let Some(change) = blocking(move || advanced(&manifest, &rules, now)).await? {
            // Of two that begin at once one is first; the other reads what that one wrote.
            store.write(version, &change, None, now).await?;
        }
    }
    Err(KeyError::Contended)
}

/// Reads the manifest and the private halves that it needs. One that is missing may have been retired meanwhile: then there is
/// another version.
async fn load(store: &KeyDatabase) -> Result<(u64, Manifest, Snapshot), KeyError> {
    let mut last = 0;
    for _ in 0..TRIES {
        let (version, manifest) = store.read().await?.ok_or(KeyError::WentBack { seen: last, found: 0 })?;
        match halves(store, &manifest).await {
            Err(KeyError::Missing(name)) if last == version => return Err(KeyError::Missing(name)),
            Err(KeyError::Missing(_)) => last = version,
            Err(other) => return Err(other),
            Ok(keys) => {
                let snapshot = Snapshot::of_keys(&manifest, keys)?;
                return Ok((version, manifest, snapshot));
            }
        }
    }
    Err(KeyError::Contended)
}

async fn halves(store: &KeyDatabase, manifest: &Manifest) -> Result<Vec<crate::jose::SigningKey>, KeyError> {
    let mut keys = Vec::new();
    for entry in manifest.keys.iter().filter(|entry| entry.state.needs_private()) {
        keys.push(store.signing_key(entry).await?);
    }
    Ok(keys)
}

/// An RSA key takes its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeyError> + Send + 'static,
) -> Result<T, KeyError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| KeyError::CutOff)?
}

#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the same tests over another engine")]
#[path = "shared_keys/tests.rs"]
mod on_postgres;
#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the same tests over another engine")]
mod tests;
