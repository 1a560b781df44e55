//! Logins of the Vault surface: one engine, other words. One good login, one change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;
mod vault;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rstest::rstest;
use serde_json::{Value, json};
use support::Stand;
use support::stand::entry;
use vault::{NAMESPACE, ask, enveloped, job, login, read, stand, stand_with, token, with, write};

#[rstest]
#[case::plain("PUT", "auth/jwt/login", &[])]
#[case::post("POST", "auth/jwt/login", &[])]
#[case::kubernetes("POST", "auth/kubernetes/login", &[])]
#[case::namespace_in_the_path("PUT", "group_100/group_200/auth/jwt/login", &[])]
#[case::namespace_in_a_header("PUT", "auth/jwt/login", &[("x-vault-namespace", "group_100/group_200/")])]
#[case::half_and_half("PUT", "group_200/auth/jwt/login", &[("x-vault-namespace", "group_100")])]
#[case::json_that_says_it_is_a_form("PUT", "auth/jwt/login", &[("content-type", "application/x-www-form-urlencoded")])]
#[tokio::test]
async fn a_login_is_an_exchange(#[case] method: &str, #[case] path: &str, #[case] headers: &[(&str, &str)]) {
    let stand = stand().await;
    let body = json!({"role": "vault", "jwt": stand.token().sign()}).to_string();
    let answer = ask(&stand, method, path, headers, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let auth = &enveloped(&answer)["auth"];
    assert_eq!(auth["policies"], json!(["jobs/global"]));
    assert_eq!(auth["token_policies"], json!(["jobs/global"]));
    assert_eq!((auth["token_type"].as_str(), auth["renewable"].as_bool()), (Some("batch"), Some(false)));
    assert_eq!((auth["orphan"].as_bool(), auth["num_uses"].as_u64()), (Some(true), Some(0)));
    assert_eq!((auth["entity_id"].as_str(), auth["accessor"].as_str()), (Some(""), Some("")));
    assert!(auth["lease_duration"].as_u64().unwrap() > 0 && auth["identity_policies"].is_null());
    let record = stand.record(&answer);
    assert_eq!((record.outcome.as_str(), record.issuer.as_deref()), ("issued", Some("workloads")));
    assert_eq!(serde_json::to_value(record.surface).unwrap(), "vault");
    assert_eq!(stand.allowed(), 1);
    let claims = stand.verified(auth["client_token"].as_str().unwrap()).await.claims;
    assert_eq!((claims["aud"].as_str(), claims["namespace"].as_str()), (Some("vault"), Some(NAMESPACE)));
}

#[rstest]
#[case::another_namespace("group_100/group_300/auth/jwt/login", "vault", 404, None)]
#[case::the_parent("group_100/auth/jwt/login", "vault", 404, None)]
#[case::another_mount("auth/oidc/login", "vault", 400, Some("target_unknown"))]
#[case::another_role("auth/jwt/login", "nothing", 400, Some("target_unknown"))]
#[case::no_role("auth/jwt/login", "", 400, Some("target_missing"))]
#[case::a_cel_login_of_a_target("auth/jwt/cel/login", "vault", 400, Some("target_unknown"))]
#[case::no_mount("auth//login", "vault", 404, None)]
#[case::upper_case("auth/jwt/Login", "vault", 404, None)]
#[tokio::test]
async fn a_login_elsewhere_is_refused(
    #[case] path: &str,
    #[case] role: &str,
    #[case] status: u16,
    #[case] reason: Option<&str>,
) {
    let stand = stand().await;
    let answer = login(&stand, path, role, &stand.token().sign()).await;
    assert_eq!(answer.status, status, "{}", answer.text);
    assert!(answer.json()["errors"].is_array() && answer.json().get("auth").is_none(), "{}", answer.text);
    if let Some(reason) = reason {
        assert_eq!(stand.record(&answer).reason.as_deref(), Some(reason));
        assert!(answer.text.contains(answer.decision()), "clients show the text and nothing else: {}", answer.text);
    }
    assert_eq!(stand.allowed(), 0);
}

#[tokio::test]
async fn a_namespace_of_a_header_that_has_no_target_has_none_of_another() {
    let stand = stand().await;
    let body = json!({"role": "vault", "jwt": stand.token().sign()}).to_string();
    for namespace in ["group_100", "group_100/group_300", "GROUP_100/GROUP_200"] {
        let answer = ask(&stand, "PUT", "auth/jwt/login", &[("x-vault-namespace", namespace)], &body).await;
        assert_eq!(
            (answer.status, stand.record(&answer).reason.as_deref()),
            (400, Some("target_unknown")),
            "{namespace}"
        );
    }
    let answer = ask(&stand, "PUT", "auth/jwt/login", &[("x-vault-namespace", "../x")], &body).await;
    assert_eq!((answer.status, stand.allowed()), (400, 0));
}

#[rstest]
#[case::nothing("", "login_malformed")]
#[case::no_token(r#"{"role":"vault"}"#, "login_malformed")]
#[case::an_empty_token(r#"{"role":"vault","jwt":" "}"#, "login_malformed")]
#[case::a_token_of_another_type(r#"{"role":"vault","jwt":1}"#, "login_malformed")]
#[case::a_role_with_a_nul(r#"{"role":"va\u0000ult","jwt":"a.b.c"}"#, "login_malformed")]
#[case::a_role_of_another_type(r#"{"role":["vault"],"jwt":"a.b.c"}"#, "login_malformed")]
#[case::a_list("[]", "body_unreadable")]
#[case::a_member_twice(r#"{"jwt":"a","jwt":"b"}"#, "body_unreadable")]
#[case::cut_off(r#"{"jwt":"#, "body_unreadable")]
#[case::no_token_at_all(r#"{"role":"vault","jwt":"x"}"#, "token_malformed")]
#[tokio::test]
async fn a_malformed_login_is_a_bad_request_and_leaves_a_record(#[case] body: &str, #[case] reason: &str) {
    let stand = stand().await;
    let answer = ask(&stand, "PUT", "auth/jwt/login", &[], body).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(stand.record(&answer).reason.as_deref(), Some(reason), "{}", answer.text);
    assert_eq!(stand.allowed(), 0);
}

#[tokio::test]
async fn a_login_by_form_is_taken() {
    let stand = stand().await;
    let body = format!("role=vault&jwt={}", stand.token().sign());
    let answer = ask(&stand, "POST", "auth/jwt/login", &[], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[rstest]
#[case::expired("exp", json!(1))]
#[case::another_audience("aud", json!("elsewhere"))]
#[case::denied_by_policy("sub", json!("nobody"))]
#[tokio::test]
async fn a_refused_token_is_a_bad_request_and_never_a_fault(#[case] claim: &str, #[case] value: Value) {
    let stand = stand().await;
    let jwt = stand.token().claim(claim, value).sign();
    let answer = login(&stand, "auth/jwt/login", "vault", &jwt).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.text.contains("the token is not acceptable"), "{}", answer.text);
    assert_eq!(stand.record(&answer).outcome, "denied");
    assert_eq!(stand.allowed(), 0);
}

#[tokio::test]
async fn a_mount_has_its_issuer_and_its_default_role() {
    let issuer = support::Issuer::start().await;
    let entries = format!(
        "{}{}",
        entry("workloads", issuer.name(), "replay: reusable"),
        entry("others", issuer.name(), "replay: reusable")
    );
    let logins =
        "vault:\n  logins:\n    - {mount: team, issuer: workloads, default_role: vault}\n    - {mount: open}\n";
    let stand = Stand::open_for(issuer, &entries, logins).await;
    stand.settled().await;
    let jwt = stand.token().sign();
    // Two issuers share one `iss`: the mount says which is meant.
    let answer = login(&stand, "auth/team/login", "", &jwt).await;
    assert_eq!((answer.status, stand.record(&answer).issuer.as_deref()), (200, Some("workloads")), "{}", answer.text);
    let answer = login(&stand, "auth/open/login", "vault", &jwt).await;
    assert_eq!((answer.status, stand.record(&answer).reason.as_deref()), (400, Some("issuer_ambiguous")));
    let answer = login(&stand, "auth/jwt/login", "vault", &jwt).await;
    assert_eq!((answer.status, stand.record(&answer).reason.as_deref()), (400, Some("issuer_ambiguous")));
}

#[rstest]
#[case("GET")]
#[case("DELETE")]
#[case("LIST")]
#[case("PATCH")]
#[tokio::test]
async fn a_login_is_a_write(#[case] method: &str) {
    let stand = stand().await;
    assert_eq!(ask(&stand, method, "auth/jwt/login", &[], "").await.status, 405);
}

#[tokio::test]
async fn a_wrapped_login_is_unwrapped_once() {
    let stand = stand().await;
    let body = json!({"role": "vault", "jwt": stand.token().sign()}).to_string();
    let answer = ask(&stand, "PUT", "auth/jwt/login", &[("x-vault-wrap-ttl", "60s")], &body).await;
    let json = enveloped(&answer);
    assert!(json["auth"].is_null(), "{}", answer.text);
    let info = &json["wrap_info"];
    assert_eq!((info["ttl"].as_u64(), info["creation_path"].as_str()), (Some(60), Some("auth/jwt/login")));
    let wrapping = json!({"token": info["token"]}).to_string();
    let looked = ask(&stand, "POST", "sys/wrapping/lookup", &[], &wrapping).await;
    assert_eq!(looked.json()["data"]["creation_ttl"], 60, "{}", looked.text);

    let unwrapped = ask(&stand, "POST", "sys/wrapping/unwrap", &[], &wrapping).await;
    let token = enveloped(&unwrapped)["auth"]["client_token"].as_str().unwrap().to_owned();
    assert_eq!(read(&stand, &token, "auth/token/lookup-self").await.status, 200);
    let again = ask(&stand, "POST", "sys/wrapping/unwrap", &[], &wrapping).await;
    assert_eq!((again.status, again.json()["errors"][0].as_str().unwrap().contains("not valid")), (400, true));
}

#[tokio::test]
async fn a_wrapped_login_that_waits_too_long_is_gone() {
    let stand = stand().await;
    let body = json!({"role": "vault", "jwt": stand.token().sign()}).to_string();
    let answer = ask(&stand, "PUT", "auth/jwt/login", &[("x-vault-wrap-ttl", "30s")], &body).await;
    let wrapping = answer.json()["wrap_info"]["token"].as_str().unwrap().to_owned();
    stand.advance(30);
    let unwrapped = ask(&stand, "POST", "sys/wrapping/unwrap", &[("x-vault-token", &wrapping)], "").await;
    assert_eq!(unwrapped.status, 400, "{}", unwrapped.text);
}

fn parameter(key: &str, value: &str) -> String {
    URL_SAFE_NO_PAD.encode(json!({"key": key, "value": value}).to_string())
}

async fn inline(stand: &Stand, change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> support::Answer {
    let mut headers = vec![
        ("x-vault-inline-auth-path", "auth/jwt/login".to_owned()),
        ("x-vault-inline-auth-parameter-jwt", parameter("jwt", &stand.token().sign())),
        ("x-vault-inline-auth-parameter-role", parameter("role", "vault")),
    ];
    change(&mut headers);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    ask(stand, "GET", "secret/data/app/db", &headers, "").await
}

#[tokio::test]
async fn a_read_brings_its_login_along() {
    let stand = stand().await;
    write(&stand, &job(&stand).await, "app/db", json!({"password": "s3cret"})).await;
    let answer = inline(&stand, |_| {}).await;
    assert_eq!((answer.status, &answer.json()["data"]["data"]), (200, &json!({"password": "s3cret"})));
    assert_eq!(answer.header("x-vault-inline-auth-failed"), "");
    let answer = inline(&stand, |headers| {
        headers[0].1 = format!("{NAMESPACE}/auth/jwt/login");
        headers.push(("x-vault-namespace", NAMESPACE.to_owned()));
    })
    .await;
    // The namespace of the request is the default for the login's, and the path names one too: together they are none of ours.
    assert_eq!(answer.status, 400, "{}", answer.text);
    let answer = inline(&stand, |headers| {
        headers.push(("x-vault-inline-auth-namespace", NAMESPACE.to_owned()));
        headers.push(("x-vault-namespace", NAMESPACE.to_owned()));
    })
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

type Change = fn(&mut Vec<(&'static str, String)>);

#[rstest]
#[case::a_token_too(|headers: &mut Vec<(&'static str, String)>| headers.push(("x-vault-token", "x".to_owned())))]
#[case::no_path(|headers: &mut Vec<(&'static str, String)>| drop(headers.remove(0)))]
#[case::a_path_that_is_no_login(|headers: &mut Vec<(&'static str, String)>| headers[0].1 = "auth/token/create".to_owned())]
#[case::a_token_path(|headers: &mut Vec<(&'static str, String)>| headers[0].1 = "auth/token/login".to_owned())]
#[case::a_path_that_walks(|headers: &mut Vec<(&'static str, String)>| headers[0].1 = "auth/../jwt/login".to_owned())]
#[case::another_operation(|headers: &mut Vec<(&'static str, String)>| {
    headers.push(("x-vault-inline-auth-operation", "alias-lookahead".to_owned()));
})]
#[case::an_unknown_header(|headers: &mut Vec<(&'static str, String)>| headers.push(("x-vault-inline-auth-mfa", "1".to_owned())))]
#[case::a_header_twice(|headers: &mut Vec<(&'static str, String)>| headers.push(("x-vault-inline-auth-path", "auth/jwt/login".to_owned())))]
#[case::a_parameter_twice(|headers: &mut Vec<(&'static str, String)>| {
    headers.push(("x-vault-inline-auth-parameter-role2", parameter("role", "deploy")));
})]
#[case::a_parameter_with_padding(|headers: &mut Vec<(&'static str, String)>| headers[2].1 = "eyJrZXkiOiJyb2xlIiwidmFsdWUiOiJ2In0=".to_owned())]
#[case::a_parameter_with_more(|headers: &mut Vec<(&'static str, String)>| {
    headers[2].1 = URL_SAFE_NO_PAD.encode(r#"{"key":"role","value":"vault","x":1}"#);
})]
#[case::another_role(|headers: &mut Vec<(&'static str, String)>| headers[2].1 = parameter("role", "nothing"))]
#[case::no_good_token(|headers: &mut Vec<(&'static str, String)>| headers[1].1 = parameter("jwt", "a.b.c"))]
#[case::a_wrapped_answer(|headers: &mut Vec<(&'static str, String)>| headers.push(("x-vault-wrap-ttl", "60s".to_owned())))]
#[tokio::test]
async fn a_login_in_headers_that_is_not_good_fails_and_says_so(#[case] change: Change) {
    let stand = stand().await;
    let answer = inline(&stand, change).await;
    assert_eq!((answer.status, answer.header("x-vault-inline-auth-failed")), (400, "true"), "{}", answer.text);
    assert_eq!(stand.allowed(), 0);
}

