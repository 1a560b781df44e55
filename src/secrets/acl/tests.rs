//! What documents grant: precedence, lists, merging, expiry, as `docs/acl.md` and OpenBao have it.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::clock::Timestamp;
use crate::identity::{Namespace, PolicyName};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000); // 2027-01-15T08:00:00Z

/// Policies `p0`, `p1`, .. of the namespace `ns`, in HCL.
fn documents(policies: &[&str]) -> AclDocuments {
    let named = policies.iter().enumerate().map(|(at, text)| (format!("ns/sys/policies/acl/p{at}.hcl"), *text));
    AclDocuments::from_sources(named).unwrap()
}

fn acl(documents: &AclDocuments) -> Acl<'_> {
    let names: Vec<_> = (0..documents.len()).map(|at| PolicyName::new(&format!("p{at}")).unwrap()).collect();
    documents.of(Some(&Namespace::new("ns").unwrap()), &names)
}

fn verdict(policies: &[&str], path: &str, capability: Capability) -> Result<String, String> {
    let documents = documents(policies);
    let granted = acl(&documents).check(path, capability, NOW);
    granted.map(|granted| granted.pattern().to_owned()).map_err(|denied| denied.to_string())
}

/// Read is granted by the first pattern only, and `path` matches both: the first counts. Each comparator alone, as in
/// `pattern.rs`, but through whole documents and both ways round.
#[rstest]
#[case::an_exact_path_before_any_pattern("a/b/c", "a/b/c*", "a/b/c")]
#[case::an_exact_path_before_a_segment("a/b/c", "a/b/+", "a/b/c")]
#[case::a_first_wildcard_that_comes_later("a/b*", "a/*", "a/b/c")]
#[case::a_first_wildcard_that_comes_later_with_segments("a/b/+/d", "a/+/c/d", "a/b/c/d")]
#[case::a_later_wildcard_before_no_star("a/b*", "a/+", "a/bc")]
#[case::no_star_at_the_end("a/+/c", "a/+/c*", "a/b/c")]
#[case::no_star_before_fewer_segments("a/+/+", "a/+/*", "a/b/c")]
#[case::a_segment_before_a_star("a/+", "a/*", "a/b")]
#[case::fewer_segments("a/+/c/d", "a/+/+/d", "a/b/c/d")]
#[case::fewer_segments_with_stars("a/*", "a/+/*", "a/b/c")]
#[case::fewer_segments_before_longer("a/+/c*", "a/+/+/dddd*", "a/b/c/dddd")]
#[case::longer("a/+/cc*", "a/+/c*", "a/b/cc")]
#[case::longer_after_segments("a/+/+/dd*", "a/+/+/d*", "a/b/c/dd")]
fn the_rule_of_the_higher_priority_counts_alone(#[case] higher: &str, #[case] lower: &str, #[case] path: &str) {
    let granting = |pattern: &str, word: &str| format!("path \"{pattern}\" {{ capabilities = [\"{word}\"] }}");
    for (word, other, granted) in
        [("read", "deny", true), ("deny", "read", false), ("read", "list", true), ("list", "read", false)]
    {
        let (one, two) = (granting(higher, word), granting(lower, other));
        let together = [one.as_str(), two.as_str()].concat();
        for policies in [vec![one.as_str(), two.as_str()], vec![two.as_str(), one.as_str()], vec![together.as_str()]] {
            let verdict = verdict(&policies, path, Capability::Read);
            assert_eq!(verdict.is_ok(), granted, "{policies:?}: {verdict:?}");
        }
    }
}

#[rstest]
#[case::union_over_policies(&[r#"path "a/*" { capabilities = ["list"] }"#, r#"path "a/*" { capabilities = ["read"] }"#], true)]
#[case::union_within_a_policy(&[r#"path "a/*" { capabilities = ["list"] } path "a/*" { capabilities = ["read"] }"#], true)]
#[case::deny_beats_all_in_its_rule(&[r#"path "a/*" { capabilities = ["read", "deny"] }"#], false)]
#[case::deny_beats_all_over_policies(&[r#"path "a/*" { capabilities = ["read"] }"#, r#"path "a/*" { capabilities = ["deny"] }"#], false)]
#[case::deny_of_an_exact_path_over_policies(&[r#"path "a/b" { capabilities = ["deny"] }"#, r#"path "a/b" { capabilities = ["read"] }"#], false)]
#[case::deny_of_a_lower_rule_does_not_count(&[r#"path "a/b" { capabilities = ["read"] }"#, r#"path "a/*" { capabilities = ["deny"] }"#], true)]
#[case::patterns_do_not_add_up(&[r#"path "a/*" { capabilities = ["read"] } path "a/b*" { capabilities = ["list"] }"#], false)]
#[case::a_rule_that_grants_nothing_counts(&[r#"path "a/*" { capabilities = ["read"] } path "a/b" { }"#], false)]
#[case::denied_without_a_rule(&[r#"path "b/*" { capabilities = ["read"] }"#], false)]
#[case::the_older_word_read(&[r#"path "a/*" { policy = "read" }"#], true)]
#[case::the_older_word_deny(&[r#"path "a/*" { policy = "deny" capabilities = ["read"] }"#], false)]
#[case::a_slash_before_the_path(&[r#"path "/a/b" { capabilities = ["read"] }"#], true)]
fn rules_of_one_pattern_add_up_and_deny_wins(#[case] policies: &[&str], #[case] granted: bool) {
    assert_eq!(verdict(policies, "a/b", Capability::Read).is_ok(), granted);
}

