//! Imported policies against the roles that they come from.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use rstest::rstest;
use serde_json::{Map, Value, json};

use super::{Imported, RoleFiles, import_role};
use crate::clock::Timestamp;
use crate::identity::{IssuerName, TargetName};
use crate::policy::{Catalog, Code, PolicySet, Severity};
use crate::trust::Platforms;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

const EXAMPLES: [&str; 6] = [
    "group_100/group_200/auth/pipeline_jwt/cel/role/all_pipelines.json",
    "group_100/project_300/auth/pipeline_jwt/cel/role/all_pipelines.json",
    "group_100/group_200/auth/user_jwt/cel/role/all_users.json",
    "group_100/project_300/auth/user_jwt/cel/role/all_users.json",
    "group_100/group_200/auth/api_jwt/cel/role/all_api.json",
    "group_100/project_300/auth/api_jwt/cel/role/all_api.json",
];

fn gitlab() -> IssuerName {
    IssuerName::new("gitlab").unwrap()
}

fn unknown_claims() -> Catalog {
    Catalog::of_names([gitlab()])
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitlab-secrets-manager/policies")
}

fn imported(files: RoleFiles<'_>, catalog: &Catalog) -> Imported {
    let target = TargetName::new("imported").unwrap();
    import_role(files, &target, &gitlab(), catalog).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The texts of an example: role, configuration, cases.
fn example(file: &str) -> [String; 3] {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let config = crate::policy::role::path::config_of(file).unwrap();
    [read(file), read(&config), read(&file.replace(".json", ".cases.yaml"))]
}

fn import(file: &str, catalog: &Catalog) -> Imported {
    let [role, config, cases] = example(file);
    imported(RoleFiles { file, role: &role, config: &config, cases: Some(&cases) }, catalog)
}

fn written(expression: &str) -> Imported {
    let role = json!({"cel_program": {"expression": expression}, "bound_audiences": ["us"]}).to_string();
    let config = r#"{"bound_issuer": "https://gitlab.example.com"}"#;
    imported(RoleFiles { file: "auth/jwt/cel/role/r.json", role: &role, config, cases: None }, &unknown_claims())
}

#[rstest]
#[case(EXAMPLES[0])]
#[case(EXAMPLES[1])]
fn gitlabs_pipeline_roles_become_policies_that_keep_the_roles_cases(#[case] file: &str) {
    let imported = import(file, &unknown_claims());
    assert!(imported.is_whole(), "{:?} {:?}\n{}", imported.missing, imported.findings, imported.policy);
    assert!(imported.policy.contains("hex(environment)"), "{}", imported.policy);
}

#[rstest]
#[case(EXAMPLES[0])]
#[case(EXAMPLES[1])]
fn gitlabs_pipeline_roles_are_whole_policies_for_the_platform_of_their_tokens(#[case] file: &str) {
    let mut catalog = Catalog::default();
    catalog.add(gitlab(), Platforms::embedded().find("gitlab-secrets-manager"));
    let imported = import(file, &catalog);
    assert!(imported.is_whole(), "{:?} {:?}\n{}", imported.missing, imported.findings, imported.policy);
    assert!(imported.policy.contains("has(claims.aud) && claims.aud == \"https://openbao.example.com\""));
}

#[rstest]
#[case(EXAMPLES[0], &[Code::UnknownClaim, Code::UnknownClaim])]
#[case(EXAMPLES[1], &[Code::WrongArgument, Code::UnknownClaim, Code::UnknownClaim])]
fn an_import_says_what_the_platform_does_not_have(#[case] file: &str, #[case] errors: &[Code]) {
    let mut catalog = Catalog::default();
    catalog.add(gitlab(), Platforms::embedded().find("gitlab"));
    let imported = import(file, &catalog);
    let found = imported.findings.iter().filter(|finding| finding.severity == Severity::Error);
    assert_eq!(found.map(|finding| finding.code).collect::<Vec<_>>(), errors, "{}", imported.policy);
    assert!(imported.missing.is_empty() && !imported.is_whole());
}

#[rstest]
#[case(EXAMPLES[2])]
#[case(EXAMPLES[3])]
#[case(EXAMPLES[4])]
#[case(EXAMPLES[5])]
fn a_lifetime_from_claims_is_what_an_import_misses(#[case] file: &str) {
    let imported = import(file, &unknown_claims());
    let expected =
        ["TTL", "MaxTTL"].map(|name| format!("`{name}: ttl_ns` is only known at run time: a policy's `ttl` is fixed"));
    assert_eq!(imported.missing, expected);
    // The role's lifetimes are in its cases.
    let errors = imported.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let odd: Vec<_> = errors.filter(|finding| !finding.message.contains("ttl")).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[rstest]
#[case::a_grant("claims.sub == 'a' ? pb.Auth{policies: ['a']} : 'no'", true)]
#[case::grants(
    "claims.sub == 'a' ? pb.Auth{policies: ['a']} : claims.sub == 'b' ? pb.Auth{policies: ['b']} : 'no'",
    true
)]
#[case::not_true("claims.sub != 'a' ? false : pb.Auth{policies: ['a', 'b'] + (claims.sub == 'a' ? ['c'] : [])}", true)]
#[case::a_fixed_lease(
    "claims.sub != 'a' ? 'no' : pb.Auth{policies: ['a'], lease_options: pb.LeaseOptions{TTL: 300000000000, issue_time: now}}",
    true
)]
#[case::a_message_from_claims("claims.sub != 'a' ? 'no ' + claims.sub : pb.Auth{}", true)]
#[case::the_operation("operation == 'update' ? pb.Auth{} : 'no'", false)]
#[case::json("encode_json(claims.sub) == 'x' ? pb.Auth{} : 'no'", false)]
#[case::addresses("claims.sub != 'a' ? 'no' : pb.Auth{bound_cidrs: ['10.0.0.0/8']}", false)]
#[case::uses("claims.sub != 'a' ? 'no' : pb.Auth{num_uses: 1}", false)]
#[case::a_default_from_claims(
    "claims.sub != 'a' ? 'no' : pb.Auth{policies: ['a'], no_default_policy: claims.x}",
    false
)]
#[case::metadata_from_claims("claims.sub != 'a' ? 'no' : pb.Auth{metadata: claims.m}", false)]
#[case::no_literal("claims.sub != 'a' ? 'no' : [pb.Auth{}][0]", false)]
#[case::nothing("'no'", false)]
#[case::true_is_no_answer("claims.sub == 'a' ? true : pb.Auth{}", false)]
fn what_has_no_counterpart_is_said(#[case] expression: &str, #[case] whole: bool) {
    let imported = written(expression);
    assert_eq!(imported.is_whole(), whole, "{:?} {:?}\n{}", imported.missing, imported.findings, imported.policy);
    assert_eq!(imported.missing.is_empty(), whole);
}

