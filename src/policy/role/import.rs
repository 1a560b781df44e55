//! From a role to a policy of cambio's own.
//!
//! Decides what of a role has a counterpart: variables become `let`, each question that denies becomes a condition with its
//! message, each `pb.Auth` a rule's grant. What has none is said: whatever would change who is granted what, or for how
//! long, is *missing*, the rest a *note*. Refuses to guess: the policy that it writes is loaded, and the role's own cases
//! are run against it, before anybody sees it.

mod cases;
mod grant;
mod names;
mod rules;
#[cfg(test)]
mod tests;
mod yaml;

use std::sync::Arc;

use self::rules::Translation;
use super::documents::Documents;
use super::path::{self, RolePath};
use crate::identity::{IssuerName, TargetName};
use crate::policy::catalog::Catalog;
use crate::policy::finding::{Finding, Severity};
use crate::policy::problem::{Faults, LoadErrors};
use crate::policy::set::PolicySet;
use crate::policy::sources::{RoleSource, Source};

/// The files of one role.
#[derive(Clone, Copy, Debug)]
pub struct RoleFiles<'a> {
    /// The role's path below the policy directory.
    pub file: &'a str,
    /// Its document.
    pub role: &'a str,
    /// Its mount's configuration.
    pub config: &'a str,
    /// Its cases, YAML.
    pub cases: Option<&'a str>,
}

/// A policy that a role became.
#[derive(Debug)]
pub struct Imported {
    /// The policy file, with the role's cases.
    pub policy: String,
    /// What has no counterpart, and changes neither who is granted what nor for how long.
    pub notes: Vec<String>,
    /// What has no counterpart, and does: somebody has to look.
    pub missing: Vec<String>,
    /// What a check finds in the policy. Without errors it loads, and all cases came out as the role's.
    pub findings: Vec<Finding>,
}

impl Imported {
    /// Whether nothing is missing and the policy loads.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

/// Writes the policy that says what a role says, for tokens of `issuer`, which `catalog` has.
///
/// # Errors
/// [`LoadErrors`] where the role itself does not load.
pub fn import_role(
    files: RoleFiles<'_>,
    target: &TargetName,
    issuer: &IssuerName,
    catalog: &Catalog,
) -> Result<Imported, LoadErrors> {
    let config = path::config_of(files.file).unwrap_or_default();
    let cases = path::cases_of(files.file).unwrap_or_default();
    let mut sources = vec![(files.file, files.role), (config.as_str(), files.config)];
    sources.extend(files.cases.map(|text| (cases.as_str(), text)));
    // The URL of the mount's issuer plays no part here: the operator says whose tokens the policy is for.
    let mut known = Catalog::default();
    known.insert(issuer.clone(), Default::default());
    let set = PolicySet::from_sources(sources, &known)?;
    let documents = documents(files)?;
    let (policy, notes, missing) = Translation::of(&documents, &set, target, issuer, catalog).finish();
    let inspection = PolicySet::inspect_sources([("imported.yaml", policy.as_str())], catalog)?;
    let findings = inspection.findings().to_vec();
    Ok(Imported { policy, notes, missing, findings })
}

fn documents(files: RoleFiles<'_>) -> Result<Documents, LoadErrors> {
    let text = |text: &str| Source::Text(Arc::from(text));
    let named = |name: Option<String>, of: &str| (Arc::from(name.unwrap_or_default()), text(of));
    let source = RoleSource {
        role: text(files.role),
        config: Some(named(path::config_of(files.file), files.config)),
        cases: files.cases.map(|cases| named(path::cases_of(files.file), cases)),
    };
    let file: Arc<str> = Arc::from(files.file);
    let mut faults = Faults::of(&file);
    Documents::read(&file, &source, &mut faults, |_, _| {}).ok_or_else(|| LoadErrors(faults.into_inner()))
}

impl RolePath {
    /// Reads where a role stands from its file's path below the policy directory.
    ///
    /// # Errors
    /// [`NameError`](crate::identity::NameError) where it stands nowhere.
    pub fn parse(file: &str) -> Result<Self, crate::identity::NameError> {
        Self::of(file)
    }

    /// Where the mount's configuration of a role in `file` stands.
    #[must_use]
    pub fn config_file(&self, file: &str) -> String {
        path::config_of(file).unwrap_or_default()
    }

    /// Where the cases of a role in `file` stand.
    #[must_use]
    pub fn cases_file(&self, file: &str) -> String {
        path::cases_of(file).unwrap_or_default()
    }
}
