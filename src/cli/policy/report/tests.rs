use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;

use super::*;
use crate::policy::Code;

fn finding(code: Code, place: Place) -> Finding {
    Finding {
        code,
        severity: code.severity(),
        file: Arc::from("shop.yaml"),
        place,
        rule: Some(Arc::from("deploy")),
        message: "`repository` can be registered by somebody else".to_owned(),
        label: Some("a name".to_owned()),
        help: Some("compare `repository_id`, too".to_owned()),
        accepted: None,
    }
}

/// Where `needle` stands in `text`.
fn at(text: &str, needle: &str) -> Place {
    let offset = text.find(needle).unwrap();
    let position = Position::of(text, offset).unwrap();
    let small = |n: usize| u32::try_from(n).unwrap();
    Place {
        line: small(position.line),
        column: small(position.column),
        offset: small(offset),
        len: small(needle.len()),
    }
}

fn told(text: &str, finding: Finding) -> String {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("shop.yaml"), text).unwrap();
    let told = Report::new(directory.path(), vec![finding]).told(true, false);
    told.replace(&directory.path().display().to_string(), "policies")
}

const TEXT: &str = "target: shop\nrules:\n  - that: 'claims.repository == \"a/b\"'\n";

#[test]
fn a_finding_is_told_as_a_compiler_would() {
    let expected = "\
warning[P0305]: `repository` can be registered by somebody else
 --> policies/shop.yaml:3:12
  |
3 |   - that: 'claims.repository == \"a/b\"'
  |            ^^^^^^^^^^^^^^^^^ a name
  |
  = help: compare `repository_id`, too
  = page: docs/findings/P0305.md

";
    assert_eq!(told(TEXT, finding(Code::RecyclableName, at(TEXT, "claims.repository"))), expected);
}

#[test]
fn an_accepted_finding_says_why_and_an_error_says_error() {
    let mut one = finding(Code::RecyclableName, at(TEXT, "claims.repository"));
    one.accepted = Some("the name is reserved".to_owned());
    let text = told(TEXT, one);
    assert!(text.starts_with("accepted[P0305]: "), "{text}");
    assert!(text.contains("= because: the name is reserved\n"), "{text}");
    assert!(told(TEXT, finding(Code::UnknownClaim, Place::default())).starts_with("error[P0201]: "));
}

#[rstest]
#[case::tab("a:\t'x'\n", "x", "1 | a:    'x'\n  |        ^ ")]
#[case::wide("a: '日本語' b\n", "日本語", "1 | a: '日本語' b\n  |     ^^^^^^ ")]
#[case::combining("a: 'e\u{301}e\u{301}x'\n", "x", "1 | a: 'e\u{301}e\u{301}x'\n  |       ^ ")]
#[case::windows("a: b\r\nc: d\r\n", "d", "2 | c: d\n  |    ^ ")]
#[case::lines("a: >-\n  b &&\n  c\nd: e\n", "b &&\n  c\n", "2 | /   b &&\n3 | |   c\n  | |___^ ")]
fn the_underline_stands_below_what_is_meant(#[case] text: &str, #[case] needle: &str, #[case] lines: &str) {
    let told = told(text, finding(Code::Syntax, at(text, needle)));
    assert!(told.contains(lines), "{told}\n{lines}");
}

#[test]
fn a_long_line_is_cut_around_what_is_meant() {
    let text = format!("that: '{} && nope && {}'\n", "a".repeat(400), "b".repeat(400));
    let told = told(&text, finding(Code::UnknownName, at(&text, "nope")));
    let line = told.lines().find(|line| line.starts_with("1 |")).unwrap();
    assert!(line.chars().count() < 160 && line.contains("nope") && line.contains("..."), "{told}");
}

