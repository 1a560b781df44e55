//! A policy directory with its cases, for the tools that replay them.
//!
//! Decides nothing. Holds what serving has no use for: the claims of every case, what the cases have shown, and a set that
//! may have failed its own cases.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::catalog::Catalog;
use super::coverage::FileCoverage;
use super::document::Place;
use super::inspection::Inspection;
use super::load::rehearse;
use super::problem::LoadErrors;
use super::set::PolicySet;
use super::sources::Sources;
use crate::clock::Timestamp;
use crate::identity::{IssuerName, TargetName};

/// Everything about a policy directory.
#[derive(Debug)]
pub struct Rehearsal {
    pub(super) inspection: Inspection,
    pub(super) built: Option<PolicySet>,
    pub(super) cases: Vec<RehearsedCase>,
    pub(super) coverage: Vec<FileCoverage>,
}

/// One case, with what it inherits.
#[derive(Clone, Debug)]
pub struct RehearsedCase {
    /// The file, relative to the policy directory.
    pub file: Arc<str>,
    /// Where it stands.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// The target of its file.
    pub target: TargetName,
    /// Who vouches.
    pub issuer: IssuerName,
    /// What for.
    pub claims: Map<String, Value>,
    /// The moment of the decision.
    pub at: Timestamp,
    /// Whether it expects a permit.
    pub permit: bool,
}

impl PolicySet {
    /// Inspects the files below `directory`, and watches their cases: slower than [`PolicySet::load`], and for tools only.
    ///
    /// # Errors
    /// [`LoadErrors`] where the directory can't be read.
    pub fn rehearse(directory: &Path, catalog: &Catalog) -> Result<Rehearsal, LoadErrors> {
        rehearse(&Sources::find(directory)?, catalog)
    }

    /// The same from names and texts, in order of the names.
    ///
    /// # Errors
    /// [`LoadErrors`] where the machinery failed.
    pub fn rehearse_sources<N, T>(
        sources: impl IntoIterator<Item = (N, T)>,
        catalog: &Catalog,
    ) -> Result<Rehearsal, LoadErrors>
    where
        N: AsRef<str>,
        T: Into<String>,
    {
        rehearse(&Sources::of(sources), catalog)
    }
}

impl Rehearsal {
    /// Findings and cases, as `check` and `test` tell them; the set stands apart, in [`Rehearsal::built`].
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// The set, where nothing is wrong but, possibly, the outcome of cases. To ask questions of, never to serve.
    #[must_use]
    pub fn built(&self) -> Option<&PolicySet> {
        self.built.as_ref()
    }

    /// All cases that are well formed, in the order of files and places.
    #[must_use]
    pub fn cases(&self) -> &[RehearsedCase] {
        &self.cases
    }

    /// What the cases have shown, file by file.
    #[must_use]
    pub fn coverage(&self) -> &[FileCoverage] {
        &self.coverage
    }
}
