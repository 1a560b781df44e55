//! Requests at the token endpoint: forms, targets, scopes, lifetimes, and whatever is not a request at all. One good
//! request, one change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use rstest::rstest;
use serde_json::json;
use support::http::raw;
use support::{Stand, bearer, exchange};

const FORM: &str = "application/x-www-form-urlencoded";
const SAML: &str = "urn:ietf:params:oauth:token-type:saml2";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const REFRESH: &str = "urn:ietf:params:oauth:token-type:refresh_token";

/// The good form with this parameter changed, added, or for an empty value taken away.
fn with<'a>(form: Vec<(&'a str, &'a str)>, name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut form: Vec<_> = form.into_iter().filter(|(known, _)| *known != name).collect();
    if !value.is_empty() {
        form.push((name, value));
    }
    form
}

#[rstest]
#[case("grant_type", "", "invalid_request", "request_malformed")]
#[case("grant_type", "password", "unsupported_grant_type", "grant_unsupported")]
#[case("grant_type", "client_credentials", "unsupported_grant_type", "grant_unsupported")]
#[case("subject_token", "", "invalid_request", "request_malformed")]
#[case("subject_token_type", "", "invalid_request", "request_malformed")]
#[case("subject_token_type", "jwt", "invalid_request", "request_malformed")]
#[case("subject_token_type", SAML, "invalid_request", "request_malformed")]
#[case("actor_token", "a.b.c", "invalid_request", "request_malformed")]
#[case("actor_token_type", JWT, "invalid_request", "request_malformed")]
#[case("requested_token_type", REFRESH, "invalid_request", "request_malformed")]
#[case("requested_token_type", "jwt", "invalid_request", "request_malformed")]
#[case("resource", "vault", "invalid_target", "request_malformed")]
#[case("resource", "https://vault.example.com#part", "invalid_target", "request_malformed")]
#[case("resource", "https://nothing.example.com", "invalid_target", "target_several")]
#[case("audience", "nothing", "invalid_target", "target_unknown")]
#[case("audience", "VAULT", "invalid_target", "target_unknown")]
#[case("audience", "", "invalid_target", "target_missing")]
#[case("audience", "\0", "invalid_request", "request_malformed")]
#[case("audience", "vault\n", "invalid_request", "request_malformed")]
#[case("resource", "https://vault.example.com/\0", "invalid_target", "request_malformed")]
#[case("scope", "read  list", "invalid_scope", "request_malformed")]
#[case("scope", "re\"ad", "invalid_scope", "request_malformed")]
#[case("scope", "admin", "invalid_scope", "scope_not_granted")]
#[case("expiration", "-1", "invalid_request", "request_malformed")]
#[case("expiration", "1h", "invalid_request", "request_malformed")]
#[case("subject_issuer", "no name", "invalid_request", "request_malformed")]
#[case("subject_issuer", "nobody", "invalid_request", "issuer_unknown")]
#[tokio::test]
async fn one_wrong_parameter_is_refused(
    #[case] name: &str,
    #[case] value: &str,
    #[case] code: &str,
    #[case] reason: &str,
) {
    let stand = Stand::open().await;
    stand.settled().await;
    let (token, hits) = (stand.token().sign(), stand.issuer.hits());
    let answer = stand.post("/oauth2/token", &with(exchange(&token), name, value)).await;
    let record = stand.refused(&answer, 400, code, reason);
    assert!(record.detail.is_some());
    assert_eq!(stand.issuer.hits(), hits);
}

#[rstest]
#[case("assertion", "", "invalid_request", "request_malformed")]
#[case("audience", "nothing", "invalid_target", "target_unknown")]
#[case("scope", "admin", "invalid_scope", "scope_not_granted")]
#[tokio::test]
async fn one_wrong_parameter_of_an_assertion_is_refused(
    #[case] name: &str,
    #[case] value: &str,
    #[case] code: &str,
    #[case] reason: &str,
) {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let answer = stand.post("/oauth2/token", &with(bearer(&token), name, value)).await;
    stand.refused(&answer, 400, code, reason);
}

#[rstest]
#[case("grant_type")]
#[case("subject_token")]
#[case("subject_token_type")]
#[case("scope")]
#[case("expiration")]
#[case("made_up")]
#[tokio::test]
async fn a_repeated_parameter_is_refused(#[case] name: &str) {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let mut form = exchange(&token);
    form.extend([("scope", "read"), ("expiration", "60"), ("made_up", "1")]);
    let again = *form.iter().find(|(known, _)| *known == name).unwrap();
    let answer = stand.post("/oauth2/token", &form).await;
    stand.permitted(&answer);
    form.push(again);
    let answer = stand.post("/oauth2/token", &form).await;
    stand.refused(&answer, 400, "invalid_request", "parameters_malformed");
}

