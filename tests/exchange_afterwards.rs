//! What becomes of an issued token: introspection (RFC 7662), revocation (RFC 7009). And who the counter says it is
//! (RFC 8414).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use rstest::rstest;
use serde_json::{Value, json};
use support::stand::CLIENT_SECRET as SECRET;
use support::{AUDIENCE, Answer, Stand, exchange};

/// A counter with a resource server, `rs`, for the target `vault`.
async fn stand() -> Stand {
    Stand::open_with("replay: reusable", "clients: [{id: rs, secret_file: rs.secret, targets: [vault]}]").await
}

async fn introspect(stand: &Stand, token: &str) -> Answer {
    stand.post("/oauth2/introspect", &[("token", token), ("client_id", "rs"), ("client_secret", SECRET)]).await
}

async fn issued(stand: &Stand, target: &str) -> String {
    let token = stand.token().sign();
    let mut form = exchange(&token);
    form[3].1 = target;
    stand.post("/oauth2/token", &form).await.token()
}

/// RFC 7662 section 2.2: whatever the reason, no more than this.
async fn assert_inactive(stand: &Stand, token: &str) {
    let answer = introspect(stand, token).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"active": false})));
    assert_eq!(answer.header("cache-control"), "no-store");
}

async fn assert_active(stand: &Stand, token: &str) {
    assert_eq!(introspect(stand, token).await.json()["active"], true);
}

#[tokio::test]
async fn a_resource_server_learns_what_a_token_is_good_for() {
    let stand = stand().await;
    let token = issued(&stand, "vault").await;
    let claims = stand.verified(&token).await.claims;
    let answer = introspect(&stand, &token).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    let said = answer.json();
    assert_eq!((&said["active"], &said["token_type"]), (&json!(true), &json!("Bearer")));
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "policies", "namespace", "rule"] {
        assert_eq!(said[name], claims[name], "{name}");
    }
}

