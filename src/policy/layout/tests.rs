use proptest::prelude::*;
use rstest::rstest;

use super::*;

const WILD: &str = r#"# What this file is for.

rules:
# the only rule
- name: deploy
  grant:
      ttl: 10m   # short
      policies:
      -   '"deploy/shop"'


      - {when: protected,   policy: '"deploy/" + "it''s # no comment"'}
  # who
  issuer: [ gitlab,
     github ]
  require:
    # why not
    - message: another project
      that: >-
        claims.project_id == "20" &&
          claims.ref == "main"
      # after all
    -
      that: "claims.a == 'x: y' &&
         true"
      message: the group's name
  let: {protected: claims.ref_protected == "true"}
target:   shop
cases:
- name: a job
  claims:
     project_id: "20"
     text: |+
       one
         two

  issuer: gitlab
  deny: another project
# the end
"#;

const LAID: &str = r#"# What this file is for.

target: shop

rules:
  # the only rule
  - name: deploy
    # who
    issuer: [ gitlab,
       github ]
    let: {protected: claims.ref_protected == "true"}
    require:
      # why not
      - that: >-
          claims.project_id == "20" &&
            claims.ref == "main"
        message: another project
        # after all
      - that: "claims.a == 'x: y' &&
           true"
        message: the group's name
    grant:
      policies:
        - '"deploy/shop"'

        - {when: protected,   policy: '"deploy/" + "it''s # no comment"'}
      ttl: 10m # short

cases:
  - name: a job
    issuer: gitlab
    claims:
      project_id: "20"
      text: |+
        one
          two

    deny: another project
# the end
"#;

#[test]
fn a_wild_file_is_laid_out() {
    let laid = layout(WILD).unwrap();
    assert_eq!(laid, LAID, "{laid}");
    assert_eq!(layout(&laid).unwrap(), laid);
}

#[test]
fn the_shipped_policies_are_laid_out_already() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/policies")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(layout(&text).unwrap(), text, "{}", path.display());
        }
    }
}

const SMALL: &str = "target: a\n\nrules:\n  - name: b\n    issuer: c\n    require:\n      - that: d\n        message: e\n    grant:\n      policies: [f]\n";

#[rstest]
#[case::no_policy("target: a\n", "missing field")]
#[case::no_yaml("target: [a\n", "")]
#[case::own_indentation(&SMALL.replace("that: d", "that: |2\n            d"), "line 7")]
#[case::tag(&SMALL.replace("that: d", "that: !!str d"), "line 7")]
#[case::key_on_a_line_of_its_own(&SMALL.replace("target: a", "? target\n: a"), "line 1")]
#[case::document_mark(&format!("---\n{SMALL}"), "line 1")]
fn what_is_not_known_is_refused(#[case] text: &str, #[case] said: &str) {
    let fault = layout(text).unwrap_err().to_string();
    assert!(fault.contains(said), "{fault}");
}

#[rstest]
#[case::apostrophe("      - that: d\n        message: the group's # comment\n")]
#[case::quoted_hash("      - that: \"d # no\"\n        message: 'it''s # no' # comment\n")]
#[case::hash_without_a_space("      - that: d#e\n        message: e\n")]
#[case::colon("      - that: 'a ? b : c'\n        message: \"e: f\"\n")]
#[case::brace_in_quotes("      - {that: '}', message: \"]}\"} # comment\n")]
#[case::escaped_quote("      - that: \"\\\" # no\"\n        message: e\n")]
#[case::lines_of_plain_text("      - that: d &&\n          e\n        message: one\n          two # comment\n")]
#[case::blank_line_in_a_literal("      - that: |\n          d &&\n\n          e  \n        message: e\n")]
#[case::comment_in_brackets("      - {that: d, # why\n         message: e}\n")]
fn a_scalar_is_kept_as_it_is(#[case] condition: &str) {
    let text = SMALL.replace("      - that: d\n        message: e\n", condition);
    assert_eq!(layout(&text).unwrap(), text);
}

/// Where a renderer has a choice, it takes the next of these.
struct Choices<'c>(std::slice::Iter<'c, u8>);

impl Choices<'_> {
    fn of(&mut self, most: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or_default()) % most
    }

    fn spaces(&mut self) -> String {
        ["", "", " ", "\t"][self.of(4)].to_owned()
    }
}

