//! Tokens to log in with (`secrets_manager/access_token`): what is told, what they open, and what they are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod rest_support;
mod support;
mod vault;

use rest_support::{ask, get, is_problem, planted, without_ids};
use rstest::rstest;
use serde_json::{Value, json};
use support::{Answer, Stand};
use vault::{NAMESPACE, with};

const PATH: &str = "projects/acme%2Fweb/secrets_manager/access_token";

async fn create(stand: &Stand, path: &str, token: &str) -> Answer {
    ask(stand, "POST", path, &[("authorization", &format!("Bearer {token}"))], "").await
}

/// The token of a job's platform.
fn job(stand: &Stand) -> String {
    stand.token().claim("sub", "job-1").sign()
}

/// A token to log in with, and all that its answer says.
async fn created(stand: &Stand) -> (String, Value) {
    let answer = create(stand, PATH, &job(stand)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let json = answer.json();
    (json["provider"]["vault"]["auth"]["jwt"]["token"].as_str().unwrap().to_owned(), json)
}

/// A login.
async fn login(stand: &Stand, namespace: &str, path: &str, role: &str, jwt: &str) -> Answer {
    let headers = [("x-vault-namespace", namespace)];
    vault::ask(stand, "PUT", path, &headers, &json!({"role": role, "jwt": jwt}).to_string()).await
}

async fn opened(stand: &Stand, jwt: &str) -> String {
    let answer = login(stand, NAMESPACE, "auth/api_jwt/cel/login", "all_api", jwt).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["auth"]["client_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_answer_is_what_a_secret_store_of_external_secrets_has() {
    let (stand, _) = planted().await;
    let answer = create(&stand, PATH, &job(&stand)).await;
    let json = answer.json();
    let token = json["provider"]["vault"]["auth"]["jwt"]["token"].clone();
    let expected = json!({"expires_at": json["expires_at"], "provider": {"vault": {
        "server": "https://cambio.example.com", "namespace": NAMESPACE, "path": "secret", "version": "v2",
        "secrets_path": "app", "auth": {"jwt": {"path": "api_jwt/cel", "role": "all_api", "token": token}}
    }}});
    assert_eq!((answer.status, &json), (201, &expected));
    assert!(json["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((answer.header("cache-control"), answer.header("content-type")), ("no-store", "application/json"));
    let claims = stand.verified(token.as_str().unwrap()).await;
    assert_eq!((claims.header.typ.as_deref(), &claims.claims["aud"]), (Some("cambio-login+jwt"), &json!("vault")));
    let record = stand.record(&answer);
    assert_eq!((record.outcome.as_str(), record.target.as_deref()), ("issued", Some("vault")));
    assert_eq!(record.jti.as_deref(), claims.claims["jti"].as_str());
    // GitLab's clients have a header of their own.
    let answer = ask(&stand, "POST", PATH, &[("private-token", &job(&stand))], "{}").await;
    assert_eq!(answer.status, 201);
}

/// Every request of External Secrets Operator with its Vault provider, by the answer's own fields.
#[tokio::test]
async fn external_secrets_reads_with_what_the_answer_says_and_nothing_else() {
    let (stand, _) = planted().await;
    let (_, json) = created(&stand).await;
    let provider = &json["provider"]["vault"];
    let text = |pointer: &str| provider.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    let (namespace, path, jwt) = (text("/namespace"), text("/auth/jwt/path"), text("/auth/jwt/token"));
    let answer = login(&stand, &namespace, &format!("auth/{path}/login"), &text("/auth/jwt/role"), &jwt).await;
    let auth = vault::enveloped(&answer)["auth"].clone();
    assert_eq!((&auth["policies"], &auth["token_type"]), (&json!(["jobs/global"]), &json!("batch")));
    assert!((1..=600).contains(&auth["lease_duration"].as_u64().unwrap()), "{auth}");
    let token = auth["client_token"].as_str().unwrap();
    let headers = [("x-vault-token", token), ("x-vault-namespace", &*namespace), ("x-vault-request", "true")];
    let secret = format!("{}/data/{}/db", text("/path"), text("/secrets_path"));
    let read = vault::ask(&stand, "GET", &secret, &headers, "").await;
    assert_eq!(read.json()["data"]["data"]["value"], "hunter2");
    let looked = vault::ask(&stand, "GET", "auth/token/lookup-self", &headers, "").await;
    let data = looked.json()["data"].clone();
    assert!(data["ttl"].is_u64() && data["type"] == "batch" && data["expire_time"].is_string(), "{data}");
    // And once more: each reconciliation is a login.
    opened(&stand, &jwt).await;
    let record = stand.record(&answer);
    assert_eq!((record.outcome.as_str(), record.subject.as_deref()), ("issued", Some("workloads:job-1")));
    assert_eq!(record.policies, ["jobs/global"]);
}

#[rstest]
#[case::a_policy_that_denies(PATH, "DENIED", "conditions_not_met")]
#[case::nonsense(PATH, "nonsense", "token_malformed")]
#[case::a_secrets_token_of_ours(PATH, "OURS", "issuer_unknown")]
#[case::a_token_to_log_in_with(PATH, "LOGIN", "issuer_unknown")]
#[case::a_project_that_nobody_knows("projects/999/secrets_manager/access_token", "GOOD", "target_unknown")]
#[case::a_project_without_a_target("projects/125/secrets_manager/access_token", "GOOD", "target_unknown")]
#[case::a_group_of_that_number("groups/999/secrets_manager/access_token", "GOOD", "target_unknown")]
#[case::nobody_and_nonsense("projects/999/secrets_manager/access_token", "nonsense", "token_malformed")]
#[tokio::test]
async fn whoever_is_refused_learns_nothing(#[case] path: &str, #[case] token: &str, #[case] reason: &str) {
    let (stand, ours) = planted().await;
    let token = match token {
        "GOOD" => job(&stand),
        "DENIED" => stand.token().claim("sub", "user-1").sign(),
        "OURS" => ours,
        "LOGIN" => created(&stand).await.0,
        other => other.to_owned(),
    };
    let answer = create(&stand, path, &token).await;
    let told = stand.record(&answer).reason.unwrap_or_default();
    is_problem(&stand, &answer, 401, "bad-token", if reason == "token_malformed" { &told } else { reason });
    assert!(told.contains("token") || told == reason, "{told}");
    let expired = stand.token().claim("sub", "job-1").claim("exp", stand.now().as_secs() - 3600).sign();
    assert_eq!(without_ids(&answer), without_ids(&create(&stand, PATH, &expired).await));
}

#[rstest]
#[case::no_token("", &[], "", 401, "no-token", "no_token")]
#[case::a_body("", &[("private-token", "GOOD")], r#"{"ttl":1}"#, 400, "bad-request", "body_malformed")]
#[case::a_large_body("", &[("private-token", "GOOD")], "LARGE", 413, "too-large", "body_unreadable")]
#[case::a_parameter("?ttl=1", &[("private-token", "GOOD")], "", 400, "bad-request", "query_malformed")]
#[case::an_odd_issuer("?subject_issuer=A_B", &[("private-token", "GOOD")], "", 400, "bad-request", "query_malformed")]
#[case::another_issuer("?subject_issuer=other", &[("private-token", "GOOD")], "", 401, "bad-token", "issuer_unknown")]
#[tokio::test]
async fn an_odd_request_for_a_token_is_refused(
    #[case] query: &str,
    #[case] headers: &[(&str, &str)],
    #[case] body: &str,
    #[case] status: u16,
    #[case] kind: &str,
    #[case] reason: &str,
) {
    let (stand, _) = planted().await;
    let good = job(&stand);
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| (*name, if *value == "GOOD" { good.as_str() } else { value })).collect();
    let body = if body == "LARGE" { "x".repeat(40_000) } else { body.to_owned() };
    let answer = ask(&stand, "POST", &format!("{PATH}{query}"), &headers, &body).await;
    is_problem(&stand, &answer, status, kind, reason);
}

#[tokio::test]
async fn a_token_to_log_in_with_is_no_secrets_token_and_nobodys_identity() {
    let clients = "clients: [{id: rs, secret_file: rs.secret, targets: [vault]}]\n";
    let stand = vault::stand_with(&format!("{clients}{}", rest_support::REST)).await;
    let (jwt, _) = created(&stand).await;
    assert_eq!(get(&stand, &jwt, "projects/123/secrets/db/value").await.status, 401);
    assert_eq!(vault::read(&stand, &jwt, "secret/data/app/db").await.status, 403);
    assert_eq!(vault::ask(&stand, "GET", "auth/token/lookup-self", &[("x-vault-token", &jwt)], "").await.status, 403);
    let exchanged = stand.exchange(&jwt).await;
    assert_eq!((exchanged.status, stand.record(&exchanged).reason.as_deref()), (400, Some("issuer_unknown")));
    let form = [("token", jwt.as_str()), ("client_id", "rs"), ("client_secret", support::stand::CLIENT_SECRET)];
    let introspected = stand.post("/oauth2/introspect", &form).await;
    assert_eq!((introspected.status, introspected.json()), (200, json!({"active": false})));
}

#[rstest]
#[case::the_root("", "auth/api_jwt/cel/login", "all_api", "login_token_for_another_login")]
#[case::a_sibling("group_100/group_300", "auth/api_jwt/cel/login", "all_api", "login_token_for_another_login")]
#[case::the_parent("group_100", "auth/api_jwt/cel/login", "all_api", "login_token_for_another_login")]
#[case::another_mount(NAMESPACE, "auth/jwt/login", "vault", "login_token_for_another_login")]
#[case::a_plain_login(NAMESPACE, "auth/api_jwt/login", "all_api", "login_token_for_another_login")]
#[case::another_role(NAMESPACE, "auth/api_jwt/cel/login", "vault", "login_token_for_another_login")]
#[case::no_role(NAMESPACE, "auth/api_jwt/cel/login", "", "login_token_for_another_login")]
#[tokio::test]
async fn it_opens_one_login_and_no_other(
    #[case] namespace: &str,
    #[case] path: &str,
    #[case] role: &str,
    #[case] reason: &str,
) {
    let (stand, _) = planted().await;
    let (jwt, _) = created(&stand).await;
    let answer = login(&stand, namespace, path, role, &jwt).await;
    assert_eq!((answer.status, stand.record(&answer).reason.as_deref()), (400, Some(reason)), "{}", answer.text);
}

#[rstest]
#[case::a_secrets_token("OURS")]
#[case::another_end("CUT")]
#[case::a_strangers("STRANGER")]
#[tokio::test]
async fn that_login_takes_nothing_else(#[case] what: &str) {
    let (stand, ours) = planted().await;
    let (jwt, _) = created(&stand).await;
    let jwt = match what {
        "OURS" => ours,
        // The signature of another token of ours, under the header and the claims of this one.
        "CUT" => format!("{}.{}", jwt.rsplit_once('.').unwrap().0, ours.rsplit_once('.').unwrap().1),
        _ => job(&stand),
    };
    let answer = login(&stand, NAMESPACE, "auth/api_jwt/cel/login", "all_api", &jwt).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(stand.record(&answer).outcome, "denied");
}

#[tokio::test]
async fn a_session_ends_no_later_than_the_token_it_was_made_of() {
    let (stand, _) = planted().await;
    let (jwt, json) = created(&stand).await;
    let ends = stand.verified(&jwt).await.claims["exp"].as_i64().unwrap();
    stand.advance(200);
    let session = opened(&stand, &jwt).await;
    let (login, session_claims) = (stand.verified(&jwt).await.claims, stand.verified(&session).await.claims);
    assert_eq!(session_claims["exp"], ends);
    for name in ["sub", "aud", "policies", "namespace", "rule", "rule_digest"] {
        assert_eq!(session_claims[name], login[name], "{name}");
    }
    assert_ne!(session_claims["jti"], login["jti"]);
    assert_eq!(get(&stand, &session, "projects/123/secrets/db/value").await.status, 200);
    stand.advance(401);
    assert!(stand.now().as_secs() >= ends, "{json}");
    assert_eq!(get(&stand, &session, "projects/123/secrets/db/value").await.status, 401);
    let answer = login_again(&stand, &jwt).await;
    assert_eq!(stand.record(&answer).reason.as_deref(), Some("login_token_not_good"));
}

async fn login_again(stand: &Stand, jwt: &str) -> Answer {
    let answer = login(stand, NAMESPACE, "auth/api_jwt/cel/login", "all_api", jwt).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    answer
}

#[tokio::test]
async fn a_session_that_is_revoked_leaves_the_login_and_a_login_that_is_revoked_opens_no_more() {
    let (stand, _) = planted().await;
    let (jwt, _) = created(&stand).await;
    let session = opened(&stand, &jwt).await;
    assert_eq!(with(&stand, &session, "PUT", "auth/token/revoke-self", &Value::Null).await.status, 204);
    assert_eq!(get(&stand, &session, "projects/123/secrets/db/value").await.status, 401);
    opened(&stand, &jwt).await;
    assert_eq!(stand.post("/oauth2/revoke", &[("token", &*jwt)]).await.status, 200);
    let answer = login_again(&stand, &jwt).await;
    assert_eq!(stand.record(&answer).reason.as_deref(), Some("login_token_ended"));
}

#[tokio::test]
async fn a_rule_that_is_changed_ends_the_logins_that_it_granted() {
    let (mut stand, _) = planted().await;
    let (jwt, _) = created(&stand).await;
    let text = std::fs::read_to_string(stand.path("policies/vault.yaml")).unwrap();
    stand.write("policies/vault.yaml", &text.replace("ttl: 10m", "ttl: 9m"));
    stand.restart().await;
    stand.settled().await;
    let answer = login_again(&stand, &jwt).await;
    assert_eq!(stand.record(&answer).reason.as_deref(), Some("login_token_ended"));
}

#[tokio::test]
async fn a_place_whose_target_is_elsewhere_keeps_the_counter_from_starting() {
    let (mut stand, _) = planted().await;
    stand.stop().await;
    for (good, bad) in
        [("target: vault", "target: none"), ("path: acme/web, namespace: group_100/group_200", "path: acme/web")]
    {
        let text = std::fs::read_to_string(stand.path("cambio.yaml")).unwrap();
        let broken = stand.write("broken.yaml", &text.replacen(good, bad, 1));
        let config = cambio::config::Config::load(&broken).unwrap();
        let error = cambio::app::App::open(config, cambio::clock::Clock::System).await.err().unwrap().to_string();
        assert!(error.contains("rest: project `acme/web`: there is no target"), "{error}");
    }
}
