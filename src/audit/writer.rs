//! The one thread that serialises records, links and signs them, and writes them.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::park_timeout;
use std::time::Duration;

use super::audit_key::AuditKeys;
use super::begin::Begun;
use super::chain::Chain;
use super::facts::Facts;
use super::journal::Shared;
use super::outlets::chunk;
use super::record::write_line;
use super::sink::OpenSink;
use super::syncing::Syncing;
use crate::clock::Clock;

/// How often the writer looks. Nobody wakes it: a wake-up costs an exchange more than all the rest of its record.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Looks between two syncs.
const LOOKS_PER_SYNC: u32 = 100;
/// Syncs between two heads, where lines wait for one; also how often a new key is looked for.
const SYNCS_PER_HEAD: u32 = 5;
/// Syncs between two looks for files that are too old.
pub(super) const SYNCS_PER_SWEEP: u32 = 60;
/// How many lines, and bytes, wait for a head at most.
const LINES_PER_HEAD: u32 = 1000;
const BYTES_PER_HEAD: usize = 1024 * 1024;
/// How long a sink that refused is left alone.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// How often a sink that refuses is tried at shutdown.
const LAST_TRIES: u32 = 10;
/// How many looks the writer waits, once the journal stops, for exchanges that were admitted and are not recorded yet. They
/// have only to sign, so this is ample; it is bounded for the sake of one that never ends.
const LAST_LOOKS: u32 = 200;
/// How many bytes are handed over at once, about.
const CHUNK: usize = 256 * 1024;

/// Runs until the journal stops and everything is written.
pub(super) fn run(shared: &Shared, sink: OpenSink, begun: Begun, clock: Clock, syncing: Syncing) {
    let mut writer = Writer::new(shared, sink, begun, clock, syncing);
    let (mut batch, mut looks, mut last_looks) = (Vec::new(), 0, LAST_LOOKS);
    writer.write_first();
    loop {
        let stopping = shared.stopping.load(Ordering::SeqCst);
        let last;
        {
            let mut waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *waiting, &mut batch);
            shared.busy.store(!batch.is_empty(), Ordering::Relaxed);
            // A slot that is held will mint, or has minted: a token whose record came too late would be one that nobody
            // can account for.
            last = stopping && batch.is_empty() && (last_looks == 0 || shared.pending.load(Ordering::SeqCst) == 0);
            shared.closed.store(last, Ordering::Relaxed);
        }
        shared.look_at_outlets();
        let idle = batch.is_empty();
        writer.write(batch.drain(..));
        shared.busy.store(false, Ordering::Release);
        writer.end_sync(false);
        looks += 1;
        if last {
            writer.sign();
        }
        if last || looks >= LOOKS_PER_SYNC {
            looks = 0;
            writer.every_second(last);
        }
        if last {
            return;
        }
        if stopping && idle {
            last_looks = last_looks.saturating_sub(1);
        }
        if idle || !stopping {
            park_timeout(LOOK_EVERY);
        }
    }
}

pub(super) struct Writer<'a> {
    pub(super) shared: &'a Shared,
    pub(super) sink: OpenSink,
    pub(super) syncing: Syncing,
    /// As it is in the sink.
    pub(super) chain: Chain,
    pub(super) keys: AuditKeys,
    pub(super) clock: Clock,
    /// Kept, so that its pages are.
    text: Vec<u8>,
    /// Lines with which the chain begins, until the sink has them.
    pub(super) first: Vec<u8>,
    unsigned_bytes: usize,
    /// The line that the newest published head covers.
    pub(super) published: u64,
    /// The line that the head covers which is kept beside the keys, and the key that signed it; none before one of this run is.
    pub(super) kept: Option<(u64, String)>,
    pub(super) syncs: u32,
    /// When the last file was left because a sync failed, in syncs.
    pub(super) left: Option<u32>,
    /// The last sync failed: what was written may be lost, so the sink is not well before one succeeds.
    pub(super) unsynced: bool,
    last_tries: u32,
}

impl<'a> Writer<'a> {
    pub(super) fn new(shared: &'a Shared, sink: OpenSink, begun: Begun, clock: Clock, syncing: Syncing) -> Self {
        let Begun { chain, keys, lines, .. } = begun;
        Self {
            shared,
            sink,
            syncing,
            chain,
            keys,
            clock,
            text: Vec::with_capacity(2 * CHUNK),
            first: lines,
            unsigned_bytes: 0,
            published: 0,
            kept: None,
            syncs: 0,
            left: None,
            unsynced: false,
            last_tries: LAST_TRIES,
        }
    }
}

