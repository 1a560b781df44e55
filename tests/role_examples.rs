//! GitLab's own programs, as roles under cambio: they load, and say what GitLab's decision chains say.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so by failing")]

use std::path::{Path, PathBuf};

use cambio::identity::IssuerName;
use cambio::policy::{Catalog, PolicySet, Severity};
use cambio::trust::Platforms;

fn issuers() -> Catalog {
    let mut catalog = Catalog::default();
    let name = IssuerName::new("gitlab").unwrap();
    catalog.add(name, Platforms::embedded().find("gitlab"));
    catalog
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitlab-secrets-manager/policies")
}

#[test]
fn gitlabs_programs_load_and_keep_their_cases() {
    let set = PolicySet::load(&directory(), &issuers()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(set.targets().len(), 6);
}

#[test]
fn gitlabs_programs_have_no_warning_that_is_not_accepted() {
    let inspection = PolicySet::inspect(&directory(), &issuers()).unwrap();
    let found: Vec<String> = inspection.counting(Severity::Warning).map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
