//! What carries single use over a restart: segments of fixed-length records, each removed whole when all in it is over.
//!
//! An admission is handed to the operating system before the token is minted, so it survives the death of this process
//! at any moment. It is on the disk a second later ([`Journal::maintain`]): a machine that loses power may forget the
//! admissions of its last second. `docs/decisions/0021-replay-memory-over-restart.md` says why.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::memory::Key;
use crate::clock::Timestamp;
use crate::state::{DirLock, PrivateDir, StateError};

/// Sixteen bytes of key, eight of the end in milliseconds since the epoch, little-endian.
const RECORD: usize = 24;
/// A segment is closed at this many records, or at this age.
const SEGMENT_RECORDS: usize = 1 << 16;
const SEGMENT_AGE: Duration = Duration::from_secs(15 * 60);
const MAX_SEGMENT_BYTES: usize = 64 * SEGMENT_RECORDS * RECORD;
/// No token lives longer; a record that says so was damaged, and would fill the memory for ever.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the journal can not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory or a file in it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The disk refused.
    #[error("the disk refused: {0}")]
    Disk(#[from] std::io::Error),
}

#[derive(Debug)]
pub(super) struct Journal {
    dir: PrivateDir,
    current: Mutex<Current>,
    closed: Mutex<Vec<Segment>>,
    _lock: DirLock,
}

#[derive(Debug)]
struct Current {
    file: File,
    segment: Segment,
    bytes: u64,
    begun: Timestamp,
    /// Whether half a record may stand at the end.
    torn: bool,
}

/// A file, and the moment at which everything in it is over.
#[derive(Clone, Debug)]
struct Segment {
    number: u64,
    until: Timestamp,
}

impl Journal {
    /// Reads every segment, hands what is alive to `restore`, removes what is over, and begins a new segment. One
    /// process at a time: two that do not know each other's admissions would each admit a token.
    pub(super) fn open(
        dir: &PrivateDir,
        now: Timestamp,
        mut restore: impl FnMut(Key, Timestamp),
    ) -> Result<Self, JournalError> {
        let lock = dir.lock(".lock", PATIENCE)?;
        let (mut closed, mut last) = (Vec::new(), 0);
        for name in dir.names()? {
            let Some(number) = number_of(&name) else { continue };
            last = last.max(number);
            let content = dir.read(&name, MAX_SEGMENT_BYTES)?.unwrap_or_default();
            let mut until = now;
            // A last record that a crash cut off is ignored: whoever waited for it was never answered.
            let (records, _) = content.as_chunks::<RECORD>();
            for record in records {
                let Some((key, end)) = record.split_first_chunk::<16>() else { continue };
                let Some(end) = end.first_chunk() else { continue };
                let end = Timestamp::from_millis(i64::from_le_bytes(*end));
                if end > now && end <= now.plus(LONGEST) {
                    restore(*key, end);
                    until = until.max(end);
                }
            }
            if until > now {
                closed.push(Segment { number, until });
            } else {
                dir.remove(&name)?;
            }
        }
        let current = Current::begin(dir, last + 1, now)?;
        Ok(Self { dir: dir.clone(), current: Mutex::new(current), closed: Mutex::new(closed), _lock: lock })
    }

    /// Hands one record to the operating system: one `write`, about a microsecond.
    pub(super) fn append(&self, key: Key, until: Timestamp) -> Result<(), JournalError> {
        let mut record = [0; RECORD];
        if let Some((head, tail)) = record.split_first_chunk_mut::<16>() {
            *head = key;
            tail.copy_from_slice(&until.as_millis().to_le_bytes());
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.torn {
            // Half a record would shift every later one.
            current.file.set_len(current.bytes)?;
            current.torn = false;
        }
        if let Err(error) = current.file.write_all(&record) {
            current.torn = true;
            return Err(error.into());
        }
        current.bytes += RECORD as u64;
        current.segment.until = current.segment.until.max(until);
        Ok(())
    }

    pub(super) fn maintain(&self, now: Timestamp) -> Result<(), JournalError> {
        let full = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            let file = current.file.try_clone()?;
            let old = current.bytes > 0 && now.since(current.begun) >= SEGMENT_AGE;
            let full = old || current.bytes >= (SEGMENT_RECORDS * RECORD) as u64;
            let number = current.segment.number;
            drop(current);
            file.sync_data()?;
            full.then_some(number)
        };
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = full {
            let next = Current::begin(&self.dir, number + 1, now)?;
            let before = std::mem::replace(&mut *self.current.lock().unwrap_or_else(PoisonError::into_inner), next);
            closed.push(before.segment);
            before.file.sync_data()?;
        }
        for over in closed.extract_if(.., |segment| segment.until <= now) {
            self.dir.remove(&name_of(over.number))?;
        }
        Ok(())
    }
}

impl Current {
    fn begin(dir: &PrivateDir, number: u64, now: Timestamp) -> Result<Self, JournalError> {
        let file = dir.append(&name_of(number))?;
        Ok(Self { file, segment: Segment { number, until: now }, bytes: 0, begun: now, torn: false })
    }
}

fn name_of(number: u64) -> String {
    format!("admitted-{number:020}.log")
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("admitted-")?.strip_suffix(".log")?.parse().ok()
}
