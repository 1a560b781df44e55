//! What carries single use over a restart: segments of fixed-length records, each removed whole a day after all in it
//! is over: the clock may be wrong.
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
use crate::state::{DirLock, PrivateDir, StateError, check_end, is_long_over};

/// Sixteen bytes of key, eight of the end in milliseconds since the epoch, little-endian.
const RECORD: usize = 24;
/// A segment is closed at this many records, or at this age.
const SEGMENT_RECORDS: usize = 1 << 16;
const SEGMENT_AGE: Duration = Duration::from_secs(15 * 60);
const MAX_SEGMENT_BYTES: usize = 64 * SEGMENT_RECORDS * RECORD;
/// No token ended before (September 2001): a record that says so was damaged.
const EARLIEST: Timestamp = Timestamp::from_secs(1_000_000_000);
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the journal cannot be read or written.
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
    /// Reads every segment, hands what is alive to `restore`, removes what is long over, and begins a new segment. One
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
            let (mut until, mut odd) = (None, false);
            // A last record that a crash cut off is ignored: whoever waited for it was never answered.
            let (records, _) = content.as_chunks::<RECORD>();
            for record in records {
                let Some((key, end)) = record.split_first_chunk::<16>() else { continue };
                let Some(end) = end.first_chunk() else { continue };
                let end = Timestamp::from_millis(i64::from_le_bytes(*end));
                // By a clock that is far behind, every record looks damaged: taken for that, each would be forgotten.
                check_end(&dir.join(&name), end, now)?;
                odd |= end < EARLIEST;
                until = until.max(Some(end));
                if end > now {
                    restore(*key, end);
                }
            }
            match until {
                // Left as it is, for whoever wants to know what happened to it.
                _ if odd => {}
                Some(until) if !is_long_over(until, now) => closed.push(Segment { number, until }),
                _ => dir.remove(&name)?,
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
        for over in closed.extract_if(.., |segment| is_long_over(segment.until, now)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{ReplayGuard, ReplaySettings};

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    #[test]
    fn two_processes_never_share_a_journal() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("replay")).unwrap();
        let held = dir.lock(".lock", Duration::ZERO).unwrap();
        let opener = std::thread::spawn({
            let dir = dir.clone();
            move || ReplayGuard::open(&ReplaySettings { capacity: 1, journal: Some(dir) }, NOW)
        });
        let error = opener.join().unwrap().err().unwrap();
        assert!(matches!(error, JournalError::State(StateError::Busy(_))), "{error}");
        drop(held);
    }
}
