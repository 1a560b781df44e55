use crate::identity::IssuerName;
use crate::policy::{Catalog, PolicySet};

const FILE: &str = r#"
target: vault
rules:
  - name: strict
    issuer: gitlab
    let:
      level: 'claims.p == "t" ? "protected" : "unprotected"'
    require:
      - {that: 'claims.groups.exists(g, g == "1" || g == "2")', message: another group}
      - {that: '!has(claims.job) || claims.job == "j"', message: another job}
    grant:
      policies:
        - '"p/" + level'
        - {when: 'has(claims.env) && claims.env != ""', policy: '"env/" + claims.env'}
  - name: lax
    issuer: gitlab
    require:
      - {that: 'claims.ref == "main"', message: another branch}
    grant: {policies: ['"lax"']}
"#;

/// The goals that the cases miss: rule, expression, what, text.
fn missing(cases: &str) -> Vec<String> {
    let catalog = Catalog::of_names([IssuerName::new("gitlab").unwrap()]);
    let rehearsal = PolicySet::rehearse_sources([("t.yaml", format!("{FILE}cases:\n{cases}"))], &catalog).unwrap();
    assert!(rehearsal.built().is_some() && rehearsal.inspection().outcomes().iter().all(|one| one.failure.is_none()));
    let coverage = &rehearsal.coverage()[0];
    assert_eq!(coverage.counts().1, 18);
    let line = |goal: &super::Goal| {
        let part = goal.part.map(|part| part.to_string()).unwrap_or_default();
        format!("{} {part} {} {}", goal.rule, goal.want.missing(), goal.text)
    };
    coverage.missing().map(line).collect()
}

const FULL: &str = "
  - {name: a, issuer: gitlab, claims: {groups: ['1'], p: t, env: e}, permit: {policies: [p/protected, env/e]}}
  - {name: b, issuer: gitlab, claims: {groups: ['2'], p: x, job: j}, permit: {policies: [p/unprotected]}}
  - {name: c, like: a, with: {env: ''}, permit: {policies: [p/protected]}}
  - {name: d, like: a, with: {job: k, ref: main}, permit: {policies: [lax]}}
  - {name: e, like: a, with: {groups: ['3'], ref: x}, deny: another group}
";

#[test]
fn cases_that_show_everything_miss_nothing() {
    assert_eq!(missing(FULL), Vec::<String>::new());
}

#[test]
fn no_case_shows_nothing() {
    assert_eq!(missing("  []\n").len(), 18);
}

/// One case less, or another one: exactly what it alone had shown is missing.
#[rstest::rstest]
#[case::the_other_branch("b", &[
    "strict let[0] branch never taken \"unprotected\"",
    "strict require[0] never decides the `||` by being true g == \"2\"",
    "strict require[1] never decides the `||` by being true claims.job == \"j\"",
    "strict grant.policies[1].when never decides the `&&` by being false has(claims.env)",
])]
#[case::the_empty_name("c", &["strict grant.policies[1].when never decides the `&&` by being false claims.env != \"\""])]
#[case::the_other_job("d", &[
    "strict require[1] never false !has(claims.job) || claims.job == \"j\"",
    "lax  never grants ",
    "lax require[0] never true claims.ref == \"main\"",
])]
#[case::the_other_group("e", &[
    "strict require[0] never false claims.groups.exists(g, g == \"1\" || g == \"2\")",
    "lax require[0] never false claims.ref == \"main\"",
])]
fn without_a_case_what_it_alone_had_shown_is_missing(#[case] name: &str, #[case] expected: &[&str]) {
    let cases: String =
        FULL.lines().filter(|line| !line.contains(&format!("name: {name},"))).map(|line| format!("{line}\n")).collect();
    assert_eq!(missing(&cases), expected);
}

/// All goals of one file: what, its text, and what stands at its place.
fn placed(file: &str) -> Vec<(&'static str, String, String)> {
    let catalog = Catalog::of_names([IssuerName::new("gitlab").unwrap()]);
    let rehearsal = PolicySet::rehearse_sources([("t.yaml", file)], &catalog).unwrap();
    assert!(rehearsal.built().is_some(), "{:?}", rehearsal.inspection().findings());
    let goals = &rehearsal.coverage()[0].goals;
    let slice = |goal: &super::Goal| {
        let (start, len) = (goal.place.offset as usize, goal.place.len as usize);
        let lines = file[..start].matches('\n').count() + 1;
        let column = file[..start].chars().rev().take_while(|c| *c != '\n').count() + 1;
        assert_eq!((goal.place.line as usize, goal.place.column as usize), (lines, column));
        file[start..start + len].to_owned()
    };
    goals.iter().map(|goal| (goal.want.code(), goal.text.clone(), slice(goal))).collect()
}

#[test]
fn a_branch_and_an_operand_stand_where_they_are_written() {
    let goals = placed(FILE);
    let parts: Vec<_> =
        goals.iter().filter(|(want, ..)| ["branch", "decides_or", "decides_and"].contains(want)).collect();
    assert_eq!(parts.len(), 8);
    for (want, text, slice) in parts {
        assert_eq!(text, slice, "{want}");
    }
}

/// What is rewritten before it is evaluated, and what a macro becomes, each as an operand of `||`.
#[rstest::rstest]
#[case::a_claim("claims.b")]
#[case::an_index("claims[\"a-b\"]")]
#[case::an_absent_one("has(claims.a)")]
#[case::within("\"x\" in claims.l")]
#[case::no("!(claims.s == \"x\")")]
#[case::a_pattern("claims.s.matches(\"^a+$\")")]
#[case::a_comprehension("claims.l.all(x, x == \"a\")")]
#[case::two_variables("claims.l.exists(i, x, i == 1)")]
#[case::a_bound_one("cel.bind(x, claims.s, x == \"a\")")]
#[case::an_optional("claims.?s.orValue(\"\") == \"x\"")]
#[case::a_list("[claims.s].size() == 1")]
#[case::a_negative_number("claims.n == -1")]
fn an_operand_stands_where_it_is_written_whatever_became_of_it(#[case] operand: &str) {
    let lines = format!("claims.p == \"q\"\n          || {operand}\n          || (claims.o == \"ü\")");
    let file = format!(
        "target: t\nrules:\n  - name: r\n    issuer: gitlab\n    require:\n      - that: |\n          {lines}\n        \
         message: m\n    grant: {{policies: ['\"p\"']}}\n"
    );
    let goals = placed(&file);
    let found: Vec<_> =
        goals.iter().filter(|(want, ..)| *want == "decides_or").map(|(.., slice)| slice.as_str()).collect();
    assert!(
        found.contains(&operand) && found.contains(&"claims.p == \"q\"") && found.contains(&"claims.o == \"ü\""),
        "{found:?}"
    );
}
