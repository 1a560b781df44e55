//! From a directory of files to a set.
//!
//! Decides which files count, that no two ask for the same target, and that all cases come out as they say. Reads each
//! file once; refuses to follow the directory out of its bounds.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::build::Builder;
use super::cases::{self, CaseOutcome};
use super::compile::Compiler;
use super::digest;
use super::document::{Document, Place, place};
use super::language::Language;
use super::limits::{COMPILER_STACK, DIRECTORY_DEPTH, FILE_BYTES, FILES};
use super::problem::{Faults, LoadError, LoadErrors, Problem};
use super::rule::Target;
use super::set::PolicySet;
use crate::identity::IssuerName;

/// The texts of a set's files, in order of their names.
pub(super) struct Sources(Vec<(Arc<str>, String)>);

/// A set, and how its cases came out.
pub(super) struct Loaded {
    set: PolicySet,
    outcomes: Vec<CaseOutcome>,
}

impl Sources {
    pub(super) fn of<N: AsRef<str>, T: Into<String>>(sources: impl IntoIterator<Item = (N, T)>) -> Self {
        let mut files: Vec<(Arc<str>, String)> =
            sources.into_iter().map(|(name, text)| (Arc::from(name.as_ref()), text.into())).collect();
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(files)
    }

    /// Reads all policy files below `directory`.
    ///
    /// # Errors
    /// [`LoadErrors`] names each file and directory that can't be read.
    pub(super) fn read(directory: &Path) -> Result<Self, LoadErrors> {
        let mut reading = Reading { files: vec![], errors: vec![] };
        reading.directory(directory, "", DIRECTORY_DEPTH);
        if reading.errors.is_empty() { Ok(Self::of(reading.files)) } else { Err(LoadErrors(reading.errors)) }
    }
}

impl Loaded {
    /// The set, where every case came out as it says.
    pub(super) fn into_set(self) -> Result<PolicySet, LoadErrors> {
        let mut errors = vec![];
        for outcome in self.outcomes {
            if let Some(failure) = outcome.failure {
                let problem = Problem::CaseFailed { case: outcome.name, failure };
                errors.push(LoadError { file: outcome.file, place: Some(outcome.place), problem });
            }
        }
        if errors.is_empty() { Ok(self.set) } else { Err(LoadErrors(errors)) }
    }

    pub(super) fn into_outcomes(self) -> Vec<CaseOutcome> {
        self.outcomes
    }
}

/// Compiles `sources` and runs their cases, on a thread of its own: tokio's stacks are too small for a parser that
/// recurses, and an overflow can't be caught.
///
/// # Errors
/// [`LoadErrors`] with every fault of every file.
pub(super) fn set(sources: &Sources, issuers: &BTreeSet<IssuerName>) -> Result<Loaded, LoadErrors> {
    let loaded = thread::scope(|scope| {
        let thread = thread::Builder::new().name("policy-load".to_owned()).stack_size(COMPILER_STACK);
        let handle = thread.spawn_scoped(scope, || compile(sources, issuers)).map_err(|error| error.to_string())?;
        handle.join().map_err(|_| "the compiler failed".to_owned())
    });
    loaded.unwrap_or_else(|message| Err(internal(message)))
}

fn internal(message: String) -> LoadErrors {
    LoadErrors(vec![LoadError { file: Arc::from("policies"), place: None, problem: Problem::Internal(message) }])
}

fn compile(sources: &Sources, issuers: &BTreeSet<IssuerName>) -> Result<Loaded, LoadErrors> {
    let language = Language::new().map_err(|error| internal(error.to_string()))?;
    let mut builder = Builder { compiler: Compiler::default(), issuers };
    let mut targets: Vec<Target> = Vec::with_capacity(sources.0.len());
    let mut index: HashMap<Arc<str>, u32> = HashMap::with_capacity(sources.0.len());
    let mut outcomes = vec![];
    let mut errors = vec![];
    for (file, text) in &sources.0 {
        let mut faults = Faults::of(file);
        if let Some((document, target)) = one(&mut builder, file, text, &mut faults) {
            let runnable = cases::resolve(&document, issuers, &mut faults);
            enlist(&document, &targets, &mut index, &mut faults);
            outcomes.extend(runnable.iter().map(|case| case.run(&language, &target)));
            targets.push(target);
        }
        errors.extend(faults.into_inner());
    }
    if !errors.is_empty() {
        return Err(LoadErrors(errors));
    }
    let digest = digest::of_files(sources.0.iter().map(|(file, text)| (file.as_ref(), text.as_str())));
    Ok(Loaded { set: PolicySet { language, targets, index, digest }, outcomes })
}

