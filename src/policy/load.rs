//! From files to a set.
//!
//! Decides that no two files ask for the same target, and that all cases come out as they say. Works on threads of its
//! own: tokio's stacks are too small for a parser that recurses, and an overflow can't be caught.
//!
//! A batch of files is read and parsed on all processors, then built on one, which shares what repeats, then judged on all:
//! its cases run, its expressions checked. While one batch is built, the next is read and the last is judged, so that no
//! processor waits; what a file was is gone two batches later.

mod file;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, Scope, ScopedJoinHandle};

use self::file::{Built, Judged, Parsed, Written};
use super::build::Builder;
use super::cases::CaseOutcome;
use super::catalog::Catalog;
use super::check::written::Parses;
use super::compile::Compiler;
use super::coverage::FileCoverage;
use super::digest::SetDigest;
use super::finding::{Finding, Severity};
use super::inspection::Inspection;
use super::language::{Dialect, Language};
use super::limits::COMPILER_STACK;
use super::problem::{Faults, LoadError, LoadErrors, Problem};
use super::rehearsal::{Rehearsal, RehearsedCase};
use super::role::{self, Mounts};
use super::rule::Target;
use super::set::PolicySet;
use super::sources::{Source, Sources};

/// How many files go through a step together.
const BATCH: usize = 64;

/// What came of a directory. Without a set, its errors say why.
pub(super) struct Loaded {
    set: Option<PolicySet>,
    outcomes: Vec<CaseOutcome>,
    findings: Vec<Finding>,
    errors: Vec<LoadError>,
    /// Kept where somebody asked for them.
    cases: Vec<RehearsedCase>,
    coverage: Vec<FileCoverage>,
}

impl Loaded {
    /// The set and its warnings, where nothing is wrong and every case came out as it says.
    ///
    /// # Errors
    /// [`LoadErrors`] with every fault of every file.
    pub(super) fn into_set(self) -> Result<PolicySet, LoadErrors> {
        match self.set {
            Some(set) if self.errors.is_empty() => Ok(set),
            _ if self.errors.is_empty() => Err(internal("nothing was loaded")),
            _ => Err(LoadErrors(self.errors)),
        }
    }

    /// How the cases came out, where they could be run.
    ///
    /// # Errors
    /// [`LoadErrors`] with every fault but the cases'.
    pub(super) fn into_outcomes(self) -> Result<Vec<CaseOutcome>, LoadErrors> {
        let case = |error: &LoadError| matches!(error.problem, Problem::CaseFailed { .. });
        let errors: Vec<LoadError> = self.errors.into_iter().filter(|error| !case(error)).collect();
        if errors.is_empty() { Ok(self.outcomes) } else { Err(LoadErrors(errors)) }
    }

    /// Everything.
    pub(super) fn into_inspection(self) -> Inspection {
        let mut findings = self.findings;
        let wrong = self.errors.iter().filter(|error| !matches!(error.problem, Problem::Found { .. }));
        findings.extend(wrong.map(LoadError::finding));
        findings.sort_by(|a, b| a.order().cmp(&b.order()));
        let set = self.set.filter(|_| self.errors.is_empty());
        Inspection { set, findings, outcomes: self.outcomes }
    }
}

/// Compiles `sources`, checks them, runs their cases, and keeps what the tools ask of them.
///
/// # Errors
/// [`LoadErrors`] where the machinery failed.
pub(super) fn rehearse(sources: &Sources, catalog: &Catalog) -> Result<Rehearsal, LoadErrors> {
    let mut loaded = loaded(sources, catalog, true)?;
    let (cases, coverage) = (std::mem::take(&mut loaded.cases), std::mem::take(&mut loaded.coverage));
    let only_cases = loaded.errors.iter().all(|error| matches!(error.problem, Problem::CaseFailed { .. }));
    let built = loaded.set.take().filter(|_| only_cases);
    Ok(Rehearsal { inspection: loaded.into_inspection(), built, cases, coverage })
}