#[rstest]
#[case::message("\u{1b}[31mred\u{202e}")]
#[case::lines("two\n  --> lines")]
fn what_a_terminal_would_obey_is_not_sent_to_it(#[case] text: &str) {
    let mut one = finding(Code::Shape, at(TEXT, "shop"));
    one.message = text.to_owned();
    one.label = Some(text.to_owned());
    one.help = Some(text.to_owned());
    one.accepted = Some(text.to_owned());
    let told = told(&format!("{TEXT}# {text}\n"), one);
    assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told}");
}

#[rstest]
#[case::no_length(Place { line: 3, column: 12, offset: 0, len: 0 }, "claims")]
#[case::offset_of_another_line(Place { line: 3, column: 12, offset: 2, len: 4 }, "clai")]
#[case::behind_the_line(Place { line: 1, column: 99, offset: 0, len: 0 }, "")]
#[case::behind_the_file(Place { line: 99, column: 1, offset: 9999, len: 9 }, "  - that: ")]
#[case::beyond_the_end(Place { line: 3, column: 12, offset: 31, len: u32::MAX }, "claims.repository == \"a/b\"'")]
fn a_place_that_does_not_fit_the_text_is_still_shown(#[case] place: Place, #[case] meant: &str) {
    let spot = Spot::of(TEXT, place).unwrap();
    assert!(TEXT[spot.range.clone()].starts_with(meant.get(..2).unwrap_or_default()), "{:?}", &TEXT[spot.range]);
    assert!(told(TEXT, finding(Code::Shape, place)).contains("policies/shop.yaml:"));
}

#[test]
fn a_finding_about_a_whole_file_has_its_name_only() {
    let told = told(TEXT, finding(Code::NoDenialCase, Place::default()));
    assert!(told.contains("--> policies/shop.yaml\n") && !told.contains("1 |"), "{told}");
}

fn sarif(text: &str, findings: Vec<Finding>) -> Value {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("shop.yaml"), text).unwrap();
    Report::new(directory.path(), findings).to_sarif()
}

/// What SARIF 2.1.0 demands of a log that a service takes, section by section.
fn assert_is_sarif(log: &Value) {
    assert_eq!(log["version"], "2.1.0"); // 3.13.2
    assert!(log["$schema"].as_str().unwrap().starts_with("https://")); // 3.13.3
    for run in log["runs"].as_array().unwrap() {
        let driver = &run["tool"]["driver"]; // 3.14.6, 3.18.2
        assert!(!driver["name"].as_str().unwrap().is_empty()); // 3.19.8
        assert!(["utf16CodeUnits", "unicodeCodePoints"].contains(&run["columnKind"].as_str().unwrap())); // 3.14.17
        let rules = driver["rules"].as_array().unwrap(); // 3.19.23
        let ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect(); // 3.49.3
        assert!(ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id)), "{ids:?}"); // 3.19.23: unique
        for rule in rules {
            for text in ["shortDescription", "help"] {
                assert!(rule[text]["text"].is_string(), "{rule:#}"); // 3.12.3
            }
            assert!(is_level(&rule["defaultConfiguration"]["level"])); // 3.50.3
        }
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap(); // 3.27.6
            assert_eq!(result["ruleId"], ids[index]); // 3.27.5
            assert!(is_level(&result["level"])); // 3.27.10
            assert!(!result["message"]["text"].as_str().unwrap().is_empty()); // 3.27.11
            for suppression in result["suppressions"].as_array().unwrap() {
                assert!(["inSource", "external"].contains(&suppression["kind"].as_str().unwrap())); // 3.35.2
                assert!(suppression["justification"].is_string()); // 3.35.4
            }
            for fingerprint in result["partialFingerprints"].as_object().unwrap().values() {
                assert!(fingerprint.is_string()); // 3.27.17
            }
            for location in result["locations"].as_array().unwrap() {
                let place = &location["physicalLocation"]; // 3.28.3
                let uri = place["artifactLocation"]["uri"].as_str().unwrap(); // 3.4.3: a URI reference
                assert!(uri.is_ascii() && !uri.contains([' ', '\\', '#']), "{uri}");
                if let Some(base) = place["artifactLocation"]["uriBaseId"].as_str() {
                    assert!(run["originalUriBaseIds"][base].is_object() && !uri.starts_with('/'), "{uri}"); // 3.4.4
                }
                if let Some(region) = place["region"].as_object() {
                    let number = |name: &str| region[name].as_u64().unwrap();
                    let (start, end) =
                        ((number("startLine"), number("startColumn")), (number("endLine"), number("endColumn")));
                    assert!(start.0 >= 1 && start.1 >= 1 && start <= end, "{region:?}"); // 3.30.5 to 3.30.8
                }
            }
        }
    }
}

