//! From the directory to the database: the keys of a data directory go where the replicas share them, and tokens that they
//! signed stay good.
//!
//! Into an empty database the keys go as they are, private halves too. Where there are keys already, another replica's came
//! first: of this directory's keys, those that may have signed a live token are published until it has expired, and sign no
//! more. Then the directory is marked, and its private halves are destroyed: in clear beside a database that seals them they
//! would be all that a thief needs.

use std::path::PathBuf;

use super::changes::{Change, PrivateHalf};
use super::key_database::KeyDatabase;
use super::key_error::KeyError;
use super::key_settings::{KeySettings, KeySource};
use super::key_store::KeyStore;
use super::manifest::{Manifest, Rules};
use crate::clock::Timestamp;

const TRIES: u32 = 10;

/// Moves what is in `<data>/keys`, if anything is. Cut off at any point, the next start finishes it.
pub(super) async fn move_directory(
    settings: &KeySettings,
    store: &KeyDatabase,
    rules: &Rules,
    now: Timestamp,
) -> Result<(), KeyError> {
    let KeySource::Database { data_dir, .. } = &settings.source else { return Err(KeyError::NoDatabase) };
    let Some((manifest, private)) = blocking(data_dir.clone(), |directory| directory.contents()).await? else {
        return Ok(());
    };
    let mut private = Some(private);
    for _ in 0..TRIES {
        let change = match store.read().await? {
            None => {
                (0, Change { manifest: manifest.clone(), made: private.take().unwrap_or_default(), dropped: vec![] })
            }
            Some((version, mut there)) => {
                if !there.absorb(&manifest, rules, now) {
                    break;
                }
                (version, Change::of(there))
            }
        };
        if store.write(change.0, &change.1, None, now).await? {
            break;
        }
    }
    let moved = store.read().await?.is_some_and(|(_, there)| there.holds(&manifest));
    if !moved {
        return Err(KeyError::Contended);
    }
    blocking(data_dir.clone(), |directory| directory.mark_moved().map(|()| None)).await.map(|_: Option<()>| ())
}

type Contents = Option<(Manifest, Vec<PrivateHalf>)>;

async fn blocking<T: Send + 'static>(
    data_dir: PathBuf,
    work: impl FnOnce(&KeyStore) -> Result<Option<T>, KeyError> + Send + 'static,
) -> Result<Option<T>, KeyError> {
    let work = move || match KeyStore::find(&data_dir)? {
        Some(directory) => work(&directory),
        None => Ok(None),
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| KeyError::CutOff)?
}

impl KeyStore {
    /// The keys and their private halves; none where there are none, or they were moved.
    fn contents(&self) -> Result<Contents, KeyError> {
        let _lock = self.lock()?;
        if self.is_moved() {
            self.clear()?;
            return Ok(None);
        }
        if self.fingerprint().is_none() {
            return Ok(None);
        }
        let manifest = self.manifest()?;
        if manifest.keys.is_empty() {
            return Ok(None);
        }
        let mut private = Vec::new();
        for entry in manifest.keys.iter().filter(|entry| entry.state.needs_private()) {
            self.signing_key(entry)?;
            private.push(PrivateHalf { kid: entry.kid.clone(), pem: self.pem(entry)? });
        }
        Ok(Some((manifest, private)))
    }
}
