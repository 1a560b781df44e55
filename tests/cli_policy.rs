//! What an operator types about policies: `check`, `fmt`, `init`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod cli_support;

use std::fs;

use cli_support::{Place, cambio, cambio_with};
use serde_json::Value;

const MESSY: &str = "rules:
- issuer: gitlab # whose
  name: deploy
  require: [{that: 'claims.project_id == \"20\"', message: another project}]
  grant: {policies: ['\"deploy/shop\"']}
target: shop
cases:
- {name: another project, issuer: gitlab, claims: {project_id: \"21\"}, deny: another project}
";

const TIDY: &str = "target: shop

rules:
  - name: deploy
    issuer: gitlab # whose
    require: [{that: 'claims.project_id == \"20\"', message: another project}]
    grant: {policies: ['\"deploy/shop\"']}

cases:
  - {name: another project, issuer: gitlab, claims: {project_id: \"21\"}, deny: another project}
";

#[test]
fn a_file_is_written_in_its_layout_once_and_checked_before() {
    let place = Place::default();
    place.write("policies/shop.yaml", MESSY);
    let policies = place.text("policies/shop.yaml");
    let check = cambio(&["policy", "fmt", "--check", &policies]);
    assert_eq!(check.code, 1, "{check:?}");
    assert!(
        check.out.contains("-- issuer: gitlab # whose\n") && check.out.contains("+  - name: deploy\n"),
        "{}",
        check.out
    );
    assert!(check.out.ends_with("1 file of 1 file would change\n"), "{}", check.out);
    assert_eq!(fs::read_to_string(place.path("policies/shop.yaml")).unwrap(), MESSY);
    assert_eq!(cambio(&["policy", "fmt", &policies]).out, "1 file of 1 written\n");
    assert_eq!(fs::read_to_string(place.path("policies/shop.yaml")).unwrap(), TIDY);
    assert_eq!(cambio(&["policy", "fmt", &policies]).out, "0 files of 1 written\n");
    assert_eq!(cambio(&["policy", "fmt", "--check", &policies]).code, 0);
}

#[test]
fn nothing_is_written_where_one_file_can_not_be() {
    let place = Place::default();
    place.write("policies/a.yaml", MESSY);
    place.write("policies/b.yaml", &TIDY.replace("name: deploy", "name: !!str deploy"));
    place.write("policies/c.yaml", "target: [\n");
    let said = cambio(&["policy", "fmt", &place.text("policies")]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains("b.yaml: line 4: ") && said.err.contains("c.yaml:"), "{}", said.err);
    assert_eq!(fs::read_to_string(place.path("policies/a.yaml")).unwrap(), MESSY);
}

#[test]
fn what_is_wrong_is_shown_with_its_line_and_in_colour_where_that_is_asked_for() {
    let place = Place::default();
    place.write("policies/shop.yaml", &TIDY.replace("claims.project_id", "clams.project_id"));
    let file = place.text("policies/shop.yaml");
    let said = cambio(&["policy", "check", &file]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{said:?}");
    assert!(said.out.starts_with("error[P0103]: ") && said.out.contains("shop.yaml:6:"), "{}", said.out);
    assert!(said.out.contains("6 |     require: [{that: 'clams.project_id"), "{}", said.out);
    assert!(said.out.contains("= page: docs/findings/P0103.md\n"), "{}", said.out);
    let coloured = cambio_with(&["policy", "check", &file], &[("CLICOLOR_FORCE", "1")], "");
    assert!(coloured.out.contains("\u{1b}[") && !said.out.contains('\u{1b}'), "{}", coloured.out);
    let plain = cambio_with(&["policy", "check", &file], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], "");
    assert!(!plain.out.contains('\u{1b}'), "{}", plain.out);
    let json = cambio(&["policy", "check", &file, "--json"]).json();
    assert_eq!(
        (&json["ok"], &json["errors"], &json["findings"][0]["code"]),
        (&false.into(), &1.into(), &"P0103".into())
    );
    let sarif = cambio(&["policy", "check", &file, "--sarif"]).json();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "P0103");
    assert_eq!(
        sarif["runs"][0]["tool"]["driver"]["rules"][0]["help"]["markdown"],
        fs::read_to_string("docs/findings/P0103.md").unwrap()
    );
}

#[test]
fn what_is_right_is_counted_with_what_it_costs() {
    let said = cambio(&["policy", "check", "policies", "--costs"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.contains("shop-production") && said.out.contains("at most 100000 steps"), "{}", said.out);
    assert!(said.out.ends_with(" in 4 targets with 4 rules\n"), "{}", said.out);
    let json = cambio(&["policy", "check", "policies/github-environment.yaml", "--json"]).json();
    let rules = json["rules"].as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]["file"]), (1, &Value::from("policies/github-environment.yaml")));
    assert!(rules[0]["steps"].as_u64().unwrap() > 0 && json["most_steps"].as_u64().unwrap() > 0, "{json:#}");
    assert_eq!(rules[0]["most_steps"], json["most_steps"], "{json:#}");
}

#[test]
fn what_could_not_be_checked_is_no_finding() {
    let place = Place::default();
    fs::create_dir(place.path("empty")).unwrap();
    for path in ["empty", "missing", "cambio.yaml.txt"] {
        let said = cambio(&["policy", "check", &place.text(path)]);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    }
}

#[test]
fn a_first_policy_comes_from_a_token_that_is_never_shown() {
    let place = Place::default();
    let token = place.token_with(serde_json::json!({
        "iss": cli_support::ISSUER, "sub": "project_path:acme/shop:ref_type:branch:ref:main", "aud": cli_support::AUDIENCE,
        "iat": 1, "exp": 2, "jti": "a-secret-of-this-run", "project_id": "20", "project_path": "acme/shop", "ref": "main",
        "ref_type": "branch", "ref_protected": "true", "user_email": "dev@example.com",
    }));
    let said = cambio_with(&["policy", "init", "--from-token", "-", "--target", "shop"], &[], &token);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.starts_with("# yaml-language-server: $schema=../schemas/policy.schema.json\n"), "{}", said.out);
    assert!(said.out.contains("issuer: gitlab") && said.out.contains("'claims.project_id == \"20\"'"), "{}", said.out);
    for secret in
        [token.split('.').nth(1).unwrap(), token.split('.').nth(2).unwrap(), "a-secret-of-this-run", "dev@example.com"]
    {
        assert!(!said.out.contains(secret), "{secret}");
    }
    place.write("policies/group-pipelines.yaml", &said.out);
    for command in ["check", "test"] {
        assert_eq!(cambio(&["policy", command, "--config", &place.config()]).code, 0);
    }
    assert_eq!(cambio(&["policy", "fmt", "--check", &place.text("policies")]).code, 0);
    let by_config = cambio_with(
        &["policy", "init", "--from-token", "-", "--target", "shop", "--config", &place.config()],
        &[],
        &token,
    );
    assert_eq!(by_config.out, said.out);
}

