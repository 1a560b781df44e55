//! Where records end: a file that is rotated by size, or what can only be written to.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::Sink;
use super::stream::Stream;
use crate::clock::Timestamp;
use crate::state::{StateError, append_private_file};

/// A group may read the records: those who collect logs.
const WIDEST: u32 = 0o640;

/// A sink that takes whole lines.
pub(super) enum OpenSink {
    File(LogFile),
    Stream(Stream),
}

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// The length of what is known to be whole lines.
    good: u64,
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
            Self::File(file) if file.unsynced => {
                file.file.sync_data()?;
                file.unsynced = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The file, if it has lines that nobody has synced; whoever takes it does that, or says that it was not done.
    pub(super) fn to_sync(&mut self) -> io::Result<Option<File>> {
        match self {
            Self::File(file) if file.unsynced => {
                let same = file.file.try_clone()?;
                file.unsynced = false;
                Ok(Some(same))
            }
            _ => Ok(None),
        }
    }

    /// Says that what was taken to be synced was not.
    pub(super) fn is_not_synced(&mut self) {
        if let Self::File(file) = self {
            file.unsynced = true;
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
        let mut log = LogFile {
            path: path.to_owned(),
            file,
            good: found.len(),
            newest: i64::MIN,
            unsynced: false,
            rotate_bytes: rotate_bytes.max(1),
            keep,
            keep_for,
        };
        // Two writers would cut each other's lines and rotate each other's files.
        match log.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
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
        let mut start = vec![0; usize::try_from(self.good.min(16 * 1024)).unwrap_or_default()];
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
        if let Err(error) = self.file.write_all(lines) {
            let length = self.file.metadata().map_or(self.good, |found| found.len());
            let _ = self.file.set_len(self.good.min(length));
            return Err(error);
        }
        self.unsynced = true;
        self.good += u64::try_from(lines.len()).unwrap_or_default();
        self.newest = self.newest.max(newest);
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.good >= self.rotate_bytes
    }

    /// Sets the file aside and begins an empty one; the name that it has now. After an error the longer file goes on.
    pub(super) fn rotate(&mut self, now: Timestamp) -> io::Result<PathBuf> {
        self.file.sync_data()?;
        // After a restart nobody knows how new its records are.
        let mut stamp = self.newest.max(now.as_millis()).max(0);
        while rotated_name(&self.path, stamp).try_exists()? {
            stamp += 1;
        }
        let full = rotated_name(&self.path, stamp);
        fs::rename(&self.path, &full)?;
        match append_private_file(&self.path, WIDEST) {
            Ok(file) => {
                let _ = file.try_lock();
                self.file = file;
            }
            Err(error) => {
                fs::rename(&full, &self.path)?;
                return Err(io::Error::other(error));
            }
        }
        (self.good, self.newest, self.unsynced) = (0, i64::MIN, false);
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

/// The name of a full file: its newest record is of that moment, or before.
fn rotated_name(path: &Path, stamp: i64) -> PathBuf {
    let (stem, extension) = parts(path);
    path.with_file_name(format!("{stem}-{stamp:015}.{extension}"))
}

/// The full files beside `path`, oldest first, each with the moment that no record in it is after.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let (stem, extension) = parts(path);
    let stamp = |name: &str| {
        let stamp = name.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(&extension)?.strip_suffix('.')?;
        (stamp.len() == 15).then(|| stamp.parse().ok())?
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if let Some(stamp) = entry.file_name().to_str().and_then(stamp) {
            found.push((stamp, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>, default: &str| {
        part.map_or_else(|| default.to_owned(), |part| part.to_string_lossy().into_owned())
    };
    (text(path.file_stem(), "decisions"), text(path.extension(), "jsonl"))
}
