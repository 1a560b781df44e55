//! Revocations in a file of one process: a line is appended, and the disk waited for.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::remembered::Remembered;
use super::{MAX_REVOCATIONS, MAX_TOKEN_ID_BYTES, well_formed};
use crate::clock::Timestamp;
use crate::state::private_dir::failed;
use crate::state::{DirLock, PrivateDir, StateError, check_end, is_long_over};

const FILE: &str = "revocations.log";
/// How many lines the file has at least before dead ones are worth dropping.
const COMPACT_AT: usize = 10_000;
/// One line: a sign and 19 digits at most, a space, the id, a line feed.
const MAX_FILE_BYTES: usize = 2 * MAX_REVOCATIONS * (MAX_TOKEN_ID_BYTES + 22);

/// Revoking appends one line `<exp> <jti>`.
#[derive(Debug)]
pub(super) struct Journal {
    remembered: Remembered,
    file: Mutex<Appender>,
    path: PathBuf,
    dir: PrivateDir,
    _lock: DirLock,
}

/// The file, how much of it is known to be whole lines, and how many.
#[derive(Debug)]
struct Appender {
    file: File,
    good: u64,
    lines: usize,
}

impl Journal {
    /// Opens the journal in `dir`: what expired more than a day ago is dropped from the file, a last line that a crash cut off is
    /// ignored (it was never acknowledged). One process at a time.
    ///
    /// # Errors
    /// [`StateError`]; [`StateError::Damaged`] for any other odd line: to start without it would bring a revoked token
    /// back to life; [`StateError::Clock`].
    pub(super) fn open(dir: &PrivateDir, now: Timestamp) -> Result<Self, StateError> {
        let lock = dir.lock(".revocations.lock", Duration::from_secs(5))?;
        let path = dir.join(FILE);
        let text = dir.read(FILE, MAX_FILE_BYTES)?.unwrap_or_default();
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |last| last + 1);
        let mut live = HashMap::new();
        for (number, line) in text.get(..whole).unwrap_or_default().split_inclusive(|b| *b == b'\n').enumerate() {
            let (token_id, expires) = read_line(line)
                .ok_or_else(|| StateError::Damaged { path: path.clone(), what: format!("line {}", number + 1) })?;
            check_end(&path, expires, now)?;
            // Also what has expired: a clock that is ahead may be set back, and must not bring a token back to life.
            if !is_long_over(expires, now) {
                live.insert(token_id, expires);
            }
        }
        let lines = text.split(|b| *b == b'\n').count();
        let appender = if lines != live.len() + 1 {
            Appender::compact(dir, &live)?
        } else {
            Appender { file: dir.append(FILE)?, good: u64::try_from(whole).unwrap_or(u64::MAX), lines: live.len() }
        };
        let file = Mutex::new(appender);
        Ok(Self { remembered: Remembered::new(live), file, path, dir: dir.clone(), _lock: lock })
    }

    /// Revokes a token until `expires`, its `exp`. Returns once the disk has it; blocks the thread meanwhile. Revoking
    /// again, or a token that expired more than a day ago, changes nothing.
    ///
    /// # Errors
    /// [`StateError::Io`], then the token is not revoked (RFC 7009 section 2.2.1 answers 503); [`StateError::Full`];
    /// [`StateError::Damaged`] for an id that could not have been minted here.
    pub(super) fn revoke(&self, token_id: &str, expires: Timestamp, now: Timestamp) -> Result<(), StateError> {
        if !well_formed(token_id) {
            return Err(StateError::Damaged { path: self.path.clone(), what: "the token id to be added".to_owned() });
        }
        if is_long_over(expires, now) || self.is_revoked(token_id) {
            return Ok(());
        }
        let mut appender = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&mut appender, now)?;
        appender.append(&format!("{} {token_id}\n", expires.as_secs())).map_err(failed("write", &self.path))?;
        self.remembered.insert([(Box::from(token_id), expires)]);
        Ok(())
    }

    pub(super) fn is_revoked(&self, token_id: &str) -> bool {
        self.remembered.contains(token_id)
    }

    pub(super) fn len(&self) -> usize {
        self.remembered.len()
    }

    /// Once the file has as many dead lines as live ones, drops what is long over, from memory and from the file.
    fn make_room(&self, appender: &mut Appender, now: Timestamp) -> Result<(), StateError> {
        if appender.lines >= COMPACT_AT.max(2 * self.len()) || self.len() >= MAX_REVOCATIONS {
            let kept = self.remembered.kept(now);
            *appender = Appender::compact(&self.dir, &kept)?;
            self.remembered.replace(kept);
        }
        if self.len() < MAX_REVOCATIONS { Ok(()) } else { Err(StateError::Full(self.path.clone())) }
    }
}