#[tokio::test]
async fn a_token_for_another_target_is_not_active() {
    let stand = stand().await;
    assert_inactive(&stand, &issued(&stand, "deploy").await).await;
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_not_active() {
    let stand = stand().await;
    let token = issued(&stand, "vault").await;
    let (text, _) = token.rsplit_once('.').unwrap();
    for other in
        [stand.token().sign(), "rubbish".to_owned(), format!("{text}."), format!("{token}A"), "x".repeat(20_000)]
    {
        assert_inactive(&stand, &other).await;
    }
}

#[tokio::test]
async fn an_expired_token_is_not_active() {
    let stand = stand().await;
    let token = issued(&stand, "vault").await;
    stand.advance(599);
    assert_active(&stand, &token).await;
    stand.advance(1);
    assert_inactive(&stand, &token).await;
}

#[rstest]
#[case::nobody(&[], None)]
#[case::wrong_secret(&[("client_id", "rs"), ("client_secret", "another secret of 32 characters")], None)]
#[case::unknown_client(&[("client_id", "other"), ("client_secret", SECRET)], None)]
#[case::no_secret(&[("client_id", "rs")], None)]
#[case::wrong_basic(&[], Some(("rs", "wrong")))]
#[case::two_ways(&[("client_id", "rs"), ("client_secret", SECRET)], Some(("rs", SECRET)))]
#[tokio::test]
async fn whoever_does_not_prove_who_it_is_learns_nothing(
    #[case] proof: &[(&str, &str)],
    #[case] basic: Option<(&str, &str)>,
) {
    let stand = stand().await;
    let token = issued(&stand, "vault").await;
    let pairs = [&[("token", token.as_str())], proof].concat();
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut request = stand.request("/oauth2/introspect").body(body);
    request = request.header("content-type", "application/x-www-form-urlencoded");
    if let Some((id, secret)) = basic {
        request = request.basic_auth(id, Some(secret));
    }
    let answer = stand.send(request).await;
    assert_eq!((answer.status, answer.text_of("error")), (401, "invalid_client".to_owned()));
    assert!(answer.header("www-authenticate").starts_with("Basic "));
    assert!(answer.json().get("active").is_none());
}

#[tokio::test]
async fn a_resource_server_may_prove_itself_by_basic() {
    let stand = stand().await;
    let body = format!("token={}", issued(&stand, "vault").await);
    let secret: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let request = stand.request("/oauth2/introspect").basic_auth("rs", Some(secret));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    assert_eq!(stand.send(request).await.json()["active"], true);
}

#[tokio::test]
async fn a_rule_that_is_changed_or_gone_ends_what_it_granted() {
    let mut stand = stand().await;
    let token = issued(&stand, "vault").await;
    let policy = std::fs::read_to_string(stand.path("policies/vault.yaml")).unwrap();
    stand.restart().await;
    assert_active(&stand, &token).await;
    // Another rule of the same file is another rule.
    stand.write("policies/vault.yaml", &policy.replace("[read, admin]", "[admin]"));
    stand.restart().await;
    assert_active(&stand, &token).await;
    stand.write("policies/vault.yaml", &policy.replace("ttl: 10m", "ttl: 11m"));
    stand.restart().await;
    assert_inactive(&stand, &token).await;
    stand.write("policies/vault.yaml", &policy.replace("name: job", "name: work"));
    stand.restart().await;
    assert_inactive(&stand, &token).await;
    stand.write("policies/vault.yaml", &policy);
    stand.restart().await;
    assert_active(&stand, &token).await;
}

#[tokio::test]
async fn a_revoked_token_stays_revoked_after_a_restart_and_others_stay_good() {
    let mut stand = stand().await;
    let (token, other) = (issued(&stand, "vault").await, issued(&stand, "vault").await);
    let answer = stand.post("/oauth2/revoke", &[("token", &token)]).await;
    assert_eq!((answer.status, answer.text.as_str(), answer.header("cache-control")), (200, "", "no-store"));
    for _ in 0..2 {
        assert_inactive(&stand, &token).await;
        assert_active(&stand, &other).await;
        stand.restart().await;
    }
    let answer = stand.post("/oauth2/revoke", &[("token", &token)]).await;
    assert_eq!(answer.status, 200);
}

#[rstest]
#[case::unknown(&[("token", "rubbish")], 200, None)]
#[case::unknown_hint(&[("token", "rubbish"), ("token_type_hint", "weather")], 200, None)]
#[case::hint(&[("token", "rubbish"), ("token_type_hint", "access_token")], 200, None)]
#[case::a_wrong_hint(&[("token", "rubbish"), ("token_type_hint", "refresh_token")], 200, None)]
#[case::nothing(&[], 400, Some("invalid_request"))]
#[case::twice(&[("token", "a"), ("token", "b")], 400, Some("invalid_request"))]
#[tokio::test]
async fn a_revocation_is_answered_as_rfc_7009_says(
    #[case] form: &[(&str, &str)],
    #[case] status: u16,
    #[case] code: Option<&str>,
) {
    let stand = stand().await;
    let answer = stand.post("/oauth2/revoke", form).await;
    assert_eq!(answer.status, status, "{}", answer.text);
    match code {
        Some(code) => assert_eq!(answer.text_of("error"), code),
        None => assert_eq!(answer.text, ""),
    }
}

#[tokio::test]
async fn a_subject_token_can_not_be_revoked_here_and_stays_good() {
    let stand = stand().await;
    let token = stand.token().sign();
    assert_eq!(stand.post("/oauth2/revoke", &[("token", &token)]).await.status, 200);
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn the_metadata_says_where_everything_is_and_that_clients_need_no_secret() {
    let stand = stand().await;
    let openid = stand.get("/.well-known/openid-configuration").await;
    let oauth = stand.get("/.well-known/oauth-authorization-server").await;
    assert_eq!((openid.status, &openid.text), (200, &oauth.text));
    assert_eq!((oauth.status, oauth.header("content-type")), (200, "application/json"));
    assert_eq!(oauth.header("cache-control"), "public, max-age=3600");
    let metadata = oauth.json();
    assert_eq!(metadata["issuer"], AUDIENCE);
    let endpoints = [
        ("token_endpoint", "token"),
        ("jwks_uri", "jwks"),
        ("introspection_endpoint", "introspect"),
        ("revocation_endpoint", "revoke"),
    ];
    for (name, path) in endpoints {
        assert_eq!(metadata[name], format!("{AUDIENCE}/oauth2/{path}"));
        let status = stand.get(&format!("/oauth2/{path}")).await.status;
        assert_eq!(status, if path == "jwks" { 200 } else { 405 }, "{path} is there");
    }
    assert_eq!(metadata["grant_types_supported"], json!([exchange("")[0].1, support::bearer("")[0].1]));
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], json!(["none"]));
    // RFC 8414 section 3.2: a member without values is left out.
    let empty = |value: &&Value| value.as_array().is_some_and(Vec::is_empty);
    assert_eq!(metadata.as_object().unwrap().values().filter(empty).count(), 0);
}

#[tokio::test]
async fn the_metadata_of_an_issuer_with_a_path_is_between_host_and_path() {
    let stand = Stand::open_with("replay: reusable", "issuer: https://cambio.example.com/tenant").await;
    let metadata = stand.get("/.well-known/oauth-authorization-server/tenant").await.json();
    assert_eq!(metadata["issuer"], "https://cambio.example.com/tenant");
    assert_eq!(metadata["token_endpoint"], "https://cambio.example.com/tenant/oauth2/token");
    let answer = stand.exchange(&stand.token().sign()).await;
    assert_eq!(stand.verified(&answer.token()).await.claims["iss"], "https://cambio.example.com/tenant");
}

#[tokio::test]
async fn the_published_keys_are_public_halves_with_one_algorithm_each() {
    let stand = stand().await;
    let answer = stand.get("/oauth2/jwks").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/jwk-set+json"));
    let set = answer.json();
    let keys = set["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        assert!(key["kid"].is_string() && key["alg"].is_string() && key["use"] == "sig", "{key}");
        assert!(["d", "p", "q", "dp", "dq", "qi", "k"].iter().all(|private| key.get(private).is_none()));
    }
}
