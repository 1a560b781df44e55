//! What the documents promise is in the code, and the other way round.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The words between backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// String literals that stand where a reason's code stands: after `=>`, or first in a call of `malformed`.
fn codes(source: &str) -> BTreeSet<String> {
    let before_tests = source.split("#[cfg(test)]").next().unwrap();
    let literal =
        |rest: &str| rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next().map(str::to_owned));
    let marks = ["=>", "malformed(", "{ \"grant_unsupported\" } else {", "Unread::new(", "Unread { code:"];
    let all = marks.iter().flat_map(|mark| before_tests.match_indices(mark).map(|(at, mark)| at + mark.len()));
    let words = all.filter_map(|at| before_tests.get(at..).and_then(literal));
    words.filter(|word| word.contains('_') && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).collect()
}

#[test]
fn every_reason_is_documented() {
    let documented = read("docs/audit.md");
    let documented = quoted(&documented);
    let files = [
        "exchange/stop.rs",
        "verify/refusal.rs",
        "policy/decision/reason.rs",
        "policy/role/refusal.rs",
        "http/oauth/token.rs",
        "http/vault/login.rs",
        "exchange/access/stop.rs",
        "exchange/bearer.rs",
        "exchange/administration.rs",
        "exchange/self_rotation.rs",
        "http/admin/call.rs",
        "accounts/refusal.rs",
        "http/rest/access_token.rs",
        "http/rest/bulk.rs",
        "http/rest/list.rs",
        "http/rest/request.rs",
        "http/rest/value.rs",
        "secrets/openbao/error.rs",
    ];
    let codes: BTreeSet<String> = files.iter().flat_map(|file| codes(&read(&format!("src/{file}")))).collect();
    assert!(codes.len() > 40, "{codes:?}");
    let missing: Vec<_> = codes.iter().filter(|code| !documented.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "docs/audit.md does not tell of {missing:?}");
}

#[test]
fn every_key_of_the_configuration_is_documented() {
    let documented = read("docs/configuration.md");
    for (file, mark) in [("src/config/file.rs", "    pub(super) "), ("src/trust/settings.rs", "    pub ")] {
        let source = read(file);
        let keys = source.lines().filter_map(|line| line.strip_prefix(mark)).filter_map(|line| line.split(':').next());
        let keys: Vec<_> = keys.filter(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).collect();
        assert!(keys.len() > 10, "{keys:?}");
        for key in keys {
            assert!(documented.contains(key), "docs/configuration.md does not tell of `{key}` ({file})");
        }
    }
}

#[test]
fn every_metric_that_the_operator_is_told_to_look_at_exists() {
    let (page, source) = (read("docs/operations.md"), read("src/telemetry/metrics.rs"));
    let words = page.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).filter(|word| word.starts_with("cambio_"));
    let names: BTreeSet<&str> = words.map(|word| word.strip_suffix("_total").unwrap_or(word)).collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        assert!(source.contains(&format!("\"{name}\"")), "docs/operations.md tells of `{name}`");
    }
}

#[test]
fn every_document_that_is_named_exists() {
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/audit.md",
        "docs/threats.md",
        "docs/configuration.md",
        "docs/operations.md",
        "docs/rest.md",
    ] {
        let text = read(page);
        for path in quoted(&text).into_iter().filter(|word| word.starts_with("docs/") || word.starts_with("src/")) {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists() || path.contains('*'), "{page}: {path}");
        }
    }
}

/// The policies that README.md shows are as good as those that are shipped.
#[test]
fn the_policy_of_the_readme_has_no_finding_and_keeps_its_cases() {
    let text = read("README.md");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let policies: Vec<&str> = blocks.filter(|block| block.starts_with("target:")).collect();
    assert!(!policies.is_empty());
    let mut catalog = cambio::policy::Catalog::default();
    catalog.add_guessing(cambio::identity::IssuerName::new("gitlab").unwrap(), &cambio::trust::Platforms::embedded());
    for policy in policies {
        let inspection = cambio::policy::PolicySet::inspect_sources([("readme.yaml", policy)], &catalog).unwrap();
        let said: Vec<String> = inspection.findings().iter().map(ToString::to_string).collect();
        assert!(said.is_empty() && inspection.set().is_some(), "{said:?}");
        assert!(inspection.outcomes().len() > 1);
    }
}
