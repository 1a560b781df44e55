//! What can be said of a policy directory as it stands.
//!
//! Decides nothing. Holds what `check` and `test` tell the operator.

use super::cases::CaseOutcome;
use super::finding::{Finding, Severity};
use super::set::PolicySet;

/// The findings and cases of a directory, and the set where it would load.
#[derive(Debug)]
pub struct Inspection {
    pub(super) set: Option<PolicySet>,
    pub(super) findings: Vec<Finding>,
    pub(super) outcomes: Vec<CaseOutcome>,
}

impl Inspection {
    /// The set, where nothing is wrong.
    #[must_use]
    pub fn set(&self) -> Option<&PolicySet> {
        self.set.as_ref()
    }

    /// The set, where nothing is wrong.
    #[must_use]
    pub fn into_set(self) -> Option<PolicySet> {
        self.set
    }

    /// The set, where nothing is wrong, and all findings.
    #[must_use]
    pub fn into_parts(self) -> (Option<PolicySet>, Vec<Finding>) {
        (self.set, self.findings)
    }

    /// All findings in the order of files and places, those that a file accepts included.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How the cases came out.
    #[must_use]
    pub fn outcomes(&self) -> &[CaseOutcome] {
        &self.outcomes
    }

    /// Findings of that severity that count against the files.
    pub fn counting(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity == severity && finding.counts())
    }
}