#[rstest]
#[case(r#"path "a" { capabilities = ["read"] }"#, "a", "`a`, in policy `p0`, does not grant `list`")]
#[case(r#"path "a" { capabilities = ["deny"] }"#, "a", "`a` in policy `p0` denies it")]
#[case(
    r#"path "a" { capabilities = ["list"] expiration = "2027-01-01T00:00:00Z" }"#,
    "a",
    "`a` in policy `p0` has expired"
)]
#[case(r#"path "b" { capabilities = ["list"] }"#, "a", "no rule of the token's policies matches the path")]
#[case(
    r#"path "a" { capabilities = ["list"] max_wrapping_ttl = 60 }"#,
    "a",
    "`a` in policy `p0` wants the answer wrapped, and for another time than was asked for"
)]
fn a_denial_says_why(#[case] policy: &str, #[case] path: &str, #[case] why: &str) {
    assert_eq!(verdict(&[policy], path, Capability::List).unwrap_err(), why);
}

#[test]
fn a_policy_without_a_document_grants_nothing() {
    let documents = documents(&[r#"path "*" { capabilities = ["read"] }"#]);
    let (ns, other) = (Namespace::new("ns").unwrap(), Namespace::new("ns/below").unwrap());
    let (p0, unknown) = (PolicyName::new("p0").unwrap(), PolicyName::new("unknown").unwrap());
    let verdict =
        |namespace, policies: &[_]| documents.of(namespace, policies).check("a", Capability::Read, NOW).map(drop);
    assert_eq!(verdict(Some(&ns), &[unknown.clone(), p0.clone()]), Ok(()));
    for (namespace, policies) in [
        (Some(&ns), vec![unknown]),
        (Some(&ns), vec![]),
        // Neither the namespace above nor the one below inherits.
        (Some(&other), vec![p0.clone()]),
        (None, vec![p0.clone()]),
    ] {
        assert_eq!(verdict(namespace, &policies), Err(Denied::NoPolicy), "{namespace:?} {policies:?}");
    }
    assert!(documents.knows(Some(&ns), &p0) && !documents.knows(None, &p0));
    assert!(AclDocuments::empty().is_empty());
    assert_eq!(AclDocuments::empty().of(None, &[p0]).capabilities("a", NOW), [Capability::Deny]);
}

/// CVE-2026-63131 (GHSA-xp3c-3jw3-4vcr): before 2.6.0, a list looked for the path without its slash first, found the wider
/// rule, and stepped over the `deny`.
#[rstest]
#[case("secrets/metadata/restricted/", Capability::List, false)]
#[case("secrets/metadata/restricted/", Capability::Scan, false)]
#[case("secrets/metadata/restricted/inner/", Capability::List, false)]
#[case("secrets/metadata/other/", Capability::List, true)]
#[case("secrets/metadata/", Capability::List, true)]
fn a_deny_below_a_folder_counts_for_its_list(
    #[case] path: &str,
    #[case] capability: Capability,
    #[case] granted: bool,
) {
    let policy = r#"
        path "secrets/metadata/*" { capabilities = ["list", "scan"] }
        path "secrets/metadata/restricted/*" { capabilities = ["deny"] }"#;
    assert_eq!(verdict(&[policy], path, capability).is_ok(), granted);
}

#[rstest]
#[case::the_slash_first("a/b/", "a/b", "a/b/", true)]
#[case::the_slash_first_denies("a/b", "a/b/", "a/b/", false)]
#[case::without_the_slash_before_any_pattern("a/b", "a/b/*", "a/b/", true)]
#[case::a_pattern_without_the_slash_last("a/+", "a/+/", "a/b/", false)]
#[case::a_pattern_without_the_slash_at_all("a/+", "x", "a/b/", true)]
#[case::an_empty_segment_is_one("a/b/+", "a/*", "a/b/", true)]
fn a_list_may_be_written_without_its_slash(
    #[case] list: &str,
    #[case] deny: &str,
    #[case] path: &str,
    #[case] granted: bool,
) {
    let policy = format!(r#"path "{list}" {{ capabilities = ["list"] }} path "{deny}" {{ capabilities = ["deny"] }}"#);
    assert_eq!(verdict(&[&policy], path, Capability::List).is_ok(), granted);
}

#[test]
fn only_a_list_may_be_written_without_its_slash() {
    let policy = r#"path "a/b" { capabilities = ["read", "list"] }"#;
    assert!(verdict(&[policy], "a/b/", Capability::List).is_ok());
    assert!(verdict(&[policy], "a/b/", Capability::Read).is_err());
}

#[test]
fn an_expired_rule_is_as_if_it_were_not_written() {
    let until =
        |word: &str| format!(r#"path "a/b" {{ capabilities = ["{word}"] expiration = "2027-01-15T10:00:00+02:00" }}"#);
    let wider = r#"path "a/*" { capabilities = ["list"] }"#;
    let documents = documents(&[&until("read"), wider]);
    let acl = acl(&documents);
    let at = |millis: i64, capability| acl.check("a/b", capability, Timestamp::from_millis(millis)).map(drop);
    let end = NOW.as_millis();
    assert_eq!(at(end, Capability::Read), Ok(()));
    assert!(matches!(at(end + 1, Capability::Read), Err(Denied::Missing { .. })));
    assert!(at(end, Capability::List).is_err());
    assert_eq!(at(end + 1, Capability::List), Ok(()));

    let denying = self::documents(&[&until("deny"), r#"path "a/b" { capabilities = ["read"] }"#]);
    let acl = self::acl(&denying);
    assert!(acl.check("a/b", Capability::Read, NOW).is_err());
    assert!(acl.check("a/b", Capability::Read, NOW.plus(Duration::from_millis(1))).is_ok());
}

#[rstest]
#[case("a/b", &[Capability::Create, Capability::Read, Capability::Sudo, Capability::Update])]
#[case("a/b/", &[Capability::Create, Capability::Read, Capability::Sudo, Capability::Update])]
#[case("a/c", &[Capability::List])]
#[case("a/denied", &[Capability::Deny])]
#[case("a/nothing", &[Capability::Deny])]
#[case("elsewhere", &[Capability::Deny])]
fn capabilities_are_told_by_name(#[case] path: &str, #[case] expected: &[Capability]) {
    let documents = documents(&[
        r#"path "a/b" { capabilities = ["update", "sudo", "create"] } path "a/*" { capabilities = ["list"] }"#,
        r#"path "a/b" { capabilities = ["read"] } path "a/denied" { capabilities = ["deny", "read"] } path "a/nothing" {}"#,
    ]);
    assert_eq!(acl(&documents).capabilities(path, NOW), expected);
}

#[test]
fn nobody_is_granted_deny() {
    let policy = r#"path "a" { capabilities = ["deny"] }"#;
    assert!(verdict(&[policy], "a", Capability::Deny).is_err());
    assert!(verdict(&[r#"path "a" { capabilities = ["read"] }"#], "a", Capability::Deny).is_err());
}

#[rstest]
#[case(r#"path "kv/data/a" { capabilities = ["read"] }"#, true)]
#[case(r#"path "kv/*" { capabilities = ["read"] }"#, true)]
#[case(r#"path "k*" { capabilities = ["read"] }"#, true)]
#[case(r#"path "+/data/a" { capabilities = ["read"] }"#, true)]
#[case(r#"path "kv/+/a" { capabilities = ["read"] }"#, true)]
#[case(r#"path "kv" { capabilities = ["list"] }"#, true)]
#[case(r#"path "kv2/*" { capabilities = ["read"] }"#, false)]
#[case(r#"path "+" { capabilities = ["read"] }"#, true)] // as `kv`, which a list of `kv/` may be written as
#[case(r#"path "+/" { capabilities = ["list"] }"#, true)]
#[case(r#"path "a/+" { capabilities = ["read"] }"#, false)]
#[case(r#"path "kv/data/a" { capabilities = ["deny"] }"#, false)]
#[case(r#"path "kv/data/a" { }"#, false)]
#[case(r#"path "kv/*" { capabilities = ["deny"] } path "*" { capabilities = ["read"] }"#, false)]
#[case(r#"path "kv/*" { capabilities = ["deny"] } path "+/data/*" { capabilities = ["read"] }"#, false)]
#[case(r#"path "kv/+" { capabilities = ["deny"] } path "*" { capabilities = ["read"] }"#, true)]
#[case(r#"path "kv/*" { capabilities = ["deny"] expiration = "2027-01-01T00:00:00Z" } path "*" { capabilities = ["read"] }"#, true)]
#[case(r#"path "kv/*" { capabilities = ["deny"] } path "kv/+/a" { capabilities = ["read"] }"#, true)]
#[case(r#"path "kv/*" { capabilities = ["deny"] } path "kv/data/a" { capabilities = ["read"] }"#, true)]
#[case(r#"path "kv/data/a" { capabilities = ["read"] expiration = "2027-01-01T00:00:00Z" }"#, false)]
fn a_mount_is_seen_where_something_below_may_be_granted(#[case] policy: &str, #[case] seen: bool) {
    let documents = documents(&[policy]);
    assert_eq!(acl(&documents).sees_any_below("kv/", NOW), seen);
}

#[test]
fn a_denial_in_another_policy_hides_what_only_it_would_show() {
    let policies =
        [r#"path "kv/data/a" { capabilities = ["read"] }"#, r#"path "kv/data/a" { capabilities = ["deny"] }"#];
    assert!(acl(&documents(&policies[..1])).sees_any_below("kv/", NOW));
    assert!(!acl(&documents(&policies)).sees_any_below("kv/", NOW));
}

#[test]
fn parameters_bind_the_request() {
    let documents = documents(&[
        r#"path "kv/data/a" {
            capabilities = ["update"]
            required_parameters = ["Data"]
            denied_parameters = { "options" = ["x*"] }
            allowed_parameters { "data" = [] "options" = [] "ttl" = ["1h", 5] }
        }"#,
        r#"path "kv/data/a" { capabilities = ["update"] } path "kv/data/b" { capabilities = ["update"] }"#,
    ]);
    let acl = acl(&documents);
    let bound = acl.check("kv/data/a", Capability::Update, NOW).unwrap();
    let fine = |body: serde_json::Value| bound.parameters(body.as_object().unwrap()).is_ok();
    assert!(bound.binds_parameters());
    assert!(fine(json!({"data": {"x": 1}, "options": {"cas": 1}, "ttl": 5})));
    assert!(!fine(json!({"options": {}})));
    assert!(!fine(json!({"data": 1, "options": "xy"})));
    assert!(!fine(json!({"data": 1, "ttl": "2h"})));
    assert!(!fine(json!({"data": 1, "more": 1})));
    let free = acl.check("kv/data/b", Capability::Update, NOW).unwrap();
    assert!(!free.binds_parameters() && free.parameters(json!({"more": 1}).as_object().unwrap()).is_ok());
}

#[rstest]
#[case(None, false)]
#[case(Some(59), false)]
#[case(Some(60), true)]
#[case(Some(120), true)]
#[case(Some(121), false)]
fn an_answer_is_wrapped_as_the_rule_wants_it(#[case] seconds: Option<u64>, #[case] granted: bool) {
    let documents = documents(&[
        r#"path "a" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = 600 }"#,
        r#"path "a" { capabilities = ["read"] max_wrapping_ttl = "120" }"#,
    ]);
    let verdict = acl(&documents).check_wrapped("a", Capability::Read, NOW, seconds.map(Duration::from_secs));
    assert_eq!(verdict.is_ok(), granted);
}

/// GitLab's policies for pipelines: one exact path for each secret.
#[test]
fn a_pipeline_reads_the_secrets_of_its_scopes_and_no_others() {
    let documents = AclDocuments::from_sources([(
        "group_100/group_200/sys/policies/acl.hcl",
        r#"
        policy "pipelines/protected/global" {
            path "secrets/kv/data/explicit/TOKEN" { capabilities = ["read"] }
            path "secrets/kv/metadata/explicit/TOKEN" { capabilities = ["read"] }
        }
        policy "pipelines/protected/env/${hex("production")}" {
            path "secrets/kv/data/explicit/DB" { capabilities = ["read"] }
            path "secrets/kv/metadata/explicit/DB" { capabilities = ["read"] }
        }"#,
    )])
    .unwrap();
    let namespace = Namespace::new("group_100/group_200").unwrap();
    let reads = |policies: &[&str], path: &str| {
        let policies: Vec<_> = policies.iter().map(|name| PolicyName::new(name).unwrap()).collect();
        documents.of(Some(&namespace), &policies).check(path, Capability::Read, NOW).is_ok()
    };
    let (global, env) = ("pipelines/protected/global", "pipelines/protected/env/70726f64756374696f6e");
    for secret in ["secrets/kv/data/explicit/", "secrets/kv/metadata/explicit/"] {
        let (token, db) = (format!("{secret}TOKEN"), format!("{secret}DB"));
        assert!(reads(&[global], &token) && !reads(&[global], &db));
        assert!(reads(&[global, env], &token) && reads(&[global, env], &db));
        assert!(!reads(&["pipelines/unprotected/global"], &token));
        assert!(!reads(&[global, env], &format!("{db}/x")) && !reads(&[global], &token.to_lowercase()));
    }
}
