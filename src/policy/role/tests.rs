//! Roles from their files to a decision.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::identity::{IssuerName, Namespace};
use crate::policy::{
    Alias, Catalog, Code, End, Evaluation, Inspection, IssuerFacts, LoadErrors, NoRole, Part, PolicySet, Reason,
    TokenType,
};
use crate::trust::Platforms;
use crate::verify::VerifiedToken;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const FILE: &str = "ns/auth/jwt/cel/role/r.json";
const CONFIG: &str = r#"{"bound_issuer": "https://gitlab.example.com", "default_role": "R"}"#;

fn gitlab() -> IssuerName {
    IssuerName::new("gitlab").unwrap()
}

fn configured(url: &str) -> Catalog {
    let mut catalog = Catalog::default();
    let platform = Platforms::embedded().find("gitlab").cloned();
    let schema = platform.as_ref().map(|platform| std::sync::Arc::new(platform.schema().clone()));
    catalog.insert(gitlab(), IssuerFacts { platform, schema, url: Some(url.to_owned()), ..IssuerFacts::default() });
    catalog
}

fn role(variables: &[(&str, &str)], expression: &str) -> String {
    let variables: Vec<Value> =
        variables.iter().map(|(name, expression)| json!({"name": name, "expression": expression})).collect();
    json!({"cel_program": {"variables": variables, "expression": expression}, "bound_audiences": ["us"]}).to_string()
}

fn files(role: &str) -> [(&'static str, String); 2] {
    [(FILE, role.to_owned()), ("ns/auth/jwt/config.json", CONFIG.to_owned())]
}

fn load(role: &str) -> Result<PolicySet, LoadErrors> {
    PolicySet::from_sources(files(role), &configured("https://gitlab.example.com"))
}

fn inspect(role: &str) -> Inspection {
    PolicySet::inspect_sources(files(role), &configured("https://gitlab.example.com")).unwrap()
}

fn claims(with: Value) -> Map<String, Value> {
    let mut claims = json!({"sub": "x", "aud": "us", "n": 1_234_567, "groups": ["a", "b"]});
    claims.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    claims.as_object().unwrap().clone()
}

fn evaluate(variables: &[(&str, &str)], expression: &str, with: Value) -> Evaluation {
    let set = load(&role(variables, expression)).unwrap_or_else(|errors| panic!("{errors}"));
    set.evaluate(&gitlab(), &claims(with), &set.targets()[0], NOW)
}

fn policies(expression: &str) -> Vec<String> {
    let grant = evaluate(&[], expression, json!({})).outcome.unwrap_or_else(|reason| panic!("{reason}"));
    grant.policies().iter().map(ToString::to_string).collect()
}

fn refusal(expression: &str, with: Value) -> Reason {
    evaluate(&[], expression, with).outcome.map(|_| ()).unwrap_err()
}

#[rstest]
#[case::a_grant("pb.Auth{policies: ['a']}", &["a", "default"])]
#[case::as_openbao_cleans_them("pb.Auth{policies: [' A ', 'a', '', 'b']}", &["a", "b", "default"])]
#[case::without_default("pb.Auth{policies: ['a'], no_default_policy: true}", &["a"])]
#[case::nothing_but_default("pb.Auth{}", &["default"])]
#[case::in_a_chain("claims.sub == 'y' ? 'no' : (claims.sub == 'z' ? false : pb.Auth{policies: ['a']})", &["a", "default"])]
#[case::hex("pb.Auth{policies: ['env/' + '%x'.format(['production'])]}", &["env/70726f64756374696f6e", "default"])]
#[case::the_operation("pb.Auth{policies: [operation]}", &["update", "default"])]
#[case::numbers_are_doubles("pb.Auth{policies: [type(claims.n) == double && claims.n == 1234567 ? 'yes' : 'no']}", &["yes", "default"])]
#[case::numbers_by_a_computed_name("pb.Auth{policies: [type(claims['' + 'n']) == double ? 'yes' : 'no']}", &["yes", "default"])]
#[case::a_number_as_go_writes_it("pb.Auth{policies: [string(claims.n) == '1.234567e+06' ? 'yes' : 'no']}", &["yes", "default"])]
#[case::a_number_as_an_int("pb.Auth{policies: [string(int(claims.n))]}", &["1234567", "default"])]
#[case::now("pb.Auth{policies: [now == timestamp('2026-11-18T11:06:40Z') ? 'a' : 'b']}", &["a", "default"])]
fn a_program_grants_what_openbao_would(#[case] expression: &str, #[case] expected: &[&str]) {
    assert_eq!(policies(expression), expected);
}

#[rstest]
#[case::a_message(
    "'no ' + 'way'",
    "error executing cel program: CEL role 'r' blocked authorization with message: no way"
)]
#[case::an_empty_message("''", "error executing cel program: CEL role 'r' blocked authorization with message: ")]
#[case::not_true("false", "error executing cel program: CEL role 'r' blocked authorization with boolean false return")]
#[case::just_true("true", "error executing cel program: CEL program 'r' returned unexpected type: types.Bool")]
#[case::a_number("1", "error executing cel program: CEL program 'r' returned unexpected type: types.Int")]
#[case::a_list("['a']", "error executing cel program: CEL program 'r' returned unexpected type: *types.baseList")]
#[case::another_message(
    "pb.LeaseOptions{}",
    "error executing cel program: CEL program 'r' returned unexpected type: *types.protoObj"
)]
#[case::no_issue_time(
    "pb.Auth{lease_options: pb.LeaseOptions{TTL: 300000000000}}",
    "error converting proto auth: proto: invalid nil Timestamp"
)]
#[case::root("pb.Auth{policies: ['a', ' ROOT ']}", "auth methods cannot create root tokens")]
#[case::a_missing_claim(
    "claims.nowhere == 'x' ? 'a' : 'b'",
    "error executing cel program: CEL role auth program failed: the token has no claim `nowhere`"
)]
fn a_login_is_refused_with_openbaos_text(#[case] expression: &str, #[case] expected: &str) {
    assert_eq!(refusal(expression, json!({})).login_error(), expected);
}

