//! The lints over whole files: what is shipped has none, each wrong file has the one it says, each good file has none.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so by failing")]
#![allow(clippy::string_slice, reason = "the places of findings are byte offsets of characters")]

use std::fs;
use std::path::{Path, PathBuf};

use cambio::identity::IssuerName;
use cambio::policy::{Catalog, Finding, PolicySet, Severity};
use cambio::trust::Platforms;

/// An issuer of each platform, called as the platform.
fn issuers() -> Catalog {
    let mut catalog = Catalog::default();
    let platforms = Platforms::embedded();
    for platform in [
        "aks",
        "azure-devops",
        "bitbucket",
        "buildkite",
        "circleci",
        "eks",
        "generic",
        "github",
        "gitlab",
        "gke",
        "google",
        "jenkins",
        "kubernetes",
        "spiffe",
        "terraform-cloud",
    ] {
        catalog.add(IssuerName::new(platform).unwrap(), platforms.find(platform));
    }
    catalog.add(IssuerName::new("prod-cluster").unwrap(), platforms.find("kubernetes"));
    catalog
}

fn files(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn findings(path: &Path) -> (String, Vec<Finding>) {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let inspection = PolicySet::inspect_sources([(name, text.as_str())], &issuers()).unwrap();
    let counting = [Severity::Error, Severity::Warning].into_iter().flat_map(|severity| inspection.counting(severity));
    let findings = counting.cloned().collect();
    (text, findings)
}

/// `P0304 at 9:31 "repo:org"`.
fn described(text: &str, finding: &Finding) -> String {
    let place = finding.place;
    let start = place.offset as usize;
    let underlined = text.get(start..start + place.len as usize).unwrap_or("?");
    format!("{} at {}:{} {underlined}", finding.code, place.line, place.column)
}

fn expected(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect()
}

#[test]
fn shipped_policies_have_no_finding() {
    for path in files("policies") {
        let (_, findings) = findings(&path);
        assert!(findings.is_empty(), "{}: {findings:#?}", path.display());
    }
}

#[test]
fn each_wrong_policy_has_the_finding_that_it_says_and_no_other() {
    let files = files("tests/policies/wrong/lints");
    assert!(files.len() >= 30, "{} files", files.len());
    let mut wrong = vec![];
    for path in files {
        let (text, findings) = findings(&path);
        let found: Vec<String> = findings.iter().map(|finding| described(&text, finding)).collect();
        if found != expected(&text) || found.is_empty() {
            wrong.push(format!("{}: {found:#?}\n{findings:#?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_good_policy_has_a_finding() {
    let files = files("tests/policies/good/lints");
    assert!(files.len() >= 20, "{} files", files.len());
    for path in files {
        let (_, findings) = findings(&path);
        assert!(findings.is_empty(), "{}: {findings:#?}", path.display());
    }
}