/// Compiles `sources`, checks them and runs their cases.
///
/// # Errors
/// [`LoadErrors`] where the machinery failed.
pub(super) fn load(sources: &Sources, catalog: &Catalog) -> Result<Loaded, LoadErrors> {
    loaded(sources, catalog, false)
}

fn loaded(sources: &Sources, catalog: &Catalog, watched: bool) -> Result<Loaded, LoadErrors> {
    let loaded = each(&[sources], |sources| Loading::new(catalog, watched)?.run(sources)).map_err(internal)?;
    loaded.into_iter().next().unwrap_or_else(|| Err(internal("nothing was loaded")))
}

fn internal(message: impl Into<String>) -> LoadErrors {
    LoadErrors(vec![LoadError {
        file: Arc::from("policies"),
        place: None,
        problem: Problem::Internal(message.into()),
        help: None,
    }])
}

/// A set while it is loaded.
struct Loading<'i> {
    language: Language,
    building: Building<'i>,
    targets: Vec<Target>,
    outcomes: Vec<CaseOutcome>,
    findings: Vec<Finding>,
    errors: Vec<LoadError>,
    /// Whether cases are watched and kept.
    watched: bool,
    cases: Vec<RehearsedCase>,
    coverage: Vec<FileCoverage>,
}

/// What building needs of the files before.
struct Building<'i> {
    /// That of OpenBao's roles.
    roles: Language,
    mounts: Mounts,
    builder: Builder<'i>,
    /// How many targets there are.
    built: usize,
    /// Names and aliases: the target, and the file that it is from.
    names: HashMap<Arc<str>, (u32, Arc<str>)>,
    digest: SetDigest,
    errors: Vec<LoadError>,
}

impl<'i> Loading<'i> {
    fn new(catalog: &'i Catalog, watched: bool) -> Result<Self, LoadErrors> {
        let building = Building {
            roles: role::language().map_err(|error| internal(error.to_string()))?,
            mounts: Mounts::default(),
            builder: Builder { compiler: Compiler::default(), catalog },
            built: 0,
            names: HashMap::new(),
            digest: SetDigest::default(),
            errors: vec![],
        };
        Ok(Self {
            language: Language::new(Dialect::Native).map_err(|error| internal(error.to_string()))?,
            building,
            targets: vec![],
            outcomes: vec![],
            findings: vec![],
            errors: vec![],
            watched,
            cases: vec![],
            coverage: vec![],
        })
    }

    fn run(mut self, sources: &Sources) -> Result<Loaded, LoadErrors> {
        let (mut parsed, mut built) = (vec![], vec![]);
        let mut batches = sources.files().chunks(BATCH);
        loop {
            let files = batches.next().unwrap_or_default();
            if files.is_empty() && parsed.is_empty() && built.is_empty() {
                break;
            }
            (parsed, built) = self.step(files, parsed, built).map_err(internal)?;
        }
        self.errors.append(&mut self.building.errors);
        let failed = self.outcomes.iter().filter_map(|outcome| {
            let failure = outcome.failure.clone()?;
            let problem = Problem::CaseFailed { case: outcome.name.clone(), failure };
            Some(LoadError { file: Arc::clone(&outcome.file), place: Some(outcome.place), problem, help: None })
        });
        self.errors.extend(failed.collect::<Vec<_>>());
        self.errors.sort_by(|a, b| a.order().cmp(&b.order()));
        let Building { names, mounts, digest, .. } = self.building;
        let index = names.into_iter().map(|(name, (target, _))| (name, target)).collect();
        self.targets.shrink_to_fit();
        let set = PolicySet { language: self.language, targets: self.targets, index, mounts, digest: digest.finish() };
        let Self { outcomes, findings, errors, cases, coverage, .. } = self;
        Ok(Loaded { set: Some(set), outcomes, findings, errors, cases, coverage })
    }