#[tokio::test]
async fn a_rule_that_asks_for_revocable_tokens_gets_service_tokens_with_accessors() {
    let issuer = support::Issuer::start().await;
    let entry = entry("workloads", issuer.name(), "replay: reusable");
    let mut stand = Stand::prepare(issuer, &entry, "");
    let text = std::fs::read_to_string(stand.path("policies/vault.yaml")).unwrap();
    stand.write("policies/vault.yaml", &text.replacen("ttl: 10m", "ttl: 10m\n      revocable: true", 1));
    vault::document(&stand, NAMESPACE, "jobs/admin", vault::ADMINS);
    stand.start().await;
    stand.settled().await;
    let answer = login(&stand, "auth/jwt/login", "vault", &stand.token().sign()).await;
    let auth = answer.json()["auth"].clone();
    assert_eq!(auth["token_type"], "service");
    let (own, accessor) = (auth["client_token"].as_str().unwrap(), auth["accessor"].as_str().unwrap());
    let looked = read(&stand, own, "auth/token/lookup-self").await.json()["data"].clone();
    assert_eq!((looked["type"].as_str(), looked["accessor"].as_str().unwrap().is_empty()), (Some("service"), false));
    // The accessor opens nothing, and does not pass for a token.
    assert_eq!(read(&stand, accessor, "auth/token/lookup-self").await.status, 403);
    // Whoever may look after tokens looks it up and revokes it by its accessor; whoever may not, does not.
    let body = json!({"accessor": accessor});
    assert_eq!(with(&stand, own, "POST", "auth/token/lookup-accessor", &body).await.status, 403);
    let admin = token(&stand, "admin-1").await;
    let looked = with(&stand, &admin, "POST", "auth/token/lookup-accessor", &body).await;
    assert_eq!(looked.json()["data"]["display_name"], "workloads:job-17", "{}", looked.text);
    assert_eq!(looked.json()["data"]["id"], "");
    assert_eq!(with(&stand, &admin, "POST", "auth/token/revoke-accessor", &body).await.status, 204);
    assert_eq!(read(&stand, own, "auth/token/lookup-self").await.status, 403);
    assert_eq!(with(&stand, &admin, "POST", "auth/token/lookup-accessor", &body).await.status, 403);
}

