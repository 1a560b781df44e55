//! One file on its way into a set: read, then built, then judged.
//!
//! Decides what a file has in it. Refuses to know the other files.

use std::borrow::Cow;
use std::sync::Arc;

use crate::jose::{Sha256, sha256};
use crate::policy::cases::{self, CaseOutcome};
use crate::policy::catalog::Catalog;
use crate::policy::check::written::Parses;
use crate::policy::check::{Subject, check, shape};
use crate::policy::coverage::FileCoverage;
use crate::policy::document::{Document, Place, place};
use crate::policy::finding::Finding;
use crate::policy::language::Language;
use crate::policy::problem::{Faults, Problem};
use crate::policy::rehearsal::RehearsedCase;
use crate::policy::role::{self, Documents};
use crate::policy::rule::Target;
use crate::policy::sources::Source;

/// A file once it is read.
pub(super) struct Parsed {
    pub(super) file: Arc<str>,
    /// Of each of its files.
    pub(super) digests: Vec<(Arc<str>, Sha256)>,
    pub(super) written: Option<Written>,
    pub(super) faults: Faults,
}

/// What a file has in it.
pub(super) enum Written {
    /// A policy, with its text.
    Policy(String, Box<Document>),
    /// An OpenBao role, with what belongs to it.
    Role(Box<Documents>),
}

impl Written {
    /// Names and aliases of its target, each with its place.
    pub(super) fn names(&self) -> Vec<(String, Place)> {
        match self {
            Self::Policy(_, document) => {
                let aliases = document.aliases.iter().map(|alias| (alias.value.clone(), place(alias)));
                let name = (document.target.value.as_str().to_owned(), place(&document.target));
                std::iter::once(name).chain(aliases).collect()
            }
            Self::Role(documents) => vec![(documents.path.to_string(), documents.role.expression.place)],
        }
    }
}

impl Parsed {
    pub(super) fn new(file: &Arc<str>, source: &Source) -> Self {
        let mut faults = Faults::of(file);
        let mut digests = vec![];
        if let Source::Role(source) = source {
            let mut see = |file: &Arc<str>, text: &str| digests.push((Arc::clone(file), sha256(text.as_bytes())));
            let documents = Documents::read(file, source, &mut faults, &mut see);
            let written = documents.map(|documents| Written::Role(Box::new(documents)));
            return Self { file: Arc::clone(file), digests, written, faults };
        }
        let text = source.text().map(Cow::into_owned).unwrap_or_else(|problem| {
            faults.add(Place::default(), problem);
            String::new()
        });
        digests.push((Arc::clone(file), sha256(text.as_bytes())));
        let mut written = None;
        if faults.is_empty() {
            match Document::parse(&text) {
                Ok(document) => written = Some(Written::Policy(text, Box::new(document))),
                Err((message, place)) => {
                    let (place, help) = shape::narrow(&text, place, &message);
                    faults.add_advised(place, Problem::Shape(message), help);
                }
            }
        }
        Self { file: Arc::clone(file), digests, written, faults }
    }
}

/// A file once it is built.
pub(super) struct Built {
    pub(super) written: Written,
    pub(super) target: Target,
}

/// What came of a file.
pub(super) struct Judged {
    pub(super) outcomes: Vec<CaseOutcome>,
    pub(super) findings: Vec<Finding>,
    pub(super) faults: Faults,
    pub(super) cases: Vec<RehearsedCase>,
    pub(super) coverage: Option<FileCoverage>,
}

impl Built {
    /// Runs its cases, and checks it; watches the cases, where that is asked for.
    pub(super) fn judge(&self, language: &Language, catalog: &Catalog, parses: &Parses, watched: bool) -> Judged {
        let Self { written, target } = self;
        let mut faults = Faults::of(&target.file);
        let (text, document) = match written {
            Written::Policy(text, document) => (text, document),
            Written::Role(documents) => {
                let (outcomes, findings, mut cases) = role::judge(documents, target, language, catalog, &mut faults);
                cases.retain(|_| watched);
                let coverage = watched.then(|| FileCoverage::of(target, &documents.text, &cases, language));
                return Judged { outcomes, findings, faults, cases, coverage };
            }
        };
        let cases = cases::resolve(document, &mut faults);
        let outcomes = cases.iter().map(|case| case.run(language, target)).collect();
        let findings = check(&Subject { file: &target.file, text, document, target, catalog, parses });
        let cases: Vec<_> = cases.iter().filter(|_| watched).map(|case| case.rehearsed(target)).collect();
        let coverage = watched.then(|| FileCoverage::of(target, text, &cases, language));
        Judged { outcomes, findings, faults, cases, coverage }
    }
}
