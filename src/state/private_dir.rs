//! A directory that only this user may enter, with files that appear whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// Why state cannot be read or kept. Names files, never their content.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("cannot {doing} `{path}`: {source}")]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Others may enter, read or write.
    #[error("`{path}` is open to other users (mode {mode:04o}): `chmod {wanted:04o}` it, and ask who has read it")]
    Wide {
        /// Where.
        path: PathBuf,
        /// The mode found.
        mode: u32,
        /// The mode that is accepted.
        wanted: u32,
    },
    /// It is somebody else's, who may change its mode and its content at any time.
    #[error("`{path}` belongs to user {owner}: `chown` it to the user that cambio runs as, and ask who has read it")]
    Foreign {
        /// Where.
        path: PathBuf,
        /// The owner's number.
        owner: u32,
    },
    /// Longer than what is ever written there.
    #[error("`{path}` is longer than {most} bytes")]
    TooLong {
        /// Where.
        path: PathBuf,
        /// The bound, in bytes.
        most: usize,
    },
    /// Another process is at it.
    #[error("another process holds `{0}`")]
    Busy(PathBuf),
    /// The content makes no sense; it is left as it is.
    #[error("`{path}` is damaged: {what}; it was left as it is")]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An entry ends so far ahead that the clock must be far behind.
    #[error(
        "`{path}` has an entry that ends at {end}, and now is {now}: is the clock right? nothing was changed; if it is, the \
         file is damaged"
    )]
    Clock {
        /// Where.
        path: PathBuf,
        /// The end of the entry.
        end: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// No room for one more entry.
    #[error("`{0}` is full")]
    Full(PathBuf),
}

const ROOT: u32 = 0;

/// A directory of mode 0700 whose files have mode 0600.
#[derive(Clone, Debug)]
pub struct PrivateDir(PathBuf);

/// An exclusive advisory lock between processes, released when dropped (also by a crash: the system holds it).
#[derive(Debug)]
pub struct DirLock(#[allow(dead_code, reason = "held for its effect")] File);

impl PrivateDir {
    /// Opens the directory, made with mode 0700 if it is missing.
    ///
    /// # Errors
    /// [`StateError::Wide`] where group or others have any permission, [`StateError::Foreign`] where another user but root
    /// owns it, [`StateError::Io`].
    pub fn open(path: &Path) -> Result<Self, StateError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make", path))?;
        let found = fs::metadata(path).map_err(failed("look at", path))?;
        let mode = found.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(StateError::Wide { path: path.to_owned(), mode, wanted: 0o700 });
        }
        let dir = Self(path.to_owned());
        // A mode of 0700 keeps out everybody but the owner, who could read and replace keys and decisions. `/proc/self` is
        // root's where our binary has file capabilities; a file that we make settles it then.
        let ours = |looked: Option<u32>| looked == Some(found.uid());
        if found.uid() != ROOT && !ours(fs::metadata("/proc/self").ok().map(|own| own.uid())) && !ours(dir.own_uid()) {
            return Err(StateError::Foreign { path: path.to_owned(), owner: found.uid() });
        }
        Ok(dir)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the file `name` is, or would be.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Reads a file of at most `most` bytes; `None` if there is none.
    ///
    /// # Errors
    /// [`StateError::Wide`], [`StateError::TooLong`], [`StateError::Io`].
    pub fn read(&self, name: &str, most: usize) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
        match read_private_file(&self.join(name), most, 0o600) {
            Err(StateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Writes a file so that a reader, and a crash at any moment, finds the old content or the new: a temporary file,
    /// synced, renamed, and the directory synced.
    ///
    /// # Errors
    /// [`StateError::Io`]; the old content then stands, unless only the last sync failed.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        let (path, temporary) = (self.join(name), self.join(&format!(".{name}.new")));
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("replace", &temporary)(error)),
            _ => {}
        }
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
        written.map_err(|error| {
            let _ = fs::remove_file(&temporary);
            failed("write", &temporary)(error)
        })?;
        fs::rename(&temporary, &path).map_err(failed("write", &path))?;
        self.sync()
    }

    /// Opens a file for appending, made with mode 0600 if it is missing.
    ///
    /// # Errors
    /// [`StateError::Wide`], [`StateError::Io`].
    pub fn append(&self, name: &str) -> Result<File, StateError> {
        let file = append_private_file(&self.join(name), 0o600)?;
        self.sync()?;
        Ok(file)
    }

    /// Removes a file if it is there.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// The names in it, sorted; a name that is not UTF-8 is none of ours and left out.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn names(&self) -> Result<Vec<String>, StateError> {
        let entries = fs::read_dir(&self.0).map_err(failed("list", &self.0))?;
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("list", &self.0))?.file_name();
            names.extend(name.into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Takes the lock `name`, waiting at most `patience` for whoever holds it. Blocks the thread meanwhile.
    ///
    /// # Errors
    /// [`StateError::Busy`], [`StateError::Io`].
    pub fn lock(&self, name: &str, patience: Duration) -> Result<DirLock, StateError> {
        const STEP: Duration = Duration::from_millis(20);
        let path = self.join(name);
        let file = self.append(name)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(DirLock(file)),
                Err(TryLockError::WouldBlock) if waited < patience => {
                    std::thread::sleep(STEP);
                    waited += STEP;
                }
                Err(TryLockError::WouldBlock) => return Err(StateError::Busy(path)),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
            }
        }
    }

    /// Who owns a file that is made here: the user of this process.
    fn own_uid(&self) -> Option<u32> {
        let probe = self.join(&format!(".owner-{}", std::process::id()));
        let _ = fs::remove_file(&probe); // a crash may have left it
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe).ok()?;
        let _ = fs::remove_file(&probe);
        file.metadata().ok().map(|made| made.uid())
    }

    fn sync(&self) -> Result<(), StateError> {
        File::open(&self.0).and_then(|dir| dir.sync_all()).map_err(failed("sync", &self.0))
    }
}

