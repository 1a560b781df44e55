use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::policy::Catalog;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

const FILE: &str = r#"
target: vault
rules:
  - name: strict
    issuer: gitlab
    let:
      level: 'claims.ref_protected == "true" ? "protected" : "unprotected"'
      deploys: 'has(claims.environment) && claims.environment != ""'
    require:
      - {that: 'claims.project_group_ids.exists(id, id == "200")', message: another group}
      - {that: '!has(claims.job_id) || claims.job_id.glob("3*")', message: another job}
      - {that: 'claims.user_access_level in ["owner", "maintainer"] || int(claims.user_id) > 3', message: nobody}
    grant:
      policies:
        - '"p/" + level'
        - when: deploys
          policy: '"env/" + hex(claims.environment)'
        - 'claims.project_group_ids.filter(g, g != "200").map(g, "group/" + g)'
      metadata: {job: 'claims.?job_id.orValue("none")'}
  - name: other
    issuer: github
    require:
      - {that: 'claims.ref == "x"', message: never}
    grant: {policies: ['"x"']}
  - name: lax
    issuer: [gitlab, github]
    require:
      - {that: 'claims.ref == "main"', message: another branch}
    grant: {policies: ['"lax/" + claims.ref']}
"#;

fn set() -> PolicySet {
    // Nothing is known of their claims: what the checks refuse beforehand has to fail here.
    let catalog = Catalog::of_names(["gitlab", "github"].map(|name| IssuerName::new(name).unwrap()));
    PolicySet::from_sources([("vault.yaml", FILE)], &catalog).unwrap_or_else(|errors| panic!("{errors}"))
}

fn steps_of(set: &PolicySet, issuer: &str, claims: Value, schema: Option<&ClaimSchema>) -> Steps {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    set.steps(&IssuerName::new(issuer).unwrap(), &claims, &set.targets()[0], NOW, schema)
}

fn lines(rule: &RuleSteps) -> Vec<String> {
    let mut lines = vec![];
    for step in &rule.steps {
        lines.push(format!("{} = {}", step.part, step.seen));
        for note in &step.notes {
            let seen = note.seen.as_ref().map(ToString::to_string).unwrap_or_default();
            lines.push(format!("{}{}: {seen}", "  ".repeat(note.depth + 1), note.text));
        }
    }
    lines
}

#[test]
fn a_grant_shows_each_expression_and_the_values_of_its_parts() {
    let claims = json!({"project_group_ids": ["100", "200", "300"], "ref_protected": "true", "user_access_level": "owner",
                        "environment": "a"});
    let steps = steps_of(&set(), "gitlab", claims, None);
    assert_eq!(steps.rules[0].fate, Fate::Tried(End::Granted));
    assert_eq!(steps.rules[1].fate, Fate::OtherIssuer);
    assert_eq!(steps.rules[2].fate, Fate::NotReached);
    let expected = r#"require[0] = true
  claims.project_group_ids: ["100", "200", "300"]
  with id = "200": true
require[1] = true
  has(claims.job_id): false
require[2] = true
  claims.user_access_level in ["owner", "maintainer"]: true
    claims.user_access_level: "owner"
let[0] = "protected"
  claims.ref_protected == "true": true
    claims.ref_protected: "true"
grant.policies[0] = "p/protected"
  level: "protected"
let[1] = true
  has(claims.environment): true
  claims.environment != "": true
    claims.environment: "a"
grant.policies[1].when = true
grant.policies[1] = "env/61"
  hex(claims.environment): "61"
    claims.environment: "a"
grant.policies[2] = ["group/100", "group/300"]
  claims.project_group_ids.filter(g, g != "200"): ["100", "300"]
    claims.project_group_ids: ["100", "200", "300"]
    with g = "100": true
    with g = "200": false
    with g = "300": true
  with g = "100": "group/100"
  with g = "300": "group/300"
grant.metadata[0] = "none"
  claims.?job_id: optional.none()"#;
    assert_eq!(lines(&steps.rules[0]).join("\n"), expected);
}

