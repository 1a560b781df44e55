//! The files of a policy directory.
//!
//! Decides which files count, and reads them one at a time. Refuses to leave its bounds, and to know what is in a file.

use std::borrow::Cow;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::limits::{DIRECTORY_DEPTH, FILE_BYTES, FILES};
use super::problem::{LoadError, LoadErrors, Problem};

/// The files of a set, in order of their names.
pub(super) struct Sources(Vec<(Arc<str>, Source)>);

/// Where a file's text is.
pub(super) enum Source {
    /// Here.
    Text(String),
    /// On disk.
    File(PathBuf),
}

impl Sources {
    /// Names and texts.
    pub(super) fn of<N: AsRef<str>, T: Into<String>>(sources: impl IntoIterator<Item = (N, T)>) -> Self {
        let files = sources.into_iter().map(|(name, text)| (Arc::from(name.as_ref()), Source::Text(text.into())));
        Self::sorted(files.collect())
    }

    /// All policy files below `directory`.
    ///
    /// # Errors
    /// [`LoadErrors`] names each directory that can't be read.
    pub(super) fn find(directory: &Path) -> Result<Self, LoadErrors> {
        let mut search = Search { files: vec![], errors: vec![] };
        search.directory(directory, "", DIRECTORY_DEPTH);
        if search.errors.is_empty() { Ok(Self::sorted(search.files)) } else { Err(LoadErrors(search.errors)) }
    }

    /// The files, in order.
    pub(super) fn files(&self) -> &[(Arc<str>, Source)] {
        &self.0
    }

    fn sorted(mut files: Vec<(Arc<str>, Source)>) -> Self {
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(files)
    }
}

impl Source {
    /// The text.
    ///
    /// # Errors
    /// [`Problem`] where it is too large, can't be read, or is not UTF-8.
    pub(super) fn text(&self) -> Result<Cow<'_, str>, Problem> {
        let text = match self {
            Self::Text(text) => Cow::Borrowed(text.as_str()),
            Self::File(path) => {
                let mut text = Vec::new();
                let file = fs::File::open(path).map_err(|error| Problem::Unreadable(error.to_string()))?;
                // One byte more than is allowed, to know.
                let read = file.take(FILE_BYTES as u64 + 1).read_to_end(&mut text);
                read.map_err(|error| Problem::Unreadable(error.to_string()))?;
                if text.len() > FILE_BYTES {
                    return Err(Problem::TooLarge);
                }
                Cow::Owned(String::from_utf8(text).map_err(|_| Problem::Unreadable("not UTF-8".to_owned()))?)
            }
        };
        if text.len() > FILE_BYTES { Err(Problem::TooLarge) } else { Ok(text) }
    }
}

/// What was found on disk.
struct Search {
    files: Vec<(Arc<str>, Source)>,
    errors: Vec<LoadError>,
}

impl Search {
    fn directory(&mut self, path: &Path, name: &str, depth: usize) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.fail(name, Problem::Unreadable(error.to_string())),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry, name, depth),
                Err(error) => return self.fail(name, Problem::Unreadable(error.to_string())),
            }
        }
    }

    fn entry(&mut self, entry: &fs::DirEntry, name: &str, depth: usize) {
        let Some(part) = entry.file_name().to_str().map(str::to_owned) else {
            return self.fail(name, Problem::Unreadable("a file name is not UTF-8".to_owned()));
        };
        // ConfigMaps are mounted as symbolic links into hidden directories: `policy.yaml -> ..data/policy.yaml`.
        if part.starts_with('.') {
            return;
        }
        let inner = if name.is_empty() { part.clone() } else { format!("{name}/{part}") };
        match fs::metadata(entry.path()) {
            Err(error) => self.fail(&inner, Problem::Unreadable(error.to_string())),
            Ok(kind) if kind.is_dir() => match depth.checked_sub(1) {
                Some(depth) => self.directory(&entry.path(), &inner, depth),
                None => self.fail(&inner, Problem::TooMany { what: "levels of directories", most: DIRECTORY_DEPTH }),
            },
            Ok(kind) if kind.is_file() && is_policy(&part) => {
                if self.files.len() == FILES {
                    return self.fail(&inner, Problem::TooMany { what: "files", most: FILES });
                }
                self.files.push((Arc::from(inner), Source::File(entry.path())));
            }
            Ok(_) => {}
        }
    }

    fn fail(&mut self, name: &str, problem: Problem) {
        let file = if name.is_empty() { "policies" } else { name };
        self.errors.push(LoadError { file: Arc::from(file), place: None, problem, help: None });
    }
}

/// Role documents and their cases are not policy files.
fn is_policy(name: &str) -> bool {
    let yaml = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    yaml.is_some_and(|stem| !stem.ends_with(".cases"))
}