#[tokio::test]
async fn a_token_looks_itself_up_with_the_types_that_clients_assert() {
    let stand = stand().await;
    let token = job(&stand).await;
    for method in ["GET", "POST"] {
        let answer = with(&stand, &token, method, "auth/token/lookup-self", &Value::Null).await;
        let data = enveloped(&answer)["data"].clone();
        assert_eq!(data["type"], "batch");
        assert!(data["ttl"].is_u64() && data["expire_time"].is_string() && data["issue_time"].is_string());
        assert_eq!((data["id"].as_str(), data["renewable"].as_bool()), (Some(token.as_str()), Some(false)));
        assert_eq!(data["policies"], json!(["jobs/global"]));
        let strictest = ["accessor", "creation_time", "creation_ttl", "display_name", "entity_id", "explicit_max_ttl"];
        for name in strictest.into_iter().chain(["num_uses", "orphan", "path", "meta"]) {
            assert!(data.get(name).is_some(), "no `{name}`");
        }
    }
}

#[tokio::test]
async fn a_token_is_not_renewed_and_is_revoked() {
    let stand = stand().await;
    let token = job(&stand).await;
    let renewed = with(&stand, &token, "POST", "auth/token/renew-self", &json!({"increment": "30s"})).await;
    assert_eq!((renewed.status, renewed.json()["errors"][0].as_str()), (400, Some("lease is not renewable")));
    assert_eq!(with(&stand, &token, "PUT", "auth/token/revoke-self", &Value::Null).await.status, 204);
    let looked = read(&stand, &token, "auth/token/lookup-self").await;
    assert_eq!((looked.status, looked.json()["errors"][0].as_str()), (403, Some("permission denied")));
}

