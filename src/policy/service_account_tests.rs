//! `grant.service_account`: whoever may act as a service account, and that nothing else leads to its policy.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Catalog, Code, PolicySet, Question, Reason, Severity, Verdict};
use crate::clock::Timestamp;
use crate::identity::{IssuerName, PolicyNameError};

const GRANT: &str = "{service_account: reports}";

fn catalog() -> Catalog {
    Catalog::of_names([IssuerName::new("workloads").unwrap()])
}

fn file(grant: &str) -> String {
    format!(
        "target: t
namespace: n
rules:
  - name: r
    issuer: workloads
    require: [{{that: 'claims.a == \"x\"', message: m}}]
    grant: {grant}
cases:
  - {{name: another, issuer: workloads, claims: {{a: y}}, deny: {{reason: conditions_not_met}}}}
"
    )
}

fn set(grant: &str) -> PolicySet {
    PolicySet::from_sources([("t.yaml", file(grant))], &catalog()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn verdict(grant: &str, claims: &Value) -> Verdict {
    let issuer = IssuerName::new("workloads").unwrap();
    let claims = claims.as_object().unwrap().clone();
    let at = Timestamp::from_secs(1_795_000_000);
    set(grant).verdict(&Question { target: "t".to_owned(), issuer, claims, at })
}

/// The codes of errors that a file has.
fn errors(grant: &str) -> Vec<Code> {
    let inspection = PolicySet::inspect_sources([("t.yaml", file(grant))], &catalog()).unwrap();
    inspection.counting(Severity::Error).map(|finding| finding.code).collect()
}

#[rstest]
#[case::alone(GRANT, &["service-accounts/reports"])]
#[case::beside_policies("{policies: ['\"p\"'], service_account: reports}", &["p", "service-accounts/reports"])]
fn a_rule_grants_the_policy_of_its_account(#[case] grant: &str, #[case] expected: &[&str]) {
    let Verdict::Permit(granted) = verdict(grant, &json!({"a": "x"})) else { panic!() };
    assert_eq!(granted.policies().iter().map(|policy| policy.as_str()).collect::<Vec<_>>(), expected);
    assert_eq!(granted.service_account().map(|name| name.to_string()).as_deref(), Some("reports"));
    assert!(matches!(verdict(grant, &json!({"a": "y"})), Verdict::Denied(Reason::ConditionsNotMet { .. })));
}

#[test]
fn who_can_and_the_rule_itself_tell_of_the_account() {
    let rehearsal = PolicySet::rehearse_sources([("t.yaml", file(GRANT))], &catalog()).unwrap();
    let ways = rehearsal.who_can("service-accounts/reports", &catalog());
    assert_eq!(ways.len(), 1);
    assert!(ways[0].example.is_some(), "claims that lead there");
    assert!(rehearsal.who_can("service-accounts/other", &catalog()).is_empty());
    let rules = set(GRANT);
    assert_eq!(rules.targets()[0].rules()[0].service_account().unwrap().as_str(), "reports");
}

#[test]
fn another_account_is_another_rule() {
    let digest = |grant: &str| set(grant).targets()[0].rules()[0].digest();
    assert_ne!(digest(GRANT), digest("{service_account: other}"));
    assert_ne!(digest("{policies: ['\"p\"']}"), digest("{policies: ['\"p\"'], service_account: reports}"));
}

#[rstest]
#[case::an_expression("{service_account: '\"reports\"'}", Code::Shape)]
#[case::a_claim("{service_account: claims.a}", Code::Shape)]
#[case::a_path("{service_account: a/b}", Code::Shape)]
#[case::upper_case("{service_account: Reports}", Code::Shape)]
#[case::several("{service_account: [a, b]}", Code::Shape)]
#[case::nothing("{ttl: 10m}", Code::Shape)]
#[case::its_policy_by_hand("{policies: ['\"service-accounts/reports\"']}", Code::NotAName)]
fn what_names_no_account_does_not_load(#[case] grant: &str, #[case] code: Code) {
    assert!(errors(grant).contains(&code), "{:?}", errors(grant));
}

#[rstest]
#[case::whole("{policies: ['claims.a == \"x\" ? claims.p : \"q\"']}")]
#[case::part("{policies: ['\"service-\" + claims.p.replace(\"service-\", \"\")']}")]
fn no_expression_comes_to_the_policy_of_an_account(#[case] grant: &str) {
    let denied = verdict(grant, &json!({"a": "x", "p": "service-accounts/reports"}));
    let Verdict::Denied(Reason::BadPolicyName { error, .. }) = denied else { panic!("{denied}") };
    assert_eq!(error, PolicyNameError::Reserved);
}