fn is_level(level: &Value) -> bool {
    ["none", "note", "warning", "error"].contains(&level.as_str().unwrap())
}

#[test]
fn sarif_has_what_services_demand() {
    let mut accepted = finding(Code::RecyclableName, at(TEXT, "claims.repository"));
    accepted.accepted = Some("the name is reserved".to_owned());
    let whole = finding(Code::NoDenialCase, Place::default());
    let error = finding(Code::UnknownClaim, at(TEXT, "claims"));
    let log = sarif(TEXT, vec![accepted, whole, error.clone(), error]);
    assert_is_sarif(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    assert_eq!(results[0]["suppressions"][0]["justification"], "the name is reserved");
    assert_eq!(results[1]["suppressions"].as_array().unwrap().len(), 0);
    assert!(results[1]["locations"][0]["physicalLocation"].get("region").is_none());
    assert_eq!(results[2]["level"], "error");
    assert_eq!(log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap().len(), 3);
}

#[test]
fn sarif_counts_columns_in_utf16() {
    let text = "a: '\u{1F511}\u{e9}' # x\n";
    let log = sarif(text, vec![finding(Code::Syntax, at(text, "x"))]);
    let region = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"];
    // The key is one character, two units of UTF-16, four bytes.
    assert_eq!((region["startColumn"].as_u64(), region["endColumn"].as_u64()), (Some(12), Some(13)));
}

#[test]
fn a_path_in_sarif_is_a_uri_reference() {
    assert_eq!(sarif::uri("policies/a b#\u{e9}.yaml"), "policies/a%20b%23%C3%A9.yaml");
}

#[test]
fn json_has_the_span_in_characters_and_bytes() {
    let text = "a: '\u{e9}x'\n";
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("shop.yaml"), text).unwrap();
    let document = Report::new(directory.path(), vec![finding(Code::Syntax, at(text, "x"))]).to_json();
    let one = &document["findings"][0];
    assert_eq!((&document["errors"], &document["warnings"]), (&Value::from(1), &Value::from(0)));
    let span = serde_json::json!({"line": 1, "column": 6, "end_line": 1, "end_column": 7, "offset": 6, "len": 1});
    assert_eq!(one["span"], span);
    assert_eq!((&one["code"], &one["name"], &one["rule"]), (&"P0101".into(), &"syntax".into(), &"deploy".into()));
}

proptest! {
    #[test]
    fn no_place_and_no_text_stops_a_report(text in "[ a-z\u{e9}\u{65e5}\t\r\n'\u{1b}]{0,80}", line in 0..9_u32, column in 0..40_u32, offset in 0..99_u32, len in 0..99_u32) {
        let place = Place { line, column, offset, len };
        let one = finding(Code::Shape, place);
        let report = Report {
            directory: PathBuf::from("policies"),
            texts: BTreeMap::from([("shop.yaml".to_owned(), text.clone())]),
            findings: vec![one.clone()],
        };
        prop_assert!(report.told(true, false).contains("policies/shop.yaml"));
        assert_is_sarif(&report.to_sarif());
        if let Some(spot) = Spot::of(&text, place) {
            prop_assert!(text.get(spot.range).is_some());
        }
    }
}
