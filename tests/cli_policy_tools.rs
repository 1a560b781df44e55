//! What an operator asks of policies before and after: `policy eval`, coverage, `diff`, `who-can`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod cli_support;

use cli_support::{Place, cambio, cambio_with, new_key, sign};
use rstest::rstest;
use serde_json::json;

const CLAIMS: &str = "{\"project_group_ids\": [\"200\", \"100\"], \"ref_protected\": \"true\"}";

#[test]
fn claims_are_walked_through_the_rules_with_the_values_that_they_rest_on() {
    let place = Place::default();
    let claims = place.write("claims.json", CLAIMS);
    let said = cambio(&[
        "policy",
        "eval",
        &place.text("policies"),
        "--target",
        "group-pipelines",
        "--claims",
        &claims,
        "--issuer",
        "gitlab",
    ]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    for part in [
        "nobody vouches",
        "rule pipeline  (group-pipelines.yaml:4)  grants",
        "ok    require[0]  claims.?project_group_ids.orValue([]).exists(id, id == \"200\")",
        "[\"200\", \"100\"]",
        "let level",
        "= \"pipelines/protected/global\"",
        "permit, by rule `pipeline`\n  policy    pipelines/protected/global\n",
        "scopes    read list",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
}

#[test]
fn a_denial_says_what_would_have_been_needed() {
    let place = Place::default();
    let claims = place.write("claims.yaml", "project_group_ids: [\"201\"]\nref_protected: \"true\"\n");
    let policies = place.text("policies");
    let args = ["policy", "eval", &policies, "--target", "group-pipelines", "--claims", &claims, "--issuer", "gitlab"];
    let said = cambio(&args);
    assert_eq!(said.code, 1, "{said:?}");
    for part in [
        "NO    require[0]",
        "the project does not belong to group 200  (line 9)",
        "with id = \"201\"",
        "denied: conditions_not_met",
        "what would have been needed first\n  pipeline: claims.?project_group_ids.orValue([]).exists(id, id == \"200\")  (require[0], group-pipelines.yaml:9)",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    let told = cambio(&[&args[..], &["--json"]].concat());
    assert_eq!(told.code, 1);
    let told = told.json();
    assert_eq!(told["decision"]["reason"], "conditions_not_met");
    assert_eq!(told["rules"][0]["steps"][0]["parts"][0]["value"], "[\"201\"]");
    assert_eq!(told["verified"], false);
}

#[test]
fn a_token_is_verified_by_the_configured_keys_or_no_policy_is_asked() {
    let place = Place::default();
    let good = place.token();
    let forged = sign(&new_key(), json!({}));
    let config = place.config();
    let args = ["policy", "eval", "--target", "group-pipelines", "--token", "-", "--config", &config];
    let said = cambio_with(&args, &[], &good);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("the token verifies") && said.out.contains("pipelines/protected/global"), "{}", said.out);
    assert!(!said.out.contains(good.split('.').nth(2).unwrap()), "the signature is not shown");
    let said = cambio_with(&args, &[], &forged);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains("denied: the token does not verify") && !said.out.contains("rule pipeline"),
        "{}",
        said.out
    );
    assert_eq!(
        cambio_with(&[&args[..], &["--json"]].concat(), &[], &forged).json()["decision"]["reason"],
        "token_refused"
    );
    let said = cambio_with(&[&args[..], &["--unverified"]].concat(), &[], &forged);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("WARNING: nothing about this token was verified"), "{}", said.err);
    assert!(said.out.contains("NOT VERIFIED") && said.out.contains("permit, by rule"), "{}", said.out);
}

