//! Lines that wait for an outlet: bounded, and never waited for by the writer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::audit::settings::OnFailure;

/// How many bytes wait for one outlet at most; a record has at most 64 KiB.
const MOST_BYTES: usize = if cfg!(test) { 128 * 1024 } else { 16 * 1024 * 1024 };
/// Beyond that nothing more is minted, where the outlet must have everything; up to this many bytes what was admitted before
/// finds room, and denials.
const MOST_BYTES_OF_ALL: usize = 4 * MOST_BYTES;

/// Whole lines of a chain, and how many of them are records.
#[derive(Clone)]
pub(in crate::audit) struct Chunk {
    pub(in crate::audit) chain: Arc<str>,
    pub(in crate::audit) text: Arc<[u8]>,
    pub(in crate::audit) records: u64,
}

/// What became of an outlet's records, since the start; for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutletCounters {
    /// Taken by the outlet.
    pub delivered: u64,
    /// Lost to it: no room, or given up. The file has them.
    pub dropped: u64,
    /// Times that it refused, or could not be reached.
    pub failures: u64,
    /// Bytes that wait.
    pub waiting_bytes: u64,
}

/// The queue before one outlet.
pub(in crate::audit) struct Outbox {
    pub(in crate::audit) name: String,
    pub(in crate::audit) on_failure: OnFailure,
    chunks: Mutex<VecDeque<Chunk>>,
    wake: Condvar,
    bytes: AtomicUsize,
    delivered: AtomicU64,
    dropped: AtomicU64,
    failures: AtomicU64,
    failing: AtomicBool,
    /// Something was dropped since the last delivery: told once, and not per record.
    dropping: AtomicBool,
    closing: AtomicBool,
}

impl Outbox {
    pub(in crate::audit) fn new(name: String, on_failure: OnFailure) -> Self {
        Self {
            name,
            on_failure,
            chunks: Mutex::default(),
            wake: Condvar::new(),
            bytes: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            dropping: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }
    }

    /// Takes lines if there is room for them, else counts them as dropped.
    pub(in crate::audit) fn offer(&self, chunk: Chunk) {
        let length = chunk.text.len();
        let most = if self.on_failure == OnFailure::Deny { MOST_BYTES_OF_ALL } else { MOST_BYTES };
        if self.bytes.load(Ordering::Relaxed) + length > most || self.closing.load(Ordering::Relaxed) {
            self.give_up(chunk.records);
            return;
        }
        self.bytes.fetch_add(length, Ordering::Relaxed);
        self.lock().push_back(chunk);
        self.wake.notify_one();
    }

    /// Counts records that the outlet does not get.
    pub(in crate::audit) fn give_up(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::Relaxed);
        if records > 0 && !self.dropping.swap(true, Ordering::Relaxed) {
            tracing::error!(sink = self.name, "audit records are dropped for a sink; the file has them");
        }
    }

    /// Chunks that wait, at least one and at most `most` bytes if they are several, at most after `patience`.
    pub(in crate::audit) fn wait(&self, most: usize, patience: Duration) -> Vec<Chunk> {
        let mut chunks = self.lock();
        if chunks.is_empty() && !self.closing.load(Ordering::Relaxed) {
            chunks = self.wake.wait_timeout(chunks, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        take(&mut chunks, most)
    }

    /// As [`Self::wait`], without waiting.
    pub(in crate::audit) fn ready(&self, most: usize) -> Vec<Chunk> {
        take(&mut self.lock(), most)
    }

    /// Says that the outlet has these, or that they were given up.
    pub(in crate::audit) fn done(&self, chunks: &[Chunk], delivered: bool) {
        if delivered {
            return self.done_but(chunks, 0);
        }
        let (bytes, records) = sizes(chunks);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.give_up(records);
    }

    /// Says that the outlet has these, but for so many records that it does not take.
    pub(in crate::audit) fn done_but(&self, chunks: &[Chunk], refused: u64) {
        let (bytes, records) = sizes(chunks);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.delivered.fetch_add(records.saturating_sub(refused), Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
        self.give_up(refused);
        if refused == 0 && self.dropping.swap(false, Ordering::Relaxed) {
            tracing::warn!(sink = self.name, "a sink takes audit records again");
        }
    }

    pub(in crate::audit) fn failed(&self, error: &dyn std::fmt::Display) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(sink = self.name, %error, "a sink takes no audit records; they wait");
        }
    }

    /// Whether it must have everything, and has too much waiting for that anything more could be promised.
    pub(in crate::audit) fn blocks(&self) -> bool {
        self.on_failure == OnFailure::Deny && self.bytes.load(Ordering::Relaxed) > MOST_BYTES
    }

    pub(in crate::audit) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(in crate::audit) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(in crate::audit) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.wake.notify_all();
    }

    /// Forgets what waits: it is counted as dropped, or comes from the file after the next start.
    pub(in crate::audit) fn abandon(&self, comes_later: bool) {
        let left = take(&mut self.lock(), usize::MAX);
        if comes_later { self.postpone(&left) } else { self.done(&left, false) }
    }

    /// Says that these come from the file after the next start.
    pub(in crate::audit) fn postpone(&self, chunks: &[Chunk]) {
        let (bytes, records) = sizes(chunks);
        self.settle(bytes);
        if records > 0 {
            tracing::warn!(sink = self.name, records, "a sink has not got everything; the next start goes on with it");
        }
    }

    /// Counts bytes that the file has and the outlet has not, as if they waited here: a restart is no way to get more minted.
    pub(in crate::audit) fn owe(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The opposite of [`Self::owe`].
    pub(in crate::audit) fn settle(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(in crate::audit) fn counters(&self) -> OutletCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OutletCounters {
            delivered: read(&self.delivered),
            dropped: read(&self.dropped),
            failures: read(&self.failures),
            waiting_bytes: self.bytes.load(Ordering::Relaxed) as u64,
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Chunk>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(chunks: &mut VecDeque<Chunk>, most: usize) -> Vec<Chunk> {
    let (mut taken, mut bytes) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.pop_front_if(|chunk| taken.is_empty() || bytes + chunk.text.len() <= most) {
        bytes = bytes.saturating_add(chunk.text.len());
        taken.push(chunk);
    }
    taken
}

fn sizes(chunks: &[Chunk]) -> (usize, u64) {
    chunks.iter().fold((0, 0), |(bytes, records), chunk| (bytes + chunk.text.len(), records + chunk.records))
}