#[tokio::test]
async fn a_token_concerns_itself_with_another_only_where_its_documents_say_so() {
    let stand = stand().await;
    let (one, other, admin) = (job(&stand).await, token(&stand, "job-2").await, token(&stand, "admin-1").await);
    let body = json!({"token": other});
    assert_eq!(with(&stand, &one, "POST", "auth/token/lookup", &body).await.status, 403);
    assert_eq!(with(&stand, &one, "POST", "auth/token/revoke", &body).await.status, 403);
    assert_eq!(
        with(&stand, &admin, "POST", "auth/token/lookup", &body).await.json()["data"]["meta"]["subject"],
        "workloads:job-2"
    );
    assert_eq!(with(&stand, &one, "POST", "auth/token/lookup", &json!({"token": one})).await.status, 200);
    assert_eq!(with(&stand, &admin, "POST", "auth/token/revoke", &body).await.status, 204);
    assert_eq!(read(&stand, &other, "auth/token/lookup-self").await.status, 403);
    assert_eq!(read(&stand, &one, "auth/token/lookup-self").await.status, 200);
}

#[tokio::test]
async fn the_server_says_that_it_is_well_and_what_is_mounted() {
    let stand = stand_with("").await;
    let health = ask(&stand, "GET", "sys/health", &[], "").await;
    assert_eq!(
        (health.status, health.json()["initialized"].as_bool(), health.json()["sealed"].as_bool()),
        (200, Some(true), Some(false))
    );
    assert_eq!(ask(&stand, "GET", "sys/seal-status", &[], "").await.json()["sealed"], false);
    let token = job(&stand).await;
    let mount = read(&stand, &token, "sys/internal/ui/mounts/secret/app/db").await.json()["data"].clone();
    assert_eq!((mount["path"].as_str(), mount["type"].as_str()), (Some("secret/"), Some("kv")));
    assert_eq!(mount["options"]["version"], "2");
    let mount = read(&stand, &token, "sys/mounts/kv1").await.json()["data"].clone();
    assert_eq!((mount["type"].as_str(), mount["options"]["version"].as_str()), (Some("kv"), Some("1")));
    let all = read(&stand, &token, "sys/internal/ui/mounts").await.json()["data"]["secret"].clone();
    assert_eq!(all.as_object().unwrap().keys().collect::<Vec<_>>(), ["kv1/", "secret/"]);
    let admin = vault::token(&stand, "admin-1").await;
    let one = read(&stand, &admin, "sys/internal/ui/mounts/kv1").await;
    let none = read(&stand, &admin, "sys/internal/ui/mounts/nothing").await;
    assert_eq!((one.status, none.status), (403, 403), "{} {}", one.text, none.text);
    assert_eq!(one.text.replace("kv1", "nothing"), none.text);
    assert_eq!(ask(&stand, "GET", "sys/internal/ui/mounts/secret", &[], "").await.status, 403);
}