#[test]
fn an_unverified_token_finds_its_issuer_without_a_configuration() {
    let place = Place::default();
    let token = place.write("job.jwt", &place.token());
    let policies = place.text("policies");
    let said = cambio(&["policy", "eval", &policies, "--target", "group-pipelines", "--token", &token, "--unverified"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("issuer  gitlab  NOT VERIFIED"), "{}", said.out);
}

#[rstest]
#[case(&["--target", "group-pipeline", "--claims", "HOME/claims.json", "--issuer", "gitlab"], "did you mean `group-pipelines`?")]
#[case(&["--target", "nothing-like-it", "--claims", "HOME/claims.json", "--issuer", "gitlab"], "there are group-pipelines")]
#[case(&["--target", "group-pipelines", "--claims", "HOME/claims.json", "--issuer", "gitlba"], "did you mean `gitlab`?")]
#[case(&["--target", "group-pipelines", "--claims", "HOME/claims.json", "--issuer", "https://gitlab.example.com"], "no URL")]
#[case(&["--target", "group-pipelines", "--claims", "HOME/job.jwt", "--issuer", "gitlab"], "give it as a token, `--token`")]
#[case(&["--target", "group-pipelines", "--claims", "HOME/empty", "--issuer", "gitlab"], "is empty")]
#[case(&["--target", "group-pipelines", "--claims", "HOME/nowhere", "--issuer", "gitlab"], "cannot read the claims file")]
#[case(&["--target", "group-pipelines", "--claims", "HOME/claims.json"], "--issuer")]
#[case(&["--target", "group-pipelines", "--token", "HOME/job.jwt"], "give `--config`, or `--unverified`")]
#[case(&["--target", "group-pipelines", "--token", "HOME/claims.json", "--unverified"], "holds JSON")]
#[case(&["--target", "group-pipelines", "--token", "HOME/empty", "--unverified"], "is empty")]
#[case(&["--target", "group-pipelines"], "--token <FILE>")]
#[case(&["--target", "group-pipelines", "--claims", "HOME/claims.json", "--issuer", "gitlab", "--at", "noon"], "is a moment such as")]
fn a_wrong_question_exits_with_2_and_says_what_to_do(#[case] args: &[&str], #[case] said_too: &str) {
    let place = Place::default();
    place.write("claims.json", CLAIMS);
    place.write("job.jwt", &place.token());
    place.write("empty", "");
    let home = place.text("").trim_end_matches('/').to_owned();
    let policies = place.text("policies");
    let args: Vec<String> = args.iter().map(|arg| arg.replace("HOME", &home)).collect();
    let args: Vec<&str> = ["policy", "eval", &policies].into_iter().chain(args.iter().map(String::as_str)).collect();
    let said = cambio(&args);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains(said_too) && !said.err.contains("eyJ"), "{said:?}");
}

