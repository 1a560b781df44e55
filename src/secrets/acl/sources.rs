//! The access documents of a policy directory.
//!
//! Decides which files count, and reads them. Refuses to leave its bounds, and to know what is in a file.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::fault::of_file;
use super::file_path::FileKind;
use super::limits::{DIRECTORY_DEPTH, DOCUMENT_BYTES, DOCUMENTS, TOTAL_BYTES};
use crate::policy::{LoadError, Problem};

/// The documents that were found, with what was wrong on the way.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) documents: Vec<Source>,
    pub(super) faults: Vec<LoadError>,
    bytes: usize,
}

/// One document.
pub(super) struct Source {
    pub(super) file: Arc<str>,
    pub(super) kind: FileKind,
    pub(super) text: String,
}

const HELP: &str = "split it into several documents, or say it in fewer paths";

impl Sources {
    /// All documents below `directory`, in order of their names.
    pub(super) fn find(directory: &Path) -> Self {
        let mut sources = Self::default();
        sources.directory(directory, "", DIRECTORY_DEPTH);
        sources.sorted()
    }

    /// Names and texts.
    pub(super) fn of<N: AsRef<str>, T: Into<String>>(given: impl IntoIterator<Item = (N, T)>) -> Self {
        let mut sources = Self::default();
        for (name, text) in given {
            sources.file(name.as_ref(), || Ok(text.into()));
        }
        sources.sorted()
    }

    fn sorted(mut self) -> Self {
        self.documents.sort_by(|a, b| a.file.cmp(&b.file));
        self
    }

    fn directory(&mut self, path: &Path, name: &str, depth: usize) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.fail(name, Problem::Unreadable(error.to_string()), None),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry, name, depth),
                Err(error) => return self.fail(name, Problem::Unreadable(error.to_string()), None),
            }
        }
    }

    fn entry(&mut self, entry: &fs::DirEntry, name: &str, depth: usize) {
        let Some(part) = entry.file_name().to_str().map(str::to_owned) else {
            return self.fail(name, Problem::Unreadable("a file name is not UTF-8".to_owned()), None);
        };
        // ConfigMaps are mounted as symbolic links into hidden directories: `acl.hcl -> ..data/acl.hcl`.
        if part.starts_with('.') {
            return;
        }
        let inner = if name.is_empty() { part } else { format!("{name}/{part}") };
        if inner.contains(char::is_control) {
            let odd = inner.escape_debug().to_string();
            return self.fail(&odd, Problem::Unreadable("a file name with a control character".to_owned()), None);
        }
        match fs::metadata(entry.path()) {
            Err(error) => self.fail(&inner, Problem::Unreadable(error.to_string()), None),
            Ok(kind) if kind.is_dir() => match depth.checked_sub(1) {
                Some(depth) => self.directory(&entry.path(), &inner, depth),
                None => {
                    let problem = Problem::TooMany { what: "levels of directories", most: DIRECTORY_DEPTH };
                    self.fail(&inner, problem, Some("a link may lead back up"));
                }
            },
            Ok(kind) if kind.is_file() => self.file(&inner, || text_of(&entry.path())),
            Ok(_) => {}
        }
    }

    /// Takes the file of that name, where it is a document.
    fn file(&mut self, name: &str, text: impl FnOnce() -> Result<String, Problem>) {
        let kind = FileKind::of(name);
        match kind {
            FileKind::Other => return,
            FileKind::Stray(why) => return self.fail(name, Problem::Shape(why), None),
            FileKind::One(..) | FileKind::Many(_) => {}
        }
        if self.documents.len() == DOCUMENTS {
            return self.fail(name, Problem::TooMany { what: "access documents", most: DOCUMENTS }, Some(HELP));
        }
        match text() {
            Err(problem) => self.fail(name, problem, None),
            Ok(text) if text.len() > DOCUMENT_BYTES => self.fail(name, Problem::TooLarge, Some(HELP)),
            Ok(text) if self.bytes + text.len() > TOTAL_BYTES => {
                let problem = Problem::TooMany { what: "bytes of access documents", most: TOTAL_BYTES };
                self.fail(name, problem, Some("say it in fewer paths"));
            }
            Ok(text) => {
                self.bytes += text.len();
                self.documents.push(Source { file: Arc::from(name), kind, text });
            }
        }
    }

    fn fail(&mut self, name: &str, problem: Problem, help: Option<&str>) {
        self.faults.push(of_file(if name.is_empty() { "policies" } else { name }, problem, help));
    }
}

fn text_of(path: &Path) -> Result<String, Problem> {
    let unreadable = |error: std::io::Error| Problem::Unreadable(error.to_string());
    let mut text = Vec::new();
    // One byte more than is allowed, to know.
    let file = fs::File::open(path).map_err(unreadable)?.take(DOCUMENT_BYTES as u64 + 1);
    { file }.read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > DOCUMENT_BYTES {
        return Err(Problem::TooLarge);
    }
    String::from_utf8(text).map_err(|_| Problem::Unreadable("not UTF-8".to_owned()))
}