#[test]
fn an_imported_policy_reads_as_one_that_was_written() {
    let imported = written(
        "claims.sub == '' ? 'missing subject' : (!claims.sub.startsWith('a:') ? 'not an a' : pb.Auth{
            policies: ['a/' + '%x'.format([claims.sub])] + (has(claims.env) ? ['env'] : []), metadata: {'who': claims.sub}
        })",
    );
    assert_eq!(
        imported.policy,
        r#"# Imported from the OpenBao role auth/jwt/cel/role/r.
target: 'imported'
aliases: ['auth/jwt/cel/role/r']
rules:
  - name: 'r'
    issuer: gitlab
    require:
      - that: 'has(claims.aud) && "us" in (type(claims.aud) == list ? claims.aud : [claims.aud])'
        message: 'the token is not meant for us'
      - that: 'claims.sub != '''''
        message: 'missing subject'
      - that: 'claims.sub.startsWith(''a:'')'
        message: 'not an a'
    grant:
      policies:
        - '''a/'' + hex(claims.sub)'
        - when: 'has(claims.env)'
          policy: '''env'''
        - '"default"'
      metadata:
        role: '"r"'
        who: 'claims.sub'
"#
    );
}

/// Claims near those that the examples ask for: each is right, absent, or one of a few others.
fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let pool: Vec<(&str, Vec<Value>)> = vec![
        (
            "aud",
            vec![
                json!("https://openbao.example.com"),
                json!("them"),
                json!(["https://openbao.example.com"]),
                json!(["a", "b"]),
            ],
        ),
        ("sub", vec![json!("project_path:a/b"), json!("user:alice"), json!(""), json!(7)]),
        ("secrets_manager_scope", vec![json!("pipeline"), json!("user"), json!("api"), json!("")]),
        ("project_id", vec![json!("300"), json!("301"), json!(300), json!("")]),
        ("group_id", vec![json!("200"), json!("201"), json!(200), json!(null)]),
        ("user_id", vec![json!("7"), json!(7), json!(""), json!(["7"])]),
        (
            "project_group_ids",
            vec![json!(["200", "100"]), json!([200]), json!([]), json!(["201"]), json!("200"), json!([null])],
        ),
        ("ref_protected", vec![json!("true"), json!("false"), json!(true), json!("TRUE")]),
        ("environment", vec![json!("production"), json!("review/é 1"), json!(""), json!("*"), json!(null)]),
        ("ref", vec![json!("main"), json!("Feature/X"), json!("")]),
        ("ref_type", vec![json!("branch"), json!("tag"), json!(null)]),
        ("role_id", vec![json!("40"), json!(40), json!("Owner")]),
        ("member_role_id", vec![json!(null), json!("12")]),
        ("groups", vec![json!([]), json!(["1", 2]), json!([{}]), json!("x")]),
        // The lifetime is what an import misses, so that it has to be one here.
        ("secrets_manager_token_ttl", vec![json!(0), json!("120"), json!(-5)]),
        ("correlation_id", vec![json!("c"), json!([]), json!("x")]),
        ("pipeline_id", vec![json!("1"), json!(1), json!({"a": 1})]),
        ("job_id", vec![json!("2"), json!(true)]),
        ("namespace_id", vec![json!("200"), json!(200)]),
    ];
    // Mostly the first, so that most of the questions are passed.
    let chosen = proptest::collection::vec((0..12_u8, any::<Index>()), pool.len());
    chosen.prop_map(move |choices| {
        let each = pool.iter().zip(choices).filter_map(|((name, values), (fate, other))| match fate {
            0 => None,
            1 | 2 => Some((*name, other.get(values).clone())),
            _ => values.first().map(|value| (*name, value.clone())),
        });
        each.map(|(name, value)| (name.to_owned(), value)).collect()
    })
}

