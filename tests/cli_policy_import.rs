//! `policy import`: what it writes passes what policies are put through, and what it can't say decides its exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod cli_support;

use cli_support::{Place, cambio};
use rstest::rstest;

fn example(path: &str) -> String {
    format!("{}/examples/gitlab-secrets-manager/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn role(path: &str) -> String {
    example(&format!("policies/group_100/{path}"))
}

const GROUP: &str = "group_200/auth/pipeline_jwt/cel/role/all_pipelines.json";
const PROJECT: &str = "project_300/auth/pipeline_jwt/cel/role/all_pipelines.json";
const PERSONS: &str = "project_300/auth/user_jwt/cel/role/all_users.json";
const SECRETS: &str = "gitlab=gitlab-secrets-manager";

#[rstest]
#[case(GROUP)]
#[case(PROJECT)]
fn what_is_imported_whole_checks_without_errors_and_keeps_the_roles_cases(#[case] file: &str) {
    let said = cambio(&["policy", "import", &role(file), "--config", &example("cambio.yaml"), "--target", "secrets"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.err.contains("missing: ") && !said.err.contains("error["), "{}", said.err);
    let place = Place::default();
    let written = place.write("imported/secrets.yaml", &said.out);
    let directory = place.text("imported");
    let checked = cambio(&["policy", "check", &directory, "--issuer", SECRETS, "--format", "json"]);
    assert!(!checked.out.contains("\"severity\": \"error\""), "{checked:?}\n{written}");
    let tested = cambio(&["policy", "test", &directory, "--issuer", SECRETS]);
    assert_eq!(tested.code, 0, "{tested:?}");
    let cases = said.out.matches("\n  - name: ").count();
    assert!(tested.out.contains("as expected") && cases > 10, "{tested:?}");
}

#[test]
fn a_lifetime_that_only_a_token_knows_is_missing_and_decides_the_exit_code() {
    let said = cambio(&["policy", "import", &role(PERSONS), "--issuer", SECRETS]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("missing: `TTL: ttl_ns` is only known at run time"), "{}", said.err);
    assert!(said.out.starts_with("# Imported from the OpenBao role "), "{}", said.out);
}

#[rstest]
#[case::no_issuer(&[], "--issuer")]
#[case::an_unknown_platform(&["--issuer", "gitlab=gitlub"], "no platform `gitlub`")]
#[case::a_name_that_is_none(&["--issuer", "no name"], "`--issuer no name`")]
#[case::a_target_that_is_none(&["--issuer", "gitlab", "--target", ""], "`--target `")]
#[case::another_root(&["--issuer", "gitlab", "--root", "/nowhere"], "does not stand below")]
#[case::no_configuration(&["--config", "/nowhere/cambio.yaml"], "/nowhere/cambio.yaml")]
fn without_all_that_it_needs_nothing_is_written(#[case] args: &[&str], #[case] hint: &str) {
    let role = role(GROUP);
    let said = cambio(&[&["policy", "import", &role], args].concat());
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains(hint), "{said:?}");
}

const ROLE: &str = r#"{"cel_program": {"expression": "claims.sub == 'a' ? pb.Auth{policies: ['a']} : 'no'"}}"#;
const CONFIG: &str = r#"{"bound_issuer": "https://gitlab.example.com"}"#;
const PATH: &str = "bao/auth/jwt/cel/role/r.json";

#[rstest]
#[case::fine(PATH, ROLE, CONFIG, 0, "")]
#[case::no_place_of_a_role("bao/auth/jwt/r.json", ROLE, CONFIG, 2, "is no role's path")]
#[case::no_mount(PATH, ROLE, "", 2, "cannot read")]
#[case::no_json(PATH, "{", CONFIG, 2, "r.json")]
#[case::no_program(PATH, "{}", CONFIG, 2, "cel_program")]
#[case::a_field_that_does_not_exist(
    PATH,
    r#"{"cel_program": {"expression": "pb.Auth{policy: ['a']}"}}"#,
    CONFIG,
    2,
    "policy"
)]
#[case::no_grant(PATH, r#"{"cel_program": {"expression": "'no'"}}"#, CONFIG, 1, "no answer grants anything")]
fn a_role_is_imported_or_said_why_not(
    #[case] path: &str,
    #[case] role: &str,
    #[case] config: &str,
    #[case] code: i32,
    #[case] hint: &str,
) {
    let place = Place::default();
    let file = place.write(path, role);
    if !config.is_empty() {
        place.write("bao/auth/jwt/config.json", config);
    }
    let said = cambio(&["policy", "import", &file, "--root", &place.text("bao"), "--issuer", "unknown"]);
    assert_eq!((said.code, said.out.is_empty()), (code, code == 2), "{said:?}");
    assert!(said.err.contains(hint), "{said:?}");
}
