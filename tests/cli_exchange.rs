//! `cambio exchange`, and `cambio explain` of what it was told: the real program against a running counter.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod cli_support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cli_support::{Place, answer, cambio, cambio_with, chmod, mode, next, server, tls};
use rstest::rstest;
use serde_json::{Value, json};
use std::fs;

fn claims(token: &str) -> Value {
    let parts: Vec<&str> = token.trim_end().split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

fn decision(err: &str) -> String {
    let line = err.lines().find_map(|line| line.trim().strip_prefix("decision")).unwrap_or_else(|| panic!("{err}"));
    line.trim().to_owned()
}

#[test]
fn a_token_in_a_file_becomes_a_secrets_token_and_nothing_else_is_printed() {
    let place = Place::default();
    let (counter, file) = (place.counter(), place.write("token", &format!("{}\n", place.token())));
    let said = cambio(&["exchange", "--url", &counter.url(), "--target", "group-pipelines", "--token-file", &file]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert_eq!(said.out.lines().count(), 1);
    let claims = claims(&said.out);
    assert_eq!(claims["aud"], "group-pipelines");
    assert_eq!(claims["policies"], json!(["pipelines/protected/global"]));
}

#[test]
fn a_token_is_found_where_platforms_put_it_in_the_stated_order() {
    let place = Place::default();
    let (counter, token) = (place.counter(), place.token());
    let (url, file) = (counter.url(), place.write("token", &token));
    let exchange = ["exchange", "--url", &url, "--target", "group-pipelines", "-v"];
    let with = |more: &[&str], env: &[(&str, &str)], input: &str| {
        let said = cambio_with(&[&exchange, more].concat(), env, input);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(!said.err.contains(&token), "{said:?}");
        claims(&said.out);
        said.err
    };
    assert!(with(&["--token-file", "-"], &[("CAMBIO_TOKEN", "bad")], &token).contains("from standard input"));
    assert!(with(&["--token-env", "JWT"], &[("JWT", &token), ("CAMBIO_TOKEN", "bad")], "").contains("variable JWT"));
    assert!(with(&[], &[("CAMBIO_TOKEN_FILE", &file), ("CAMBIO_TOKEN", "bad")], "").contains("CAMBIO_TOKEN_FILE"));
    assert!(with(&[], &[("CAMBIO_TOKEN", &token), ("BITBUCKET_STEP_OIDC_TOKEN", "bad")], "").contains("CAMBIO_TOKEN"));
    for name in ["CIRCLE_OIDC_TOKEN_V2", "BITBUCKET_STEP_OIDC_TOKEN", "TFC_WORKLOAD_IDENTITY_TOKEN"] {
        assert!(with(&[], &[(name, &token), ("CAMBIO_TOKEN", "")], "").contains(name));
    }
}

#[test]
fn github_is_asked_for_a_token_for_the_audience() {
    let place = Place::default();
    let counter = place.counter();
    let (github, asked) = server(vec![answer("200 OK", &json!({"value": place.token(), "count": 1}).to_string())]);
    let request_url = format!("{github}/token?api-version=2.0");
    let env = [("ACTIONS_ID_TOKEN_REQUEST_URL", request_url.as_str()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner")];
    let url = counter.url();
    let exchange = ["exchange", "--url", &url, "--target", "group-pipelines"];
    let said = cambio_with(&[&exchange[..], &["--audience", "https://cambio.example.com"]].concat(), &env, "");
    assert_eq!(said.code, 0, "{said:?}");
    let request = next(&asked);
    assert!(
        request.starts_with("GET /token?api-version=2.0&audience=https%3A%2F%2Fcambio.example.com HTTP"),
        "{request}"
    );
    assert!(request.to_ascii_lowercase().contains("authorization: bearer runner"), "{request}");
    cambio_with(&exchange, &env, "");
    let encoded: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    assert!(next(&asked).contains(&format!("audience={encoded} ")), "the default audience is the URL");

    let (refusing, _asked) = server(vec![answer("403 Forbidden", "{}")]);
    let env = [("ACTIONS_ID_TOKEN_REQUEST_URL", refusing.as_str()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner")];
    let said = cambio_with(&exchange, &env, "");
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("GitHub Actions gave no token") && !said.err.contains("runner"), "{said:?}");
}

#[test]
fn buildkites_agent_is_asked_for_a_token_for_the_audience() {
    let place = Place::default();
    let counter = place.counter();
    let script = format!("#!/bin/sh\necho \"$@\" > {}\necho {}\n", place.text("asked"), place.token());
    place.write("bin/buildkite-agent", &script);
    chmod(&place.path("bin/buildkite-agent"), 0o755);
    let bin = place.text("bin");
    let env = [("BUILDKITE", "true"), ("BUILDKITE_AGENT_ACCESS_TOKEN", "agent"), ("PATH", bin.as_str())];
    let url = counter.url();
    let exchange = ["exchange", "--url", &url, "--target", "group-pipelines", "--audience", "us"];
    let said = cambio_with(&exchange, &env, "");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(fs::read_to_string(place.path("asked")).unwrap(), "oidc request-token --audience us\n");
    place.write("bin/buildkite-agent", "#!/bin/sh\necho 'no such job' >&2\nexit 1\n");
    let said = cambio_with(&exchange, &env, "");
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("no such job") && said.err.contains("gave no token"), "{said:?}");
}

#[test]
fn azure_devops_is_asked_with_its_service_connection() {
    let place = Place::default();
    let counter = place.counter();
    let (azure, asked) = server(vec![answer("200 OK", &json!({"oidcToken": place.token()}).to_string())]);
    let uri = format!("{azure}/oidctoken");
    let env = [
        ("SYSTEM_OIDCREQUESTURI", uri.as_str()),
        ("SYSTEM_ACCESSTOKEN", "job"),
        ("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "c-1"),
    ];
    let said = cambio_with(&["exchange", "--url", &counter.url(), "--target", "group-pipelines"], &env, "");
    assert_eq!(said.code, 0, "{said:?}");
    let request = next(&asked);
    assert!(request.starts_with("POST /oidctoken?api-version=7.1&serviceConnectionId=c-1 "), "{request}");
}

#[test]
fn the_answer_comes_in_the_form_that_was_asked_for() {
    let place = Place::default();
    let (counter, file) = (place.counter(), place.write("token", &place.token()));
    let url = counter.url();
    let exchange = ["exchange", "--url", &url, "--target", "group-pipelines", "--token-file", &file];
    let with = |more: &[&str]| {
        let said = cambio(&[&exchange[..], more].concat());
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        said
    };
    let header = with(&["--output", "header"]).out;
    claims(header.strip_prefix("Authorization: Bearer ").unwrap());
    let all = with(&["--output", "json", "--lifetime", "2m", "--scope", "read"]).json();
    assert_eq!(all["expires_in"], 120);
    assert_eq!(all["token_type"], "Bearer");
    assert_eq!(claims(all["access_token"].as_str().unwrap())["scope"], "read");
    assert_eq!(all["decision_id"].as_str().unwrap().len(), 36);

    let out = place.text("issued");
    assert_eq!(with(&["--out", &out]).out, "");
    claims(&fs::read_to_string(&out).unwrap());
    assert_eq!(mode(out.as_ref()), 0o600);
}

#[test]
fn tls_is_verified_by_the_ca_file() {
    let more = format!("tls: {{certificate: {}, key: tls.key}}\n", tls("leaf.crt"));
    let place = Place::new(&more);
    place.write("tls.key", &fs::read_to_string(tls("leaf.key")).unwrap());
    chmod(&place.path("tls.key"), 0o600);
    let (counter, file) = (place.counter(), place.write("token", &place.token()));
    let url = format!("https://localhost:{}", counter.address().port());
    let exchange = ["exchange", "--url", &url, "--target", "group-pipelines", "--token-file", &file];
    let said = cambio(&[&exchange[..], &["--ca-file", &tls("ca.crt")]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    for (ca, hint) in
        [(tls("expired.crt"), "--ca-file"), (tls("leaf.key"), "certificate"), ("/nowhere".into(), "/nowhere")]
    {
        let said = cambio(&[&exchange[..], &["--ca-file", &ca]].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(said.err.contains(hint), "{said:?}");
    }
}

#[test]
fn a_refusal_has_the_error_the_decision_and_the_next_step_and_explain_has_the_reason() {
    let place = Place::default();
    let counter = place.counter();
    let token = place.token_with(json!({"project_group_ids": ["201"]}));
    let file = place.write("token", &token);
    let url = counter.url();
    let said = cambio(&["exchange", "--url", &url, "--target", "group-pipelines", "--token-file", &file]);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    assert!(said.err.starts_with("cambio: refused: invalid_request: the token is not acceptable\n"), "{}", said.err);
    assert!(said.err.contains("issuer https://gitlab.example.com, audience https://cambio.example.com, expires in"));
    assert!(said.err.contains("cambio token inspect") && !said.err.contains("group 200"), "{}", said.err);
    assert!(!said.err.contains(&token));
    let id = decision(&said.err);
    drop(counter);

    let config = place.config();
    let explained = cambio(&["explain", &id, "--config", &config]);
    assert_eq!((explained.code, explained.err.as_str()), (0, ""), "{explained:?}");
    for part in ["denied", "the project does not belong to group 200", "pipeline: 0 held, then require[0] did not"] {
        assert!(explained.out.contains(part), "{}", explained.out);
    }
    assert!(!explained.out.contains(&token));
    let journal = place.text("data/audit/decisions.jsonl");
    let record = cambio(&["explain", &format!("\"{}\"", id.to_uppercase()), "--journal", &journal, "--json"]).json();
    assert_eq!((record["id"].as_str(), record["outcome"].as_str()), (Some(id.as_str()), Some("denied")));

    let other = format!("{}{}", &id[..35], if id.ends_with('0') { '1' } else { '0' });
    for (args, code, hint) in [
        (["explain", other.as_str(), "--config", config.as_str()], 1, "no record"),
        (["explain", "12345", "--config", config.as_str()], 2, "no decision id"),
        (["explain", token.as_str(), "--config", config.as_str()], 2, "[token]"),
        (["explain", id.as_str(), "--journal", "/nowhere"], 2, "no journal `/nowhere`"),
        (["explain", id.as_str(), "--config", "/nowhere"], 2, "/nowhere"),
    ] {
        let said = cambio(&args);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{said:?}");
        assert!(said.err.contains(hint) && !said.err.contains(&token), "{said:?}");
    }
}

#[rstest]
#[case(json!({"exp": 1_700_000_000, "iat": 1_699_999_900}), "group-pipelines", &[], "invalid_request", "expired")]
#[case(json!({"aud": "them"}), "group-pipelines", &[], "invalid_request", "audience them")]
#[case(json!({"iss": "https://evil.example\u{1b}[2J"}), "group-pipelines", &[], "invalid_request", "\\u{1b}")]
#[case(json!({}), "group-pipeline", &[], "invalid_target", "is there a target `group-pipeline`?")]
#[case(json!({}), "group-pipelines", &["--subject-issuer", "github"], "invalid_request", "token inspect")]
fn each_refusal_exits_with_1(
    #[case] change: Value,
    #[case] target: &str,
    #[case] more: &[&str],
    #[case] code: &str,
    #[case] said_too: &str,
) {
    let place = Place::default();
    let (counter, file) = (place.counter(), place.write("token", &place.token_with(change)));
    let url = counter.url();
    let said = cambio(&[&["exchange", "--url", &url, "--target", target, "--token-file", &file], more].concat());
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    assert!(said.err.contains(code) && said.err.contains(said_too) && !said.err.contains('\u{1b}'), "{}", said.err);
}

#[test]
fn a_counter_that_can_not_decide_is_asked_again_a_bounded_number_of_times() {
    let busy = answer("503 Service Unavailable\r\nRetry-After: 1", r#"{"error":"temporarily_unavailable"}"#);
    let good = answer("200 OK", r#"{"access_token":"a.b.c","token_type":"Bearer","expires_in":60}"#);
    let exchange = |url: &str, retries: &str| {
        let args = ["exchange", "--url", url, "--target", "a", "--token-file", "-", "--retries", retries];
        cambio_with(&args, &[], "eyJ.eyJ.c2ln")
    };
    let (url, asked) = server(vec![busy.clone(), good]);
    let said = exchange(&url, "3");
    assert_eq!((said.code, said.out.as_str()), (0, "a.b.c\n"), "{said:?}");
    assert!(said.err.contains("trying again in 1 s"));
    assert_eq!(asked.try_iter().count(), 2);

    let (url, asked) = server(vec![busy]);
    let said = exchange(&url, "1");
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains("temporarily_unavailable") && said.err.contains("try again later"), "{said:?}");
    assert_eq!(asked.try_iter().count(), 2);
}

#[rstest]
#[case(answer("302 Found\r\nLocation: http://evil.example/", ""), "redirect")]
#[case(answer("404 Not Found", "<html>"), "status 404 without an OAuth error")]
#[case(answer("200 OK", "<html>"), "not a JSON object")]
#[case(answer("200 OK", r#"{"token":"a"}"#), "no usable `access_token`")]
#[case(answer("200 OK", r#"{"access_token":"a\nb"}"#), "no usable `access_token`")]
#[case(answer("200 OK", &" ".repeat(300 * 1024)), "larger than 256 KiB")]
#[case("HTTP/1.1".to_owned(), "cannot be reached")]
fn an_answer_that_is_not_cambios_is_no_token(#[case] answer: String, #[case] said_too: &str) {
    let (url, _asked) = server(vec![answer]);
    let args = ["exchange", "--url", &url, "--target", "a", "--token-file", "-", "--retries", "0"];
    let said = cambio_with(&args, &[], "eyJ.eyJ.c2ln");
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains(said_too), "{said:?}");
}

/// What a tired person types; `TOKEN` stands for a token, which must not come back.
#[rstest]
#[case(&["--url", "cambio.example.com"], "", "did you mean `https://cambio.example.com`")]
#[case(&["--url", "http://cambio.example.com"], "", "--insecure-http")]
#[case(&["--url", "http://127.0.0.1:1"], "TOKEN", "cannot be reached")]
#[case(&["--token-file", "TOKEN"], "", "not the token itself")]
#[case(&["TOKEN"], "", "[token]")]
#[case(&["--token", "TOKEN"], "", "--token")]
#[case(&["--token=TOKEN"], "", "--token-env")]
#[case(&["--retries=TOKEN"], "", "[token]")]
#[case(&["--token-env", "TOKEN"], "", "`[token]` is not set")]
#[case(&["--token-file", "/nowhere/token"], "", "/nowhere/token")]
#[case(&["--token-file", "/tmp"], "", "is a directory")]
#[case(&["--token-file", "/dev/null"], "", "is empty")]
#[case(&["--token-file", "/dev/zero"], "", "larger than 64 KiB")]
#[case(&["--token-file", "-"], "", "is empty")]
#[case(&["--token-file", "-"], "Bearer TOKEN", "Bearer")]
#[case(&["--token-file", "-"], "{\"value\": \"TOKEN\"}", "JSON")]
#[case(&["--token-file", "-"], "\"TOKEN\"", "quotes")]
#[case(&["--token-file", "-"], "TOKEN\nTOKEN", "one token")]
#[case(&["--token-file", "-", "--token-env", "A"], "TOKEN", "cannot be used with")]
#[case(&["--lifetime", "five minutes"], "TOKEN", "`--lifetime` is a span")]
#[case(&["--scope", "a\"b"], "TOKEN", "--scope")]
#[case(&["--subject-issuer", "https://gitlab.example.com"], "TOKEN", "no URL")]
#[case(&["--target", "group pipelines"], "TOKEN", "`--target`")]
#[case(&["--output", "yaml"], "TOKEN", "possible values")]
#[case(&["--out", "/nowhere/token"], "TOKEN", "cannot be reached")]
#[case(&[], "", "found no token of a platform")]
fn a_wrong_input_is_told_with_what_to_do_and_without_the_token(
    #[case] more: &[&str],
    #[case] input: &str,
    #[case] said_too: &str,
) {
    let token = Place::default().token();
    let mut args = vec!["exchange".to_owned()];
    for (flag, value) in [("--url", "https://127.0.0.1:1"), ("--target", "group-pipelines")] {
        if !more.contains(&flag) {
            args.extend([flag.to_owned(), value.to_owned()]);
        }
    }
    args.extend(more.iter().map(|arg| arg.replace("TOKEN", &token)));
    if input == "TOKEN" && !more.contains(&"--token-file") {
        args.extend(["--token-file".to_owned(), "-".to_owned()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = cambio_with(&args, &[], &input.replace("TOKEN", &token));
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains(said_too), "{said:?}");
    assert!(!said.err.contains(&token), "{said:?}");
}

#[test]
fn without_a_token_the_platform_says_what_is_missing() {
    for (name, hint) in
        [("GITHUB_ACTIONS", "id-token: write"), ("GITLAB_CI", "id_tokens"), ("KUBERNETES_SERVICE_HOST", "projected")]
    {
        let said = cambio_with(&["exchange", "--url", "https://127.0.0.1:1", "--target", "a"], &[(name, "true")], "");
        assert_eq!((said.code, said.out.as_str()), (2, ""));
        assert!(said.err.contains(hint), "{said:?}");
    }
}
