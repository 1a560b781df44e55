//! Where records end: a file that is rotated by size, or what can only be written to.
//!
//! Decides what is known of a file: up to where it has whole lines, and whether the disk has them. Two processes never write
//! to one journal: a lock beside it, which is never set aside, is held as long as the journal is open.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file_names::{lock_beside, rotated, rotated_name};
use super::settings::Sink;
use super::stream::Stream;
use crate::clock::Timestamp;
use crate::state::{StateError, append_private_file};

/// A group may read the records: those who collect logs.
const WIDEST: u32 = 0o640;
/// No header has as many bytes.
const LONGEST_HEADER: u64 = 16 * 1024;

/// A sink that takes whole lines.
pub(super) enum OpenSink {
    File(LogFile),
    Stream(Stream),
}

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Held for its effect: between the moment that a full file is set aside and that in which the next one is there, nobody
    /// else may begin one.
    _lock: File,
    /// The length of what is known to be whole lines.
    good: u64,
    /// There may be a piece of a line behind them, which is to be cut off before anything is written.
    frayed: bool,
    /// A sync failed. Linux then takes what it could not write for written, so that the next sync succeeds and says nothing
    /// (<https://lwn.net/Articles/752063/>): of this file nobody knows any more what the disk has.
    doubtful: bool,
    /// The time of the newest record in it, in milliseconds since the epoch.
    newest: i64,
    unsynced: bool,
    rotate_bytes: u64,
    keep: usize,
    keep_for: Option<Duration>,
}

impl OpenSink {
    pub(super) fn new(sink: &Sink) -> Result<Self, StateError> {
        match sink {
            // Not through `io::stdout`, whose buffer does not tell how much was taken.
            Sink::Stdout => match io::stdout().as_fd().try_clone_to_owned() {
                Ok(out) => Ok(Self::Stream(Stream::new(File::from(out)))),
                Err(source) => Err(StateError::Io { doing: "open", path: PathBuf::from("standard output"), source }),
            },
            Sink::File { path, rotate_bytes, keep, keep_for } => Self::open(path, *rotate_bytes, *keep, *keep_for),
        }
    }

    /// Writes whole lines, the newest of which is of the moment `newest`. After an error the same lines are to be given
    /// again, or to be given up: then none or, where they cannot be taken back, a part of them was written.
    pub(super) fn write(&mut self, lines: &[u8], newest: i64) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(lines, newest),
            Self::Stream(stream) => stream.write(lines),
        }
    }

    /// Says that `lines`, which were refused, do not come again.
    pub(super) fn give_up(&mut self, lines: &[u8]) {
        if let Self::Stream(stream) = self {
            stream.give_up(lines);
        }
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.sync(),
            Self::Stream(_) => Ok(()),
        }
    }

    /// The file, if it has lines that nobody has synced; whoever takes it does that, or says that it was not done. An error where
    /// no sync of this file says anything any more.
    pub(super) fn take_unsynced(&mut self) -> io::Result<Option<File>> {
        match self {
            Self::File(file) if file.doubtful => Err(doubtful()),
            Self::File(file) if file.unsynced => {
                let same = file.file.try_clone()?;
                file.unsynced = false;
                Ok(Some(same))
            }
            _ => Ok(None),
        }
    }

    /// Says that what was taken to be synced was not; `failed`: it was tried.
    pub(super) fn is_not_synced(&mut self, failed: bool) {
        if let Self::File(file) = self {
            file.unsynced = true;
            file.doubtful |= failed;
        }
    }

    fn open(path: &Path, rotate_bytes: u64, keep: usize, keep_for: Option<Duration>) -> Result<Self, StateError> {
        let failed = |doing| move |source| StateError::Io { doing, path: path.to_owned(), source };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(failed("make the directory of"))?;
        }
        let file = append_private_file(path, WIDEST)?;
        let found = file.metadata().map_err(failed("look at"))?;
        if !found.is_file() {
            // It has no length that could be cut, and no name that could be changed.
            return Ok(Self::Stream(Stream::new(file)));
        }
        // Two writers would cut each other's lines and rotate each other's files.
        let alone = |file: &File| match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(StateError::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed("lock")(error)),
        };
        let lock = append_private_file(&lock_beside(path), WIDEST)?;
        alone(&lock)?;
        // Looked at again: until the lock was ours, whoever had it may have set the file aside.
        let file = append_private_file(path, WIDEST)?;
        alone(&file)?;
        let mut log = LogFile {
            path: path.to_owned(),
            good: file.metadata().map_err(failed("look at"))?.len(),
            file,
            _lock: lock,
            frayed: false,
            doubtful: false,
            newest: i64::MIN,
            unsynced: false,
            rotate_bytes: rotate_bytes.max(1),
            keep,
            keep_for,
        };
        log.drop_torn_header().map_err(failed("write"))?;
        Ok(Self::File(log))
    }
}

