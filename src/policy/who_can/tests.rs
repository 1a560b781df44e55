use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::policy::PolicySet;
use crate::policy::cases::DEFAULT_MOMENT;
use crate::trust::Platforms;

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let platforms = Platforms::embedded();
    for name in ["gitlab", "github", "prod-cluster", "other"] {
        catalog.add_guessing(IssuerName::new(name).unwrap(), &platforms);
    }
    catalog
}

fn rehearsal(text: &str) -> Rehearsal {
    let rehearsal = PolicySet::rehearse_sources([("t.yaml", text)], &catalog()).unwrap();
    assert!(rehearsal.built().is_some(), "{:?}", rehearsal.inspection().findings());
    rehearsal
}

/// A file without cases: one rule, for an issuer of which nothing is known.
fn rule(lets: &str, conditions: &[&str], policies: &str) -> String {
    let require: String = conditions.iter().map(|that| format!("      - {{that: '{that}', message: m}}\n")).collect();
    format!(
        "target: t\nrules:\n  - name: r\n    issuer: other\n    let: {{{lets}}}\n    require:\n{require}    grant: {{policies: [{policies}]}}\n"
    )
}

/// For every form in which conditions are written, claims are found that the evaluation grants the policy.
#[rstest]
#[case::equality(&["claims.a == \"x\" && \"y\" == claims.b"])]
#[case::numbers(&["claims.n == 7 && claims.m > 3 && 5 >= claims.k"])]
#[case::one_of(&["claims.a in [\"x\", \"y\"]"])]
#[case::in_a_list(&["\"x\" in claims.l"])]
#[case::present(&["has(claims.a) && has(claims.b.c)"])]
#[case::absent_or(&["!has(claims.a) || claims.a == \"x\""])]
#[case::exists(&["claims.l.exists(x, x == \"200\")"])]
#[case::exists_with_members(&["claims.l.exists(x, x.name == \"n\" && x.id == 5)"])]
#[case::all(&["size(claims.l) > 0", "claims.l.all(x, x.startsWith(\"a/\"))"])]
#[case::prefix(&["claims.a.startsWith(\"refs/\") && claims.b.endsWith(\"/x\") && claims.c.contains(\"y\")"])]
#[case::glob(&["claims.a.glob(\"refs/tags/v*\") && claims.b.glob(\"a/**\")"])]
#[case::full_match(&["claims.a.fullMatch(\"main|trunk\") && claims.b.matches(\"^release/\")"])]
#[case::members(&["claims.kubernetes.namespace == \"n\" && claims.o[\"a/b\"] == \"c\""])]
#[case::each_other(&["claims.a == claims.b"])]
#[case::not_equal(&["claims.a != \"x\" && claims.a != \"\""])]
#[case::bools(&["claims.flag && !claims.other && claims.third == true"])]
#[case::ternary(&["has(claims.a) ? claims.a == \"x\" : claims.b == \"y\""])]
#[case::optional(&["claims.?a.orValue(\"\") == \"x\""])]
#[case::case_folded(&["claims.a.lowerAscii() == \"x\""])]
fn an_example_is_found_for_the_usual_forms(#[case] conditions: &[&str]) {
    let rehearsal = rehearsal(&rule("", conditions, "'\"p\"'"));
    let ways = rehearsal.who_can("p", &catalog());
    let example = ways[0].example.as_ref().unwrap_or_else(|| panic!("no example: {conditions:?}"));
    let set = rehearsal.built().unwrap();
    let outcome = set.evaluate(&example.issuer, &example.claims, &set.targets()[0], DEFAULT_MOMENT).outcome;
    assert_eq!(outcome.unwrap().policies().to_vec(), example.policies);
}

#[rstest]
#[case::two_at_once(&["claims.a == \"x\" && claims.a == \"y\""])]
#[case::never(&["claims.a.fullMatch(\"[a&&b]\")"])]
#[case::arithmetic(&["claims.n * claims.n == 49"])]
fn without_claims_that_verify_no_example_is_offered(#[case] conditions: &[&str]) {
    let ways = rehearsal(&rule("", conditions, "'\"p\"'")).who_can("p", &catalog());
    assert_eq!(ways.len(), 1);
    assert!(ways[0].example.is_none(), "{:?}", ways[0].example);
}

const LETS: &str =
    "level: 'claims.p == \"t\" ? \"protected\" : \"open\"', deploys: 'has(claims.e) && claims.e != \"\"'";
const POLICIES: &str = "'\"p/\" + level + \"/global\"', {when: deploys, policy: '\"p/\" + level + \"/env/\" + hex(claims.e)'}, 'claims.g.map(g, \"group/\" + g)'";

fn way(name: &str) -> Option<Way> {
    let found = rehearsal(&rule(LETS, &["claims.g.exists(x, x == \"1\")"], POLICIES)).who_can(name, &catalog());
    found.into_iter().next()
}

