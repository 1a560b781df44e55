//! What an operator types: `policy test`, `keys`, `doctor`, `completions`, and help.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod cli_support;

use cli_support::{Place, Said, answer, cambio, chmod, now, server, tls};
use rstest::rstest;
use serde_json::{Value, json};
use std::fs;

fn repository(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn shipped_policies_pass_without_a_configuration() {
    let said = cambio(&["policy", "test", &repository("policies")]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.contains("group-pipelines.yaml") && said.out.ends_with("all as expected\n"), "{}", said.out);
    let one = cambio(&["policy", "test", &repository("policies/kubernetes-workload.yaml"), "--json"]).json();
    let cases = one["cases"].as_array().unwrap();
    assert!(!cases.is_empty() && cases.iter().all(|case| case["file"] == "kubernetes-workload.yaml"), "{one:#}");
}

#[test]
fn a_case_that_comes_out_otherwise_is_told_with_both_sides() {
    let place = Place::default();
    place.change("policies/group-pipelines.yaml", "id == \"200\"", "id == \"201\"");
    for args in [&[place.text("policies")][..], &["--config".to_owned(), place.config()]] {
        let args: Vec<&str> = ["policy", "test"].into_iter().chain(args.iter().map(String::as_str)).collect();
        let said = cambio(&args);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.contains("FAIL  permit  a protected job of the group"), "{}", said.out);
        assert!(said.out.contains("at        group-pipelines.yaml:16:"), "{}", said.out);
        assert!(said.out.contains("expected  permit of [\"pipelines/protected/global\"]"), "{}", said.out);
        assert!(said.out.contains("got       denial: "), "{}", said.out);
        assert!(said.out.ends_with("2 cases in 1 file: 2 not as expected\n"), "{}", said.out);
    }
    let answer = cambio(&["policy", "test", &place.text("policies"), "--json"]).json();
    assert_eq!(answer["ok"], false);
    assert!(answer["cases"][0]["got"].as_str().unwrap().starts_with("denial"), "{answer:#}");
}

#[test]
fn a_file_out_of_order_is_told_with_its_place() {
    let place = Place::default();
    place.change("policies/group-pipelines.yaml", "claims.ref_protected ==", "claims.ref_protected = =");
    let said = cambio(&["policy", "test", &place.text("policies")]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("group-pipelines.yaml:7:"), "{}", said.out);
    assert!(said.out.contains("the set does not go live"), "{}", said.out);
}

#[test]
fn issuers_that_are_not_configured_are_faults_once_it_is_said_which_are() {
    let place = Place::default();
    let policies = place.text("policies");
    let said = cambio(&["policy", "test", &policies, "--issuer", "gitlba"]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("no issuer `gitlab` is configured"), "{}", said.out);
    assert_eq!(cambio(&["policy", "test", &policies, "--issuer", "gitlab", "--issuer", "b"]).code, 0);
}

#[rstest]
#[case(&["policy", "test", "HOME/polices"], "name the directory of policy files")]
#[case(&["policy", "test", "HOME/cambio.yaml"], "")]
#[case(&["policy", "test", "HOME/jwks.json"], "no policy file")]
#[case(&["policy", "test", "HOME/empty"], "nothing was tested")]
#[case(&["policy", "test", "HOME/policies", "--issuer", "https://gitlab.example.com"], "`--issuer https:")]
#[case(&["policy", "test", "HOME/policies", "--issuer", "a", "--config", "b"], "cannot be used with")]
#[case(&["policy", "tset"], "'test'")]
#[case(&["policy"], "Usage")]
#[case(&["keys", "list", "--config", "HOME/cambio.yml"], "cambio.yml")]
#[case(&["keys", "rotate", "--config", "HOME/cambio.yaml"], "there are no keys to rotate")]
#[case(&["doctor", "--config", "HOME/cambio.yml"], "cambio.yml")]
#[case(&["doctor", "--config", "HOME"], "HOME")]
#[case(&["completions", "tcsh"], "possible values")]
#[case(&["exhange"], "'exchange'")]
fn a_wrong_input_exits_with_2_and_says_what_to_do(#[case] args: &[&str], #[case] said_too: &str) {
    let place = Place::default();
    fs::create_dir(place.path("empty")).unwrap();
    let home = place.text("");
    let args: Vec<String> = args.iter().map(|arg| arg.replace("HOME", home.trim_end_matches('/'))).collect();
    let said = cambio(&args.iter().map(String::as_str).collect::<Vec<_>>());
    if said_too.is_empty() {
        assert_eq!(said.code, 1, "{said:?}"); // YAML, but of another shape
        return;
    }
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains(&said_too.replace("HOME", home.trim_end_matches('/'))), "{said:?}");
}