#[test]
fn a_rule_that_does_not_apply_ends_at_its_first_unmet_condition_with_what_it_saw() {
    let claims = json!({"project_group_ids": ["1", "2", "3", "4", "5"], "ref": "main"});
    let steps = steps_of(&set(), "gitlab", claims, None);
    let expected = "require[0] = false
  claims.project_group_ids: [\"1\", \"2\", \"3\", \"4\", \"5\"]
  with id = \"1\": false
  with id = \"2\": false
  with id = \"3\": false
  … and 2 more: ";
    assert_eq!(lines(&steps.rules[0]).join("\n"), expected);
    assert_eq!(steps.rules[0].steps[0].message.as_deref(), Some("another group"));
    assert_eq!(steps.rules[2].fate, Fate::Tried(End::Granted));
    assert_eq!(steps.evaluation.outcome.unwrap().rule(), "lax");
}

#[test]
fn an_error_is_shown_where_it_arises() {
    let claims = json!({"project_group_ids": ["200"], "user_id": "x"});
    let steps = steps_of(&set(), "gitlab", claims, None);
    let shown = lines(&steps.rules[0]).join("\n");
    assert_eq!(steps.rules[0].fate, Fate::Tried(End::Failed { at: Part::Condition(2) }));
    assert!(shown.contains("claims.user_access_level: error: the token has no claim `user_access_level`"), "{shown}");
    assert!(shown.contains("int(claims.user_id): error:"), "{shown}");
    assert!(shown.contains("claims.user_id: \"x\""), "{shown}");
}

#[test]
fn a_secret_claim_is_not_shown_nor_what_is_made_of_it() {
    let file = include_str!("../../../platforms/generic.yaml");
    let file = file.replace("claims:\n  iss", "claims:\n  key: {type: string, kind: secret, doc: a key}\n  iss");
    let platform = crate::trust::Platform::parse(&file).unwrap();
    let text = "target: vault
rules:
  - name: r
    issuer: gitlab
    let: {copy: 'claims.key + \"!\"'}
    require:
      - {that: 'claims.key != \"\" && copy != \"x\" && claims.open == \"o\"', message: m}
    grant: {policies: ['\"p/\" + copy.replace(\"!\", \"\")']}
";
    let mut catalog = Catalog::default();
    catalog.add(IssuerName::new("gitlab").unwrap(), None);
    let set = PolicySet::from_sources([("t.yaml", text)], &catalog).unwrap_or_else(|errors| panic!("{errors}"));
    let steps = steps_of(&set, "gitlab", json!({"key": "s3cret", "open": "o"}), Some(platform.schema()));
    let shown = lines(&steps.rules[0]).join("\n");
    assert!(shown.contains("claims.open: \"o\"") && shown.contains("copy: [hidden]"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn what_is_shown_is_bounded() {
    let ids: Vec<String> = (0..400).map(|id| format!("{id:0>30}")).collect();
    let steps = steps_of(&set(), "gitlab", json!({"project_group_ids": ids}), None);
    let all: usize = lines(&steps.rules[0]).iter().map(String::len).sum();
    assert!(all < 1200, "{all}");
}

fn one_of(values: &'static [&'static str]) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        4 => proptest::sample::select(values).prop_map(|text| Some(Value::from(text))),
        1 => Just(None),
        1 => Just(Some(Value::Null)),
        1 => Just(Some(json!(7))),
        1 => Just(Some(json!(["200", 1]))),
    ]
}

fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let groups = prop_oneof![
        3 => proptest::collection::vec(proptest::sample::select(vec!["200", "100", "x/y"]), 0..4).prop_map(|ids| Some(json!(ids))),
        1 => one_of(&["200"]),
    ];
    let claims = (
        groups,
        one_of(&["true", "false"]),
        one_of(&["", "production"]),
        one_of(&["3", "35", "4"]),
        one_of(&["owner", "developer"]),
        one_of(&["1", "12", "x"]),
        one_of(&["main", "Main", "x"]),
    );
    claims.prop_map(|(groups, protected, environment, job, level, user, branch)| {
        let names =
            ["project_group_ids", "ref_protected", "environment", "job_id", "user_access_level", "user_id", "ref"];
        let values = [groups, protected, environment, job, level, user, branch];
        names.into_iter().zip(values).filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is told of the rules is what the evaluator found: the same outcome, and each expression's value leads there.
    #[test]
    fn the_steps_agree_with_the_evaluation(claims in claims(), github in any::<bool>()) {
        let set = set();
        let issuer = IssuerName::new(if github { "github" } else { "gitlab" }).unwrap();
        let target = &set.targets()[0];
        let evaluation = set.evaluate(&issuer, &claims, target, NOW);
        let steps = set.steps(&issuer, &claims, target, NOW, None);
        prop_assert_eq!(&steps.evaluation.outcome, &evaluation.outcome);
        prop_assert_eq!(&steps.evaluation.trace, &evaluation.trace);
        for rule in &steps.rules {
            let Fate::Tried(end) = rule.fate else {
                prop_assert!(rule.steps.is_empty());
                continue;
            };
            for step in &rule.steps {
                let value = step.seen.to_string();
                match (step.part, end) {
                    (Part::Condition(index), End::Unmet { condition }) if index == condition => prop_assert_eq!(value, "false"),
                    (part, End::Failed { at }) if part == at => {}
                    (Part::Condition(_), _) => prop_assert_eq!(value, "true"),
                    _ => prop_assert!(!value.starts_with("error"), "{} {}", step.part, value),
                }
            }
            let last = rule.steps.last().map(|step| step.part);
            match end {
                End::Granted => prop_assert_eq!(last, Some(Part::Metadata(0)).filter(|_| &*rule.name == "strict").or(Some(Part::Policy(0)))),
                End::Unmet { condition } => prop_assert_eq!(last, Some(Part::Condition(condition))),
                End::Failed { at } => prop_assert!(last == Some(at) || at == Part::Grant),
            }
        }
    }
}

#[rstest]
#[case("gitlab", true)]
#[case("github", false)]
fn conditions_and_policies_of_the_deciding_rule_are_all_there(#[case] issuer: &str, #[case] strict: bool) {
    let claims =
        json!({"project_group_ids": ["200"], "ref_protected": "x", "user_access_level": "owner", "ref": "main"});
    let steps = steps_of(&set(), issuer, claims, None);
    let policies = steps.evaluation.outcome.unwrap().policies().to_vec();
    let rule = &steps.rules[if strict { 0 } else { 2 }];
    let shown = lines(rule).join("\n");
    assert!(policies.iter().all(|policy| shown.contains(policy.as_str())), "{policies:?}\n{shown}");
}