#[rstest]
#[case(json!({"aud": "us"}), true)]
#[case(json!({"aud": ["them", "us"]}), true)]
#[case(json!({"aud": "them"}), false)]
#[case(json!({"aud": []}), false)]
#[case(json!({"aud": 1}), false)]
fn any_bound_audience_will_do(#[case] with: Value, #[case] permitted: bool) {
    let evaluation = evaluate(&[], "pb.Auth{policies: ['a']}", with);
    assert_eq!(evaluation.outcome.is_ok(), permitted);
    if !permitted {
        assert_eq!(evaluation.outcome.unwrap_err().code(), "audience_not_bound");
    }
}

#[test]
fn variables_are_evaluated_in_order_and_all_of_them() {
    let variables = [("a", "claims.sub + '1'"), ("b", "a + '2'")];
    let grant = evaluate(&variables, "pb.Auth{policies: [b]}", json!({})).outcome.unwrap();
    assert_eq!(grant.policies()[0].as_str(), "x12");
    // OpenBao evaluates a variable that nothing uses too.
    let unused = [("a", "claims.nowhere")];
    let evaluation = evaluate(&unused, "pb.Auth{policies: ['a']}", json!({}));
    assert!(matches!(evaluation.outcome, Err(Reason::EvaluationError { at: Part::Let(0), .. })));
    assert_eq!(evaluation.trace.rules()[0].end, End::Failed { at: Part::Let(0) });
}

#[test]
fn a_trace_says_which_question_denied() {
    let expression = "claims.sub == 'a' ? 'not a' : (claims.sub == 'x' ? 'not x' : pb.Auth{})";
    let set = load(&role(&[], expression)).unwrap();
    let rule = &set.targets()[0].rules()[0];
    let evaluation = set.evaluate(&gitlab(), &claims(json!({})), &set.targets()[0], NOW);
    let tried = &evaluation.trace.rules()[0];
    assert_eq!((tried.held, tried.end), (1, End::Unmet { condition: 1 }));
    assert_eq!(rule.questions(), Some(2));
    assert_eq!(rule.source_of(Part::Condition(1)), Some("claims.sub == 'x'"));
    assert_eq!(rule.source_of(Part::Answer(1)), Some("'not x'"));
    assert_eq!(rule.source_of(Part::Answer(2)), Some("pb.Auth{}"));
}