fn one(builder: &mut Builder<'_>, file: &Arc<str>, text: &str, faults: &mut Faults) -> Option<(Document, Target)> {
    if text.len() > FILE_BYTES {
        faults.add(Place::default(), Problem::TooLarge);
        return None;
    }
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err((message, place)) => {
            faults.add(place, Problem::Shape(message));
            return None;
        }
    };
    let target = builder.target(&document, file, faults)?;
    Some((document, target))
}

/// Enters the name and aliases of the next target.
fn enlist(document: &Document, targets: &[Target], index: &mut HashMap<Arc<str>, u32>, faults: &mut Faults) {
    let next = u32::try_from(targets.len()).unwrap_or(u32::MAX);
    let name = (document.target.value.as_str(), place(&document.target));
    let aliases = document.aliases.iter().map(|alias| (alias.value.as_str(), place(alias)));
    for (name, at) in std::iter::once(name).chain(aliases) {
        match index.get(name) {
            None => {
                index.insert(Arc::from(name), next);
            }
            Some(taken) => {
                let other =
                    targets.get(*taken as usize).map_or_else(|| Arc::from("this file"), |t| Arc::clone(&t.file));
                faults.add(at, Problem::TakenTarget { name: name.to_owned(), file: other });
            }
        }
    }
}

/// What was found on disk.
struct Reading {
    files: Vec<(String, String)>,
    errors: Vec<LoadError>,
}

impl Reading {
    fn directory(&mut self, path: &Path, name: &str, depth: usize) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.fail(name, Problem::Unreadable(error.to_string())),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.fail(name, Problem::Unreadable(error.to_string())),
            };
            let Some(part) = entry.file_name().to_str().map(str::to_owned) else {
                self.fail(name, Problem::Unreadable("a file name is not UTF-8".to_owned()));
                continue;
            };
            // ConfigMaps are mounted as symbolic links into hidden directories: `policy.yaml -> ..data/policy.yaml`.
            if part.starts_with('.') {
                continue;
            }
            let inner = if name.is_empty() { part.clone() } else { format!("{name}/{part}") };
            match fs::metadata(entry.path()) {
                Err(error) => self.fail(&inner, Problem::Unreadable(error.to_string())),
                Ok(kind) if kind.is_dir() => match depth.checked_sub(1) {
                    Some(depth) => self.directory(&entry.path(), &inner, depth),
                    None => {
                        self.fail(&inner, Problem::TooMany { what: "levels of directories", most: DIRECTORY_DEPTH })
                    }
                },
                Ok(kind) if kind.is_file() && is_policy(&part) => self.file(&entry.path(), &inner),
                Ok(_) => {}
            }
        }
    }

    fn file(&mut self, path: &Path, name: &str) {
        if self.files.len() == FILES {
            return self.fail(name, Problem::TooMany { what: "files", most: FILES });
        }
        // One byte more than allowed: the next step says so.
        let mut text = String::new();
        let read = fs::File::open(path).and_then(|file| file.take(FILE_BYTES as u64 + 1).read_to_string(&mut text));
        match read {
            Ok(_) => self.files.push((name.to_owned(), text)),
            Err(error) => self.fail(name, Problem::Unreadable(error.to_string())),
        }
    }

    fn fail(&mut self, name: &str, problem: Problem) {
        let file = if name.is_empty() { "policies" } else { name };
        self.errors.push(LoadError { file: Arc::from(file), place: None, problem });
    }
}

/// Role documents and their cases are not policy files.
fn is_policy(name: &str) -> bool {
    let yaml = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    yaml.is_some_and(|stem| !stem.ends_with(".cases"))
}
