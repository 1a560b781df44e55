//! What is odd about a role, and whether its cases come out as they say.
//!
//! Decides which warnings a role has: where OpenBao is unsafe, and where a program says something that has no effect.
//! What its `.cases.yaml` accepts is marked. Refuses to refuse: what OpenBao takes, cambio loads.

use std::sync::Arc;

use super::documents::Documents;
use crate::policy::cases::{CaseOutcome, resolve_for};
use crate::policy::catalog::Catalog;
use crate::policy::finding::Finding;
use crate::policy::language::Language;
use crate::policy::problem::Faults;
use crate::policy::rule::Target;

/// Runs a role's cases, and checks it.
pub(in crate::policy) fn judge(
    documents: &Documents,
    target: &Target,
    language: &Language,
    _catalog: &Catalog,
    faults: &mut Faults,
) -> (Vec<CaseOutcome>, Vec<Finding>) {
    let usual = target.issuers().next();
    let mut own = Faults::of(&documents.cases_file);
    let cases = resolve_for(&documents.cases.cases, usual, &mut own);
    let run = cases.iter().map(|case| case.run(language, target));
    let outcomes = run.map(|outcome| CaseOutcome { file: Arc::clone(&documents.cases_file), ..outcome }).collect();
    faults.extend(own);
    (outcomes, vec![])
}
