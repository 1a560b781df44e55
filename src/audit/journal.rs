//! The journal: takes records without waiting, and says when it cannot.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::audit_key::AuditKeys;
use super::begin::begin;
use super::chain::SignedHead;
use super::facts::{ClaimDetail, Facts};
use super::fault::{AuditError, AuditUnavailable, Counters};
use super::outlets::outbox::{Chunk, Outbox};
use super::outlets::store::{DecisionRetention, keep};
use super::outlets::{self, OutletStatus};
use super::settings::{JournalSettings, OnFailure};
use super::sink::OpenSink;
use super::syncing::{Syncing, Wait};
use super::writer;
use crate::state::database::Database;

/// How long a sink may keep the writer waiting, without an answer, and count as well: a disk that hangs reports no error.
const STALLED: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// Room for one record: held from admission, or from the end of an exchange that minted nothing, until it is written.
/// Never held while waiting for callers or issuers: else whoever sends slowly would take everybody's room. Whoever holds it while
/// a store is asked is one of few: the engine bounds them, by [`Journal::capacity`].
#[derive(Debug)]
pub(super) struct Slot(());

/// One writer for all exchanges. Closing a trail pushes onto a list under a lock and wakes nobody; the writer looks every
/// ten milliseconds, writes what is there by one `write`, and has it synced every second. So a process that is killed may
/// lose the records of its last ten milliseconds, and a machine that loses power those of its last second.
pub struct Journal {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
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
    /// The sink keeps the writer waiting.
    pub(super) waits: Wait,
    /// A sync is under way beside the writer.
    pub(super) syncs: Wait,
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) failures: AtomicU64,
    refused: AtomicU64,
    /// Where lines go besides the sink.
    outlets: Mutex<Vec<Arc<Outbox>>>,
    /// One of them must have everything, and cannot.
    blocked: AtomicBool,
    /// The newest head that the disk has for sure.
    pub(super) head: watch::Sender<Option<Arc<SignedHead>>>,
}

impl Shared {
    /// Gives lines to everybody who wants them; nothing waits for anybody.
    pub(super) fn offer(&self, chunk: impl FnOnce() -> Chunk) {
        let outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        if !outlets.is_empty() {
            let chunk = chunk();
            outlets.iter().for_each(|outlet| outlet.offer(chunk.clone()));
        }
    }

    /// So that an exchange reads one flag.
    pub(super) fn look_at_outlets(&self) {
        let outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        self.blocked.store(outlets.iter().any(|outlet| outlet.blocks()), Ordering::Relaxed);
    }

    fn stalled(&self) -> bool {
        self.waits.is_longer_than(STALLED) || self.syncs.is_longer_than(STALLED)
    }
}

impl Journal {
    /// Opens the sink and starts the writer.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(settings: JournalSettings) -> Result<Arc<Self>, AuditError> {
        Self::open_with(settings, Syncing::start().map_err(AuditError::Thread)?)
    }

    pub(super) fn open_with(settings: JournalSettings, syncing: Syncing) -> Result<Arc<Self>, AuditError> {
        let mut sink = OpenSink::new(&settings.sink)?;
        let keys = AuditKeys::open(settings.keys.as_deref())?;
        let begun = begin(&mut sink, keys, settings.clock.now())?;
        let now = outlets::Place { chain: begun.chain.id.to_string(), seq: begun.from };
        let (outboxes, workers) = outlets::start(&settings, &now)?;
        let shared = Arc::new(Shared { outlets: Mutex::new(outboxes), ..Shared::default() });
        shared.look_at_outlets();
        // The chain's first lines are on their way.
        shared.busy.store(true, Ordering::Release);
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                let clock = settings.clock.clone();
                move || writer::run(&shared, sink, begun, clock, syncing)
            })
            .map_err(AuditError::Thread)?;
        let (writer, workers) = (Mutex::new(Some(writer)), Mutex::new(workers));
        Ok(Arc::new(Self { shared, writer, workers, settings }))
    }

    /// Keeps decisions in `database` from now on; the future does the work, beside the requests, and ends some time after
    /// [`Self::shutdown`].
    pub fn keep_in(&self, database: Database, retention: DecisionRetention) -> impl Future<Output = ()> + Send + use<> {
        let outbox = Arc::new(Outbox::new("store".to_owned(), OnFailure::Drop));
        self.shared.outlets.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&outbox));
        keep(database, outbox, self.shared.head.subscribe(), retention, self.settings.clock.clone())
    }

    /// How many records there is room for, until they are written.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.settings.capacity
    }

    /// How everybody is who gets the lines besides the file.
    #[must_use]
    pub fn outlets(&self) -> Vec<OutletStatus> {
        let outlets = self.shared.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        outlets.iter().map(|outlet| OutletStatus::of(outlet)).collect()
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
        self.close_outlets();
    }

    /// Lets the outlets deliver what waits, some seconds at most.
    fn close_outlets(&self) {
        const STEP: Duration = Duration::from_millis(10);
        let outlets = self.shared.outlets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        outlets.iter().for_each(|outlet| outlet.close());
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        let mut waited = Duration::ZERO;
        while waited < STALLED && workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }

    pub(super) fn claim_detail(&self) -> ClaimDetail {
        self.settings.claims
    }

    /// Whether it would be in vain to go on: nothing is reserved.
    pub(super) fn open_for_more(&self) -> Result<(), AuditUnavailable> {
        // An outlet that must have everything has its own word, whatever the file's is.
        let blocked = self.shared.blocked.load(Ordering::Relaxed);
        if self.settings.on_failure == OnFailure::Drop && !blocked {
            return Ok(());
        }
        let refusal = if blocked {
            AuditUnavailable::Sink
        } else if self.shared.stopping.load(Ordering::SeqCst) {
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
