//! Every finding has its page, and every example on the pages comes out as the page says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test says so")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cambio::identity::IssuerName;
use cambio::policy::{Catalog, Code, IssuerFacts, PolicySet, Severity};
use cambio::trust::Platforms;

/// Nothing that stands in a file shows these.
const WITHOUT_EXAMPLE: [Code; 3] = [Code::Unreadable, Code::Internal, Code::GuessedIssuer];

const GITLAB: &str = "https://gitlab.example.com";

fn page(code: Code) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(code.page()))
        .unwrap_or_else(|error| panic!("{}: {error}", code.page()))
}

/// The text of the fenced block that is marked so.
fn block<'a>(page: &'a str, mark: &str) -> Option<&'a str> {
    let start = ["yaml", "json"].iter().find_map(|kind| {
        let fence = format!("```{kind} {mark}\n");
        page.find(&fence).map(|at| at + fence.len())
    })?;
    let end = page[start..].find("```")?;
    Some(&page[start..start + end])
}

/// The excerpt within the file of `docs/findings/README.md`.
fn whole(base: &str, excerpt: &str) -> String {
    if excerpt.starts_with("target:") || excerpt.starts_with('{') {
        return excerpt.to_owned();
    }
    let mut parts: Vec<(String, String)> = vec![];
    for line in excerpt.lines() {
        if !line.starts_with(' ') {
            let key = if line.starts_with('-') { "-" } else { line.split(':').next().unwrap() };
            if key != "-" || parts.last().is_none_or(|(last, _)| last != "-") {
                parts.push((key.to_owned(), String::new()));
            }
        }
        let text = &mut parts.last_mut().unwrap().1;
        text.push_str(line);
        text.push('\n');
    }
    let taken = |key: &str| parts.iter().find(|(name, _)| name == key).map(|(_, text)| text.as_str());
    let indented =
        |by: usize, text: &str| text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect::<String>();
    let between = |from: &str, until: &str| {
        let start = base.find(from).unwrap();
        base[start..base[start..].find(until).map_or(base.len(), |end| start + end)].to_owned()
    };
    let rule = |key: &str, from: &str, until: &str| match taken(key) {
        Some(text) => indented(4, text),
        None if from.is_empty() => String::new(),
        None => between(from, until),
    };
    let known = ["aliases", "name", "issuer", "let", "require", "-", "grant", "accept", "cases"];
    assert!(parts.iter().all(|(key, _)| known.contains(&key.as_str())), "{excerpt}");
    let mut text = format!("{}{}rules:\n", between("target:", "rules:"), taken("aliases").unwrap_or_default());
    text.push_str(&format!("  - {}", taken("name").unwrap_or("name: deploy\n")));
    text.push_str(&rule("issuer", "    issuer:", "    require:"));
    text.push_str(&rule("let", "", ""));
    text.push_str(&rule("require", "    require:", "    grant:"));
    text.push_str(&indented(6, taken("-").unwrap_or_default()));
    text.push_str(&rule("grant", "    grant:", "cases:"));
    text.push_str(&rule("accept", "", ""));
    text.push_str(taken("cases").unwrap_or(&between("cases:", "\u{0}")));
    text
}

/// The codes that count against a file, or against a role of a GitLab's mount, with what was said.
fn codes(text: &str) -> (BTreeSet<&'static str>, String) {
    let platforms = Platforms::embedded();
    let mut catalog = Catalog::default();
    for (name, url) in [("gitlab", Some(GITLAB)), ("github", None), ("spiffe", None)] {
        let platform = platforms.find(name).cloned();
        let schema = platform.as_ref().map(|platform| Arc::new(platform.schema().clone()));
        let max_token_lifetime = platform.as_ref().map(|platform| platform.longest_lifetime());
        let facts = IssuerFacts { platform, schema, url: url.map(str::to_owned), max_token_lifetime };
        catalog.insert(IssuerName::new(name).unwrap(), facts);
    }
    let mount = format!("{{\"bound_issuer\": \"{GITLAB}\"}}");
    let role = [("shop/auth/jwt/cel/role/deploy.json", text), ("shop/auth/jwt/config.json", mount.as_str())];
    let sources = if text.starts_with('{') { role.to_vec() } else { vec![("example.yaml", text)] };
    let inspection = PolicySet::inspect_sources(sources, &catalog).unwrap();
    let counting: Vec<_> =
        [Severity::Error, Severity::Warning].into_iter().flat_map(|severity| inspection.counting(severity)).collect();
    let said = counting.iter().map(|finding| format!("{finding}\n")).collect();
    (counting.iter().map(|finding| finding.code.id()).collect(), said)
}

