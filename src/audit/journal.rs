//! The journal: takes records without waiting, and says when it cannot.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::facts::{ClaimDetail, Facts};
use super::settings::{JournalSettings, OnFailure};
use super::sink::OpenSink;
use super::writer;
use crate::state::StateError;

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file.
    #[error(transparent)]
    State(#[from] StateError),
    /// The writer's thread.
    #[error("the audit writer cannot be started: {0}")]
    Thread(std::io::Error),
}

/// Records cannot be kept at the moment.
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
    /// Admitted and under way, or waiting now.
    pub pending: u64,
}

/// How long a sink may keep the writer waiting, without an answer, and count as well: a disk that hangs reports no error.
const STALLED: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// Room for one record: held from admission, or from the end of an exchange that minted nothing, until it is written.
/// Never held while waiting for callers or issuers: else whoever sends slowly would take everybody's room.
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
    /// Since when the sink has kept the writer waiting.
    pub(super) waits_since: Mutex<Option<Instant>>,
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) failures: AtomicU64,
    refused: AtomicU64,
}

impl Shared {
    /// Says that the writer now waits for the sink, or does no more.
    #[allow(clippy::disallowed_methods, reason = "measures how long a disk takes; decides about no token")]
    pub(super) fn waits(&self, waits: bool) {
        *self.waits_since.lock().unwrap_or_else(PoisonError::into_inner) = waits.then(Instant::now);
    }

    fn stalled(&self) -> bool {
        let since = *self.waits_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() > STALLED)
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

    /// Whether the sink takes records: it refused none lately, and keeps none waiting for longer than 5 s. Being
    /// full for a moment is no illness: whoever could bring that about could take every replica out of service.
    #[must_use]
    pub fn healthy(&self) -> bool {
        !self.shared.failing.load(Ordering::Relaxed) && !self.shared.stalled()
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

    /// Lets nothing more be minted, waits some seconds at most for what is being minted, writes and syncs what is there,
    /// and stops the writer. To be called once no exchange is under way; what a failing sink does not take within some seconds is lost, and counted. Blocks the thread.
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

    /// Whether it would be in vain to go on: nothing is reserved.
    pub(super) fn open_for_more(&self) -> Result<(), AuditUnavailable> {
        if self.settings.on_failure == OnFailure::Drop {
            return Ok(());
        }
        let refusal = if self.shared.stopping.load(Ordering::SeqCst) {
            AuditUnavailable::Closed
        } else if self.shared.failing.load(Ordering::Relaxed) {
            AuditUnavailable::Sink
        } else {
            return Ok(());
        };
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        Err(refusal)
    }

    /// Room for the record of an exchange that is about to mint, until it is written; with [`OnFailure::Drop`] perhaps
    /// none.
    pub(super) fn admit(&self) -> Result<Option<Slot>, AuditUnavailable> {
        // Reserved before asking whether the journal stops: either this sees that it does, or the writer waits for the
        // slot before it looks for the last time. Otherwise a token could be minted whose record nobody writes.
        let slot = self.reserve(self.settings.capacity);
        if let Err(refusal) = self.open_for_more() {
            self.free(slot);
            return Err(refusal);
        }
        if slot.is_none() && self.settings.on_failure == OnFailure::Deny {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(AuditUnavailable::Full);
        }
        Ok(slot)
    }

    /// Takes a record into the room that was reserved for it, or into what there is now; without room it is lost, and
    /// counted.
    pub(super) fn push(&self, slot: Option<Slot>, facts: Box<Facts>) {
        // The last eighth is for what is minted: else a flood of denials, which costs a caller nothing, would fill the
        // queue and stop everybody's exchanges.
        let for_denials = self.settings.capacity - self.settings.capacity / 8;
        let Some(Slot(())) = slot.or_else(|| self.reserve(for_denials)) else {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, under which the writer looks for the last time: a record is either seen by it, or lost here.
        if self.shared.closed.load(Ordering::Relaxed) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            self.shared.pending.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        waiting.push(facts);
    }

    fn reserve(&self, most: usize) -> Option<Slot> {
        if self.shared.pending.fetch_add(1, Ordering::SeqCst) < most {
            return Some(Slot(()));
        }
        self.shared.pending.fetch_sub(1, Ordering::SeqCst);
        None
    }

    fn free(&self, slot: Option<Slot>) {
        if let Some(Slot(())) = slot {
            self.shared.pending.fetch_sub(1, Ordering::SeqCst);
        }
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
