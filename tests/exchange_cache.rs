//! Tokens seen before: served without a signature check, and never once something that they rested on is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use cambio::jose::Algorithm;
use rstest::rstest;
use support::stand::eventually;
use support::{Key, Stand, bearer, exchange};

const TYPE: &str = "urn:ietf:params:oauth:token-type:";

#[tokio::test]
async fn a_token_seen_before_is_not_verified_again() {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let first = stand.exchange(&token).await;
    assert_eq!(stand.cache(), (0, 1));
    let hits = stand.issuer.hits();
    let second = stand.exchange(&token).await;
    assert_eq!((stand.cache(), stand.issuer.hits()), ((1, 1), hits));
    // Each exchange is a decision of its own, with a token of its own.
    let (first, second) = (stand.permitted(&first), stand.permitted(&second));
    assert_ne!(first.jti, second.jti);
    assert_eq!((first.token, first.subject, first.claims), (second.token, second.subject, second.claims));
}

#[tokio::test]
async fn a_token_whose_key_its_issuer_removed_is_refused_although_it_was_seen_before() {
    let stand = Stand::open().await;
    stand.settled().await;
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    stand.issuer.rotate(Key::new(Algorithm::ES256), false);
    stand.advance(700);
    let workloads = stand.running().counter().rules();
    let fetches = || workloads.issuers.iter().map(|issuer| issuer.keys().status().fetches).sum::<u64>();
    eventually("keys were fetched again", || fetches() == 2 && stand.issuer.key_hits() == 2).await;
    eventually("the old key is gone", || stand.running().counter().seen().len() == 1).await;
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 400, "invalid_request", "key_unknown");
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn a_token_that_expired_is_refused_although_it_was_seen_before() {
    let stand = Stand::open().await;
    let now = stand.now().as_secs();
    let token = stand.token().claim("exp", now + 300).sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    stand.advance(271); // 29 s are left
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 400, "invalid_request", "token_expires_too_soon");
    stand.advance(29 + 60);
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 400, "invalid_request", "token_expired");
}

#[tokio::test]
async fn a_token_of_an_issuer_that_is_gone_for_too_long_is_refused_although_it_was_seen_before() {
    let stand = Stand::open_with("replay: reusable\njwks: {fresh_max: 60s, stale_for: 600s}", "").await;
    stand.settled().await;
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    stand.issuer.goes_down();
    stand.advance(600);
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer); // the last good keys serve for a bounded time
    stand.advance(1);
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 503, "temporarily_unavailable", "keys_unavailable");
    assert_eq!(answer.header("retry-after"), "5");
}

#[rstest]
#[case("id_token", None)]
#[case("access_token", Some("type_refused"))]
#[tokio::test]
async fn a_token_that_is_declared_as_something_else_is_checked_anew(
    #[case] declared: &str,
    #[case] refused: Option<&str>,
) {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    let (mut form, declared) = (exchange(&token), format!("{TYPE}{declared}"));
    form[2].1 = &declared;
    let answer = stand.post("/oauth2/token", &form).await;
    assert_eq!(stand.cache(), (0, 2));
    match refused {
        Some(reason) => drop(stand.refused(&answer, 400, "invalid_request", reason)),
        None => drop(stand.permitted(&answer)),
    }
    let answer = stand.post("/oauth2/token", &bearer(&token)).await;
    assert_eq!(stand.cache(), (0, 3));
    stand.permitted(&answer);
}

#[tokio::test]
async fn a_token_that_is_said_to_be_of_another_issuer_is_checked_anew() {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    let mut form = exchange(&token);
    form.push(("subject_issuer", "nobody"));
    let answer = stand.post("/oauth2/token", &form).await;
    stand.refused(&answer, 400, "invalid_request", "issuer_unknown");
}

#[tokio::test]
async fn the_policy_runs_again_for_a_token_seen_before() {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    let mut form = exchange(&token);
    form.push(("scope", "admin"));
    let answer = stand.post("/oauth2/token", &form).await;
    assert_eq!(stand.cache(), (1, 1));
    stand.refused(&answer, 400, "invalid_scope", "scope_not_granted");
    form[3].1 = "nothing";
    let answer = stand.post("/oauth2/token", &form).await;
    stand.refused(&answer, 400, "invalid_target", "target_unknown");
}

#[tokio::test]
async fn a_denied_token_is_not_remembered_and_is_denied_again() {
    let stand = Stand::open().await;
    let token = stand.token().claim("sub", "user-1").sign();
    for _ in 0..2 {
        let answer = stand.exchange(&token).await;
        let record = stand.refused(&answer, 400, "invalid_request", "conditions_not_met");
        assert_eq!((record.issuer.as_deref(), record.subject.as_deref()), (Some("workloads"), Some("user-1")));
        assert!(record.detail.unwrap().contains("this is no job"));
    }
    assert_eq!(stand.cache(), (0, 2));
}

#[tokio::test]
async fn only_the_very_same_bytes_are_a_token_seen_before() {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    let (text, signature) = token.rsplit_once('.').unwrap();
    let changed = format!("{text}.{}{signature}", if signature.starts_with('A') { "B" } else { "A" });
    let changed = &changed[..changed.len() - 1];
    let answer = stand.exchange(changed).await;
    let reason = stand.record(&answer).reason.unwrap();
    assert!(["signature_invalid", "token_malformed"].contains(&reason.as_str()), "{reason}");
    stand.refused(&answer, 400, "invalid_request", &reason);
    assert_eq!(stand.cache(), (0, 2));
}

#[rstest]
#[case("replay: single_use", "")] // it comes only once
#[case("replay: reusable", "verified_token_cache: 0")]
#[tokio::test]
async fn what_can_not_come_again_or_shall_not_be_kept_is_not_kept(#[case] lines: &str, #[case] sections: &str) {
    let stand = Stand::open_with(lines, sections).await;
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
    assert_eq!(stand.running().counter().seen().len(), 0);
}

#[tokio::test]
async fn a_token_seen_before_is_checked_by_the_configuration_that_stands_after_a_restart() {
    let mut stand = Stand::open().await;
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    let config = std::fs::read_to_string(stand.path("cambio.yaml")).unwrap();
    stand.write("cambio.yaml", &config.replace("audiences: [https://cambio", "audiences: [https://other"));
    stand.restart().await;
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 400, "invalid_request", "audience_mismatch");
}
