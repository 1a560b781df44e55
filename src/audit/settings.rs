//! How records are kept: where, how many may wait, and what happens when they cannot be.

use std::path::PathBuf;
use std::time::Duration;

use super::facts::ClaimDetail;
use super::outlets::OutletSettings;
use crate::clock::Clock;

/// How records are kept.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// Where to.
    pub sink: Sink,
    /// How many records may wait for the disk at once. Default 8,192, some KiB each.
    pub capacity: usize,
    /// What happens while records cannot be kept.
    pub on_failure: OnFailure,
    /// What of the claims is kept.
    pub claims: ClaimDetail,
    /// The directory of the key that signs heads, made if it is missing (mode 0700); none: a key that lives as long as the
    /// process, which is good for a stream only.
    pub keys: Option<PathBuf>,
    /// Where records go besides.
    pub outlets: Vec<OutletSettings>,
    /// Where segments and heads have their times from.
    pub clock: Clock,
}

impl JournalSettings {
    /// Records in the file `path`, by the defaults.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        let keys = Some(path.with_file_name("audit-keys"));
        Self { keys, ..Self::new(Sink::File { path, rotate_bytes: 64 * 1024 * 1024, keep: 10, keep_for: None }) }
    }

    /// Records to `sink`, by the defaults, and a key that lives as long as the process.
    #[must_use]
    pub fn new(sink: Sink) -> Self {
        let (on_failure, claims) = (OnFailure::default(), ClaimDetail::default());
        Self { sink, capacity: 8192, on_failure, claims, keys: None, outlets: Vec::new(), clock: Clock::System }
    }
}

/// Where records go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// A file of JSON lines (mode 0600), or a pipe or device.
    File {
        /// Its path. Full files stand beside it as `<stem>-<milliseconds>.<extension>`.
        path: PathBuf,
        /// The size at which a file is full, in bytes. Default 64 MiB.
        rotate_bytes: u64,
        /// How many full files are kept. Default 10.
        keep: usize,
        /// How long a full file is kept after its newest record, if not for ever.
        keep_for: Option<Duration>,
    },
    /// Standard output, for whoever collects it.
    Stdout,
}

/// What happens while records cannot be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Nothing is minted.
    #[default]
    Deny,
    /// Exchanges go on; records that find no room are lost, and counted.
    Drop,
}
