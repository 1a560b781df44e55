//! Reading the rules: policies from their directory, checked for the issuers that there are. The same at the start, at a
//! reload and for `serve --check`.
//!
//! Decides what is told of findings. Refuses to take anything up.

use std::fmt;
use std::path::Path;

use crate::clock::Timestamp;
use crate::exchange::{LoginMounts, NoSuchDefault, NoSuchTarget, Rules, Tenants};
use crate::identity::TargetName;
use crate::policy::{Catalog, Finding, LoadErrors, PolicySet, Severity};
use crate::secrets::acl::{AclDocuments, AclErrors};
use crate::trust::Issuers;

/// How many findings are told at most; `cambio policy check` tells all.
const MOST_TOLD: usize = 20;

/// Policies that are good, and do not decide yet.
pub struct NewPolicies {
    set: PolicySet,
    acl: AclDocuments,
    warnings: Vec<Finding>,
}

/// Why rules are no good.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The directory cannot be read, or there are no threads to read it on.
    #[error("{0}")]
    Unreadable(#[from] LoadErrors),
    /// Errors in the policies, or cases that come out otherwise than they say.
    #[error("{}", Told(.0))]
    Findings(Vec<Finding>),
    /// The target of requests that name none does not exist.
    #[error(transparent)]
    DefaultTarget(#[from] NoSuchDefault),
    /// The target of a project or group of the REST API does not exist.
    #[error(transparent)]
    Tenant(#[from] NoSuchTarget),
    /// Errors in the access documents.
    #[error("{0}")]
    Acl(#[from] AclErrors),
}

impl NewPolicies {
    /// Reads and checks all policies of `directory`, and runs their cases.
    ///
    /// # Errors
    /// [`RulesError`]; all errors of all files at once.
    pub fn load(directory: &Path, catalog: &Catalog) -> Result<Self, RulesError> {
        let (set, findings) = PolicySet::inspect(directory, catalog)?.into_parts();
        let of = |severity| move |finding: &Finding| finding.severity == severity && finding.counts();
        match set {
            Some(set) => {
                let acl = AclDocuments::load(directory)?;
                acl.warnings().iter().for_each(|warning| tracing::warn!(%warning, "access document"));
                let warnings = findings.into_iter().filter(of(Severity::Warning)).collect();
                Ok(Self { set, acl, warnings })
            }
            None => Err(RulesError::Findings(findings.into_iter().filter(of(Severity::Error)).collect())),
        }
    }

    /// Odd things that keep nothing from running, and that no file accepts.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// Together with the issuers that they were checked for.
    ///
    /// # Errors
    /// [`RulesError::DefaultTarget`], [`RulesError::Tenant`].
    pub fn into_rules(
        self,
        issuers: Issuers,
        default_target: Option<TargetName>,
        logins: LoginMounts,
        tenants: Tenants,
        now: Timestamp,
    ) -> Result<Rules, RulesError> {
        let mut rules = Rules::new(issuers, self.set, default_target, now)?
            .with_acl(self.acl)
            .with_logins(logins)?
            .with_tenants(tenants)?;
        rules.warnings = self.warnings.len();
        Ok(rules)
    }
}

impl RulesError {
    /// Whether trying again without a change may help.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }

    /// How many faults there are, and the place and code of the first.
    pub(super) fn summary(&self) -> (usize, Option<String>) {
        let place = |finding: &Finding| {
            let (file, place, code) = (&finding.file, finding.place, finding.code);
            if place.line == 0 {
                format!("{file} {code}")
            } else {
                format!("{file}:{}:{} {code}", place.line, place.column)
            }
        };
        match self {
            Self::Unreadable(errors) => {
                (errors.errors().len(), errors.errors().first().map(|one| place(&one.finding())))
            }
            Self::Findings(findings) => (findings.len(), findings.first().map(place)),
            Self::Acl(errors) => (errors.errors().len(), errors.errors().first().map(|one| place(&one.finding()))),
            Self::DefaultTarget(_) | Self::Tenant(_) => (1, None),
        }
    }

    /// A line for each fault, up to the bound.
    pub(super) fn log(&self) {
        match self {
            Self::Findings(findings) => log(findings),
            other => tracing::error!(error = %other, "the policies are no good"),
        }
    }
}

/// A log line for each finding, up to the bound.
pub(super) fn log(findings: &[Finding]) {
    for finding in findings.iter().take(MOST_TOLD) {
        let (code, help) = (finding.code, finding.help.as_deref().unwrap_or_default());
        match finding.severity {
            Severity::Error => tracing::error!(%finding, %code, help, "policy finding"),
            Severity::Warning => tracing::warn!(%finding, %code, help, "policy finding"),
        }
    }
    if let Some(more @ 1..) = findings.len().checked_sub(MOST_TOLD) {
        tracing::warn!(more, "further policy findings; `cambio policy check` lists all");
    }
}

/// Findings for a person, a line each, up to the bound.
pub struct Told<'a>(pub &'a [Finding]);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().take(MOST_TOLD).enumerate() {
            write!(f, "{}{finding}", if index == 0 { "" } else { "\n" })?;
        }
        match self.0.len().checked_sub(MOST_TOLD) {
            Some(more @ 1..) => write!(f, "\nand {more} more; `cambio policy check` lists all"),
            _ => Ok(()),
        }
    }
}