impl Writer<'_> {
    /// Writes records in chunks.
    fn write(&mut self, records: impl Iterator<Item = Box<Facts>>) {
        let mut records = records.peekable();
        let mut text = std::mem::take(&mut self.text);
        while records.peek().is_some() {
            text.clear();
            let mut chain = self.chain.clone();
            let (mut count, mut newest) = (0, i64::MIN);
            while let Some(facts) = records.next_if(|_| text.len() < CHUNK) {
                let start = text.len();
                newest = newest.max(facts.time.as_millis());
                if write_line(&mut text, facts).is_ok() {
                    chain.link(&mut text, start);
                    count += 1;
                } else {
                    text.truncate(start);
                    self.settle(&self.shared.lost, 1);
                }
            }
            if chain.unsigned >= LINES_PER_HEAD || self.unsigned_bytes + text.len() >= BYTES_PER_HEAD {
                self.signed(&mut chain, &mut text);
            }
            let taken = self.write_first() && self.append(chain, &text, newest, count);
            self.settle(if taken { &self.shared.written } else { &self.shared.lost }, count);
            self.rotate_if_full();
        }
        self.text = text;
    }

    /// Writes the lines with which the chain begins, if that is still to be done.
    pub(super) fn write_first(&mut self) -> bool {
        if self.first.is_empty() {
            return true;
        }
        let (first, chain) = (std::mem::take(&mut self.first), self.chain.clone());
        let taken = self.append(chain, &first, i64::MIN, 0);
        if !taken && self.first.is_empty() {
            self.first = first;
        }
        taken
    }

    /// Hands lines over, after which the chain is `chain`; whether they were taken. If not, the chain is as it was before.
    pub(super) fn append(&mut self, chain: Chain, text: &[u8], newest: i64, records: usize) -> bool {
        let taken = self.hand_over(text, newest);
        if taken {
            self.unsigned_bytes = if chain.unsigned == 0 { 0 } else { self.unsigned_bytes + text.len() };
            self.chain = chain;
            self.shared.offer(|| chunk(&self.chain.id, text, records));
        } else if let OpenSink::Stream(_) = self.sink
            && let Ok(mut fresh) = Chain::begin(self.chain.key.clone(), true)
        {
            // A part of them may be out, and cannot be taken back: no line may follow that could be taken for theirs.
            fresh.open_segment(&mut self.first, self.clock.now(), None);
            self.chain = fresh;
        }
        taken
    }

    /// Tries until the sink takes the chunk; once the journal stops, some times more. Whether it was taken.
    fn hand_over(&mut self, text: &[u8], newest: i64) -> bool {
        while self.waiting(|sink| sink.write(text, newest)).is_err() {
            self.refused();
            if self.shared.stopping.load(Ordering::SeqCst) {
                self.last_tries = self.last_tries.saturating_sub(1);
                if self.last_tries == 0 {
                    self.sink.give_up(text);
                    return false;
                }
            }
            park_timeout(RETRY_EVERY);
        }
        self.shared.failing.store(self.unsynced, Ordering::Relaxed);
        true
    }

    fn every_second(&mut self, last: bool) {
        self.syncs = self.syncs.wrapping_add(1);
        if self.syncs.is_multiple_of(SYNCS_PER_HEAD) {
            self.change_key();
            self.sign();
        }
        if self.syncs.is_multiple_of(SYNCS_PER_SWEEP) {
            self.sweep();
        }
        match last {
            true => self.sync(),
            false => self.begin_sync(),
        }
    }

    /// Waits until everything is on the disk.
    pub(super) fn sync(&mut self) {
        self.end_sync(true);
        let mut synced = self.waiting(OpenSink::sync);
        if synced.is_err() && self.leave_doubtful() {
            synced = self.waiting(OpenSink::sync);
        }
        self.unsynced = synced.is_err();
        if self.unsynced {
            self.refused();
        } else {
            self.shared.failing.store(false, Ordering::Relaxed);
            self.publish();
        }
    }

    /// Signs what no head covers yet.
    pub(super) fn sign(&mut self) {
        if self.chain.unsigned > 0 && self.first.is_empty() {
            let (mut chain, mut text) = (self.chain.clone(), Vec::new());
            self.signed(&mut chain, &mut text);
            self.append(chain, &text, i64::MIN, 0);
        }
    }

    pub(super) fn signed(&self, chain: &mut Chain, text: &mut Vec<u8>) {
        if let Err(error) = chain.sign(text, self.clock.now()) {
            tracing::error!(%error, "no head of the audit chain could be signed; lines wait for the next");
        }
    }

    /// Asks the sink, and lets it be seen how long it takes.
    pub(super) fn waiting(&mut self, ask: impl FnOnce(&mut OpenSink) -> io::Result<()>) -> io::Result<()> {
        self.shared.waits.begins();
        let answer = ask(&mut self.sink);
        self.shared.waits.ends();
        answer
    }

    fn settle(&self, counter: &AtomicU64, records: usize) {
        counter.fetch_add(u64::try_from(records).unwrap_or_default(), Ordering::Relaxed);
        self.shared.pending.fetch_sub(records, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.shared.failing.store(true, Ordering::Relaxed);
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
    }
}
