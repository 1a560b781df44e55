//! All policies of one cambio.
//!
//! Decides which target a requested name means, and, for a verified token, what is granted: [`PolicySet::decide`] is the
//! only way to a [`Permit`]. A set is complete or does not exist: one fault in one file, or one case that comes out
//! otherwise, and nothing of it is used.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::cases::CaseOutcome;
use super::decision::{Denial, Permit};
use super::evaluate::{Evaluation, evaluate};
use super::language::Language;
use super::load::{Loaded, load};
use super::problem::LoadErrors;
use super::rule::Target;
use super::sources::Sources;
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::jose::Sha256;
use crate::verify::VerifiedToken;

/// All policies, compiled. Cheap to share: it never changes.
pub struct PolicySet {
    pub(super) language: Language,
    pub(super) targets: Vec<Target>,
    /// Names and aliases.
    pub(super) index: HashMap<Arc<str>, u32>,
    pub(super) digest: Sha256,
}

impl PolicySet {
    /// Reads all policy files below `directory` (`*.yaml`, `*.yml`, in order of their paths; `*.cases.yaml` belong to
    /// role documents), for the configured `issuers`, and runs their cases.
    ///
    /// # Errors
    /// [`LoadErrors`] with every fault of every file, cases that came out otherwise included.
    pub fn load(directory: &Path, issuers: &BTreeSet<IssuerName>) -> Result<Self, LoadErrors> {
        load(&Sources::find(directory)?, issuers)?.into_set()
    }

    /// The same from names and texts, in order of the names.
    ///
    /// # Errors
    /// As [`PolicySet::load`].
    pub fn from_sources<N, T>(
        sources: impl IntoIterator<Item = (N, T)>,
        issuers: &BTreeSet<IssuerName>,
    ) -> Result<Self, LoadErrors>
    where
        N: AsRef<str>,
        T: Into<String>,
    {
        load(&Sources::of(sources), issuers)?.into_set()
    }

    /// Runs all cases of the files below `directory`, and reports each.
    ///
    /// # Errors
    /// [`LoadErrors`] where a file is out of order; a case that comes out otherwise is no error here.
    pub fn run_cases(directory: &Path, issuers: &BTreeSet<IssuerName>) -> Result<Vec<CaseOutcome>, LoadErrors> {
        load(&Sources::find(directory)?, issuers).map(Loaded::into_outcomes)
    }

    /// The digest of all files, by name and content.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// The target that an `audience`, `resource` or role names, by its name or an alias, byte for byte.
    #[must_use]
    pub fn target(&self, requested: &str) -> Option<&Target> {
        self.index.get(requested).and_then(|index| self.targets.get(*index as usize))
    }

    /// All targets, in order of their files.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Decides what `target` grants to `token` at `now`, and takes the token into the permit.
    ///
    /// # Errors
    /// A [`Denial`], which is a decision and no failure.
    pub fn decide(&self, token: VerifiedToken, target: &Target, now: Timestamp) -> Result<Permit, Denial> {
        let (grant, trace) = self.evaluate(token.issuer(), token.claims(), target, now).into_result()?;
        Ok(Permit { token, target: target.name.clone(), namespace: target.namespace.clone(), grant, trace })
    }

    /// What `target` would say to these claims. Proves nothing about them: for tools and tests.
    #[must_use]
    pub fn evaluate(
        &self,
        issuer: &IssuerName,
        claims: &Map<String, Value>,
        target: &Target,
        now: Timestamp,
    ) -> Evaluation {
        evaluate(&self.language, target, issuer, claims, now)
    }

    /// Whether `target` still has the rule `rule` with that digest (64 hex digits): whether a token that names them is
    /// still backed by what granted it.
    #[must_use]
    pub fn rule_is_current(&self, target: &str, rule: &str, digest: &str) -> bool {
        let named = self.target(target).filter(|found| found.name.as_str() == target);
        let found = named.and_then(|target| target.rules.iter().find(|known| *known.name == *rule));
        found.is_some_and(|rule| rule.digest.to_string() == digest)
    }
}

impl std::fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicySet").field("targets", &self.targets.len()).field("digest", &self.digest).finish()
    }
}
