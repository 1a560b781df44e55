//! Policies as data: wrong ones with the finding that each has, and good ones with none.
//!
//! A file under `tests/policies/wrong/` begins with what it is expected to have, one line for each finding:
//!
//! ```text
//! # expect: P0201 at 9:31 "project_pth"
//! ```
//!
//! the code, the line and the column (in characters), and the exact text that is underlined; without a text, the finding
//! is about the whole file or an empty one. No other finding of that severity or a worse one may come with it. The files
//! under `tests/policies/good/`, and the policies that are shipped, have no finding at all.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so by failing")]

use std::fs;
use std::path::{Path, PathBuf};

use cambio::identity::IssuerName;
use cambio::policy::{Catalog, Finding, Inspection, PolicySet, Severity};
use cambio::trust::Platforms;

/// An issuer of each platform, by the platform's name; `prod-cluster`, a Kubernetes cluster; `unknown`, of which nothing
/// is known.
fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let platforms = Platforms::embedded();
    for platform in platforms.iter() {
        catalog.add(IssuerName::new(platform.name()).unwrap(), Some(platform));
    }
    catalog.add(IssuerName::new("prod-cluster").unwrap(), platforms.find("kubernetes"));
    catalog.add(IssuerName::new("unknown").unwrap(), None);
    catalog
}

/// All YAML files below a directory of the repository, with their texts.
fn files(below: &str) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(below)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn inspect(path: &Path, text: &str) -> Inspection {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    PolicySet::inspect_sources([(name, text.to_owned())], &catalog()).unwrap()
}

/// A finding as a header writes it.
fn written(finding: &Finding, text: &str) -> String {
    let place = finding.place;
    let underlined = text.get(place.offset as usize..(place.offset + place.len) as usize).unwrap_or_default();
    match (place.line, underlined) {
        (0, _) => finding.code.id().to_owned(),
        (line, "") => format!("{} at {line}:{}", finding.code, place.column),
        (line, underlined) => format!("{} at {line}:{} {underlined:?}", finding.code, place.column),
    }
}

/// Whether a header means that finding; the text may stand without the quotes around it.
fn is_written(finding: &Finding, text: &str, expected: &str) -> bool {
    let written = written(finding, text);
    let bare = |line: &str| match line.split_once(" at ").and_then(|(code, at)| Some((code, at.split_once(' ')?))) {
        Some((code, (at, text))) => {
            format!("{code} at {at} {}", serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned()))
        }
        None => line.to_owned(),
    };
    written == expected || bare(&written) == bare(expected)
}

fn told(findings: &[Finding], text: &str) -> String {
    let line = |finding: &Finding| {
        format!(
            "\n      {finding}\n        # expect: {}\n        label: {:?}\n        help: {:?}",
            written(finding, text),
            finding.label,
            finding.help
        )
    };
    findings.iter().map(line).collect()
}

#[test]
fn each_wrong_policy_has_its_finding_where_it_says() {
    let mut faults = vec![];
    let files = files("tests/policies/wrong");
    assert!(files.len() >= 140, "only {} wrong policies", files.len());
    for (path, text) in &files {
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        let inspection = inspect(path, text);
        let findings = inspection.findings();
        let says = |expected: &&str| findings.iter().find(|finding| is_written(finding, text, expected));
        let worst = expected.iter().filter_map(says).map(|finding| finding.severity).max();
        let more = findings.iter().filter(|finding| Some(finding.severity) >= worst).count();
        if expected.is_empty() || !expected.iter().all(|expected| says(expected).is_some()) || more != expected.len() {
            faults.push(format!("\n  {}: expected {expected:?}, found:{}", path.display(), told(findings, text)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.concat());
}

#[test]
fn every_finding_of_an_error_says_what_to_do_and_underlines_something() {
    let mut faults = vec![];
    for (path, text) in files("tests/policies/wrong") {
        for finding in inspect(&path, &text).findings().iter().filter(|finding| finding.severity == Severity::Error) {
            if finding.help.is_none() && finding.label.is_none() {
                faults.push(format!("\n  {}: {finding}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.concat());
}

#[test]
fn no_good_policy_has_a_finding() {
    let mut faults = vec![];
    let good = files("tests/policies/good");
    assert!(good.len() >= 60, "only {} good policies", good.len());
    for (path, text) in good.iter().chain(&files("policies")) {
        let inspection = inspect(path, text);
        let findings: Vec<Finding> =
            inspection.findings().iter().filter(|finding| finding.accepted.is_none()).cloned().collect();
        if !findings.is_empty() {
            faults.push(format!("\n  {}:{}", path.display(), told(&findings, text)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.concat());
}

#[test]
fn no_wrong_policy_loads_and_every_good_one_does() {
    for (path, text) in files("tests/policies/wrong/types") {
        assert!(inspect(&path, &text).set().is_none(), "{}", path.display());
    }
    for (path, text) in files("tests/policies/good") {
        assert!(inspect(&path, &text).set().is_some(), "{}", path.display());
    }
}
