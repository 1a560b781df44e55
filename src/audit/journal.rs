//! The journal: takes records without waiting, and says when it can not.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::facts::{ClaimDetail, Facts};
use super::sink::OpenSink;
use super::writer;
use crate::state::StateError;

/// How records are kept.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// Where to.
    pub sink: Sink,
    /// How many exchanges may be under way or waiting for the disk at once. Default 8,192, some KiB each.
    pub capacity: usize,
    /// What happens while records can not be kept.
    pub on_failure: OnFailure,
    /// What of the claims is kept.
    pub claims: ClaimDetail,
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
    },
    /// Standard output, for whoever collects it.
    Stdout,
}

/// What happens while records can not be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Nothing is minted.
    #[default]
    Deny,
    /// Exchanges go on; records that find no room are lost, and counted.
    Drop,
}

/// Why the journal can not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file.
    #[error(transparent)]
    State(#[from] StateError),
    /// The writer's thread.
    #[error("the audit writer can not be started: {0}")]
    Thread(std::io::Error),
}

/// Records can not be kept at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditUnavailable {
    /// The sink refuses them.
    #[error("the audit sink refuses records")]
    Sink,
    /// Too many wait.
    #[error("too many audit records wait to be written")]
    Full,
    /// The journal was shut down.
    #[error("the audit journal is closed")]
    Closed,
}

/// What became of records, since the start; for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Handed to the sink.
    pub written: u64,
    /// Lost: no room for them, or given up at shutdown.
    pub lost: u64,
    /// Times that the sink refused.
    pub failures: u64,
    /// Exchanges refused because their record could not have been kept.
    pub refused: u64,
    /// Under way or waiting now.
    pub pending: u64,
}

/// Room for one record.
#[derive(Debug)]
pub(super) struct Slot(());

/// One writer for all exchanges. Closing a trail pushes onto a list under a lock and wakes nobody; the writer looks every
/// ten milliseconds, writes what is there by one `write`, and syncs every second. So a process that is killed may lose
/// the records of its last ten milliseconds, and a machine that loses power those of its last second.
pub struct Journal {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    settings: JournalSettings,
}

/// What exchanges and the writer share.
#[derive(Default)]
pub(super) struct Shared {
    #[allow(clippy::vec_box, reason = "an exchange copies a pointer under the lock, not the facts")]
    pub(super) waiting: Mutex<Vec<Box<Facts>>>,
    pub(super) pending: AtomicUsize,
    pub(super) stopping: AtomicBool,
    /// The writer has looked for the last time.
    pub(super) closed: AtomicBool,
    /// The writer holds records that it has not written yet.
    pub(super) busy: AtomicBool,
    pub(super) failing: AtomicBool,
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) failures: AtomicU64,
    refused: AtomicU64,
}

impl JournalSettings {
    /// Records in the file `path`, by the defaults.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self::new(Sink::File { path, rotate_bytes: 64 * 1024 * 1024, keep: 10 })
    }

    /// Records to `sink`, by the defaults.
    #[must_use]
    pub fn new(sink: Sink) -> Self {
        Self { sink, capacity: 8192, on_failure: OnFailure::default(), claims: ClaimDetail::default() }
    }
}

impl Journal {
    /// Opens the sink and starts the writer.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(settings: JournalSettings) -> Result<Arc<Self>, AuditError> {
        let sink = OpenSink::new(&settings.sink)?;
        let shared = Arc::<Shared>::default();
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || writer::run(&shared, sink)
            })
            .map_err(AuditError::Thread)?;
        Ok(Arc::new(Self { shared, writer: Mutex::new(Some(writer)), settings }))
    }

    /// Whether the sink takes records, and there is room for more.
    #[must_use]
    pub fn healthy(&self) -> bool {
        let shared = &self.shared;
        !shared.failing.load(Ordering::Relaxed) && shared.pending.load(Ordering::Relaxed) < self.settings.capacity
    }

    /// What became of records so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            written: read(&self.shared.written),
            lost: read(&self.shared.lost),
            failures: read(&self.shared.failures),
            refused: read(&self.shared.refused),
            pending: u64::try_from(self.shared.pending.load(Ordering::Relaxed)).unwrap_or(u64::MAX),
        }
    }

    /// Waits until every record that was closed before this call is written, at most `patience`; whether it came to
    /// that. Blocks the thread.
    pub fn flush(&self, patience: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        loop {
            let waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let settled = waiting.is_empty() && !self.shared.busy.load(Ordering::Acquire);
            drop(waiting);
            if settled || waited >= patience {
                return settled;
            }
            self.wake();
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }

    /// Writes and syncs what is there, and stops the writer. To be called once no exchange is under way; what a failing
    /// sink does not take within some seconds is lost, and counted. Blocks the thread.
    pub fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.wake();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }

    pub(super) fn claim_detail(&self) -> ClaimDetail {
        self.settings.claims
    }

    /// Room for one record, until it is written.
    pub(super) fn reserve(&self) -> Option<Slot> {
        if self.shared.pending.fetch_add(1, Ordering::Relaxed) < self.settings.capacity {
            return Some(Slot(()));
        }
        self.shared.pending.fetch_sub(1, Ordering::Relaxed);
        None
    }

    pub(super) fn admit(&self, has_room: bool) -> Result<(), AuditUnavailable> {
        if self.settings.on_failure == OnFailure::Drop {
            return Ok(());
        }
        let refusal = if self.shared.stopping.load(Ordering::Relaxed) {
            AuditUnavailable::Closed
        } else if self.shared.failing.load(Ordering::Relaxed) {
            AuditUnavailable::Sink
        } else if !has_room {
            AuditUnavailable::Full
        } else {
            return Ok(());
        };
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        Err(refusal)
    }

    /// Takes a record into the room that was reserved for it; without room it is lost, and counted.
    pub(super) fn push(&self, slot: Option<Slot>, facts: Box<Facts>) {
        if slot.is_none() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, under which the writer looks for the last time: a record is either seen by it, or lost here.
        if self.shared.closed.load(Ordering::Relaxed) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            self.shared.pending.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        waiting.push(facts);
    }

    fn wake(&self) {
        if let Some(writer) = &*self.writer.lock().unwrap_or_else(PoisonError::into_inner) {
            writer.thread().unpark();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journal({:?}, {:?})", self.settings.sink, self.counters())
    }
}