impl Appender {
    /// A file of exactly these entries.
    fn compact(dir: &PrivateDir, live: &HashMap<Box<str>, Timestamp>) -> Result<Self, StateError> {
        let mut text = String::with_capacity(live.len() * 40);
        for (token_id, expires) in live {
            let _ = writeln!(text, "{} {token_id}", expires.as_secs());
        }
        dir.write(FILE, text.as_bytes())?;
        let good = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(Self { file: dir.append(FILE)?, good, lines: live.len() })
    }

    /// Appends a line and waits for the disk. A line that got onto the disk in part is cut off again, now or before the
    /// next one, so that it cannot run into it.
    fn append(&mut self, line: &str) -> std::io::Result<()> {
        self.file.set_len(self.good)?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.good += u64::try_from(line.len()).unwrap_or_default();
                self.lines += 1;
            }
            Err(_) => drop(self.file.set_len(self.good)),
        }
        written
    }
}

/// What a journal in `dir` holds, for a database that takes its place; nothing where there is none.
pub(super) fn left_behind(dir: &PrivateDir, now: Timestamp) -> Result<HashMap<Box<str>, Timestamp>, StateError> {
    match dir.read(FILE, MAX_FILE_BYTES)? {
        Some(_) => Ok(Journal::open(dir, now)?.remembered.kept(now)),
        None => Ok(HashMap::new()),
    }
}

