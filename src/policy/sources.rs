//! The files of a policy directory.
//!
//! Decides which files count, and reads them one at a time. Refuses to leave its bounds, and to know what is in a file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digest::SetDigest;
use super::limits::{DIRECTORY_DEPTH, FILE_BYTES, FILES};
use super::problem::{LoadError, LoadErrors, Problem};
use super::role::path::{self, JsonFile};
use crate::jose::{Sha256, sha256};

/// The files of a set, in order of their names.
pub(super) struct Sources(Vec<(Arc<str>, Source)>);

/// Where a file's text is.
#[derive(Clone)]
pub(super) enum Source {
    /// Here.
    Text(Arc<str>),
    /// On disk.
    File(PathBuf),
    /// In several files: an OpenBao role.
    Role(Box<RoleSource>),
    /// Nowhere that counts: the file belongs to no role.
    Stray(&'static str),
}

/// The files of a role, each with its name where it is another's.
#[derive(Clone)]
pub(super) struct RoleSource {
    pub(super) role: Source,
    pub(super) config: Option<(Arc<str>, Source)>,
    pub(super) cases: Option<(Arc<str>, Source)>,
}

impl Sources {
    /// Names and texts.
    pub(super) fn of<N: AsRef<str>, T: Into<String>>(sources: impl IntoIterator<Item = (N, T)>) -> Self {
        let files =
            sources.into_iter().map(|(name, text)| (Arc::from(name.as_ref()), Source::Text(Arc::from(text.into()))));
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

    /// The digest of the set that these files are; a file that can't be read counts as empty.
    pub(super) fn digest(&self) -> Sha256 {
        let mut digest = SetDigest::default();
        for (name, source) in self.single() {
            let text = source.text().unwrap_or_default();
            digest.add(name, sha256(text.as_bytes()));
        }
        digest.finish()
    }

    /// The files one by one, those of a role apart.
    pub(super) fn single(&self) -> impl Iterator<Item = (&Arc<str>, &Source)> {
        self.0.iter().flat_map(|(name, source)| {
            let (own, others) = match source {
                Source::Role(role) => (&role.role, [role.config.as_ref(), role.cases.as_ref()]),
                single => (single, [None, None]),
            };
            let others = others.into_iter().flatten().map(|(name, source)| (name, source));
            std::iter::once((name, own)).chain(others)
        })
    }

    fn sorted(files: Vec<(Arc<str>, Source)>) -> Self {
        let (mut files, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _)| !belongs_to_a_role(name));
        files.extend(roles(others));
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
            Self::Text(text) => Cow::Borrowed(text.as_ref()),
            Self::Role(role) => return role.role.text(),
            Self::Stray(why) => return Err(Problem::Shape((*why).to_owned())),
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
        if part.contains(char::is_control) {
            return self.fail(
                &part.escape_debug().to_string(),
                Problem::Unreadable("a file name with a control character".to_owned()),
            );
        }
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
            Ok(kind) if kind.is_file() && (is_policy(&part) || belongs_to_a_role(&inner)) => {
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

/// Brings the files of each role together.
fn roles(files: Vec<(Arc<str>, Source)>) -> Vec<(Arc<str>, Source)> {
    let files: BTreeMap<Arc<str>, Source> = files.into_iter().collect();
    let beside = |name: Option<String>| name.and_then(|name| files.get_key_value(name.as_str()));
    let named = |found: Option<(&Arc<str>, &Source)>| found.map(|(name, source)| (Arc::clone(name), source.clone()));
    let roles = files.iter().filter_map(|(name, source)| match path::kind(name) {
        JsonFile::Role => {
            let config = named(beside(path::config_of(name)));
            let cases = named(beside(path::cases_of(name)));
            let role = RoleSource { role: source.clone(), config, cases };
            Some((Arc::clone(name), Source::Role(Box::new(role))))
        }
        JsonFile::Stray => Some((Arc::clone(name), Source::Stray(STRAY))),
        JsonFile::Config => None,
        JsonFile::Other => {
            let role = role_of(name);
            let lost = role.is_some() && beside(role).is_none();
            lost.then(|| (Arc::clone(name), Source::Stray(LOST)))
        }
    });
    roles.collect()
}

const STRAY: &str = "below `auth/`, a JSON file is a CEL role at `<mount>/cel/role/<name>.json` or a mount's \
                     `<mount>/config.json`; roles of the native kind are not supported";
const LOST: &str = "cases without their role: no `.json` of that name beside them";

/// Whether a file is a role document or belongs to one.
fn belongs_to_a_role(name: &str) -> bool {
    path::kind(name) != JsonFile::Other || role_of(name).is_some()
}

/// The role whose cases a file would have.
fn role_of(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".cases.yaml").or_else(|| name.strip_suffix(".cases.yml"))?;
    Some(format!("{stem}.json")).filter(|role| path::kind(role) == JsonFile::Role)
}

/// Whether the file at `path`, relative to a policy directory and with `/`, counts.
#[must_use]
pub fn is_policy_file(path: &str) -> bool {
    !path.split('/').any(|part| part.starts_with('.'))
        && (path.rsplit('/').next().is_some_and(is_policy) || belongs_to_a_role(path))
}

/// Role documents and their cases are not policy files.
fn is_policy(name: &str) -> bool {
    let yaml = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    yaml.is_some_and(|stem| !stem.ends_with(".cases"))
}