impl LogFile {
    /// The newest file that has lines, and whether it is the one that is written to.
    pub(super) fn newest(&self) -> io::Result<Option<(PathBuf, bool)>> {
        if self.good > 0 {
            return Ok(Some((self.path.clone(), true)));
        }
        Ok(rotated(&self.path)?.pop().map(|(_, path)| (path, false)))
    }

    /// A crash in the first write to a new file leaves a piece of its header, which says nothing yet.
    fn drop_torn_header(&mut self) -> io::Result<()> {
        const HEADER: &[u8] = br#"{"v":1,"kind":"segment""#;
        use std::os::unix::fs::FileExt as _;
        // What is longer than any header is something else, and somebody's evidence perhaps.
        if self.good >= LONGEST_HEADER {
            return Ok(());
        }
        let mut start = vec![0; usize::try_from(self.good).unwrap_or_default()];
        File::open(&self.path)?.read_exact_at(&mut start, 0)?;
        let piece = !start.is_empty() && (start.starts_with(HEADER) || HEADER.starts_with(&start));
        if piece && !start.contains(&b'\n') {
            self.file.set_len(0)?;
            self.good = 0;
        }
        Ok(())
    }

    /// A line that a crash cut off stays by itself, and no record runs into it.
    pub(super) fn end_torn_line(&mut self) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let mut last = [b'\n'];
        if self.good > 0 {
            File::open(&self.path)?.read_exact_at(&mut last, self.good - 1)?;
        }
        if last != *b"\n" {
            self.file.write_all(b"\n")?;
            self.good += 1;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, lines: &[u8], newest: i64) -> io::Result<()> {
        // Behind a piece that could not be cut off, the next line would be none.
        self.cut_off()?;
        if let Err(error) = self.file.write_all(lines) {
            self.frayed = true;
            let _ = self.cut_off(); // else before the next line
            return Err(error);
        }
        self.unsynced = true;
        self.good += u64::try_from(lines.len()).unwrap_or_default();
        self.newest = self.newest.max(newest);
        Ok(())
    }

    fn cut_off(&mut self) -> io::Result<()> {
        if self.frayed {
            let length = self.file.metadata()?.len();
            self.file.set_len(self.good.min(length))?;
            self.frayed = false;
        }
        Ok(())
    }