#[test]
fn a_computed_name_is_read_back_to_what_it_was_computed_from() {
    let way = way("p/protected/env/70726f64756374696f6e").unwrap();
    let [entry] = way.grants.as_slice() else { panic!("{:?}", way.grants) };
    assert_eq!(entry.part, Part::Policy(1));
    assert_eq!(entry.bindings, [("claims.e".to_owned(), "production".to_owned())]);
    assert_eq!(entry.also, ["has(claims.e) && claims.e != \"\"", "claims.p == \"t\""]);
    assert_eq!(entry.text, "\"p/\" + (claims.p == \"t\" ? \"protected\" : \"open\") + \"/env/\" + hex(claims.e)");
    let claims = way.example.unwrap().claims;
    assert_eq!(Value::Object(claims), serde_json::json!({"e": "production", "g": ["1"], "p": "t"}));
}

#[rstest]
#[case("p/open/global", &["grant.policies[0]"], true)]
#[case("p/*/global", &["grant.policies[0]", "grant.policies[0]"], true)]
#[case("p/**", &["grant.policies[0]", "grant.policies[0]", "grant.policies[1]", "grant.policies[1]"], true)]
#[case("group/7", &["grant.policies[2]"], true)]
#[case("p/secret/global", &[], false)]
#[case("p/open/env/xyz", &[], false)]
fn who_can_names_the_entries_that_can_yield_it(#[case] name: &str, #[case] entries: &[&str], #[case] example: bool) {
    let way = way(name);
    let found = way.iter().flat_map(|way| &way.grants).map(|entry| entry.part.to_string()).collect::<Vec<_>>();
    assert_eq!(found, entries);
    assert_eq!(way.is_some_and(|way| way.example.is_some()), example);
}

#[test]
fn a_rule_behind_another_gets_an_example_that_the_first_lets_pass() {
    let text = "target: t
rules:
  - name: first
    issuer: other
    require: [{that: 'claims.a == \"x\"', message: m}]
    grant: {policies: ['\"p\"']}
  - name: second
    issuer: other
    require: [{that: 'claims.b == \"y\"', message: m}]
    grant: {policies: ['\"q\"']}
cases:
  - {name: c, issuer: other, claims: {a: x, b: y}, permit: {policies: [p]}}
";
    let ways = rehearsal(text).who_can("q", &catalog());
    let example = ways[0].example.as_ref().unwrap();
    assert_eq!((ways[0].rule.as_ref(), example.claims["b"].as_str()), ("second", Some("y")));
    assert_ne!(example.claims.get("a").and_then(Value::as_str), Some("x"));
}

#[test]
fn every_shipped_policy_name_has_a_way_with_an_example() {
    let directory = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/policies"));
    let catalog = catalog();
    let rehearsal = PolicySet::rehearse(directory, &catalog).unwrap();
    let set = rehearsal.built().unwrap();
    let mut names = std::collections::BTreeSet::new();
    for case in rehearsal.cases().iter().filter(|case| case.permit) {
        let target = set.target(case.target.as_str()).unwrap();
        let granted = set.evaluate(&case.issuer, &case.claims, target, case.at).outcome.unwrap();
        names.extend(granted.policies().iter().map(|name| name.as_str().to_owned()));
    }
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        let ways = rehearsal.who_can(&name, &catalog);
        assert!(ways.iter().any(|way| way.example.is_some()), "{name}: {ways:?}");
    }
}

const ROLE: &str = "ns/auth/jwt/cel/role/r.json";

