//! `cambio explain`: why, by the record of a decision and the policies of its time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod cli_support;

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use cli_support::{Place, Said, cambio, new_key, sign};
use rstest::rstest;
use serde_json::{Value, json};

/// The decision's id, by which the caller was refused, or that its record has.
fn ids(place: &Place) -> Vec<String> {
    let journal = fs::read_to_string(place.path("data/audit/decisions.jsonl")).unwrap();
    let lines = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line["id"].as_str().map(str::to_owned)).collect()
}

/// Exchanges each token with a counter of its own time, and tells the decisions.
fn decisions(place: &Place, tokens: &[String]) -> Vec<String> {
    decisions_of(place, "group-pipelines", tokens)
}

/// The same, of another target.
fn decisions_of(place: &Place, target: &str, tokens: &[String]) -> Vec<String> {
    let counter = place.counter();
    for token in tokens {
        let file = place.write("token", token);
        cambio(&["exchange", "--url", &counter.url(), "--target", target, "--token-file", &file]);
    }
    keeps(place, 1);
    drop(counter);
    ids(place)
}

/// Waits until so many policy sets are kept.
fn keeps(place: &Place, sets: usize) {
    let is_set = |name: &str| name.ends_with(".json") && !name.starts_with('.');
    let kept = || {
        fs::read_dir(place.path("data/policy-sets"))
            .ok()
            .map(|found| found.filter(|one| is_set(&one.as_ref().unwrap().file_name().to_string_lossy())).count())
    };
    for _ in 0..500 {
        if kept() == Some(sets) {
            return;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("{sets} sets were to be kept, not {:?}", kept());
}

fn explain(place: &Place, id: &str) -> Said {
    let said = cambio(&["explain", id, "--config", &place.config()]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    said
}

fn has(said: &Said, parts: &[&str]) {
    for part in parts {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
}

const VALUES: &str = "audit: {claims: values}\n";

#[test]
fn with_values_the_rules_are_walked_once_more_by_the_policies_of_then() {
    let place = Place::new(VALUES);
    let ids = decisions(
        &place,
        &[place.token_with(json!({"project_group_ids": ["201"]})), place.token_with(json!({"jti": "b"}))],
    );
    place.change("policies/group-pipelines.yaml", "id == \"200\"", "id == \"20\"");
    let denied = explain(&place, &ids[0]);
    has(
        &denied,
        &[
            "outcome         denied",
            "that is         the token is good, and no rule's conditions all hold for it",
            "next            compare the condition below",
            "rules of the policy set kept from then",
            "NO    require[0]  claims.?project_group_ids.orValue([]).exists(id, id == \"200\")",
            "with id = \"201\"",
            "what would have been needed first",
        ],
    );
    assert!(!denied.out.contains("this is not what was decided"), "{}", denied.out);
    has(&explain(&place, &ids[1]), &["outcome         issued", "ok    require[0]", "permit, by rule `pipeline`"]);
    let told = cambio(&["explain", &ids[0], "--config", &place.config(), "--json"]).json();
    assert_eq!(told["explained"]["policy"]["rules"][0]["at"], "require[0]");
    assert_eq!(told["explained"]["policy"]["steps"]["decision"]["reason"], "conditions_not_met");
    assert_eq!(told["id"], ids[0].as_str());
}

#[test]
fn with_names_only_it_says_where_each_rule_ended_and_which_claims_were_there() {
    let place = Place::default();
    let ids = decisions(&place, &[place.token_with(json!({"project_group_ids": ["201"]}))]);
    has(
        &explain(&place, &ids[0]),
        &[
            "pipeline: 0 held, then require[0] did not",
            "group-pipelines.yaml:9  claims.?project_group_ids.orValue([]).exists(id, id == \"200\")",
            "the project does not belong to group 200",
            "the token had the claim `project_group_ids`",
        ],
    );
    let journal = place.text("data/audit/decisions.jsonl");
    let said = cambio(&["explain", &ids[0], "--journal", &journal]);
    assert_eq!(said.code, 0, "{said:?}");
    has(&said, &["needs the configuration: give `--config`, too", "then require[0] did not"]);
}

#[test]
fn a_decision_between_two_reloads_is_explained_by_the_rules_between_them() {
    let place = Place::new(VALUES);
    let file = "policies/group-pipelines.yaml";
    let counter = place.counter();
    keeps(&place, 1);
    place.change(file, "id == \"200\"", "id == \"200\" || id == \"3000\"");
    keeps(&place, 2);
    let token = place.write("token", &place.token_with(json!({"project_group_ids": ["201"]})));
    cambio(&["exchange", "--url", &counter.url(), "--target", "group-pipelines", "--token-file", &token]);
    place.change(file, "id == \"3000\"", "id == \"4000\"");
    keeps(&place, 3);
    drop(counter);
    let said = explain(&place, &ids(&place)[0]);
    has(&said, &["rules of the policy set kept from then", "NO    require[0]", "id == \"3000\""]);
    assert!(!said.out.contains("4000"), "{}", said.out);
}

#[test]
fn a_policy_set_that_is_gone_is_said_to_be() {
    let place = Place::new(VALUES);
    let ids = decisions(&place, &[place.token_with(json!({"project_group_ids": ["201"]}))]);
    fs::remove_dir_all(place.path("data/policy-sets")).unwrap();
    has(&explain(&place, &ids[0]), &["rules of the policy set the files as they are now", "NO    require[0]"]);
    place.change("policies/group-pipelines.yaml", "id == \"200\"", "id == \"20\"");
    let said = explain(&place, &ids[0]);
    has(&said, &["of then is not kept", "and the files are others now", "pipeline: 0 held, then require[0] did not"]);
    assert!(!said.out.contains("id == \"20\""), "no other rules explain it: {}", said.out);
}

#[rstest]
#[case::forged(json!({}), true, "signature_invalid", "the signature was not made by the issuer's key")]
#[case::another_issuer(json!({"iss": "https://gitlab.example.com/"}), false, "issuer_unknown", "compare `claimed issuer`")]
#[case::expired(json!({"exp": 1_700_000_000, "iat": 1_699_999_900, "nbf": 1_699_999_900}), false, "token_expired", "the token had expired")]
#[case::for_others(json!({"aud": "https://other.example"}), false, "audience_mismatch", "made for somebody else")]
fn a_refused_token_is_explained_without_rules(
    #[case] change: Value,
    #[case] forged: bool,
    #[case] reason: &str,
    #[case] said_too: &str,
) {
    let place = Place::new(VALUES);
    let token = if forged { forge(&place, change) } else { place.token_with(change) };
    let ids = decisions(&place, std::slice::from_ref(&token));
    let said = explain(&place, &ids[0]);
    has(&said, &[reason, said_too, "next  "]);
    assert!(!said.out.contains("rules") && !said.out.contains(&token), "{}", said.out);
}

/// A token with the head of a good one, and another key's signature.
fn forge(place: &Place, change: Value) -> String {
    let (good, bad) = (place.token_with(change.clone()), sign(&new_key(), change));
    let parts: Vec<&str> = good.split('.').collect();
    format!("{}.{}.{}", parts[0], parts[1], bad.split('.').nth(2).unwrap())
}

const ROLE: &str = "group_100/auth/jwt/cel/role/deploy";

/// A place with an OpenBao role of two questions.
fn place_with_role(more: &str) -> Place {
    let place = Place::new(more);
    let document = json!({
        "cel_program": {
            "variables": [{"name": "project", "expression": "string(claims.project_id)"}],
            "expression": "project == '' ? 'no project' : (claims.ref_protected != 'true' ? 'not protected' : \
                           pb.Auth{policies: ['deploy/' + project]})",
        },
        "bound_audiences": ["https://cambio.example.com"],
    });
    let config =
        json!({"bound_issuer": "https://gitlab.example.com", "oidc_discovery_url": "https://gitlab.example.com"});
    place.write(&format!("policies/{ROLE}.json"), &serde_json::to_string_pretty(&document).unwrap());
    place.write("policies/group_100/auth/jwt/config.json", &config.to_string());
    place
}

#[test]
fn a_role_is_explained_question_by_question() {
    let place = place_with_role(VALUES);
    let tokens = [place.token_with(json!({"ref_protected": "false"})), place.token_with(json!({"jti": "b"}))];
    let ids = decisions_of(&place, ROLE, &tokens);
    has(
        &explain(&place, &ids[0]),
        &[
            "reason          role_denied",
            "the program of an OpenBao role denied",
            "rules of the policy set kept from then",
            "role deploy  (group_100/auth/jwt/cel/role/deploy.json:6)  refuses",
            "let project  string(claims.project_id)",
            "no    question 0  project == ''",
            "yes   question 1  claims.ref_protected != 'true'",
            "claims.ref_protected",
            "answer 1  'not protected'",
            "denied: role_denied",
        ],
    );
    has(
        &explain(&place, &ids[1]),
        &[
            "no    question 1",
            "answer 2  pb.Auth{policies: ['deploy/' + project]}",
            "permit, by rule `deploy`",
            "deploy/20",
        ],
    );
}

#[test]
fn a_role_is_explained_by_the_question_that_decided_where_no_values_are_kept() {
    let place = place_with_role("");
    let tokens = [
        place.token_with(json!({"ref_protected": "false"})),
        place.token_with(json!({"jti": "b"})),
        place.token_with(json!({"jti": "c", "project_id": ""})),
    ];
    let ids = decisions_of(&place, ROLE, &tokens);
    let said = explain(&place, &ids[0]);
    has(
        &said,
        &[
            "deploy: question 0 was answered with no; answer 1 does not grant",
            "question 1  claims.ref_protected != 'true'",
            "answer 1  'not protected'",
            "the token had the claim `ref_protected`",
        ],
    );
    assert!(!said.out.contains("require[") && !said.out.contains("project_id`"), "{}", said.out);
    has(&explain(&place, &ids[1]), &["deploy: questions 0 to 1 were answered with no; answer 2 grants"]);
    has(
        &explain(&place, &ids[2]),
        &["deploy: answer 0 does not grant", "question 0  project == ''", "the token had the claim `project_id`"],
    );
    fs::remove_dir_all(place.path("data/policy-sets")).unwrap();
    place.change(&format!("policies/{ROLE}.json"), "not protected", "unprotected");
    has(
        &explain(&place, &ids[0]),
        &["is not kept", "deploy: question 0 was answered with no; answer 1 does not grant"],
    );
}