/// A role and the policy that it became.
fn pair(file: &str) -> (PolicySet, PolicySet) {
    let [role, config, _] = example(file);
    let sources =
        [(file.to_owned(), role.clone()), (crate::policy::role::path::config_of(file).unwrap(), config.clone())];
    let role_set = PolicySet::from_sources(sources, &unknown_claims()).unwrap();
    let files = RoleFiles { file, role: &role, config: &config, cases: None };
    let policy = imported(files, &unknown_claims()).policy;
    (role_set, PolicySet::from_sources([("p.yaml", policy)], &unknown_claims()).unwrap())
}

fn policies(set: &PolicySet, claims: &Map<String, Value>) -> Option<Vec<String>> {
    let grant = set.evaluate(&gitlab(), claims, &set.targets()[0], NOW).outcome.ok()?;
    let mut policies: Vec<String> = grant.policies().iter().map(ToString::to_string).collect();
    policies.sort();
    Some(policies)
}

#[test]
fn a_role_and_its_import_grant_the_same_to_the_same() {
    let mut permits = 0;
    let mut denials = 0;
    let config = proptest::test_runner::Config { cases: 400, failure_persistence: None, ..Default::default() };
    for file in EXAMPLES {
        let (role, policy) = pair(file);
        let scope = select(vec!["pipeline", "user", "api"]);
        let mut runner = proptest::test_runner::TestRunner::new_with_rng(
            config.clone(),
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        let (permits, denials) = (std::cell::RefCell::new(&mut permits), std::cell::RefCell::new(&mut denials));
        let outcome = runner.run(&(claims(), scope), |(mut claims, scope)| {
            if scope != "pipeline" && claims.get("sub") == Some(&json!("project_path:a/b")) {
                claims.insert("sub".to_owned(), json!("user:alice"));
                claims.insert("secrets_manager_scope".to_owned(), json!(scope));
            }
            let expected = policies(&role, &claims);
            match expected {
                Some(_) => **permits.borrow_mut() += 1,
                None => **denials.borrow_mut() += 1,
            }
            prop_assert_eq!(policies(&policy, &claims), expected, "{}: {}", file, Value::Object(claims));
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
    }
    assert!(permits > 200 && denials > 200, "{permits} permits and {denials} denials mean little");
}
