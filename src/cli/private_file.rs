//! A file that appears whole or not at all: where an issued token goes, for this user alone, and a file that is rewritten.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::CliError;

/// Writes `content` to `path`, mode 0600: a reader finds the old file or the new one. Replaces regular files only.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), CliError> {
    write_for(path, content, 0o600)
}

/// The same with another mode.
pub(super) fn write_for(path: &Path, content: &[u8], mode: u32) -> Result<(), CliError> {
    let failed = |error: io::Error| CliError::new(format!("cannot write `{}`: {error}", path.display()));
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => {
            return Err(CliError::new(format!(
                "`{}` is there and is no regular file; name another one",
                path.display()
            )));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    place(path, content, mode)
}

/// Rewrites a regular file, links to it followed; who may read it stays as it is.
pub(super) fn rewrite(path: &Path, content: &[u8]) -> Result<(), CliError> {
    let failed = |error: io::Error| CliError::new(format!("cannot write `{}`: {error}", path.display()));
    let path = path.canonicalize().map_err(failed)?;
    let mode = fs::metadata(&path).map_err(failed)?.permissions().mode();
    place(&path, content, mode & 0o777)
}

fn place(path: &Path, content: &[u8], mode: u32) -> Result<(), CliError> {
    let failed = |error: io::Error| CliError::new(format!("cannot write `{}`: {error}", path.display()));
    let Some(name) = path.file_name() else { return Err(CliError::new("`--out` names no file")) };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = directory.join(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    // What a process of this number left behind when it was killed: in a container, every process has the same one.
    let _ = fs::remove_file(&temporary);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        // Once more, because the process's mask took bits away.
        .and_then(|file| file.set_permissions(Permissions::from_mode(mode)).map(|()| file))
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(directory)?.sync_all());
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_is_replaced_whole_and_private_and_nothing_else_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("token");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let link = home.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(write(&link, b"x").is_err());
        assert!(write(home.path(), b"x").is_err());
        assert!(write(&home.path().join("missing/token"), b"x").is_err());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_a_killed_process_left_behind_stops_nothing_and_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (home.path().join("token"), home.path().join("elsewhere"));
        fs::write(&elsewhere, "mine").unwrap();
        symlink(&elsewhere, home.path().join(format!(".token.{}.new", std::process::id()))).unwrap();
        write_for(&path, b"new", 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!((fs::read(&path).unwrap(), fs::read(&elsewhere).unwrap()), (b"new".to_vec(), b"mine".to_vec()));
    }

    #[test]
    fn a_file_is_rewritten_through_a_link_and_keeps_its_mode() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("policy.yaml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        let link = home.path().join("link.yaml");
        symlink(&path, &link).unwrap();
        rewrite(&link, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o664);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(rewrite(&home.path().join("missing"), b"x").is_err());
    }
}
