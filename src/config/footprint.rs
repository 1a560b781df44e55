//! What the files behind a configuration look like from outside: enough to see that something changed, cheap enough to
//! look every second (`docs/decisions/0033-reload-by-looking.md` says why nothing is subscribed to).
//!
//! Decides what counts as a change: a name that came or went, another file under a name, other bytes in it as far as size
//! and times tell, a symbolic link that leads elsewhere. Refuses to read any file.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::jose::{Sha256, sha256};
use crate::policy::limits::DIRECTORY_DEPTH;

/// Most entries that are looked at below one place; what lies beyond is not watched, and could not be loaded either.
const MOST_ENTRIES: usize = 200_000;

/// How files and directories looked at one moment, place by place. Equal looks mean that nothing changed between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint(Vec<Sha256>);

impl Footprint {
    /// How these files and directories look now. What is missing or may not be read looks like that, and not like an
    /// empty directory.
    #[must_use]
    pub fn of(places: &[PathBuf]) -> Self {
        Self(places.iter().map(|place| Look::at(place)).collect())
    }

    /// This one's places, then the other's.
    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// One look at one place.
struct Look {
    seen: Vec<u8>,
    left: usize,
}

impl Look {
    fn at(place: &Path) -> Sha256 {
        let mut look = Self { seen: Vec::with_capacity(4096), left: MOST_ENTRIES };
        look.entry(place, DIRECTORY_DEPTH + 1);
        sha256(&look.seen)
    }

    fn entry(&mut self, path: &Path, depth: usize) {
        let found = fs::symlink_metadata(path).and_then(|own| {
            if own.is_symlink() {
                // Where it leads is noted too: a swap may bring a file with the same times and size.
                self.bytes(fs::read_link(path)?.as_os_str().as_bytes());
                fs::metadata(path)
            } else {
                Ok(own)
            }
        });
        match found {
            Ok(found) if found.is_dir() => {
                // Its own times are not looked at: they tell of editors' temporary files.
                self.numbers([1, found.dev(), found.ino()]);
                self.directory(path, depth);
            }
            Ok(found) => self.file(&found),
            Err(error) => self.error(&error),
        }
    }

    fn directory(&mut self, path: &Path, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let listed = fs::read_dir(path).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let mut names: Vec<_> = match listed {
            Ok(entries) => entries.into_iter().map(|entry| entry.file_name()).collect(),
            Err(error) => return self.error(&error),
        };
        // As a policy directory is read: hidden entries are what ConfigMaps are swapped by, and are never policies.
        names.retain(|name| !name.as_bytes().starts_with(b"."));
        names.sort_unstable();
        for name in names {
            let Some(left) = self.left.checked_sub(1) else { return };
            self.left = left;
            self.bytes(name.as_bytes());
            self.entry(&path.join(&name), depth);
        }
        self.numbers([4]);
    }

    fn file(&mut self, found: &Metadata) {
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        self.numbers([2, found.dev(), found.ino(), found.size()]);
        self.numbers(times.map(i64::cast_unsigned));
    }

    fn error(&mut self, error: &io::Error) {
        self.numbers([3, error.raw_os_error().map_or(0, |code| u64::from(code.unsigned_abs()))]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.numbers([bytes.len() as u64]);
        self.seen.extend_from_slice(bytes);
    }

    fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        numbers.iter().for_each(|number| self.seen.extend_from_slice(&number.to_be_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::os::unix::fs::symlink;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let policies = directory.path().join("policies");
        fs::create_dir_all(policies.join("inner")).unwrap();
        fs::write(policies.join("a.yaml"), "one").unwrap();
        fs::write(policies.join("inner/b.yaml"), "two").unwrap();
        fs::create_dir(directory.path().join("v1")).unwrap();
        fs::write(directory.path().join("v1/c.yaml"), "three").unwrap();
        symlink("../v1", policies.join("..data")).unwrap();
        symlink("..data/c.yaml", policies.join("c.yaml")).unwrap();
        (directory, policies)
    }

    fn look(policies: &Path) -> Footprint {
        Footprint::of(&[policies.to_owned()])
    }

    #[rstest]
    #[case::written(|at: &Path| fs::write(at.join("a.yaml"), "other").unwrap())]
    #[case::written_below(|at: &Path| fs::write(at.join("inner/b.yaml"), "other").unwrap())]
    #[case::added(|at: &Path| fs::write(at.join("inner/d.yaml"), "").unwrap())]
    #[case::removed(|at: &Path| fs::remove_file(at.join("a.yaml")).unwrap())]
    #[case::renamed(|at: &Path| fs::rename(at.join("a.yaml"), at.join("z.yaml")).unwrap())]
    #[case::replaced_by_the_same_text(|at: &Path| {
        fs::write(at.join(".new"), "one").unwrap();
        fs::rename(at.join(".new"), at.join("a.yaml")).unwrap();
    })]
    #[case::the_link_of_a_config_map(|at: &Path| {
        fs::create_dir(at.join("../v2")).unwrap();
        fs::hard_link(at.join("../v1/c.yaml"), at.join("../v2/other.yaml")).unwrap();
        fs::write(at.join("../v2/c.yaml"), "three").unwrap();
        symlink("../v2", at.join("..new")).unwrap();
        fs::rename(at.join("..new"), at.join("..data")).unwrap();
    })]
    #[case::a_link_that_leads_nowhere(|at: &Path| fs::remove_file(at.join("..data")).unwrap())]
    #[case::the_directory_is_gone(|at: &Path| fs::remove_dir_all(at).unwrap())]
    #[case::an_empty_directory_in_its_place(|at: &Path| {
        fs::remove_dir_all(at).unwrap();
        fs::create_dir(at).unwrap();
    })]
    fn a_change_is_seen(#[case] change: fn(&Path)) {
        let (_directory, policies) = place();
        let before = look(&policies);
        change(&policies);
        assert_ne!(look(&policies), before);
    }

    #[rstest]
    #[case::nothing(|_: &Path| {})]
    #[case::read(|at: &Path| drop(fs::read(at.join("a.yaml")).unwrap()))]
    #[case::a_hidden_file(|at: &Path| fs::write(at.join(".a.yaml.swp"), "editor").unwrap())]
    fn what_is_no_change_is_not(#[case] change: fn(&Path)) {
        let (_directory, policies) = place();
        let before = look(&policies);
        change(&policies);
        assert_eq!(look(&policies), before);
    }

    #[test]
    fn links_in_a_circle_end() {
        let (_directory, policies) = place();
        symlink(".", policies.join("inner/again")).unwrap();
        symlink("nowhere", policies.join("nowhere")).unwrap();
        assert_eq!(look(&policies), look(&policies));
    }
}