#[tokio::test]
async fn a_token_learns_what_it_may_do() {
    let stand = stand().await;
    let token = job(&stand).await;
    let body = json!({"paths": ["secret/data/shared/x", "secret/data/nothing/x", "secret/data/inbox/x"]});
    let data = with(&stand, &token, "POST", "sys/capabilities-self", &body).await.json()["data"].clone();
    assert_eq!(data["secret/data/shared/x"], json!(["read"]));
    assert_eq!(data["secret/data/nothing/x"], json!(["deny"]));
    assert_eq!(data["secret/data/inbox/x"], json!(["create"]));
    let one = with(&stand, &token, "POST", "sys/capabilities-self", &json!({"path": "secret/data/shared/x"})).await;
    assert_eq!(one.json()["data"]["capabilities"], json!(["read"]), "{}", one.text);
    assert_eq!(with(&stand, &token, "POST", "sys/capabilities-self", &json!({})).await.status, 400);
    assert_eq!(ask(&stand, "POST", "sys/capabilities-self", &[], &body.to_string()).await.status, 403);
}

#[rstest]
#[case("sys/policies/acl")]
#[case("sys/raw/x")]
#[case("auth/token/create")]
#[case("auth/token/roles")]
#[tokio::test]
async fn what_the_surface_does_not_have_is_not_there(#[case] path: &str) {
    let stand = stand().await;
    let answer = with(&stand, &job(&stand).await, "POST", path, &json!({})).await;
    assert_eq!((answer.status, answer.json()["errors"][0].as_str()), (404, Some("unsupported path")), "{path}");
}
