//! From files to a set.
//!
//! Decides that no two files ask for the same target, and that all cases come out as they say. Works on threads of its
//! own: tokio's stacks are too small for a parser that recurses, and an overflow can't be caught.
//!
//! A batch of files at a time is read and parsed on all processors (most of the time goes there), compiled on one, which
//! shares what repeats, and its cases run on all. What a file was is gone before the next batch comes.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread;

use super::build::Builder;
use super::cases::{self, CaseOutcome};
use super::compile::Compiler;
use super::digest::SetDigest;
use super::document::{Document, Place, place};
use super::language::Language;
use super::limits::COMPILER_STACK;
use super::problem::{Faults, LoadError, LoadErrors, Problem};
use super::rule::Target;
use super::set::PolicySet;
use super::sources::{Source, Sources};
use crate::identity::IssuerName;
use crate::jose::{Sha256, sha256};

/// How many files are in memory at a time.
const BATCH: usize = 64;

/// A set, and how its cases came out.
pub(super) struct Loaded {
    set: PolicySet,
    outcomes: Vec<CaseOutcome>,
}

impl Loaded {
    /// The set, where every case came out as it says.
    ///
    /// # Errors
    /// [`LoadErrors`] with every case that did not.
    pub(super) fn into_set(self) -> Result<PolicySet, LoadErrors> {
        let failed = self.outcomes.into_iter().filter_map(|outcome| {
            let problem = Problem::CaseFailed { case: outcome.name, failure: outcome.failure? };
            Some(LoadError { file: outcome.file, place: Some(outcome.place), problem })
        });
        let errors: Vec<LoadError> = failed.collect();
        if errors.is_empty() { Ok(self.set) } else { Err(LoadErrors(errors)) }
    }

    /// How the cases came out.
    pub(super) fn into_outcomes(self) -> Vec<CaseOutcome> {
        self.outcomes
    }
}

/// Compiles `sources` and runs their cases.
///
/// # Errors
/// [`LoadErrors`] with every fault of every file. A case that comes out otherwise is none yet.
pub(super) fn load(sources: &Sources, issuers: &BTreeSet<IssuerName>) -> Result<Loaded, LoadErrors> {
    let loaded = each(&[sources], |sources| Loading::new(issuers)?.run(sources)).map_err(internal)?;
    loaded.into_iter().next().unwrap_or_else(|| Err(internal("nothing was loaded")))
}

fn internal(message: impl Into<String>) -> LoadErrors {
    LoadErrors(vec![LoadError { file: Arc::from("policies"), place: None, problem: Problem::Internal(message.into()) }])
}

/// A set while it is loaded.
struct Loading<'i> {
    language: Language,
    builder: Builder<'i>,
    targets: Vec<Target>,
    /// Names and aliases: the target, and the file that it is from.
    names: HashMap<Arc<str>, (u32, Arc<str>)>,
    digest: SetDigest,
    outcomes: Vec<CaseOutcome>,
    errors: Vec<LoadError>,
}

impl<'i> Loading<'i> {
    fn new(issuers: &'i BTreeSet<IssuerName>) -> Result<Self, LoadErrors> {
        Ok(Self {
            language: Language::new().map_err(|error| internal(error.to_string()))?,
            builder: Builder { compiler: Compiler::default(), issuers },
            targets: vec![],
            names: HashMap::new(),
            digest: SetDigest::default(),
            outcomes: vec![],
            errors: vec![],
        })
    }

    fn run(mut self, sources: &Sources) -> Result<Loaded, LoadErrors> {
        for batch in sources.files().chunks(BATCH) {
            self.batch(batch).map_err(internal)?;
        }
        if !self.errors.is_empty() {
            self.errors.sort_by(|a, b| a.order().cmp(&b.order()));
            return Err(LoadErrors(self.errors));
        }
        let index = self.names.into_iter().map(|(name, (target, _))| (name, target)).collect();
        self.targets.shrink_to_fit();
        let set = PolicySet { language: self.language, targets: self.targets, index, digest: self.digest.finish() };
        Ok(Loaded { set, outcomes: self.outcomes })
    }

    fn batch(&mut self, files: &[(Arc<str>, Source)]) -> Result<(), &'static str> {
        let mut built = vec![];
        for Parsed { file, digest, document, mut faults } in each(files, |(file, source)| Parsed::new(file, source))? {
            self.digest.add(&file, digest);
            if let Some(document) = document {
                self.enlist(&document, &file, self.targets.len() + built.len(), &mut faults);
                if let Some(target) = self.builder.target(&document, &file, &mut faults) {
                    built.push((document, target));
                }
            }
            self.errors.extend(faults.into_inner());
        }
        let language = &self.language;
        for (outcomes, faults) in each(&built, |(document, target)| promises(document, target, language))? {
            self.outcomes.extend(outcomes);
            self.errors.extend(faults.into_inner());
        }
        self.targets.extend(built.into_iter().map(|(_, target)| target));
        Ok(())
    }

    /// Enters a target's name and aliases.
    fn enlist(&mut self, document: &Document, file: &Arc<str>, target: usize, faults: &mut Faults) {
        let name = (document.target.value.as_str(), place(&document.target));
        let aliases = document.aliases.iter().map(|alias| (alias.value.as_str(), place(alias)));
        for (name, at) in std::iter::once(name).chain(aliases) {
            if let Some((_, other)) = self.names.get(name) {
                faults.add(at, Problem::TakenTarget { name: name.to_owned(), file: Arc::clone(other) });
            } else {
                let target = u32::try_from(target).unwrap_or(u32::MAX);
                self.names.insert(Arc::from(name), (target, Arc::clone(file)));
            }
        }
    }
}

/// A file once it is read.
struct Parsed {
    file: Arc<str>,
    digest: Sha256,
    document: Option<Document>,
    faults: Faults,
}

impl Parsed {
    fn new(file: &Arc<str>, source: &Source) -> Self {
        let mut faults = Faults::of(file);
        let text = source.text().unwrap_or_else(|problem| {
            faults.add(Place::default(), problem);
            Cow::Borrowed("")
        });
        let mut document = None;
        if faults.is_empty() {
            match Document::parse(&text) {
                Ok(parsed) => document = Some(parsed),
                Err((message, place)) => faults.add(place, Problem::Shape(message)),
            }
        }
        Self { file: Arc::clone(file), digest: sha256(text.as_bytes()), document, faults }
    }
}

/// Runs the cases of one file.
fn promises(document: &Document, target: &Target, language: &Language) -> (Vec<CaseOutcome>, Faults) {
    let mut faults = Faults::of(&target.file);
    let cases = cases::resolve(document, &mut faults);
    (cases.iter().map(|case| case.run(language, target)).collect(), faults)
}

/// Works on each item, in order, on as many threads as there are processors, each with enough stack to compile.
fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Result<Vec<R>, &'static str> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads).max(1);
    let work = &work;
    thread::scope(|scope| {
        let mut handles = vec![];
        for items in items.chunks(share) {
            let thread = thread::Builder::new().name("policy-load".to_owned()).stack_size(COMPILER_STACK);
            let handle = thread.spawn_scoped(scope, move || items.iter().map(work).collect::<Vec<R>>());
            handles.push(handle.map_err(|_| "there is no thread to load policies on")?);
        }
        let mut results = Vec::with_capacity(items.len());
        for handle in handles {
            results.extend(handle.join().map_err(|_| "loading policies failed")?);
        }
        Ok(results)
    })
}