fn read_line(line: &[u8]) -> Option<(Box<str>, Timestamp)> {
    let (expires, token_id) = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.split_once(' ')?;
    well_formed(token_id).then_some((Box::from(token_id), Timestamp::from_secs(expires.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::fs;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn home() -> (tempfile::TempDir, PrivateDir) {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("state")).unwrap();
        (home, dir)
    }

    const DAY: u64 = 86_400;

    fn later(secs: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(secs))
    }

    #[test]
    fn a_revocation_outlives_the_process_until_the_token_expires() {
        let (_home, dir) = home();
        let revocations = Journal::open(&dir, NOW).unwrap();
        assert!(!revocations.is_revoked("a"));
        revocations.revoke("a", later(60), NOW).unwrap();
        revocations.revoke("a", later(60), NOW).unwrap();
        revocations.revoke("b", later(600), NOW).unwrap();
        assert!(revocations.is_revoked("a") && !revocations.is_revoked("c"));
        drop(revocations);

        let again = Journal::open(&dir, later(60 + DAY)).unwrap();
        assert!(!again.is_revoked("a") && again.is_revoked("b"));
        assert_eq!(fs::read_to_string(dir.join(FILE)).unwrap(), "1795000600 b\n");
    }

    #[test]
    fn a_clock_that_is_ahead_forgets_no_revocation() {
        let (_home, dir) = home();
        Journal::open(&dir, NOW).unwrap().revoke("a", later(60), NOW).unwrap();
        let ahead = Journal::open(&dir, later(DAY)).unwrap();
        ahead.file.lock().unwrap().lines = COMPACT_AT;
        ahead.revoke("b", later(60), later(DAY)).unwrap();
        assert!(ahead.is_revoked("a") && ahead.is_revoked("b"), "the clock may be set right at any moment");
        drop(ahead);
        let right = Journal::open(&dir, NOW).unwrap();
        assert!(right.is_revoked("a") && right.is_revoked("b"));
    }

    #[test]
    fn a_clock_that_is_far_behind_stops_the_start() {
        let (_home, dir) = home();
        Journal::open(&dir, NOW).unwrap().revoke("a", later(60), NOW).unwrap();
        let error = Journal::open(&dir, Timestamp::from_secs(0)).unwrap_err();
        assert!(matches!(error, StateError::Clock { .. }));
        assert!(error.to_string().contains("is the clock right?"), "{error}");
        assert!(Journal::open(&dir, NOW).unwrap().is_revoked("a"));
    }

    #[test]
    fn a_line_that_a_crash_cut_off_is_ignored_and_the_next_one_is_whole() {
        let (_home, dir) = home();
        dir.write(FILE, b"1795000600 a\n17950006").unwrap();
        let revocations = Journal::open(&dir, NOW).unwrap();
        revocations.revoke("b", later(60), NOW).unwrap();
        drop(revocations);
        let again = Journal::open(&dir, NOW).unwrap();
        assert!(again.is_revoked("a") && again.is_revoked("b"));
    }

    #[rstest]
    #[case("x a\n1795000600 b\n")]
    #[case("1795000600\n1795000600 b\n")]
    #[case("1795000600 a b\n")]
    #[case("\n1795000600 b\n")]
    fn a_damaged_journal_stops_the_start_and_is_left_as_it_is(#[case] text: &str) {
        let (_home, dir) = home();
        dir.write(FILE, text.as_bytes()).unwrap();
        assert!(matches!(Journal::open(&dir, NOW), Err(StateError::Damaged { .. })));
        assert_eq!(fs::read_to_string(dir.join(FILE)).unwrap(), text);
    }

    #[rstest]
    #[case("")]
    #[case("a b")]
    #[case("a\n1795000600 c")]
    #[case("é")]
    fn an_id_that_would_break_the_journal_is_refused(#[case] token_id: &str) {
        let (_home, dir) = home();
        assert!(Journal::open(&dir, NOW).unwrap().revoke(token_id, later(60), NOW).is_err());
    }

    #[test]
    fn the_file_does_not_grow_with_what_has_expired() {
        let (_home, dir) = home();
        let revocations = Journal::open(&dir, NOW).unwrap();
        revocations.revoke("old", later(60), NOW).unwrap();
        revocations.revoke("new", later(600), NOW).unwrap();
        revocations.file.lock().unwrap().lines = COMPACT_AT;
        revocations.revoke("next", later(600), later(60 + DAY)).unwrap();
        assert_eq!(revocations.len(), 2);
        let text = fs::read_to_string(dir.join(FILE)).unwrap();
        assert_eq!(text, "1795000600 new\n1795000600 next\n");
        drop(revocations);
        assert!(Journal::open(&dir, NOW).unwrap().is_revoked("next"));
    }

    #[test]
    fn two_processes_never_share_the_journal() {
        let (_home, dir) = home();
        let held = dir.lock(".revocations.lock", Duration::ZERO).unwrap();
        let opener = std::thread::spawn({
            let dir = dir.clone();
            move || Journal::open(&dir, NOW).is_ok()
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!opener.is_finished());
        drop(held);
        assert!(opener.join().unwrap());
    }

    #[test]
    fn what_the_disk_refused_is_not_revoked_and_leaves_no_trace() {
        let (_home, dir) = home();
        let mut revocations = Journal::open(&dir, NOW).unwrap();
        revocations.revoke("a", later(60), NOW).unwrap();
        let good = revocations.file.get_mut().unwrap().good;
        revocations.file.get_mut().unwrap().file = File::open(dir.join(FILE)).unwrap(); // writing to it fails
        assert!(matches!(revocations.revoke("b", later(60), NOW), Err(StateError::Io { .. })));
        assert!(!revocations.is_revoked("b"));
        revocations.file.get_mut().unwrap().file = dir.append(FILE).unwrap();
        revocations.revoke("c", later(60), NOW).unwrap();
        assert_eq!(fs::metadata(dir.join(FILE)).unwrap().len(), good + 13);
    }
}
