//! What the files of a journal are called: the one that is written, those that are full, and the lock.
//!
//! Decides their order, which is that of their names. Refuses to know what is in them.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The lock: a file that nobody lists as one of the journal's.
pub(super) fn lock_beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.lock"))
}

/// The name of a full file: its newest record is of that moment, or before.
pub(super) fn rotated_name(path: &Path, stamp: i64) -> PathBuf {
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