enum Yaml {
    Text(&'static [&'static str]),
    Map(Vec<(&'static str, Yaml)>),
    List(Vec<Yaml>),
}

const TARGET: &[&str] = &["shop", "'shop'", "\"shop\"", ">-\n  shop"];
const NAME: &[&str] = &["one", "\"one\"", "'one'"];
const OTHER: &[&str] = &["two", "\"two\""];
const ISSUER: &[&str] = &["gitlab", "[gitlab, github]", "[\n  gitlab, # x\n  github ]", "\n- gitlab\n- github"];
const CEL: &[&str] = &[
    "claims.a == \"b\"",
    "'claims.a == \"it''s # no comment\"'",
    "\"claims.a == 'x: y' &&\n   true\"",
    "|\n  claims.a &&\n    # no comment\n\n  b",
    ">-\n    claims.a\n    && b",
    "claims.a ||\n  b",
];
const MESSAGE: &[&str] = &["the group's", "\"a: b # c\"", "'x' # why", "over\n  two lines"];
const POLICY: &[&str] = &["'\"a/b\"'", "{when: a, policy: '\"}\"'}", "\"'a'\""];
const CLAIMS: &[&str] = &["{a: b, c: [1, 2]}", "\n  a: b\n  c:\n  - 1\n  - d: e\n    f: g", "{}"];

fn file() -> Yaml {
    use Yaml::{List, Map, Text};
    let condition = || Map(vec![("message", Text(MESSAGE)), ("that", Text(CEL))]);
    let rule = |name| {
        Map(vec![
            (
                "grant",
                Map(vec![("ttl", Text(&["10m", "1h # long"])), ("policies", List(vec![Text(POLICY), Text(POLICY)]))]),
            ),
            ("let", Map(vec![("z", Text(CEL)), ("a", Text(CEL))])),
            ("require", List(vec![condition(), condition()])),
            ("issuer", Text(ISSUER)),
            ("name", Text(name)),
        ])
    };
    let case = |name| {
        Map(vec![("deny", Text(MESSAGE)), ("claims", Text(CLAIMS)), ("issuer", Text(NAME)), ("name", Text(name))])
    };
    Map(vec![
        ("cases", List(vec![case(NAME), case(OTHER)])),
        ("rules", List(vec![rule(NAME), rule(OTHER)])),
        ("description", Text(MESSAGE)),
        ("target", Text(TARGET)),
    ])
}

/// Writes it in one of the many ways in which a person could have written it.
fn wild(yaml: &Yaml, indent: usize, choices: &mut Choices<'_>, text: &mut String) {
    let between = |choices: &mut Choices<'_>, text: &mut String| match choices.of(8) {
        0 => text.push('\n'),
        1 => text.push_str(&format!("{}# {}\n", " ".repeat(indent), choices.of(50))),
        2 => text.push_str(&format!("\n\n{}# {}\n\n", " ".repeat(indent + choices.of(3)), choices.of(50))),
        _ => {}
    };
    match yaml {
        Yaml::Text(forms) => {
            let form = forms[choices.of(forms.len())];
            let lines: Vec<String> = form
                .split('\n')
                .map(|line| if line.is_empty() { String::new() } else { format!("{}{line}", " ".repeat(indent)) })
                .collect();
            text.truncate(text.trim_end_matches(' ').len());
            if !form.starts_with('\n') {
                text.push(' ');
            }
            text.push_str(lines.join("\n").trim_start_matches(' '));
            text.push('\n');
        }
        Yaml::Map(entries) => {
            let mut entries: Vec<&(&str, Yaml)> = entries.iter().collect();
            let by = choices.of(entries.len());
            // Variables keep their order: the next one may use the one above.
            if !entries.iter().any(|(key, _)| *key == "z") {
                entries.rotate_left(by);
            }
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    between(choices, text);
                    text.push_str(&" ".repeat(indent));
                }
                text.push_str(&format!("{key}:"));
                below(value, indent, choices, text);
            }
        }
        Yaml::List(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    between(choices, text);
                    text.push_str(&" ".repeat(indent));
                }
                let wide = 1 + choices.of(3);
                text.push_str(&format!("-{}", " ".repeat(wide)));
                wild(item, indent + 1 + wide, choices, text);
            }
        }
    }
}

fn below(value: &Yaml, indent: usize, choices: &mut Choices<'_>, text: &mut String) {
    let deeper = match value {
        Yaml::Text(_) => return wild(value, indent + 1, choices, text),
        Yaml::Map(_) => indent + 1 + choices.of(4),
        Yaml::List(_) => indent + choices.of(4),
    };
    text.push_str(&choices.spaces());
    text.push('\n');
    text.push_str(&" ".repeat(deeper));
    wild(value, deeper, choices, text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_way_to_write_a_file_has_one_layout(choices in proptest::collection::vec(any::<u8>(), 0..200), windows in any::<bool>()) {
        let mut text = String::new();
        wild(&file(), 0, &mut Choices(choices.iter()), &mut text);
        if windows {
            text = text.replace('\n', "\r\n");
        }
        let before = Document::parse(&text).map_err(|(message, place)| TestCaseError::fail(format!("{message} {place:?}\n{text}")))?;
        let laid = layout(&text).map_err(|fault| {
            let once = Tree::read(&text).map(|tree| tree.print());
            TestCaseError::fail(format!("{fault}\n{text}\nlaid out:\n{}", once.unwrap_or_default()))
        })?;
        let after = Document::parse(&laid).unwrap();
        prop_assert_eq!(digests(&before), digests(&after));
        prop_assert_eq!(values(&text), values(&laid));
        prop_assert_eq!(layout(&laid).unwrap(), laid);
    }

    #[test]
    fn no_text_stops_it(text in "[a-z:#\\-'\"{}\\[\\]| \n\t>]{0,60}") {
        let _ = layout(&format!("target: a\n{text}"));
        let _ = Tree::read(&text).map(|tree| tree.print());
    }
}