    /// Takes three batches one step further: `files` are parsed, the `parsed` are built, the `built` are judged.
    fn step(
        &mut self,
        files: &[(Arc<str>, Source)],
        parsed: Vec<Parsed>,
        built: Vec<Built>,
    ) -> Result<(Vec<Parsed>, Vec<Built>), &'static str> {
        let (language, catalog, watched) = (&self.language, self.building.builder.catalog, self.watched);
        let (building, parses) = (&mut self.building, Parses::default());
        let read = |(file, source): &(Arc<str>, Source)| Parsed::new(file, source);
        let judge = |built: &Built| built.judge(language, catalog, &parses, watched);
        let (parsed, newly, judged) = thread::scope(|scope| {
            let (reading, judging) = (spread(scope, files, &read)?, spread(scope, &built, &judge)?);
            let newly = parsed.into_iter().filter_map(|parsed| building.build(parsed)).collect();
            Ok::<_, &'static str>((joined(reading)?, newly, joined(judging)?))
        })?;
        judged.into_iter().for_each(|judged| self.keep(judged));
        self.targets.extend(built.into_iter().map(|built| built.target));
        Ok((parsed, newly))
    }

    fn keep(&mut self, judged: Judged) {
        let Judged { outcomes, findings, faults, cases, coverage } = judged;
        self.outcomes.extend(outcomes);
        self.errors.extend(faults.into_inner());
        self.cases.extend(cases);
        self.coverage.extend(coverage);
        for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
            let problem = Problem::Found { code: finding.code, message: finding.message.clone() };
            let place = (finding.place.line > 0).then_some(finding.place);
            let (file, help) = (Arc::clone(&finding.file), finding.help.clone());
            self.errors.push(LoadError { file, place, problem, help });
        }
        self.findings.extend(findings);
    }
}

impl Building<'_> {
    /// The target of a file, where it is one.
    fn build(&mut self, parsed: Parsed) -> Option<Built> {
        let Parsed { file, digests, written, mut faults } = parsed;
        digests.into_iter().for_each(|(file, digest)| self.digest.add(&file, digest));
        let built = written.and_then(|written| {
            self.enlist(&written, &file, &mut faults);
            let target = match &written {
                Written::Policy(text, document) => self.builder.target(document, text, &file, &mut faults),
                Written::Role(documents) => {
                    self.mounts.add(documents);
                    role::target(&mut self.builder, &self.roles, documents, &file, &mut faults)
                }
            }?;
            self.built += 1;
            Some(Built { written, target })
        });
        self.errors.extend(faults.into_inner());
        built
    }

    /// Enters the names and aliases of the next target.
    fn enlist(&mut self, written: &Written, file: &Arc<str>, faults: &mut Faults) {
        for (name, at) in written.names() {
            if let Some((_, other)) = self.names.get(name.as_str()) {
                faults.add(at, Problem::TakenTarget { name, file: Arc::clone(other) });
            } else {
                let target = u32::try_from(self.built).unwrap_or(u32::MAX);
                self.names.insert(Arc::from(name), (target, Arc::clone(file)));
            }
        }
    }
}

/// Works on each item, in order, on threads with enough stack to compile.
fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Result<Vec<R>, &'static str> {
    thread::scope(|scope| joined(spread(scope, items, &work)?))
}

type Threads<'s, R> = Vec<ScopedJoinHandle<'s, Vec<R>>>;

/// Begins to work on each item, on as many threads as there are processors, each with enough stack to compile.
fn spread<'s, T: Sync, R: Send + 's>(
    scope: &'s Scope<'s, '_>,
    items: &'s [T],
    work: &'s (impl Fn(&T) -> R + Sync),
) -> Result<Threads<'s, R>, &'static str> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads).max(1);
    let begin = |items: &'s [T]| {
        let thread = thread::Builder::new().name("policy-load".to_owned()).stack_size(COMPILER_STACK);
        let handle = thread.spawn_scoped(scope, move || items.iter().map(work).collect::<Vec<R>>());
        handle.map_err(|_| "there is no thread to load policies on")
    };
    items.chunks(share).map(begin).collect()
}

/// What came of each item, in order.
fn joined<R>(threads: Threads<'_, R>) -> Result<Vec<R>, &'static str> {
    let mut results = vec![];
    for thread in threads {
        results.extend(thread.join().map_err(|_| "loading policies failed")?);
    }
    Ok(results)
}
