//! The one thread that serialises records and waits for the disk.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::park_timeout;
use std::time::Duration;

use super::facts::Facts;
use super::journal::Shared;
use super::record::write_line;
use super::sink::OpenSink;

/// How often the writer looks. Nobody wakes it: a wake-up costs an exchange more than all the rest of its record.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Looks between two syncs.
const LOOKS_PER_SYNC: u32 = 100;
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
pub(super) fn run(shared: &Shared, sink: OpenSink) {
    let text = Vec::with_capacity(2 * CHUNK);
    let mut writer = Writer { shared, sink, text, unsynced: false, last_tries: LAST_TRIES };
    let (mut batch, mut looks, mut last_looks) = (Vec::new(), 0, LAST_LOOKS);
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
        let idle = batch.is_empty();
        writer.write(batch.drain(..));
        shared.busy.store(false, Ordering::Release);
        looks += 1;
        if last || looks >= LOOKS_PER_SYNC {
            looks = 0;
            writer.sync();
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

struct Writer<'a> {
    shared: &'a Shared,
    sink: OpenSink,
    /// Kept, so that its pages are.
    text: Vec<u8>,
    /// The last sync failed: what was written may be lost, so the sink is not well before one succeeds.
    unsynced: bool,
    last_tries: u32,
}

impl Writer<'_> {
    /// Writes records in chunks.
    fn write(&mut self, records: impl Iterator<Item = Box<Facts>>) {
        let mut records = records.peekable();
        let mut text = std::mem::take(&mut self.text);
        while records.peek().is_some() {
            text.clear();
            let (mut count, mut newest) = (0, i64::MIN);
            while let Some(facts) = records.next_if(|_| text.len() < CHUNK) {
                let start = text.len();
                newest = newest.max(facts.time.as_millis());
                if write_line(&mut text, facts).is_ok() {
                    count += 1;
                } else {
                    text.truncate(start);
                    self.settle(&self.shared.lost, 1);
                }
            }
            let taken = self.hand_over(&text, newest);
            self.settle(if taken { &self.shared.written } else { &self.shared.lost }, count);
        }
        self.text = text;
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

    fn sync(&mut self) {
        self.unsynced = self.waiting(OpenSink::sync).is_err();
        if self.unsynced {
            self.refused();
        } else {
            self.shared.failing.store(false, Ordering::Relaxed);
        }
    }

    /// Asks the sink, and lets it be seen how long it takes.
    fn waiting(&mut self, ask: impl FnOnce(&mut OpenSink) -> io::Result<()>) -> io::Result<()> {
        self.shared.waits(true);
        let answer = ask(&mut self.sink);
        self.shared.waits(false);
        answer
    }

    fn settle(&self, counter: &AtomicU64, records: usize) {
        counter.fetch_add(u64::try_from(records).unwrap_or_default(), Ordering::Relaxed);
        self.shared.pending.fetch_sub(records, Ordering::Relaxed);
    }

    fn refused(&self) {
        self.shared.failing.store(true, Ordering::Relaxed);
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
    }
}