/// A role whose only policies are this expression's.
fn role(policies: &str, more: &str) -> Rehearsal {
    let program = serde_json::json!({
        "variables": [
            {"name": "uid", "expression": "('user_id' in claims) ? string(claims['user_id']) : ''"},
            {"name": "env", "expression": "('environment' in claims) ? string(claims['environment']) : ''"},
            {"name": "hexed", "expression": "'%x'.format([env])"},
            {"name": "of_env", "expression": "env != '' ? ['Env/' + hexed] : []"},
        ],
        "expression": format!("uid == '' ? 'missing user_id' : uid == 'admin' ? pb.Auth{{policies: ['admins']}} : pb.Auth{{policies: {policies}{more}}}"),
    });
    let role = serde_json::json!({"cel_program": program, "bound_audiences": ["us"]}).to_string();
    let sources =
        [(ROLE, role), ("ns/auth/jwt/config.json", r#"{"bound_issuer": "https://gitlab.example.com"}"#.to_owned())];
    let rehearsal = PolicySet::rehearse_sources(sources, &catalog()).unwrap();
    assert!(rehearsal.built().is_some(), "{:?}", rehearsal.inspection().findings());
    rehearsal
}

#[rstest]
#[case::literal("['a', 'B ']", "b", 2)]
#[case::a_variable("['users/' + uid]", "users/7", 2)]
#[case::a_sum("['a'] + ['b'] + of_env", "b", 2)]
#[case::a_list_that_is_a_variable("['a'] + of_env", "env/70726f64", 2)]
#[case::a_ternary("env != '' ? ['some'] : ['none']", "some", 2)]
#[case::each_of_a_list("['7'].map(g, 'group_' + g)", "group_7", 2)]
#[case::an_earlier_answer("['a']", "admins", 1)]
#[case::the_default("['a']", "default", 1)]
fn the_policies_of_a_role_are_found_with_an_example(#[case] policies: &str, #[case] wanted: &str, #[case] answer: u16) {
    let rehearsal = role(policies, "");
    let ways = rehearsal.who_can(wanted, &catalog());
    let way = ways.first().unwrap_or_else(|| panic!("nobody gets {wanted}"));
    assert!(way.is_role && way.grants.iter().all(|entry| entry.part == Part::Answer(answer)), "{way:?}");
    assert_eq!(way.conditions.len(), 2, "{:?}", way.conditions);
    let example = way.example.as_ref().unwrap_or_else(|| panic!("no example: {way:?}"));
    assert!(example.policies.iter().any(|name| name.as_str() == wanted), "{example:?}");
    let set = rehearsal.built().unwrap();
    let outcome = set.evaluate(&example.issuer, &example.claims, &set.targets()[0], DEFAULT_MOMENT).outcome;
    assert_eq!(outcome.unwrap().policies().to_vec(), example.policies);
}

#[rstest]
#[case::another_name("['a', 'users/' + uid]", "", "b")]
#[case::not_hex("of_env", "", "env/prod")]
#[case::two_are_not_one("['a'] + ['b']", "", "ab")]
#[case::a_list_without_a_grant("['a']", ", no_default_policy: true", "c")]
fn what_no_answer_of_a_role_can_grant_nobody_gets(#[case] policies: &str, #[case] more: &str, #[case] wanted: &str) {
    let ways = role(policies, more).who_can(wanted, &catalog());
    assert!(ways.is_empty(), "{ways:?}");
}

#[rstest]
#[case("claims.policies", "claims.policies")]
#[case("claims.policies + claims.more", "claims.policies + claims.more")]
fn a_role_whose_policies_are_computed_can_yield_any_and_says_by_what(#[case] policies: &str, #[case] text: &str) {
    let ways = role(policies, "").who_can("whatever", &catalog());
    let [entry] = ways[0].grants.as_slice() else { panic!("{ways:?}") };
    assert_eq!((entry.text.as_str(), entry.is_computed, entry.bindings.as_slice()), (text, true, [].as_slice()));
}

#[test]
fn every_policy_of_gitlabs_roles_has_a_way_with_an_example() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitlab-secrets-manager/policies");
    let mut catalog = Catalog::default();
    let name = IssuerName::new("gitlab").unwrap();
    catalog.add(name, Platforms::embedded().find("gitlab-secrets-manager"));
    let rehearsal = PolicySet::rehearse(&directory, &catalog).unwrap();
    for name in [
        "users/direct/user_7",
        "users/direct/user_8",
        "users/roles/50",
        "api/users/direct/member_role_12",
        "users/direct/group_200",
        "pipelines/global",
        "pipelines/combined/protected/env/70726f64756374696f6e",
        "pipelines/branch/6d61696e",
        "default",
    ] {
        let ways = rehearsal.who_can(name, &catalog);
        assert!(ways.iter().any(|way| way.example.is_some()), "{name}: {ways:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever claims are granted, `who-can` knows the way to each of the policies.
    #[test]
    fn nothing_is_granted_that_who_can_does_not_find(
        protected in prop_oneof![Just("t"), Just("f")],
        environment in proptest::option::of("[a-zA-Z0-9/ é-]{0,12}"),
        groups in proptest::collection::vec("[a-z0-9]{1,6}", 0..4),
    ) {
        let rehearsal = rehearsal(&rule(LETS, &["claims.g.exists(x, x == \"1\")"], POLICIES));
        let groups = [vec!["1".to_owned()], groups].concat();
        let mut claims = serde_json::json!({"p": protected, "g": groups});
        if let Some(environment) = environment {
            claims["e"] = Value::from(environment);
        }
        let Value::Object(claims) = claims else { unreachable!() };
        let set = rehearsal.built().unwrap();
        let issuer = IssuerName::new("other").unwrap();
        let granted = set.evaluate(&issuer, &claims, &set.targets()[0], DEFAULT_MOMENT).outcome.unwrap();
        for name in granted.policies() {
            prop_assert!(!rehearsal.who_can(name.as_str(), &catalog()).is_empty(), "{}", name.as_str());
        }
    }
}
