//! How signing keys are kept, and what an operator may know about them.

use std::path::PathBuf;
use std::time::Duration;

use super::MAX_LIFETIME;
use super::key_error::KeyError;
use super::manifest::{KeyState, Rules};
use crate::clock::Timestamp;
use crate::jose::Algorithm;

/// How keys are kept.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// Where they come from.
    pub source: KeySource,
    /// How long a key is published before it signs: the `max-age` of our published key set. Default 1 h.
    pub publish_ahead: Duration,
    /// The leeway that verifiers grant to clocks; a retired key stays published for [`super::MAX_LIFETIME`] and this. Default
    /// 60 s.
    pub leeway: Duration,
}

/// Where signing keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Made, kept and rotated here, in `<data_dir>/keys`.
    Managed {
        /// The data directory.
        data_dir: PathBuf,
        /// ES256, EdDSA or RS256. Another one than before is prepared and activated like any new key.
        algorithm: Algorithm,
        /// The age at which a key is replaced; `None` for only by command. Default 30 days.
        rotate_every: Option<Duration>,
    },
    /// Made, kept and rotated in the database, by one of the replicas that share it.
    Database {
        /// The data directory, whose keys are moved into the database if it has any.
        data_dir: PathBuf,
        /// As above.
        algorithm: Algorithm,
        /// As above.
        rotate_every: Option<Duration>,
    },
    /// The operator's files (PKCS#8 PEM, not open to others): the first signs, all are published. Read again when they
    /// change; publishing ahead of use is then the operator's to do.
    Files(Vec<PathBuf>),
}

impl KeySettings {
    /// Keys in `data_dir` by the defaults.
    #[must_use]
    pub fn managed(data_dir: PathBuf) -> Self {
        let rotate_every = Some(Duration::from_secs(30 * 24 * 60 * 60));
        Self::new(KeySource::Managed { data_dir, algorithm: Algorithm::ES256, rotate_every })
    }

    /// Keys from `source`, else by the defaults.
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        Self { source, publish_ahead: Duration::from_secs(60 * 60), leeway: Duration::from_secs(60) }
    }
}

impl KeySettings {
    /// What the state machine waits for.
    pub(super) fn rules(&self) -> Result<Rules, KeyError> {
        let (KeySource::Managed { algorithm, rotate_every, .. } | KeySource::Database { algorithm, rotate_every, .. }) =
            &self.source
        else {
            return Err(KeyError::OperatorFiles);
        };
        Ok(Rules {
            algorithm: *algorithm,
            rotate_every: *rotate_every,
            publish_ahead: self.publish_ahead,
            overlap: MAX_LIFETIME + self.leeway,
        })
    }
}

/// What an operator may know about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The `kid`, its RFC 7638 thumbprint.
    pub key_id: Box<str>,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// When it was made; absent for an operator's file.
    pub created: Option<Timestamp>,
    /// Where it is in its life. An operator's file that is not the first counts as prepared.
    pub state: KeyState,
}