    /// Waits for the disk. Once that failed it is an error until another file takes this one's place.
    fn sync(&mut self) -> io::Result<()> {
        if self.doubtful {
            return Err(doubtful());
        }
        if self.unsynced {
            self.file.sync_data().inspect_err(|_| self.doubtful = true)?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Whether a sync failed, so that only another file can be relied on.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    pub(super) fn is_full(&self) -> bool {
        self.good >= self.rotate_bytes
    }

    /// Sets the file aside and begins an empty one; the name that it has now. After an error the longer file goes on.
    pub(super) fn rotate(&mut self, now: Timestamp) -> io::Result<PathBuf> {
        self.cut_off()?;
        self.file.sync_data().inspect_err(|_| self.doubtful = true)?;
        // After a restart nobody knows how new its records are. Files are read, and removed, in the order of their names: a
        // clock that was set back, or a name that is free again, must not bring this one before others.
        let last = rotated(&self.path)?.pop().map_or(0, |(last, _)| last.saturating_add(1));
        let stamp = self.newest.max(now.as_millis()).max(last);
        let full = rotated_name(&self.path, stamp);
        fs::rename(&self.path, &full)?;
        match append_private_file(&self.path, WIDEST) {
            Ok(file) => {
                // Older versions look at this lock, and not at the one beside it.
                let _ = file.try_lock();
                self.file = file;
            }
            Err(error) => {
                fs::rename(&full, &self.path)?;
                return Err(io::Error::other(error));
            }
        }
        (self.good, self.newest, self.unsynced, self.doubtful) = (0, i64::MIN, false, false);
        Ok(full)
    }

    /// The full files that are to be removed, and the oldest that is kept.
    pub(super) fn expired(&self, now: Timestamp) -> io::Result<(Vec<PathBuf>, PathBuf)> {
        let mut old = rotated(&self.path)?;
        let end = self.keep_for.map_or(i64::MIN, |span| now.minus(span).as_millis());
        let beyond = old.len().saturating_sub(self.keep);
        // Only from the front: what is kept has no holes.
        let aged = old.iter().take_while(|(stamp, _)| *stamp < end).count();
        let kept = old.split_off(beyond.max(aged));
        let oldest = kept.into_iter().next().map_or_else(|| self.path.clone(), |(_, path)| path);
        Ok((old.into_iter().map(|(_, path)| path).collect(), oldest))
    }
}

fn doubtful() -> io::Error {
    io::Error::other("an earlier sync failed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::audit_key::AuditKeys;
    use crate::audit::begin::begin;
    use crate::audit::journal::Shared;
    use crate::audit::syncing::Syncing;
    use crate::audit::writer::Writer;
    use crate::clock::Clock;
    use std::fs::OpenOptions;
    use std::mem::replace;
    use std::sync::atomic::Ordering;

    fn home() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("decisions.jsonl");
        (home, path)
    }

    fn open(path: &Path) -> Result<LogFile, StateError> {
        match OpenSink::open(path, 1000, 3, None)? {
            OpenSink::File(file) => Ok(file),
            OpenSink::Stream(_) => panic!("a file is a file"),
        }
    }

    #[test]
    fn behind_a_piece_that_could_not_be_cut_off_nothing_is_written() {
        let (_home, path) = home();
        let mut log = open(&path).unwrap();
        log.write(b"one\n", 0).unwrap();
        // A file that can be neither written nor cut, and what a full disk left before that.
        let good = replace(&mut log.file, File::open(&path).unwrap());
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"tw").unwrap();
        assert!(log.write(b"two\n", 0).is_err());
        assert!(log.write(b"two\n", 0).is_err());
        log.file = good;
        log.write(b"two\n", 0).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn after_a_sync_that_failed_only_another_file_is_synced() {
        let (_home, path) = home();
        let mut log = open(&path).unwrap();
        log.write(b"one\n", 0).unwrap();
        let good = replace(&mut log.file, File::open("/dev/null").unwrap());
        assert!(log.sync().is_err(), "what has no disk cannot be synced");
        log.file = good;
        // The system would say yes now.
        assert!(log.file.sync_data().is_ok());
        assert!(log.sync().is_err() && log.is_doubtful());
        log.rotate(Timestamp::from_secs(1)).unwrap();
        assert!(!log.is_doubtful());
        log.write(b"two\n", 0).unwrap();
        log.sync().unwrap();
        assert_eq!((fs::read(&path).unwrap(), rotated(&path).unwrap().len()), (b"two\n".to_vec(), 1));
    }

    #[test]
    fn no_head_is_made_known_for_a_file_whose_sync_failed_and_another_one_begins() {
        let home = crate::audit::tests::home();
        let mut sink = OpenSink::open(&home.path, 100_000, 3, None).unwrap();
        let keys = || AuditKeys::open(Some(&home.path.with_file_name("audit-keys"))).unwrap();
        let begun = begin(&mut sink, keys(), Timestamp::from_secs(1)).unwrap();
        let shared = Shared::default();
        let mut writer = Writer::new(&shared, sink, begun, Clock::System, Syncing::start().unwrap());
        assert!(writer.write_first());
        writer.sync();
        let head = || keys().head().unwrap().unwrap();
        let (before, mut text) = (head(), Vec::new());
        let mut chain = writer.chain.clone();
        chain.removed(&mut text, vec![], (String::new(), 0), Timestamp::from_secs(2));
        writer.signed(&mut chain, &mut text);
        assert!(writer.append(chain, &text, 0, 0));
        let swap = |writer: &mut Writer<'_>, by: File| match &mut writer.sink {
            OpenSink::File(file) => replace(&mut file.file, by),
            OpenSink::Stream(_) => panic!("a file is a file"),
        };
        let good = swap(&mut writer, File::open("/dev/null").unwrap());
        writer.sync();
        assert!(shared.failing.load(Ordering::Relaxed) && head() == before);
        swap(&mut writer, good);
        writer.sync();
        assert!(!shared.failing.load(Ordering::Relaxed) && head() != before);
        assert_eq!((rotated(&home.path).unwrap().len(), writer.chain.segment), (1, 2));
        drop(writer);
        let mut verifier = crate::audit::Verifier::new();
        assert!(verifier.expect(&head()));
        verifier.journal(&home.path).unwrap();
        let report = verifier.finish();
        assert!(report.is_good(), "{report:?}");
    }

    #[test]
    fn nobody_else_begins_a_file_while_one_is_set_aside() {
        let (home, path) = home();
        let log = open(&path).unwrap();
        // The moment between two steps of a rotation.
        fs::rename(&path, home.path().join("decisions-000000000000001.jsonl")).unwrap();
        assert!(matches!(open(&path), Err(StateError::Busy(_))));
        drop(log);
        assert!(open(&path).is_ok());
    }

    #[test]
    fn files_are_named_in_their_order_though_the_clock_goes_back_and_old_names_are_free_again() {
        let (_home, path) = home();
        let mut log = open(&path).unwrap();
        for (nth, second) in [5, 5, 3, 9, 1, 1].into_iter().enumerate() {
            log.write(format!("{nth}\n").as_bytes(), 0).unwrap();
            log.rotate(Timestamp::from_secs(second)).unwrap();
            let (old, _) = log.expired(Timestamp::from_secs(0)).unwrap();
            old.iter().for_each(|file| fs::remove_file(file).unwrap());
        }
        let kept: String = rotated(&path).unwrap().iter().map(|(_, path)| fs::read_to_string(path).unwrap()).collect();
        assert_eq!(kept, "3\n4\n5\n");
    }

    /// A crash leaves a piece of a header. What is longer was put there by somebody, and stays.
    #[test]
    fn only_what_can_be_a_piece_of_a_header_is_dropped() {
        let header = br#"{"v":1,"kind":"segment","time":"2026"#.to_vec();
        let long = [&header[..], &[b'x'; 20_000][..]].concat();
        let whole = [&header[..], b"\n"].concat();
        for (content, kept) in
            [(header, false), (b"{".to_vec(), false), (long, true), (whole, true), (b"x".to_vec(), true)]
        {
            let (_home, path) = home();
            drop(open(&path).unwrap());
            fs::write(&path, &content).unwrap();
            drop(open(&path).unwrap());
            assert_eq!(fs::read(&path).unwrap().len(), if kept { content.len() } else { 0 });
        }
    }
}