#[test]
fn what_is_no_token_makes_no_policy_and_is_not_quoted() {
    let place = Place::default();
    place.write("claims.json", "{\"iss\": \"very-private\"");
    place.write("none.json", "{\"iss\": \"https://issuer.example.com\"}");
    for (args, input) in [
        (vec!["--from-token", "-"], "eyJ.very-private.x"),
        (vec!["--claims", "HOME/claims.json"], ""),
        (vec!["--claims", "HOME/none.json"], ""),
        (vec!["--claims", "HOME/none.json", "--issuer", "x=nonsense"], ""),
        (vec![], ""),
    ] {
        let args: Vec<String> = args.iter().map(|arg| arg.replace("HOME", &place.text(""))).collect();
        let args: Vec<&str> = ["policy", "init"].into_iter().chain(args.iter().map(String::as_str)).collect();
        let said = cambio_with(&args, &[], input);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(!said.err.contains("very-private"), "{said:?}");
    }
}

#[test]
fn access_documents_are_checked_with_the_policies_beside_them() {
    let directory = tempfile::tempdir().unwrap();
    let policies = directory.path().join("policies");
    let acl = policies.join("payments/sys/policies/acl/workloads/payments");
    std::fs::create_dir_all(&acl).unwrap();
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/kubernetes-workload.yaml");
    std::fs::copy(shipped, policies.join("kubernetes-workload.yaml")).unwrap();
    let check = || {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_cambio"))
            .args(["policy", "check", "--allow-warnings"])
            .arg(&policies)
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap())
    };
    let good = "path \"secret/data/api/*\" {\n  capabilities = [\"read\"]\n}\n";
    std::fs::write(acl.join("api.hcl"), good).unwrap();
    let (code, text) = check();
    assert_eq!(code, Some(0), "{text}");
    std::fs::write(acl.join("api.hcl"), good.replace("read", "raed")).unwrap();
    let (code, text) = check();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("acl/workloads/payments/api.hcl:2:") && text.contains("raed"), "{text}");
}