#[rstest]
#[case(&[("audience", "vault"), ("audience", "vault")])]
#[case(&[("audience", "vault"), ("audience", "vault-too")])]
#[case(&[("audience", "vault"), ("resource", "https://vault.example.com")])]
#[case(&[("resource", "https://vault.example.com")])]
#[tokio::test]
async fn several_names_of_one_target_are_one_target(#[case] targets: &[(&str, &str)]) {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let form = [with(exchange(&token), "audience", ""), targets.to_vec()].concat();
    let answer = stand.post("/oauth2/token", &form).await;
    stand.permitted(&answer);
    assert_eq!(stand.verified(&answer.token()).await.claims["aud"], "vault");
}

#[rstest]
#[case(&[("audience", "vault"), ("audience", "deploy")])]
#[case(&[("audience", "deploy"), ("resource", "https://vault.example.com")])]
#[case(&[("audience", "vault"), ("audience", "nothing")])]
#[tokio::test]
async fn two_targets_are_refused(#[case] targets: &[(&str, &str)]) {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let form = [with(exchange(&token), "audience", ""), targets.to_vec()].concat();
    let answer = stand.post("/oauth2/token", &form).await;
    stand.refused(&answer, 400, "invalid_target", "target_several");
}

#[tokio::test]
async fn a_request_without_a_target_is_for_the_default_one() {
    let stand = Stand::open_with("replay: reusable", "default_target: deploy").await;
    let token = stand.token().sign();
    let answer = stand.post("/oauth2/token", &with(exchange(&token), "audience", "")).await;
    let record = stand.permitted(&answer);
    assert_eq!(record.target.as_deref(), Some("deploy"));
}

#[rstest]
#[case("read", None, "read")]
#[case("list read", None, "read list")]
#[case("read weather", Some("read"), "read")]
#[case("read admin", Some("read"), "read")]
#[case("https://www.googleapis.com/auth/cloud-platform", Some("read list"), "read list")] // Google's clients always send it
#[tokio::test]
async fn a_scope_narrows_and_unknown_words_are_ignored(
    #[case] asked: &str,
    #[case] said: Option<&str>,
    #[case] granted: &str,
) {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let answer = stand.post("/oauth2/token", &with(exchange(&token), "scope", asked)).await;
    stand.permitted(&answer);
    // RFC 8693 section 2.2.1: said where it is not what was asked for.
    assert_eq!(answer.json()["scope"].as_str(), said);
    let claims = stand.verified(&answer.token()).await.claims;
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(words(claims["scope"].as_str().unwrap()), words(granted));
}

#[rstest]
#[case("60", 60)]
#[case("600", 600)]
#[case("86400", 600)]
#[case("18446744073709551615", 600)]
#[case("1", 30)]
#[tokio::test]
async fn a_lifetime_can_be_asked_for_and_only_shortens(#[case] asked: &str, #[case] lifetime: u64) {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let answer = stand.post("/oauth2/token", &with(exchange(&token), "expiration", asked)).await;
    let record = stand.permitted(&answer);
    assert_eq!((answer.json()["expires_in"].as_u64(), record.lifetime_s), (Some(lifetime), Some(lifetime)));
}

#[rstest]
#[case("made_up", "1")]
#[case("client_id", "ci")]
#[case("client_secret", "public")]
#[case("options", "%7B%22userProject%22%3A%20%22x%22%7D")]
#[case("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")]
#[case("requested_token_type", JWT)]
#[case("subject_issuer", "workloads")]
#[tokio::test]
async fn what_clients_send_beside_it_does_no_harm(#[case] name: &str, #[case] value: &str) {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let answer = stand.post("/oauth2/token", &with(exchange(&token), name, value)).await;
    stand.permitted(&answer);
}

#[rstest]
#[case(None)]
#[case(Some("text/plain"))]
#[case(Some("multipart/form-data; boundary=x"))]
#[case(Some("application/x-www-form-urlencoded-not"))]
#[tokio::test]
async fn a_body_of_another_type_is_refused(#[case] content_type: Option<&str>) {
    let stand = Stand::open().await;
    let mut request = stand.request("/oauth2/token").body(form(&exchange(&stand.token().sign())));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let answer = stand.send(request).await;
    stand.refused(&answer, 400, "invalid_request", "content_type");
}

#[tokio::test]
async fn a_type_may_have_parameters() {
    let stand = Stand::open().await;
    let request = stand.request("/oauth2/token").header("content-type", format!("{FORM}; charset=UTF-8"));
    let answer = stand.send(request.body(form(&exchange(&stand.token().sign())))).await;
    stand.permitted(&answer);
}

