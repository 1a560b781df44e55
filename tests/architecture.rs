//! The laws of the house (`src/lib.rs` has the list): imports point down one list, files stay short, each third-party crate
//! has an owner, no module is a drawer for everything.
#![allow(clippy::unwrap_used, clippy::string_slice, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Top to bottom: a module imports only what stands below it.
const ORDER: [&str; 19] = [
    "cli",
    "app",
    "config",
    "telemetry",
    "http",
    "exchange",
    "audit",
    "mint",
    "secrets",
    "replay",
    "limits",
    "policy",
    "verify",
    "trust",
    "jose",
    "oauth",
    "state",
    "identity",
    "clock",
];

/// Which modules may use a crate that is not everybody's.
const OWNERS: [(&str, &[&str]); 31] = [
    ("axum", &["http"]),
    ("hyper", &["http"]),
    ("hyper_util", &["http"]),
    ("http_body_util", &["http", "secrets"]),
    ("tower", &["http"]),
    ("tower_service", &["http"]),
    ("tokio_rustls", &["http"]),
    ("rustls", &["http", "trust"]), // our listener, and the client's choice of cryptographic library
    ("aws_lc_rs", &["jose"]),
    ("ring", &["jose"]),
    ("rustls_pki_types", &["jose"]),
    ("cel", &["policy"]),
    ("regex", &["policy", "trust"]), // conditions, and the issuer patterns of platforms
    ("regex_automata", &["policy"]), // how large a pattern's automaton gets
    ("regex_syntax", &["policy"]),   // what a pattern begins with, and what is loose about it
    ("reqwest", &["trust"]),
    ("sqlx", &["state"]),
    ("redis", &["state"]),
    ("kube", &["secrets"]),
    ("quick_cache", &["verify", "mint", "secrets"]), // tokens that were verified before, logins at an OpenBao
    ("prometheus_client", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("annotate_snippets", &["cli"]),
    ("anstream", &["cli"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("jiff", &["clock", "policy"]), // times of policy cases
    ("rustix", &["cli"]),           // signals to a command that is watched over
    ("similar", &["cli"]),
    ("subtle", &["http"]),
    ("serde_saphyr", &["config", "policy", "trust"]), // each owns the shape of its own files
];

const MAX_LINES: usize = 300;

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, into: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.to_string_lossy().ends_with("tests.rs") {
                into.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 50, "the walk found too few files to mean anything");
    found.into_iter().map(|(path, text)| (path.strip_prefix(&root).unwrap().to_owned(), text)).collect()
}

fn module(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The text before the unit tests, which stand at the end.
fn before_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap()
}

/// The same without comments.
fn code(text: &str) -> String {
    let before_tests = before_tests(text);
    let lines = before_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The names that follow `prefix` in `text`, e.g. the modules after `crate::`.
fn after<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let pieces = text
        .match_indices(prefix)
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
    let word = |rest: &'a str| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
    pieces.map(|(at, _)| word(&text[at + prefix.len()..])).filter(|name| !name.is_empty()).collect()
}

#[test]
fn imports_point_down_the_list() {
    let rank = |name: &str| ORDER.iter().position(|known| *known == name);
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let Some(own) = rank(&module(&path)) else { continue };
        for used in after(&code(&text), "crate::") {
            if rank(used).is_some_and(|other| other < own) {
                broken.push(format!("{} imports {used}, which stands above it", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_module_is_on_the_list() {
    for (path, _) in sources() {
        let name = module(&path);
        assert!(["lib", "main"].contains(&name.as_str()) || ORDER.contains(&name.as_str()), "{name} has no place");
    }
}

#[test]
fn each_crate_has_its_owners() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let (name, code) = (module(&path), code(&text));
        for (dependency, owners) in OWNERS {
            let used = code.contains(&format!("use {dependency}::"))
                || code.contains(&format!("use {dependency};"))
                || code.contains(&format!(" {dependency}::"))
                || code.contains(&format!("({dependency}::"))
                || code.contains(&format!("<{dependency}::"));
            if used && !owners.contains(&name.as_str()) && name != "main" {
                broken.push(format!("{} uses {dependency}, owned by {owners:?}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn files_stay_short() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(path, text)| (path, before_tests(&text).lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{}: {lines} lines before its tests", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_module_is_a_drawer() {
    for (path, _) in sources() {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(!["utils", "util", "common", "helpers", "types", "misc"].contains(&stem), "{}", path.display());
    }
}

#[test]
fn modules_say_what_they_decide() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not open with what it is for", path.display());
    }
}

#[test]
fn the_checks_of_this_file_can_fail() {
    assert_eq!(after("use crate::policy::Permit;", "crate::").into_iter().collect::<Vec<_>>(), ["policy"]);
    assert_eq!(after("use other_crate::policy;", "crate::").len(), 0);
    assert_eq!(code("a\n// crate::http\n#[cfg(test)]\nmod tests {}"), "a");
    assert!(code("#[cfg(test)]\nmod tests;\nuse crate::http;").contains("crate::http"));
}