const ONE_MORE_CASE: &str = "  - name: an unprotected job
    issuer: gitlab
    claims: {project_group_ids: [\"200\"], ref_protected: \"false\"}
    permit: {policies: [pipelines/unprotected/global]}
";

#[test]
fn coverage_names_what_no_case_has_shown_and_a_bound_fails() {
    let place = Place::default();
    let policies = place.text("policies");
    let said = cambio(&["policy", "test", &policies, "--coverage"]);
    assert_eq!(said.code, 0, "{said:?}");
    let line = "group-pipelines.yaml:7:62  rule pipeline, let[0]: branch never taken: \"unprotected\"\n";
    assert!(said.out.contains(line) && said.out.contains("all as expected\n\ncoverage"), "{}", said.out);
    let said = cambio(&["policy", "test", &policies, "--min-coverage", "90"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains(line)
            && said.out.ends_with("too little: at least 90 % are asked for; write a case for each line above\n"),
        "{}",
        said.out
    );
    assert_eq!(cambio(&["policy", "test", &policies, "--min-coverage", "80"]).code, 0);
    let told = cambio(&["policy", "test", &policies, "--json"]).json();
    assert_eq!(told["coverage"]["files"][0]["missing"][0]["missing"], "branch", "{told:#}");
    assert_eq!((&told["coverage"]["reached"], &told["coverage"]["of"]), (&json!(4), &json!(5)));
    let mut file = std::fs::read_to_string(place.path("policies/group-pipelines.yaml")).unwrap();
    file.push_str(ONE_MORE_CASE);
    place.write("policies/group-pipelines.yaml", &file);
    let said = cambio(&["policy", "test", &policies, "--min-coverage", "100"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("100 %     5 of 5"), "{}", said.out);
}

#[test]
fn a_junit_report_has_a_suite_for_each_file_with_both_sides_of_a_failure() {
    let place = Place::default();
    place.change("policies/group-pipelines.yaml", "id == \"200\"", "id == \"201\"");
    let report = place.text("report.xml");
    let said = cambio(&["policy", "test", &place.text("policies"), "--junit", &report]);
    assert_eq!(said.code, 1, "{said:?}");
    let text = std::fs::read_to_string(&report).unwrap();
    for part in [
        "<testsuites name=\"cambio policy test\" tests=\"2\" failures=\"2\" errors=\"0\"",
        "<testsuite name=\"group-pipelines.yaml\" tests=\"2\" failures=\"2\"",
        "name=\"a protected job of the group\" file=\"group-pipelines.yaml\" line=\"16\"",
        "expected: permit of [&quot;pipelines/protected/global&quot;]",
        "got: denial: conditions_not_met",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let said = cambio(&["policy", "test", &place.text("policies"), "--junit", &place.text("no/such/report.xml")]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("cannot write"), "{said:?}");
    place.change("policies/group-pipelines.yaml", "claims.ref_protected ==", "claims.ref_protected = =");
    let said = cambio(&["policy", "test", &place.text("policies"), "--junit", &report]);
    assert_eq!(said.code, 1, "{said:?}");
    let text = std::fs::read_to_string(&report).unwrap();
    assert!(text.contains("errors=\"1\"") && text.contains("<error message="), "{text}");
}

#[test]
fn who_can_lists_rules_conditions_and_an_example_that_was_asked() {
    let place = Place::default();
    let policies = place.text("policies");
    let said = cambio(&["policy", "who-can", "pipelines/protected/global", &policies]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    for part in [
        "target group-pipelines, rule pipeline  (group-pipelines.yaml:4)\n  tokens of   gitlab\n",
        "by          grant.policies[0]  \"pipelines/\" + (claims.ref_protected == \"true\" ? \"protected\" : \"unprotected\") + \"/global\"",
        "    if        claims.ref_protected == \"true\"\n",
        "needs       require[0]  claims.?project_group_ids.orValue([]).exists(id, id == \"200\")\n",
        "is granted pipelines/protected/global\n",
        "1 rule can yield `pipelines/protected/global`\n",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    let told = cambio(&["policy", "who-can", "pipelines/un*/**", &policies, "--json"]).json();
    assert_eq!(told["ways"][0]["example"]["policies"], json!(["pipelines/unprotected/global"]), "{told:#}");
    let claims = place.write("example.json", &told["ways"][0]["example"]["claims"].to_string());
    let args = ["policy", "eval", &policies, "--target", "group-pipelines", "--claims", &claims, "--issuer", "gitlab"];
    assert!(cambio(&args).out.contains("policy    pipelines/unprotected/global"), "the example holds");
    let said = cambio(&["policy", "who-can", "pipelines/secret/global", &policies]);
    assert_eq!((said.code, said.out.as_str()), (1, "no rule can yield `pipelines/secret/global`\n"), "{said:?}");
    for (args, hint) in [
        (["policy", "who-can", "", &policies], "name a policy"),
        (["policy", "who-can", "p", "/nowhere"], "name the directory of policy files"),
    ] {
        let said = cambio(&args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(said.err.contains(hint), "{said:?}");
    }
}

#[test]
fn an_openbao_role_is_walked_question_by_question() {
    let place = Place::default();
    let policies = format!("{}/examples/gitlab-secrets-manager/policies", env!("CARGO_MANIFEST_DIR"));
    let role = "group_100/group_200/auth/pipeline_jwt/cel/role/all_pipelines";
    let mut claims = json!({
        "iss": "https://gitlab.example.com", "aud": "https://openbao.example.com", "secrets_manager_scope": "pipeline",
        "sub": "project_path:shop/api:ref_type:branch:ref:main", "project_id": "300", "user_id": "7", "pipeline_id": "574",
        "job_id": "302", "ref_protected": "true", "project_group_ids": ["200", "100"],
    });
    let eval = |claims: &serde_json::Value| {
        let claims = place.write("claims.json", &claims.to_string());
        cambio(&["policy", "eval", &policies, "--target", role, "--claims", &claims, "--issuer", "gitlab"])
    };
    let said = eval(&claims);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    for part in
        ["no    question 0  sub == \"\"", "let protection_level", "= \"protected\"", "permit, by rule `all_pipelines`"]
    {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    claims["sub"] = json!("somebody");
    let said = eval(&claims);
    assert_eq!(said.code, 1, "{said:?}");
    for part in ["refuses", "yes   question 1  !sub.startsWith(\"project_path:\")", "answer 1", "denied: "] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    let told = cambio(&["policy", "test", &policies, "--json"]).json();
    let files = told["coverage"]["files"].as_array().unwrap();
    let pipelines = files.iter().find(|file| file["file"] == format!("{role}.json")).unwrap();
    let missing: Vec<&str> =
        pipelines["missing"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert!(!missing.contains(&"[unprotected_global_policy]"), "a case of a protected job shows it: {missing:?}");
    let text = std::fs::read_to_string(format!("{policies}/{role}.json")).unwrap();
    let branches: Vec<_> =
        pipelines["missing"].as_array().unwrap().iter().filter(|one| one["missing"] == "branch").collect();
    assert!(!branches.is_empty());
    for one in branches {
        let at = |name: &str| usize::try_from(one[name].as_u64().unwrap()).unwrap() - 1;
        let rest: String = text.lines().nth(at("line")).unwrap().chars().skip(at("column")).collect();
        // As it stands within a JSON text.
        assert!(rest.starts_with(one["text"].to_string().trim_matches('"')), "{one}: {rest}");
    }
}

#[test]
fn what_a_terminal_would_obey_is_never_printed_raw() {
    let place = Place::default();
    let file = "target: t\nrules:\n  - name: r\n    issuer: gitlab\n    require: [{that: 'claims.project_id == \"1\"', message: \"m\\e]0;x\\a\"}]\n    \
                grant: {policies: ['\"p\"']}\ncases:\n  - {name: \"c\\e[2J\", issuer: gitlab, claims: {project_id: \"2\"}, permit: {policies: [p]}}\n";
    place.write("policies/t.yaml", file);
    let policies = place.text("policies");
    for args in [
        vec!["policy", "test", &policies],
        vec!["policy", "check", &policies],
        vec!["policy", "who-can", "p", &policies],
        vec!["policy", "diff", &policies, &policies],
    ] {
        let said = cambio(&args);
        let text = format!("{}{}", said.out, said.err);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{args:?} {text:?}");
        assert!(!text.is_empty(), "{args:?}");
    }
}

#[test]
fn a_directory_without_policies_is_no_answer() {
    let place = Place::default();
    let empty = place.text("empty");
    std::fs::create_dir(&empty).unwrap();
    let said = cambio(&["policy", "who-can", "p", &empty]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains("no policy"), "{said:?}");
}

#[test]
fn a_message_in_a_block_of_lines_is_the_same_message() {
    let place = Place::default();
    let file = "target: t\nrules:\n  - name: r\n    issuer: gitlab\n    require:\n      - that: claims.project_id == \"1\"\n        message: |\n          \
                another project\n    grant: {policies: ['\"p\"']}\ncases:\n  - {name: c, issuer: gitlab, claims: {project_id: \"2\"}, deny: another project}\n";
    place.write("blocks/t.yaml", file);
    let said = cambio(&["policy", "test", &place.text("blocks")]);
    assert_eq!(said.code, 0, "{said:?}");
}