#[rstest]
#[case::object(|good: String| good, None)]
#[case::nested(|good: String| good.replacen("\"vault\"", "{\"a\": 1}", 1), Some("parameters_malformed"))]
#[case::duplicate(|good: String| good.replacen('{', "{\"audience\": \"deploy\",", 1), Some("parameters_malformed"))]
#[case::list(|good: String| format!("[{good}]"), Some("parameters_malformed"))]
#[case::text(|_: String| "grant_type=x".to_owned(), Some("parameters_malformed"))]
#[case::empty(|_: String| String::new(), Some("parameters_malformed"))]
#[tokio::test]
async fn json_is_read_like_a_form(#[case] change: fn(String) -> String, #[case] refused: Option<&str>) {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let good = json!(exchange(&token).into_iter().collect::<std::collections::BTreeMap<_, _>>()).to_string();
    let request = stand.request("/oauth2/token").header("content-type", "application/json");
    let answer = stand.send(request.body(change(good))).await;
    match refused {
        None => drop(stand.permitted(&answer)),
        Some(reason) => drop(stand.refused(&answer, 400, "invalid_request", reason)),
    }
}

#[tokio::test]
async fn tokens_are_never_read_from_the_query() {
    let stand = Stand::open().await;
    let query = form(&exchange(&stand.token().sign()));
    let answer = stand.post(&format!("/oauth2/token?{query}"), &[]).await;
    stand.refused(&answer, 400, "invalid_request", "request_malformed");
    let answer = stand.post(&format!("/oauth2/token?{query}"), &[("grant_type", exchange("")[0].1)]).await;
    stand.refused(&answer, 400, "invalid_request", "request_malformed");
}

#[tokio::test]
async fn the_number_of_parameters_is_bounded() {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let names: Vec<_> = (0..61).map(|n| format!("p{n}")).collect();
    let mut form = exchange(&token);
    form.extend(names.iter().map(|name| (name.as_str(), "1")));
    let answer = stand.post("/oauth2/token", &form).await;
    stand.refused(&answer, 400, "invalid_request", "parameters_malformed");
    form.pop();
    let answer = stand.post("/oauth2/token", &form).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let filler = "x".repeat(32 * 1024);
    let answer = stand.post("/oauth2/token", &with(exchange(&token), "made_up", &filler)).await;
    stand.refused(&answer, 413, "invalid_request", "body_unreadable");
    let answer = stand.post("/oauth2/token", &with(exchange(&token), "made_up", &filler[..25_000])).await;
    stand.permitted(&answer);
}

/// The one test that waits for a patience of the counter's own: 10 s, with nothing to do meanwhile.
#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let stand = Stand::open().await;
    let head =
        format!("POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: 100\r\n\r\ngrant");
    let text = raw(&stand, head.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(!text.contains("access_token"));
    let records = stand.records();
    assert_eq!((records.len(), records[0].reason.as_deref()), (1, Some("body_unreadable")));
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn a_header_that_does_not_come_is_given_up() {
    let stand = Stand::open_with("replay: reusable", "limits: {header_timeout: 1s}").await;
    let text = raw(&stand, b"POST /oauth2/token HTTP/1.1\r\nhost: x\r\nx-slow:").await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text}");
    assert_eq!(stand.records().len(), 0);
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

#[rstest]
#[case::large(format!("x-large: {}\r\n", "x".repeat(100 * 1024)))]
#[case::many((0..101).map(|n| format!("x-{n}: 1\r\n")).collect::<String>())]
#[tokio::test]
async fn a_header_that_is_too_large_is_refused(#[case] headers: String) {
    let stand = Stand::open().await;
    let head = format!("POST /oauth2/token HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let text = raw(&stand, head.as_bytes()).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431 "), "{text}");
    assert_eq!(stand.records().len(), 0);
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

#[rstest]
#[case("GET", "/oauth2/token", 405)]
#[case("PUT", "/oauth2/introspect", 405)]
#[case("POST", "/oauth2/jwks", 405)]
#[case("GET", "/oauth2", 404)]
#[case("POST", "/oauth2/token/", 404)]
#[case("GET", "/../../etc/passwd", 404)]
#[case("GET", "/metrics", 404)] // the platform team's listener is another one
#[tokio::test]
async fn what_is_not_there_says_so_in_json(#[case] method: &str, #[case] path: &str, #[case] status: u16) {
    let stand = Stand::open().await;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let text = raw(&stand, head.as_bytes()).await;
    assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/json") && head.contains("cache-control: no-store"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(body["error"].is_string() && body["error_description"].is_string(), "{body}");
    assert_eq!(stand.records().len(), 0);
}

fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
