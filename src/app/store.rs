//! Opens the database and the master key, and what stands on both: keys that replicas share.

use super::AppError;
use crate::accounts::{AccountSettings, Accounts, TokenKey};
use crate::clock::Timestamp;
use crate::config::{Config, MasterKeySource, SecretsSettings, StoreName};
use crate::mint::{KeyDatabase, KeySource};
use crate::secrets::local::{LocalError, MasterKey, MasterKeys, WrappedKeys};
use crate::state::database::{DATABASE_FILE, Database, DatabaseUrl};
use crate::state::{PrivateDir, StateError};

/// The database, the keys that wrap in it, and the shared keys that they wrap. Cheap to clone.
#[derive(Clone)]
pub(super) struct Keeping {
    pub(super) database: Database,
    pub(super) master: MasterKeys,
    pub(super) wrapped: WrappedKeys,
    /// Whether previous master keys were given, so that what they wrapped is to be wrapped anew.
    pub(super) rewraps: bool,
}

impl Keeping {
    /// Whether anything of the configuration needs it.
    pub(super) fn is_needed(config: &Config) -> bool {
        let keys = matches!(config.keys.source, KeySource::Database { .. });
        keys || config.database.is_some()
            || config.service_accounts.is_some()
            || config.admin_target.is_some()
            || config.secrets.mounts.iter().any(|mount| mount.store == StoreName::Local)
    }

    /// Opens both. A change of the master key is carried out here for the shared keys: what was wrapped by a previous one is
    /// wrapped by the first.
    pub(super) async fn open(
        url: Option<&DatabaseUrl>,
        settings: &SecretsSettings,
        data: &PrivateDir,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        let database = match url {
            Some(url) => Database::connect(url, now).await?,
            None => Database::open(data, now).await?,
        };
        let first = match &settings.master_key {
            MasterKeySource::File(path) => MasterKey::from_file(path).map_err(LocalError::from)?,
            MasterKeySource::Text(text) => MasterKey::from_text(text).map_err(LocalError::from)?,
            MasterKeySource::DataDirectory => MasterKey::embedded(data, &database).await?,
        };
        let previous = settings.previous_master_keys.iter().map(|path| MasterKey::from_file(path));
        let previous = previous.collect::<Result<Vec<_>, _>>().map_err(LocalError::from)?;
        let rewraps = !previous.is_empty();
        let master = MasterKeys::new(first, previous).map_err(LocalError::from)?;
        let wrapped = WrappedKeys::open(database.clone(), master.clone()).await?;
        if rewraps {
            let count = wrapped.rewrap().await?;
            tracing::info!(count, "shared keys wrapped by the first master key");
        }
        Ok(Self { database, master, wrapped, rewraps })
    }

    /// Service accounts, whose tokens are kept under a key that replicas share.
    pub(super) async fn accounts(&self, settings: AccountSettings, now: Timestamp) -> Result<Accounts, AppError> {
        let key = self.wrapped.obtain(WrappedKeys::SERVICE_ACCOUNT_TOKENS, now).await?;
        Ok(Accounts::open(self.database.clone(), TokenKey::new(&key), settings))
    }

    /// Where replicas keep their signing keys.
    pub(super) async fn signing_keys(&self, now: Timestamp) -> Result<KeyDatabase, AppError> {
        Ok(KeyDatabase::open(self.database.clone(), &self.wrapped, now).await?)
    }
}

/// The database of signing keys of a configuration that keeps them there, for a command beside the server; none where they
/// are files. Opens the database, and with it brings its layout up to date.
///
/// # Errors
/// [`AppError`].
pub async fn key_database(config: &Config, now: Timestamp) -> Result<Option<KeyDatabase>, AppError> {
    if !matches!(config.keys.source, KeySource::Database { .. }) {
        return Ok(None);
    }
    let data = PrivateDir::open(&config.data)?;
    let keeping = Keeping::open(config.database.as_ref(), &config.secrets, &data, now).await?;
    Ok(Some(keeping.signing_keys(now).await?))
}

/// The database of a configuration, for a command that only reads what is there; none where there is none yet. One that is
/// embedded is closed to everybody else while cambio runs.
///
/// # Errors
/// [`AppError`].
pub async fn existing_database(config: &Config, now: Timestamp) -> Result<Option<Database>, AppError> {
    if let Some(url) = &config.database {
        return Ok(Some(Database::connect(url, now).await?));
    }
    let file = config.data.join(DATABASE_FILE);
    let there = file.try_exists().map_err(|source| StateError::Io { doing: "look at", path: file.clone(), source })?;
    if !there {
        return Ok(None);
    }
    Ok(Some(Database::open(&PrivateDir::open(&config.data)?, now).await?))
}

/// The service accounts of a configuration, for a command beside the server, or before there is one: the first account is made
/// with it. Opens the database, and with it brings its layout up to date.
///
/// # Errors
/// [`AppError`].
pub async fn service_accounts(config: &Config, now: Timestamp) -> Result<Accounts, AppError> {
    let data = PrivateDir::open(&config.data)?;
    let keeping = Keeping::open(config.database.as_ref(), &config.secrets, &data, now).await?;
    keeping.accounts(config.service_accounts.unwrap_or_default(), now).await
}
