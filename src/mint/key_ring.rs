//! The keys as the server uses them: one that signs, a published set, and a clock that moves them on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::key_database::KeyDatabase;
use super::key_error::KeyError;
use super::key_settings::{KeyInfo, KeySettings};
use super::local_keys::LocalKeys;
use super::manifest::Rotation;
use super::shared_keys::{Reading, SharedKeys};
use super::snapshot::Snapshot;
use crate::clock::Timestamp;
use crate::jose::{KeySet, SigningKey};

/// How often a server must call [`KeyRing::tick`] at least. It costs one look at a file, or at one row, while nothing is due.
pub const TICK_EVERY: Duration = Duration::from_secs(5);

/// The signing keys of a server.
///
/// Reading takes one atomic load; [`Self::tick`] and [`Self::rotate`] read and write files or the database. A change that
/// fails changes nothing: the keys in use stay in use.
pub struct KeyRing {
    current: Arc<ArcSwap<Snapshot>>,
    source: Source,
    publish_ahead: Duration,
}

enum Source {
    /// Files: looked after on a thread that may block.
    Local(Arc<Mutex<LocalKeys>>),
    /// The database.
    Shared(Box<SharedKeys>),
}

impl KeyRing {
    /// Reads the keys of this machine, or makes the first one. Reads and writes files: it belongs on a thread that may block.
    ///
    /// # Errors
    /// [`KeyError`]; a damaged or incomplete directory is left as it is. [`KeyError::NoDatabase`] where
    /// [`open_shared`](Self::open_shared) is meant.
    pub fn open(settings: &KeySettings, now: Timestamp) -> Result<Self, KeyError> {
        let (mut local, snapshot) = LocalKeys::open(settings, now)?;
        let current = Arc::new(ArcSwap::from_pointee(snapshot));
        // Keys that are there serve, also while a full disk stops the next step; later ticks report that.
        let _ = local.tick(&current, now);
        let source = Source::Local(Arc::new(Mutex::new(local)));
        Ok(Self { current, source, publish_ahead: settings.publish_ahead })
    }

    /// Reads the keys that replicas share, or makes the first one; of several that start at once one does. Keys of the data
    /// directory are moved into the database.
    ///
    /// # Errors
    /// [`KeyError`]: without the database there is no start.
    pub async fn open_shared(settings: &KeySettings, store: KeyDatabase, now: Timestamp) -> Result<Self, KeyError> {
        let (shared, snapshot) = SharedKeys::open(settings, store, now).await?;
        let current = Arc::new(ArcSwap::from_pointee(snapshot));
        // As above.
        let _ = shared.tick(&current, now).await;
        Ok(Self { current, source: Source::Shared(Box::new(shared)), publish_ahead: settings.publish_ahead })
    }

    /// The key that signs now.
    #[must_use]
    pub fn signer(&self) -> Arc<SigningKey> {
        Arc::clone(&self.current.load().signer)
    }

    /// The body of our published key set (RFC 7517 section 5): prepared, active and retiring keys.
    #[must_use]
    pub fn public_jwks(&self) -> Arc<str> {
        Arc::clone(&self.current.load().jwks)
    }

    /// How long verifiers may keep the set that is published at `now`: the `max-age` to send with it. Shorter, and zero in the
    /// end, where the database that others may write could not be read for a while.
    #[must_use]
    pub fn max_age(&self, now: Timestamp) -> Duration {
        self.reading().map_or(self.publish_ahead, |reading| reading.max_age(now))
    }

    /// How far the keys may be relied on that were read from a database; none where they are this machine's own.
    #[must_use]
    pub fn reading(&self) -> Option<Reading> {
        match &self.source {
            Source::Local(_) => None,
            Source::Shared(shared) => Some(shared.reading()),
        }
    }

    /// All keys, as an operator may see them.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.current.load().infos.clone()
    }

    /// The keys that verify our own tokens: the published ones.
    pub(super) fn own(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.load().own)
    }

    /// Takes the steps that are due, and takes over what another process changed. To be called every [`TICK_EVERY`].
    ///
    /// # Errors
    /// [`KeyError`]; the keys in use stay in use. The next try comes half a minute later for files, and with the next look at
    /// the database.
    pub async fn tick(&self, now: Timestamp) -> Result<(), KeyError> {
        match &self.source {
            Source::Shared(shared) => shared.tick(&self.current, now).await,
            Source::Local(local) => self.on_a_thread(local, move |keys, current| keys.tick(current, now)).await,
        }
    }

    /// Replaces the signing key, see [`Rotation`], and says which key comes next.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::OperatorFiles`] where the keys are not ours to rotate.
    pub async fn rotate(&self, how: Rotation, now: Timestamp) -> Result<KeyInfo, KeyError> {
        let rotate = move |keys: &mut LocalKeys, current: &ArcSwap<Snapshot>| {
            let next = keys.rotate(how, now)?;
            keys.tick(current, now)?;
            Ok(next)
        };
        match &self.source {
            Source::Shared(shared) => shared.rotate(&self.current, how, now).await,
            Source::Local(local) => self.on_a_thread(local, rotate).await,
        }
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        keys: &Arc<Mutex<LocalKeys>>,
        work: impl FnOnce(&mut LocalKeys, &ArcSwap<Snapshot>) -> Result<T, KeyError> + Send + 'static,
    ) -> Result<T, KeyError> {
        let (keys, current) = (Arc::clone(keys), Arc::clone(&self.current));
        let work = move || work(&mut keys.lock().unwrap_or_else(PoisonError::into_inner), &current);
        tokio::task::spawn_blocking(work).await.map_err(|_| KeyError::CutOff)?
    }
}
