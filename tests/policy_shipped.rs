//! The policies that an operator starts from: they load, their cases hold, and they hold what they promise.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so by failing")]

use std::collections::BTreeSet;
use std::path::Path;

use cambio::identity::IssuerName;
use cambio::policy::{Catalog, PolicySet};
use cambio::trust::Platforms;

fn issuers() -> Catalog {
    let mut catalog = Catalog::default();
    let platforms = Platforms::embedded();
    for (name, platform) in [("gitlab", "gitlab"), ("github", "github"), ("prod-cluster", "kubernetes")] {
        catalog.add(IssuerName::new(name).unwrap(), platforms.find(platform));
    }
    catalog
}

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

#[test]
fn the_shipped_policies_load_and_keep_their_cases() {
    let set = PolicySet::load(&directory(), &issuers()).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<&str> = set.targets().iter().map(|target| target.name().as_str()).collect();
    assert_eq!(names, ["shop-production", "group-pipelines-combined", "group-pipelines", "payments-api"]);
}

#[test]
fn every_shipped_policy_has_permits_and_denials() {
    let outcomes = PolicySet::run_cases(&directory(), &issuers()).unwrap();
    let files: BTreeSet<&str> = outcomes.iter().map(|outcome| outcome.file.as_ref()).collect();
    assert_eq!(files.len(), 4);
    for file in files {
        let of_file = || outcomes.iter().filter(|outcome| *outcome.file == *file);
        assert!(of_file().filter(|outcome| outcome.permit).count() >= 2, "{file}");
        assert!(of_file().filter(|outcome| !outcome.permit).count() >= 5, "{file}");
    }
}