fn kids(answer: &Value, state: &str) -> Vec<String> {
    let keys = answer["keys"].as_array().unwrap().iter().filter(|key| key["state"].get(state).is_some());
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn keys_are_listed_and_rotated_ahead_and_at_once() {
    let place = Place::default();
    let config = place.config();
    let list = || cambio(&["keys", "list", "--config", &config, "--json"]).json();
    let said = cambio(&["keys", "list", "--config", &config]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("no keys yet") && !place.path("data").exists(), "looking makes nothing");
    drop(place.counter());
    let first = list();
    assert_eq!((kids(&first, "active").len(), kids(&first, "prepared").len()), (1, 0), "{first:#}");

    let said = cambio(&["keys", "rotate", "--config", &config]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("is prepared"), "{}", said.out);
    let ahead = list();
    assert_eq!(kids(&ahead, "active"), kids(&first, "active"));
    assert_eq!(kids(&ahead, "prepared").len(), 1);
    let table = cambio(&["keys", "list", "--config", &config]).out;
    assert!(table.contains("active     signs since") && table.contains("prepared   not yet published"), "{table}");
    // Listing is no publication: the key's time ahead of use begins when a server has it.
    assert!(ahead["keys"].as_array().unwrap().iter().any(|key| key["state"]["prepared"]["published"].is_null()));

    let said = cambio(&["keys", "rotate", "--now", "--config", &config, "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let after = list();
    assert_eq!(kids(&after, "active"), [said.json()["kid"].as_str().unwrap()]);
    assert_eq!(kids(&after, "revoked").len(), 2, "{after:#}");
}

fn doctor(place: &Place) -> Said {
    cambio(&["doctor", "--config", &place.config()])
}

#[test]
fn a_healthy_place_is_told_to_be_one() {
    let more = format!("tls: {{certificate: {}, key: tls.key}}\n", tls("leaf.crt"));
    let place = Place::new(&more);
    place.write("tls.key", &fs::read_to_string(tls("leaf.key")).unwrap());
    chmod(&place.path("tls.key"), 0o600);
    let said = doctor(&place);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.contains("ok     issuer gitlab  1 key from"), "{}", said.out);
    assert!(said.out.contains("the certificate is good until") && said.out.contains("1 target"), "{}", said.out);
    assert!(said.out.contains("is made at the first start"), "{}", said.out);
    assert!(!place.path("data").exists(), "looking makes nothing");
    drop(place.counter());
    let said = doctor(&place);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("1 key; ") && said.out.ends_with("\nall is well\n"), "{}", said.out);
    let names: Vec<_> = fs::read_dir(place.path("data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().contains("doctor")), "{names:?}");
}

#[rstest]
#[case("cambio.yaml", "{file: jwks.json}", "{file: missing.json}", 1, "missing.json")]
#[case("cambio.yaml", "{file: jwks.json}", "{jwks_url: 'https://127.0.0.1:1/jwks'}", 1, "cannot be reached")]
#[case("jwks.json", "\"kty\":\"EC\"", "\"kty\":\"oct\"", 1, "no usable key")]
#[case(
    "jwks.json",
    "{\"keys\":[",
    "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"},",
    0,
    "key 1 of its set is not used: a symmetric key"
)]
#[case("policies/group-pipelines.yaml", "id == \"200\"", "id == \"201\"", 1, "cambio policy test")]
#[case("cambio.yaml", "data: data", "data: data\ndefault_target: pipelines", 1, "`pipelines` does not exist")]
#[case("cambio.yaml", "listen: 127.0.0.1:0\nops", "listen: 0.0.0.0:0\nops", 0, "without TLS")]
#[case(
    "cambio.yaml",
    "audiences: [https://cambio.example.com]",
    "audiences: [https://cambio.example.com/]",
    0,
    "byte for byte"
)]
#[case(
    "cambio.yaml",
    "audiences: [https://cambio.example.com]",
    "audiences: [sts.amazonaws.com]",
    0,
    "other services too"
)]
#[case("cambio.yaml", "    algorithms", "    audience_rule: any\n    algorithms", 0, "`audience_rule: any`")]
#[case("cambio.yaml", "  - name: gitlab", "  - name: gitlab2", 1, "no issuer `gitlab` is configured")]
#[case("cambio.yaml", "platform: gitlab", "platform: gitlba", 1, "there is no platform `gitlba`")]
#[case("cambio.yaml", "data: data", "data: /proc/cambio", 1, "cannot be made")]
fn each_thing_that_is_wrong_or_risky_is_told_with_what_to_do(
    #[case] file: &str,
    #[case] from: &str,
    #[case] to: &str,
    #[case] code: i32,
    #[case] said_too: &str,
) {
    let place = Place::default();
    place.change(file, from, to);
    let said = doctor(&place);
    assert_eq!(said.code, code, "{said:?}");
    assert!(said.out.contains(said_too), "{}", said.out);
    assert!(said.out.contains(if code == 1 { "WRONG" } else { "warn" }), "{}", said.out);
    let answer = cambio(&["doctor", "--config", &place.config(), "--json"]).json();
    assert_eq!(answer["ok"], code == 0);
    let told = |finding: &Value| finding["level"] != "ok" && finding["text"].as_str().is_some();
    assert!(answer["findings"].as_array().unwrap().iter().any(told), "{answer:#}");
}

