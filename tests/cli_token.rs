//! `cambio token inspect`: whose token it is, which check fails, and never the token itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod cli_support;

use cli_support::{ISSUER, Place, Said, answer, cambio, cambio_with, new_key, next, now, server, sign};
use rstest::rstest;
use serde_json::{Value, json};

fn inspect(token: &str, more: &[&str]) -> Said {
    let said = cambio_with(&[&["token", "inspect", "-"], more].concat(), &[], token);
    let signature = token.trim().rsplit('.').next().unwrap();
    assert!(signature.len() < 20 || !(said.out.contains(signature) || said.err.contains(signature)), "{said:?}");
    said
}

#[test]
fn a_good_token_is_verified_by_the_configuration_and_its_claims_are_sorted_by_kind() {
    let place = Place::default();
    let said = inspect(&place.token(), &["--config", &place.config()]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    for part in [
        "ok       issuer      trusted as `gitlab`",
        "ok       signature   made by a key of the issuer",
        "ok       audience",
        "platform  gitlab (GitLab CI id token)",
        "immutable ids",
        "project_path                 acme/shop   (id: project_id)",
        "expires in",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(!said.out.contains("anybody could have written") && !said.out.contains("FAIL"), "{}", said.out);
    let names = inspect(&place.token(), &["--config", &place.config(), "--names-only"]);
    assert!(names.out.contains("user_email") && !names.out.contains("u@example.com"), "{}", names.out);
}

#[rstest]
#[case(json!({"aud": "them"}), "audience", "ask the platform for one for `https://cambio.example.com`")]
#[case(json!({"aud": ISSUER}), "audience", "the platform's own")]
#[case(json!({"exp": 1_700_000_000, "iat": 1_699_999_900, "nbf": 1}), "times", "get a fresh one")]
#[case(json!({"nbf": now() + 600}), "times", "cambio doctor")]
#[case(json!({"exp": now() + 900_000}), "lifetime", "max_token_lifetime")]
#[case(json!({"iss": "https://gitlab.example.com/"}), "issuer", "compared byte by byte")]
#[case(json!({"iss": "https://other.example.com"}), "issuer", "add an issuer with exactly this `issuer`")]
#[case(json!({"iss": 7}), "issuer", "`iss` must be one string")]
#[case(json!({"project_id": null}), "required and refused claims", "is this the right kind of token?")]
fn a_check_that_fails_is_named_with_what_to_do(#[case] change: Value, #[case] check: &str, #[case] hint: &str) {
    let place = Place::default();
    let said = inspect(&place.token_with(change), &["--config", &place.config()]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains(&format!("FAIL     {check}")) && said.out.contains(hint), "{}", said.out);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let place = Place::default();
    let token = sign(&new_key(), json!({"aud": "them", "exp": 1_700_000_000, "iat": 1_699_999_900}));
    let said = inspect(&token, &["--config", &place.config(), "--json"]);
    assert_eq!(said.code, 1);
    let answer = said.json();
    let failed: Vec<&str> = answer["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["result"] == "fail")
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["signature", "audience", "times"], "{answer:#}");
    assert!(answer["checks"][3]["next"].as_str().unwrap().contains(place.key.key_id()), "{answer:#}");
    assert_eq!((&answer["ok"], &answer["verified"]), (&json!(false), &json!(false)));
    assert!(
        answer["claims"]
            .as_array()
            .unwrap()
            .iter()
            .any(|claim| claim["claim"] == "ref" && claim["kind"] == "caller_chosen")
    );
}

#[test]
fn another_moment_can_be_asked_about() {
    let place = Place::default();
    let token = place.token_with(json!({"exp": 1_700_000_300, "iat": 1_700_000_000, "nbf": 1_700_000_000}));
    let config = place.config();
    assert_eq!(inspect(&token, &["--config", &config]).code, 1);
    for at in ["2023-11-14T22:15:00Z", "1700000100"] {
        let said = inspect(&token, &["--config", &config, "--at", at]);
        assert_eq!(said.code, 0, "{said:?}");
    }
    let said = inspect(&token, &["--at", "yesterday"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("2026-11-18T11:06:40Z"), "{said:?}");
}

#[test]
fn without_a_configuration_the_platform_is_recognised_and_differences_are_listed() {
    let place = Place::default();
    let said = inspect(&place.token_with(json!({"project_pth": "a", "ref_protected": true})), &[]);
    assert_eq!(said.code, 0, "{said:?}");
    for part in [
        "looks like gitlab",
        "not run  signature, audience, issuer and lifetime: give `--config`",
        "`ref_protected` is a bool, not a string",
        "did you mean `project_path`?",
        "as anybody could have written them",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let github = place.token_with(json!({"iss": "https://token.actions.githubusercontent.com"}));
    assert!(inspect(&github, &[]).out.contains("looks like github"));
    let expired = inspect(&place.token_with(json!({"exp": 1_700_000_000})), &[]);
    assert_eq!(expired.code, 1);
    assert!(expired.out.contains("the token expired") && expired.out.contains("get a fresh one"), "{}", expired.out);
}

#[test]
fn claims_that_the_configuration_describes_are_compared_too() {
    let place = Place::default();
    let token = place.token_with(json!({"team": 7}));
    let says = |part: &str| inspect(&token, &["--config", &place.config()]).out.contains(part);
    assert!(says("`team` is not a claim of this platform"));
    place.change("cambio.yaml", "    keys:", "    claims: {team: {type: int, kind: immutable_id}}\n    keys:");
    assert!(!says("`team`"));
    place.change("cambio.yaml", "type: int", "type: string");
    assert!(says("`team` is a int, not a string"));
    assert_eq!(inspect(&token, &["--config", &place.config()]).code, 0, "a description refuses no token");
}

#[test]
fn one_of_two_clusters_with_the_same_issuer_has_to_be_named() {
    let place = Place::default();
    let second = "issuers:\n  - {name: other, platform: gitlab, issuer: 'https://gitlab.example.com', audiences: [them], \
                  algorithms: [ES256], keys: {file: jwks.json}}\n";
    place.change("cambio.yaml", "issuers:\n", second);
    let (config, token) = (place.config(), place.token());
    let said = inspect(&token, &["--config", &config]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("there are other, gitlab"), "{}", said.out);
    assert_eq!(inspect(&token, &["--config", &config, "--issuer", "gitlab"]).code, 0);
    assert_eq!(inspect(&token, &["--config", &config, "--issuer", "other"]).code, 1);
    let said = inspect(&token, &["--config", &config, "--issuer", "github"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("there are other, gitlab"), "{said:?}");
}

#[test]
fn keys_that_can_not_be_fetched_leave_the_signature_unchecked() {
    let place = Place::default();
    place.change("cambio.yaml", "{file: jwks.json}", "{file: missing.json}");
    let said = inspect(&place.token(), &["--config", &place.config()]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("FAIL     keys") && said.out.contains("not run  signature"), "{}", said.out);
    assert!(said.out.contains("missing.json"), "{}", said.out);
}

#[test]
fn claims_can_not_write_to_the_terminal_and_the_platform_can_be_asked_for_the_token() {
    let place = Place::default();
    let hostile = place.token_with(json!({"ref": "a\u{1b}]0;x\u{7}\u{202e}", "\u{9b}31m": "\u{9b}31m"}));
    let said = inspect(&hostile, &[]);
    assert!(!said.out.contains(['\u{1b}', '\u{9b}', '\u{7}', '\u{202e}']), "{:?}", said.out);
    let (github, asked) = server(vec![answer("200 OK", &json!({"value": place.token()}).to_string())]);
    let env = [("ACTIONS_ID_TOKEN_REQUEST_URL", github.as_str()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner")];
    let said = cambio_with(&["token", "inspect", "--audience", "us"], &env, "");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("from GitHub Actions") && next(&asked).contains("audience=us"));
}

#[rstest]
#[case("eyJhbGciOiJub25lIn0.e30.", "FAIL     form", 1)]
#[case("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ", "three parts between dots", 1)]
#[case("not a token", "one token, in one line", 2)]
#[case("", "is empty", 2)]
fn what_is_no_token_is_told(#[case] text: &str, #[case] said_too: &str, #[case] code: i32) {
    let said = inspect(text, &[]);
    assert_eq!(said.code, code, "{said:?}");
    assert!(format!("{}{}", said.out, said.err).contains(said_too), "{said:?}");
}

#[test]
fn a_token_on_the_command_line_is_not_taken_and_not_repeated() {
    let token = Place::default().token();
    for args in [&["token", "inspect", &token][..], &["token", &token], &["inspect", &token], &[&token]] {
        let said = cambio(args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(!said.err.contains(&token), "{said:?}");
    }
    let said = cambio(&["token", "inspect", "/nowhere", "--config", "/nowhere.yaml"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("/nowhere.yaml"));
}
