//! `cambio policy diff`: directories, git revisions, cases and recorded decisions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod cli_support;

use std::fs;
use std::process::Command;

use cli_support::{Place, cambio};
use rstest::rstest;
use serde_json::json;

/// A place whose policies of before are in `old`.
fn place(from: &str, to: &str) -> Place {
    let place = Place::new("audit: {claims: values}\n");
    let text = fs::read_to_string(place.path("policies/group-pipelines.yaml")).unwrap();
    place.write("old/group-pipelines.yaml", &text);
    place.change("policies/group-pipelines.yaml", from, to);
    place
}

fn git(place: &Place, args: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"])
        .args(args)
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn what_is_newly_permitted_comes_first() {
    let place = place("id == \"200\"", "id == \"201\"");
    let said = cambio(&["policy", "diff", &place.text("old"), &place.text("policies")]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{said:?}");
    let permitted =
        said.out.find("newly permitted (1)\n  case `a project of a sibling group` (group-pipelines.yaml:").unwrap();
    let denied = said.out.find("newly denied (1)\n  case `a protected job of the group`").unwrap();
    assert!(permitted < denied, "{}", said.out);
    assert!(
        said.out.contains("A  denied: conditions_not_met (rule `pipeline`, require[0]: the project does not"),
        "{}",
        said.out
    );
    assert!(said.out.contains("B  permit by rule `pipeline`: pipelines/protected/global"), "{}", said.out);
    assert!(said.out.contains("a case comes out otherwise than it says in B: group-pipelines.yaml:16"), "{}", said.out);
    assert!(said.out.ends_with("2 cases, 0 recorded decisions: 2 changes\n"), "{}", said.out);
}

#[rstest]
#[case("message: the project does not belong", "message: the project doesn't belong", 0, 0)]
#[case("id == \"200\"", "id == \"20\"", 1, 0)]
#[case("id == \"200\"", "id == \"200\" || id == \"201\"", 1, 1)]
#[case("\"/global\"'", "\"/all\"'", 1, 1)]
#[case("scopes: [read, list]", "scopes: [read]", 1, 0)]
fn the_exit_code_says_whether_something_changes(
    #[case] from: &str,
    #[case] to: &str,
    #[case] any: i32,
    #[case] permits_more: i32,
) {
    let place = place(from, to);
    let (old, new) = (place.text("old"), place.text("policies"));
    assert_eq!(cambio(&["policy", "diff", &old, &new]).code, any);
    assert_eq!(cambio(&["policy", "diff", &old, &new, "--fail-on", "newly-permitted"]).code, permits_more);
    assert_eq!(cambio(&["policy", "diff", &old, &old]).code, 0);
    let told = cambio(&["policy", "diff", &old, &new, "--json"]).json();
    assert_eq!(told["changes"].as_array().unwrap().is_empty(), any == 0, "{told:#}");
}

#[test]
fn git_revisions_are_read_without_a_checkout() {
    let place = Place::default();
    git(&place, &["init", "-q", "-b", "trunk"]);
    git(&place, &["add", "policies"]);
    git(&place, &["commit", "-q", "-m", "first"]);
    place.change("policies/group-pipelines.yaml", "id == \"200\"", "id == \"201\"");
    place.write("policies/deep/.hidden/x.yaml", "nonsense: true");
    git(&place, &["add", "policies"]);
    git(&place, &["commit", "-q", "-m", "second"]);
    let policies = place.text("policies");
    // `cambio` finds `git` by the `PATH` alone.
    let path = std::env::var_os("PATH").unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
        let done = command.args(args).current_dir(place.path("")).env_clear().env("PATH", &path).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    for args in [
        ["policy", "diff", "trunk~1", policies.as_str()],
        ["policy", "diff", "trunk~1:policies", "trunk:policies"],
        ["policy", "diff", "trunk~1:policies", "trunk"],
        ["policy", "diff", "trunk~1", "policies"],
    ] {
        let (code, out, err) = run(&args);
        assert_eq!((code, err.as_str()), (1, ""), "{args:?} {out}");
        assert!(out.starts_with("newly permitted (1)") && out.contains("2 changes"), "{args:?} {out}");
    }
    let (code, out, _) = run(&["policy", "diff", "trunk", "policies"]);
    assert_eq!((code, out.contains("nothing changes")), (0, true), "{out}");
    for (args, hint) in [
        (["policy", "diff", "nowhere", "policies"], "no such revision"),
        (["policy", "diff", "trunk:nowhere", "policies"], "no such revision"),
        (["policy", "diff", "--output=x", "policies"], "unexpected argument"),
        (["policy", "diff", "policies", ""], "no directory and no git revision"),
    ] {
        let (code, out, err) = run(&args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?} {err}");
        assert!(err.contains(hint), "{args:?} {err}");
    }
}

#[test]
fn recorded_decisions_are_put_again_where_their_claims_were_kept() {
    let place = place("scopes: [read, list]", "scopes: [read, list]");
    let counter = place.counter();
    for jti in ["a", "b", "c"] {
        let token = place.write(
            "token",
            &place.token_with(json!({"jti": jti, "project_group_ids": ["200"], "ref_protected": "false"})),
        );
        cambio(&["exchange", "--url", &counter.url(), "--target", "group-pipelines", "--token-file", &token]);
    }
    drop(counter);
    place.change("policies/group-pipelines.yaml", "\"unprotected\"'", "\"open\"'");
    let (old, new, config) = (place.text("old"), place.text("policies"), place.config());
    let said = cambio(&["policy", "diff", &old, &new, "--config", &config]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains("newly permitted policies (1)\n  decision ") && said.out.contains(", and 2 like it\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("+ policy pipelines/open/global\n       - policy pipelines/unprotected/global"),
        "{}",
        said.out
    );
    assert!(said.out.ends_with("2 cases, 3 recorded decisions: 1 change\n"), "{}", said.out);
    let said = cambio(&["policy", "diff", &old, &new, "--config", &config, "--cases"]);
    assert_eq!(said.code, 0, "no case is of an unprotected ref: {said:?}");
    let journal = place.text("data/audit/decisions.jsonl");
    let kept = fs::read_to_string(&journal).unwrap();
    place.write("names.jsonl", &kept.replace("\"claims\":{", "\"claims\":[],\"x\":{"));
    let said = cambio(&["policy", "diff", &old, &new, "--journal", &place.text("names.jsonl")]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out.contains("0 recorded decisions (3 more could not be replayed: their claims were not kept"),
        "{}",
        said.out
    );
    let said = cambio(&["policy", "diff", &old, &new, "--journal", "/nowhere"]);
    assert_eq!((said.code, said.err.contains("no journal `/nowhere`")), (2, true), "{said:?}");
}

#[test]
fn a_set_that_does_not_load_cannot_be_compared() {
    let place = place("claims.ref_protected ==", "claims.ref_protected = =");
    let said = cambio(&["policy", "diff", &place.text("old"), &place.text("policies")]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains("do not load") && said.err.contains("group-pipelines.yaml:7:"), "{}", said.err);
}