#[test]
fn a_grant_keeps_what_a_login_tells() {
    let expression = "pb.Auth{
        policies: ['a'], display_name: 'who', alias: logical.Alias{name: 'w', metadata: {'k': 'v'}},
        group_aliases: [logical.Alias{name: 'g'}], token_type: 2u, period: 600000000000,
        metadata: {'b': claims.sub, 'a': '', 'role': 'another'}, internal_data: '{}',
        lease_options: pb.LeaseOptions{TTL: 900000000000, renewable: true, issue_time: now},
    }";
    let grant = evaluate(&[], expression, json!({})).outcome.unwrap();
    assert_eq!(grant.metadata().collect::<Vec<_>>(), [("a", ""), ("b", "x"), ("role", "r")]);
    let role = grant.role_grant().unwrap();
    assert_eq!(role.display_name.as_deref(), Some("who"));
    assert_eq!(role.alias, Some(Alias { name: "w".into(), metadata: vec![("k".into(), "v".into())] }));
    assert_eq!(role.group_aliases, ["g"]);
    assert_eq!(
        (role.token_type, role.renewable, role.period),
        (TokenType::Batch, true, Some(Duration::from_secs(600)))
    );
    // A periodic token lives for its period, whatever its lease.
    assert_eq!((grant.ttl(), grant.outlive_subject()), (Some(Duration::from_secs(600)), true));
}

#[rstest]
#[case::none("", None, false)]
#[case::a_lease("lease_options: pb.LeaseOptions{TTL: 300000000000, issue_time: now}", Some(300), true)]
#[case::the_lesser(
    "lease_options: pb.LeaseOptions{TTL: 300000000000, MaxTTL: 200000000000, issue_time: now}",
    Some(200),
    true
)]
#[case::only_the_most("lease_options: pb.LeaseOptions{MaxTTL: 200000000000, issue_time: now}", Some(200), false)]
#[case::explicit("explicit_max_ttl: 100000000000", Some(100), false)]
#[case::a_cap_lengthens_nothing("explicit_max_ttl: 864000000000000", None, false)]
#[case::a_month_is_cut_to_a_day(
    "lease_options: pb.LeaseOptions{TTL: 2764800000000000, issue_time: now}",
    Some(86_400),
    true
)]
#[case::a_lease_of_nothing("lease_options: pb.LeaseOptions{issue_time: now}", None, false)]
fn a_lease_is_the_lifetime_within_cambios_bounds(
    #[case] field: &str,
    #[case] seconds: Option<u64>,
    #[case] outlives: bool,
) {
    let grant = evaluate(&[], &format!("pb.Auth{{policies: ['a'], {field}}}"), json!({})).outcome.unwrap();
    assert_eq!((grant.ttl().map(|ttl| ttl.as_secs()), grant.outlive_subject()), (seconds, outlives));
}

#[rstest]
#[case::seconds_for_nanoseconds("period: 300", "unusable_grant")]
#[case::less_than_nothing("explicit_max_ttl: -1", "unusable_grant")]
#[case::an_odd_token_type("token_type: 7u", "unusable_grant")]
#[case::a_long_metadata_value("metadata: {'a': claims.long}", "unusable_grant")]
#[case::too_many_policies("policies: claims.many", "unusable_grant")]
#[case::an_odd_policy("policies: ['a b']", "bad_policy_name")]
#[case::a_claim_of_another_type("policies: claims.sub", "evaluation_error")]
#[case::elements_of_another_type("policies: claims.numbers", "evaluation_error")]
#[case::a_double_for_an_int("num_uses: claims.n", "evaluation_error")]
fn what_cannot_be_granted_is_denied(#[case] field: &str, #[case] code: &str) {
    let many: Vec<String> = (0..65).map(|n| format!("p{n}")).collect();
    let with = json!({"long": "x".repeat(513), "many": many, "numbers": [1]});
    assert_eq!(refusal(&format!("pb.Auth{{{field}}}"), with).code(), code);
}

