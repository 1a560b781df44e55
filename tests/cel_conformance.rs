//! The conformance cases of CEL, all of them, against the language as cambio configures it for role programs.
//!
//! `tests/cel/conformance.jsonl` are the cases of npm's `@bufbuild/cel-spec` 0.6.1, which `tests/cel/dump.mjs` makes.
//! What fails has to be exactly what `docs/cel.md` lists, so that a regression and an improvement both show;
//! `CAMBIO_CEL_WRITE=1` writes the list anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that prints its table and is told to write"
)]

mod cel_support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cambio::clock::Timestamp;
use cambio::policy::{CompileError, Dialect, Expression};
use cel_support::{decoded, expected, line};
use serde_json::{Map, Value};

/// The cases, one per line of the file.
fn cases() -> Vec<Value> {
    let text = include_str!("cel/conformance.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

/// Why a case fails, in the words of `docs/cel.md`, or `None`.
fn failure(case: &Value) -> Option<String> {
    if case["json"] == false {
        let passes = case.get("checkOnly").is_none() && case.get("typedResult").is_none() && outcome(case).is_none();
        let reason = match (case.get("checkOnly").or(case.get("typedResult")), text(case, "path")) {
            (Some(_), _) => "asks for the type that a checker deduces",
            (None, path) if path.starts_with("enums") => "protobuf enums",
            _ => "protobuf messages",
        };
        return (!passes).then(|| reason.to_owned());
    }
    outcome(case)
}

fn outcome(case: &Value) -> Option<String> {
    let empty = Map::new();
    let bindings = case["bindings"].as_object().unwrap_or(&empty);
    let mut variables: Vec<(&str, Box<dyn cel::common::value::Val>)> = Vec::new();
    for (name, value) in bindings {
        let Some(value) = decoded(value) else { return Some("a message is bound".to_owned()) };
        variables.push((name, value));
    }
    let names: Vec<&str> = bindings.keys().map(String::as_str).collect();
    // A qualified variable is seen by its first name too.
    let heads = names.iter().filter_map(|name| name.split_once('.')).map(|(head, _)| head);
    let sight: Vec<&str> = names.iter().copied().chain(heads).collect();
    let wants_error = case["error"] == true;
    let compiled = match Expression::compile(text(case, "expr"), Dialect::Role, &sight) {
        Ok(compiled) => compiled,
        Err(_) if wants_error => return None,
        Err(error) => return Some(refusal(&error)),
    };
    let evaluated = catch_unwind(AssertUnwindSafe(|| {
        compiled
            .evaluate(&empty, variables, Timestamp::from_secs(0), |value| value.map(line).map_err(|e| e.to_string()))
    }));
    match evaluated.expect("no case panics").expect("the environment stands") {
        Err(_) if wants_error => None,
        Err(error) => Some(format!("an error: {error}")),
        Ok(value) if wants_error => Some(format!("a value where an error is due: {value}")),
        Ok(value) => {
            // Where a case expects nothing, it expects to be true.
            let wanted = case.get("value").map_or_else(|| Some("bool true".to_owned()), expected);
            (wanted.as_deref() != Some(value.as_str())).then(|| format!("another value: {value}"))
        }
    }
}

fn refusal(error: &CompileError) -> String {
    format!("refused: {error}")
}

/// Reasons that are shorter than what was seen.
fn grouped(case: &Value, seen: String) -> String {
    let (path, expr) = (text(case, "path"), text(case, "expr"));
    let group = if path.starts_with("block_ext") {
        "`cel.block` is what an optimiser writes, not an author"
    } else if case["json"] == true && case.get("container").is_some() {
        "a container: programs here have none"
    } else if seen.contains("protobuf messages") || seen.contains("protobuf enums") || seen.contains("deduces") {
        return seen;
    } else if seen.contains("nested more than") || seen.contains("recursion") {
        "deeper than the bound on an expression"
    } else if seen.contains("no function") || seen.contains("no variable") {
        "a name that nobody has is refused at load: `|| true` would swallow it"
    } else if expr.contains("google.protobuf") || expr.contains("Int") {
        "protobuf messages"
    } else {
        return seen;
    };
    group.to_owned()
}

#[test]
fn what_fails_is_what_the_documentation_lists() {
    let mut sections: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    let mut failing: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for case in cases() {
        let section = text(&case, "path").split('/').next().unwrap().to_owned();
        let seen = failure(&case);
        let row = sections.entry(section).or_default();
        row[0] += 1;
        row[1] += usize::from(seen.is_none());
        if case["json"] == true {
            row[2] += 1;
            row[3] += usize::from(seen.is_none());
        }
        if let Some(seen) = seen {
            let reason = grouped(&case, seen);
            let names = failing.entry(reason).or_default().entry(text(&case, "path").to_owned()).or_default();
            names.push(text(&case, "name").to_owned());
        }
    }
    let mut table = String::from("| section | cases | pass | of JSON | pass |\n|---|---|---|---|---|\n");
    let mut total = [0; 4];
    for (section, row) in &sections {
        writeln!(table, "| {section} | {} | {} | {} | {} |", row[0], row[1], row[2], row[3]).unwrap();
        total.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
    }
    writeln!(table, "| **all** | {} | {} | {} | {} |", total[0], total[1], total[2], total[3]).unwrap();
    println!("{table}");
    let mut list = String::new();
    for (reason, paths) in &failing {
        writeln!(list, "{reason}").unwrap();
        for (path, names) in paths {
            writeln!(list, "  {path}: {}", names.join(", ")).unwrap();
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cel.md");
    let known = std::fs::read_to_string(&page).unwrap();
    let written = replaced(&replaced(&known, "conformance", &table), "failing", &format!("```text\n{list}```\n"));
    if std::env::var_os("CAMBIO_CEL_WRITE").is_some() {
        std::fs::write(&page, &written).unwrap();
    }
    assert!(total[3] * 100 >= total[2] * 97, "{} of {} cases that JSON can reach pass", total[3], total[2]);
    let known = std::fs::read_to_string(&page).unwrap();
    assert!(
        known == written,
        "docs/cel.md lists other failing cases; CAMBIO_CEL_WRITE=1 writes this:\n{table}\n{list}"
    );
}

/// `page` with another text between the marks of that name.
fn replaced(page: &str, name: &str, text: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&open).unwrap_or_else(|| panic!("no mark {open:?}"));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("no mark {close:?}"));
    format!("{before}{open}{text}{close}{after}")
}