#[test]
fn files_that_others_reach_are_told() {
    let place = Place::default();
    drop(place.counter());
    chmod(&place.path("data"), 0o755);
    chmod(&place.path("policies"), 0o777);
    chmod(&place.path("cambio.yaml"), 0o664);
    let said = doctor(&place);
    assert_eq!(said.code, 1);
    for part in ["`chmod 0700 ", "all users may write", "its group may write"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    chmod(&place.path("data"), 0o700);
}

#[test]
fn an_expired_certificate_and_an_open_key_are_told() {
    let more = format!("tls: {{certificate: {}, key: tls.key}}\n", tls("expired.crt"));
    let place = Place::new(&more);
    place.write("tls.key", &fs::read_to_string(tls("leaf.key")).unwrap());
    chmod(&place.path("tls.key"), 0o644);
    let said = doctor(&place);
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("the certificate expired") && said.out.contains("is open to others (mode 0644)"),
        "{}",
        said.out
    );
    place.write("tls.key", "nothing");
    chmod(&place.path("tls.key"), 0o600);
    assert!(doctor(&place).out.contains("holds no usable PEM private key"));
}

#[rstest]
#[case(0, 0, "its clock goes with ours")]
#[case(-30, 0, "behind ours")]
#[case(3600, 1, "more than its `leeway` of 1m")]
fn a_clock_that_differs_is_told(#[case] offset: i64, #[case] code: i32, #[case] said_too: &str) {
    let place = Place::default();
    let keys = json!({"keys": [place.key.public_jwk()]}).to_string();
    let date = http_date(now() + offset);
    let (url, _asked) = server(vec![answer(&format!("200 OK\r\nDate: {date}"), &keys)]);
    place.change("cambio.yaml", "{file: jwks.json}", &format!("{{jwks_url: '{url}/jwks'}}\n    insecure_http: true"));
    let said = doctor(&place);
    assert_eq!(said.code, code, "{said:?}");
    assert!(said.out.contains(said_too), "{}", said.out);
}

/// RFC 9110 section 5.6.7; the name of the day is not looked at where it is left out.
fn http_date(seconds: i64) -> String {
    let text = cambio::clock::Timestamp::from_secs(seconds).to_string();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month: usize = text[5..7].parse().unwrap();
    format!("{} {} {} {} GMT", &text[8..10], months[month - 1], &text[..4], &text[11..19])
}

#[test]
fn every_command_has_help_with_examples_and_completions() {
    let commands: [&[&str]; 9] = [
        &[],
        &["serve"],
        &["exchange"],
        &["token", "inspect"],
        &["policy", "test"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["doctor"],
        &["explain"],
    ];
    for command in commands {
        let said = cambio(&[command, &["--help"]].concat());
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("Examples:"), "{command:?}: {}", said.out);
        assert!(said.out.lines().all(|line| line.chars().count() <= 125), "{}", said.out);
    }
    for shell in ["bash", "zsh", "fish"] {
        let said = cambio(&["completions", shell]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("subject-issuer"), "{}", said.out);
    }
}