#[rstest]
#[case("bound_cidrs: ['10.0.0.0/8']")]
#[case("num_uses: 1")]
fn a_grant_that_binds_its_token_is_not_handed_out_unbound(#[case] field: &str) {
    let set = load(&role(&[], &format!("pb.Auth{{policies: ['a'], {field}}}"))).unwrap();
    let target = &set.targets()[0];
    assert!(set.evaluate(&gitlab(), &claims(json!({})), target, NOW).outcome.is_ok());
    let token = VerifiedToken::for_tests("gitlab", "x", claims(json!({})), NOW.plus(Duration::from_secs(300)));
    assert_eq!(set.decide(token, target, NOW).unwrap_err().reason_code(), "unusable_grant");
}

#[rstest]
#[case::a_field_that_does_not_exist("pb.Auth{nope: 1}", Code::WrongMessage, "no such field `nope` in `pb.Auth`")]
#[case::a_literal_of_another_type(
    "pb.Auth{period: '5m'}",
    Code::WrongMessage,
    "field `period` of `pb.Auth` takes an int"
)]
#[case::an_int_for_a_uint("pb.Auth{token_type: 2}", Code::WrongMessage, "takes a uint, e.g. `2u`")]
#[case::another_message("pb.Auth{alias: pb.LeaseOptions{}}", Code::WrongMessage, "takes logical.Alias")]
#[case::within_another(
    "[pb.Auth{alias: logical.Alias{nope: ''}}][0]",
    Code::WrongMessage,
    "no such field `nope` in `logical.Alias`"
)]
#[case::a_message_that_does_not_exist("pb.Token{}", Code::Unsupported, "message")]
#[case::hex_is_not_openbaos("pb.Auth{policies: [hex(claims.sub)]}", Code::UnknownFunction, "no function `hex`")]
#[case::glob_is_not_openbaos("claims.sub.glob('a*') ? 'a' : 'b'", Code::UnknownFunction, "no function `glob`")]
#[case::no_cel("claims.sub ==", Code::Syntax, "no CEL")]
#[case::an_unknown_name("nobody", Code::UnknownName, "no variable `nobody`")]
#[case::an_issuer("issuer == 'x' ? 'a' : 'b'", Code::UnknownName, "no variable `issuer`")]
fn what_openbao_would_not_store_does_not_load(#[case] expression: &str, #[case] code: Code, #[case] text: &str) {
    let errors = load(&role(&[], expression)).unwrap_err();
    let error = &errors.errors()[0];
    assert_eq!(error.problem.code(), code, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[rstest]
#[case::a_reserved_name(&[("now", "1")], "is no name of a variable")]
#[case::twice(&[("a", "1"), ("a", "2")], "there is already a variable `a`")]
#[case::too_early(&[("a", "b"), ("b", "1")], "no variable `b`")]
fn variables_have_names_of_their_own(#[case] variables: &[(&str, &str)], #[case] text: &str) {
    let errors = load(&role(variables, "pb.Auth{}")).unwrap_err();
    assert!(errors.to_string().contains(text), "{errors}");
}

#[test]
fn a_mount_whose_issuer_is_not_configured_says_what_to_add() {
    let errors = PolicySet::from_sources(files(&role(&[], "false")), &configured("https://other.example")).unwrap_err();
    let error = &errors.errors()[0];
    assert_eq!(error.problem.code(), Code::UnknownIssuer);
    assert_eq!(&*error.file, "ns/auth/jwt/config.json");
    assert!(error.to_string().contains("no issuer with the url `https://gitlab.example.com` is configured"));
    assert!(error.finding().help.unwrap().contains("add an issuer with this `url`"));
}

#[test]
fn a_role_does_not_take_the_tokens_of_several_issuers_that_share_a_url() {
    let mut catalog = configured("https://gitlab.example.com");
    let facts = catalog.find(&gitlab()).unwrap().clone();
    catalog.insert(IssuerName::new("another").unwrap(), facts);
    let errors = PolicySet::from_sources(files(&role(&[], "false")), &catalog).unwrap_err();
    assert_eq!(errors.errors()[0].problem.code(), Code::UnknownIssuer);
    assert!(errors.to_string().contains("(another, gitlab)"), "{errors}");
}

#[test]
fn what_a_role_granted_is_revoked_with_its_issuer() {
    let digest = |name: &str| {
        let mut catalog = Catalog::default();
        let facts = configured("https://gitlab.example.com").find(&gitlab()).unwrap().clone();
        catalog.insert(IssuerName::new(name).unwrap(), facts);
        PolicySet::from_sources(files(&role(&[], "false")), &catalog).unwrap().targets()[0].rules()[0].digest()
    };
    assert_eq!(digest("a"), digest("a"));
    assert_ne!(digest("a"), digest("b"));
}

#[rstest]
#[case::no_config(&[(FILE, "")], "`ns/auth/jwt/config.json` is missing")]
#[case::no_issuer(&[(FILE, ""), ("ns/auth/jwt/config.json", "{}")], "nothing says whose tokens the mount takes")]
#[case::an_odd_config(&[(FILE, ""), ("ns/auth/jwt/config.json", "{\"a\": 1}")], "unknown field `a`")]
#[case::a_native_role(&[("ns/auth/jwt/role/r.json", "{}")], "roles of the native kind are not supported")]
#[case::lost_cases(&[("ns/auth/jwt/cel/role/s.cases.yaml", "cases: []")], "cases without their role")]
#[case::odd_cases(&[(FILE, ""), ("ns/auth/jwt/config.json", CONFIG), ("ns/auth/jwt/cel/role/r.cases.yaml", "case: []")], "unknown field")]
#[case::twice(&[(FILE, ""), ("ns/auth/jwt/cel/roles/R.json", ""), ("ns/auth/jwt/config.json", CONFIG)], "already asks for the target of")]
#[case::another_name(&[(FILE, "{\"name\": \"s\", \"cel_program\": {\"expression\": \"false\"}}"), ("ns/auth/jwt/config.json", CONFIG)], "is of the role `s`")]
fn files_that_do_not_fit_together_do_not_load(#[case] files: &[(&str, &str)], #[case] text: &str) {
    let written = role(&[], "false");
    let files = files.iter().map(|(name, text)| (*name, if text.is_empty() { written.as_str() } else { *text }));
    let errors = PolicySet::from_sources(files, &configured("https://gitlab.example.com")).unwrap_err();
    assert!(errors.to_string().contains(text), "{errors}");
}

#[test]
fn a_role_is_found_by_its_path_and_by_a_login() {
    let set = load(&role(&[], "false")).unwrap();
    assert!(set.target("ns/auth/jwt/cel/role/r").is_some());
    let namespace = Namespace::new("ns").unwrap();
    let found = |mount: &str, role: Option<&str>| set.role(Some(&namespace), mount, role).map(|target| target.file());
    assert_eq!(found("jwt", Some("R")), Ok(FILE));
    assert_eq!(found("jwt", None), Ok(FILE));
    assert_eq!(found("jwt", Some("s")).unwrap_err().to_string(), "role \"s\" could not be found");
    assert_eq!(found("other", Some("r")), Err(NoRole::NoMount));
    assert_eq!(set.role(None, "jwt", Some("r")).map(|_| ()), Err(NoRole::NoMount));
}

#[test]
fn a_changed_program_is_another_rule() {
    let digest = |text: &str| load(text).unwrap().targets()[0].rules()[0].digest();
    let (one, other) = (role(&[], "pb.Auth{}"), role(&[("a", "1")], "pb.Auth{}"));
    assert_eq!(digest(&one), digest(&one.replace(",", ", ")));
    assert_ne!(digest(&one), digest(&other));
    assert_ne!(digest(&one), digest(&one.replace("us", "them")));
}

#[rstest]
#[case::no_audience(r#"{"cel_program": {"expression": "pb.Auth{period: 60000000000}"}}"#, &[Code::NoAudience])]
#[case::asks_itself(r#"{"cel_program": {"expression": "claims.aud == 'us' ? pb.Auth{period: 60000000000} : false"}}"#, &[])]
#[case::no_lease(&role(&[], "pb.Auth{policies: ['a']}"), &[Code::NoLease])]
#[case::only_true(&role(&[], "claims.sub == 'x' ? true : 'no'"), &[Code::NoAnswer])]
#[case::a_list(&role(&[], "['a']"), &[Code::NoAnswer])]
#[case::a_message(r#"{"cel_program": {"expression": "false"}, "message": "m", "bound_audiences": "us"}"#, &[Code::IdleMessage])]
#[case::no_issue_time(&role(&[], "pb.Auth{lease_options: pb.LeaseOptions{TTL: 60000000000}}"), &[Code::NoIssueTime])]
#[case::idle_fields(&role(&[], "pb.Auth{period: 60000000000, token_policies: ['a'], entity_id: 'x'}"), &[Code::IdleField, Code::IdleField])]
#[case::a_lease_in_seconds(&role(&[], "pb.Auth{lease_options: pb.LeaseOptions{TTL: 300, issue_time: now}}"), &[Code::DeniedGrant])]
#[case::of_a_variable(&role(&[("a", "pb.Auth{period: 300}")], "a"), &[Code::DeniedGrant])]
#[case::bounds(&role(&[], "pb.Auth{period: 60000000000, bound_cidrs: ['10.0.0.0/8']}"), &[Code::Unheld])]
#[case::a_number_as_text(&role(&[], "string(claims.runner_id) == '1' ? 'a' : 'b'"), &[Code::NumberText])]
#[case::a_text_as_text(&role(&[], "string(claims.project_id) == '1' ? 'a' : 'b'"), &[])]
fn what_is_odd_about_a_role_is_a_warning(#[case] role: &str, #[case] codes: &[Code]) {
    let inspection = inspect(role);
    assert!(inspection.set().is_some(), "{:?}", inspection.findings());
    let found: Vec<Code> = inspection.findings().iter().map(|finding| finding.code).collect();
    assert_eq!(found, codes);
}

#[test]
fn a_warning_can_be_accepted_beside_the_cases() {
    let role = role(&[], "pb.Auth{policies: ['a']}");
    let with = |cases: &str| {
        let mut files = files(&role).to_vec();
        files.push(("ns/auth/jwt/cel/role/r.cases.yaml", cases.to_owned()));
        PolicySet::inspect_sources(files, &configured("https://gitlab.example.com")).unwrap()
    };
    let accepted = with("accept: [{finding: P0402, because: inline logins}]");
    assert_eq!(accepted.findings()[0].accepted.as_deref(), Some("inline logins"));
    let idle = with("accept: [{finding: no-lease, because: x}, {finding: P0401, because: y}]");
    assert!(idle.findings().iter().any(|finding| finding.code == Code::IdleAcceptance));
    assert!(with("accept: [{finding: P0408, because: it is an error}]").set().is_none());
}

#[test]
fn a_case_that_fails_keeps_the_set_from_loading_and_names_its_own_file() {
    let mut files = files(&role(&[], "false")).to_vec();
    let cases = "cases:\n  - {name: n, claims: {aud: us}, permit: {policies: [a]}}\n";
    files.push(("ns/auth/jwt/cel/role/r.cases.yaml", cases.to_owned()));
    let errors = PolicySet::from_sources(files, &configured("https://gitlab.example.com")).unwrap_err();
    assert!(errors.to_string().starts_with("ns/auth/jwt/cel/role/r.cases.yaml:2:"), "{errors}");
}

#[test]
fn without_a_configuration_the_issuer_is_guessed_and_the_check_says_so() {
    let mut catalog = Catalog::default();
    catalog.add(gitlab(), Platforms::embedded().find("gitlab"));
    let inspection = PolicySet::inspect_sources(files(&role(&[], "false")), &catalog).unwrap();
    assert_eq!(inspection.set().unwrap().targets()[0].issuers().collect::<Vec<_>>(), [&gitlab()]);
    assert_eq!(inspection.findings()[0].code, Code::GuessedIssuer);
}

#[test]
fn a_long_chain_of_questions_is_no_deeper_than_one() {
    let questions: String = (0..60).map(|n| format!("claims.sub == 's{n}' ? 'is {n}' : (")).collect();
    let expression = format!("{questions}pb.Auth{{policies: ['a']}}{}", ")".repeat(60));
    assert_eq!(policies(&expression), ["a", "default"]);
    let reason = refusal(&expression, json!({"sub": "s59"}));
    assert!(reason.login_error().ends_with("message: is 59"));
}

#[test]
fn no_claim_is_told_by_a_reason() {
    let reason = refusal("'no access for ' + claims.sub", json!({"sub": "mallory"}));
    assert!(!format!("{reason} {reason:?}").contains("mallory"));
    assert!(reason.login_error().ends_with("no access for mallory"));
}