/// Reads a file of at most `most` bytes that has no permission beyond `widest`. Follows symbolic links: Kubernetes mounts
/// secrets through them.
///
/// # Errors
/// [`StateError::Wide`], [`StateError::TooLong`], [`StateError::Io`].
pub fn read_private_file(path: &Path, most: usize, widest: u32) -> Result<Zeroizing<Vec<u8>>, StateError> {
    let file = File::open(path).map_err(failed("open", path))?;
    narrow(&file, path, widest)?;
    // Room for everything at once: a vector that grows would leave unzeroed copies of a key behind.
    let expected = file.metadata().map_or(most, |m| usize::try_from(m.len()).unwrap_or(most)).min(most);
    let mut content = Zeroizing::new(Vec::with_capacity(expected + 1));
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut content).map_err(failed("read", path))?;
    if content.len() > most {
        return Err(StateError::TooLong { path: path.to_owned(), most });
    }
    Ok(content)
}

/// Opens a file for appending, made with mode 0600 if it is missing; one that is there has no permission beyond `widest`.
/// What is no regular file (a pipe, a device) is the operator's to guard.
///
/// # Errors
/// [`StateError::Wide`], [`StateError::Io`].
pub fn append_private_file(path: &Path, widest: u32) -> Result<File, StateError> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failed("open", path))?;
    if file.metadata().map_err(failed("look at", path))?.is_file() {
        narrow(&file, path, widest)?;
    }
    Ok(file)
}

/// Looks at the opened file, not at its path, which could point elsewhere by now.
fn narrow(file: &File, path: &Path, widest: u32) -> Result<(), StateError> {
    let mode = file.metadata().map_err(failed("look at", path))?.permissions().mode() & 0o7777;
    if mode & 0o077 & !widest != 0 {
        return Err(StateError::Wide { path: path.to_owned(), mode, wanted: widest });
    }
    Ok(())
}

pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |source| StateError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("a/b")).unwrap();
        dir.write("x", b"one").unwrap();
        dir.write("x", b"two").unwrap();
        assert_eq!(dir.read("x", 3).unwrap().unwrap().as_slice(), b"two");
        assert!(matches!(dir.read("x", 2), Err(StateError::TooLong { most: 2, .. })));
        assert!(dir.read("y", 3).unwrap().is_none());
        assert_eq!(dir.names().unwrap(), ["x"]);
        assert_eq!(fs::metadata(dir.join("x")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[rstest]
    #[case(0o755)]
    #[case(0o710)]
    #[case(0o702)]
    fn a_directory_that_others_enter_is_refused(#[case] mode: u32) {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(PrivateDir::open(home.path()), Err(StateError::Wide { wanted: 0o700, .. })));
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("d")).unwrap();
        assert_eq!(dir.own_uid(), Some(fs::metadata(dir.path()).unwrap().uid()));
        assert!(dir.names().unwrap().is_empty());
        // Only root may give a directory away, and only root could enter it then.
        if std::os::unix::fs::chown(dir.path(), Some(65_534), None).is_ok() {
            assert!(matches!(PrivateDir::open(dir.path()), Err(StateError::Foreign { owner: 65_534, .. })));
        }
    }

    #[rstest]
    #[case(0o600, 0o600, true)]
    #[case(0o400, 0o600, true)]
    #[case(0o640, 0o600, false)]
    #[case(0o604, 0o600, false)]
    #[case(0o440, 0o640, true)] // how the kubelet mounts a Secret for an fsGroup
    #[case(0o660, 0o640, false)]
    #[case(0o644, 0o640, false)]
    fn a_file_that_others_reach_is_refused(#[case] mode: u32, #[case] widest: u32, #[case] fine: bool) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(read_private_file(&path, 9, widest).is_ok(), fine);
    }

    #[test]
    fn a_lock_is_held_by_one_and_freed_when_dropped() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("d")).unwrap();
        let held = dir.lock(".lock", Duration::ZERO).unwrap();
        assert!(matches!(dir.lock(".lock", Duration::from_millis(30)), Err(StateError::Busy(_))));
        drop(held);
        assert!(dir.lock(".lock", Duration::ZERO).is_ok());
    }

    #[test]
    fn an_obstacle_leaves_the_old_content() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("d")).unwrap();
        dir.write("x", b"old").unwrap();
        fs::create_dir(dir.join(".x.new")).unwrap();
        assert!(matches!(dir.write("x", b"new"), Err(StateError::Io { doing: "replace", .. })));
        assert_eq!(dir.read("x", 9).unwrap().unwrap().as_slice(), b"old");
    }
}
