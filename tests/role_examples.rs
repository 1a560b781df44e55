//! GitLab's own programs, as roles under cambio: they load, and say what GitLab's decision chains say.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test says so by failing"
)]

use std::path::{Path, PathBuf};

use cambio::config::Config;
use cambio::identity::{IssuerName, TargetName};
use cambio::policy::{Catalog, PolicySet, RoleFiles, Severity, import_role};
use cambio::trust::Platforms;

fn issuers() -> Catalog {
    let mut catalog = Catalog::default();
    let name = IssuerName::new("gitlab").unwrap();
    catalog.add(name, Platforms::embedded().find("gitlab"));
    catalog
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitlab-secrets-manager")
}

/// Whom the example's own configuration names.
fn secrets_manager() -> Catalog {
    Config::load(&example().join("cambio.yaml")).unwrap().catalog()
}

fn directory() -> PathBuf {
    example().join("policies")
}

#[test]
fn gitlabs_programs_load_and_keep_their_cases() {
    let set = PolicySet::load(&directory(), &secrets_manager()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(set.targets().len(), 6);
}

#[test]
fn gitlabs_programs_have_no_warning_that_is_not_accepted() {
    let inspection = PolicySet::inspect(&directory(), &secrets_manager()).unwrap();
    let found: Vec<String> = inspection.counting(Severity::Warning).map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The text of the fenced block of the operator's page that is marked so.
fn block(mark: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openbao-roles.md")).unwrap();
    let opening = format!("```{mark}\n");
    let start = page.find(&opening).unwrap_or_else(|| panic!("no block `{mark}`")) + opening.len();
    page[start..].split("```").next().unwrap().to_owned()
}

const PATH: &str = "ns/auth/jwt/cel/role/deploy.json";

#[test]
fn the_role_of_the_page_loads_and_keeps_its_cases() {
    let sources = [
        (PATH, block("json role")),
        ("ns/auth/jwt/config.json", block("json config")),
        ("ns/auth/jwt/cel/role/deploy.cases.yaml", block("yaml cases")),
    ];
    let inspection = PolicySet::inspect_sources(sources, &issuers()).unwrap();
    let counting = [Severity::Error, Severity::Warning].into_iter().flat_map(|severity| inspection.counting(severity));
    let found: Vec<String> = counting.map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(inspection.outcomes().len(), 4);
}

#[test]
fn the_role_of_the_page_becomes_the_policy_of_the_page() {
    let (role, config, cases) = (block("json role"), block("json config"), block("yaml cases"));
    let files = RoleFiles { file: PATH, role: &role, config: &config, cases: Some(&cases) };
    let (target, issuer) = (TargetName::new("deploy").unwrap(), IssuerName::new("gitlab").unwrap());
    let imported = import_role(files, &target, &issuer, &issuers()).unwrap();
    assert!(imported.is_whole(), "{:?} {:?}\n{}", imported.missing, imported.findings, imported.policy);
    assert!(imported.policy.starts_with(&block("yaml imported")), "{}", imported.policy);
}