#[test]
fn every_example_comes_out_as_its_page_says() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings/README.md")).unwrap();
    let base = block(&readme, "base").unwrap();
    assert_eq!(codes(base).0, BTreeSet::new(), "{}", codes(base).1);
    let mut odd = String::new();
    let mut tried = 0;
    for code in Code::ALL.iter().filter(|code| !WITHOUT_EXAMPLE.contains(code)) {
        let page = page(*code);
        let [wrong, right] = ["wrong", "right"].map(|mark| {
            whole(base, block(&page, mark).unwrap_or_else(|| panic!("{} has no {mark} example", code.page())))
        });
        let (found, said) = codes(&right);
        if !found.is_empty() {
            odd.push_str(&format!("{code}: the right example has\n{said}\n"));
        }
        let (mut found, said) = codes(&wrong);
        if *code != Code::CaseFailed {
            found.remove(Code::CaseFailed.id());
        }
        if found != BTreeSet::from([code.id()]) {
            odd.push_str(&format!("{code}: the wrong example has\n{said}\n"));
        }
        tried += 1;
    }
    assert!(odd.is_empty(), "{odd}");
    assert!(tried >= 50, "{tried}");
}

#[test]
fn every_page_says_what_the_finding_is_and_how_a_warning_is_accepted() {
    for code in Code::ALL {
        let page = page(*code);
        assert!(page.starts_with(&format!("# {} {}\n", code.id(), code.name())), "{}", code.page());
        let severity = code.severity().to_string();
        assert!(
            page.to_lowercase().contains(&format!("{} ({severity}).", code.title().to_lowercase())),
            "{}",
            code.page()
        );
        let accepts = page.contains(&format!("finding: {}\n", code.id()));
        assert_eq!(accepts, code.severity() == Severity::Warning && *code != Code::IdleAcceptance, "{}", code.page());
        assert!(page.lines().count() < 80, "{} is long", code.page());
    }
}

#[test]
fn the_index_has_every_code_and_the_directory_no_page_of_another() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings");
    let readme = fs::read_to_string(directory.join("README.md")).unwrap();
    let row = |code: &Code| {
        let id = code.id();
        format!("| [{id}]({id}.md) | {} | {} | {} |", code.name(), code.severity(), code.title())
    };
    let rows: Vec<String> = Code::ALL.iter().map(row).collect();
    let found: Vec<&str> = readme.lines().filter(|line| line.starts_with("| [P")).collect();
    assert_eq!(found, rows);
    let files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let expected = Code::ALL.iter().map(|code| format!("{code}.md")).chain(["README.md".to_owned()]);
    assert_eq!(files.collect::<BTreeSet<_>>(), expected.collect());
}

#[test]
fn the_program_has_every_page() {
    for code in Code::ALL {
        let why =
            |word: &str| Command::new(env!("CARGO_BIN_EXE_cambio")).args(["policy", "why", word]).output().unwrap();
        assert_eq!(String::from_utf8(why(code.id()).stdout).unwrap(), page(*code), "{code}");
        assert_eq!(why(&code.name().to_uppercase()).stdout, why(&code.id().to_lowercase()).stdout, "{code}");
    }
    let unknown = Command::new(env!("CARGO_BIN_EXE_cambio")).args(["policy", "why", "P9999"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    let all = Command::new(env!("CARGO_BIN_EXE_cambio")).args(["policy", "why"]).output().unwrap();
    assert_eq!(String::from_utf8(all.stdout).unwrap().lines().count(), Code::ALL.len());
}
