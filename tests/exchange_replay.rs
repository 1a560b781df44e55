//! Single use: of any number of presentations one wins, per target, across restarts; what is denied burns nothing. And
//! what happens while nobody can keep a record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};
use support::stand::{entry, eventually};
use support::{Issuer, Stand, bearer, exchange};

const SINGLE_USE: &str = "replay: single_use";

#[tokio::test]
async fn a_single_use_token_is_exchanged_once_by_whatever_grant() {
    let stand = Stand::open_with(SINGLE_USE, "").await;
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    let answer = stand.exchange(&token).await;
    let record = stand.refused(&answer, 400, "invalid_request", "token_replayed");
    assert_eq!(record.subject.as_deref(), Some("job-17"));
    let answer = stand.post("/oauth2/token", &bearer(&token)).await;
    stand.refused(&answer, 400, "invalid_grant", "token_replayed");
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn a_token_without_jti_is_known_by_its_digest() {
    let stand = Stand::open_with(SINGLE_USE, "").await;
    let token = stand.token().no_claim("jti");
    let first = token.sign();
    let answer = stand.exchange(&first).await;
    stand.permitted(&answer);
    let answer = stand.exchange(&first).await;
    stand.refused(&answer, 400, "invalid_request", "token_replayed");
    let answer = stand.exchange(&token.shift("iat", 1).sign()).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn a_token_signed_twice_is_one_token_by_its_jti() {
    let stand = Stand::open_with(SINGLE_USE, "").await;
    let token = stand.token();
    let answer = stand.exchange(&token.sign()).await;
    stand.permitted(&answer);
    let answer = stand.exchange(&token.sign()).await; // ECDSA: another signature
    stand.refused(&answer, 400, "invalid_request", "token_replayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_presentations_at_once_exactly_one_wins() {
    let stand = Arc::new(Stand::open_with(SINGLE_USE, "").await);
    stand.settled().await;
    let token = stand.token().sign();
    let mut presentations = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (stand, token) = (Arc::clone(&stand), token.clone());
        presentations.spawn(async move { stand.exchange(&token).await });
    }
    let answers = presentations.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len(), stand.allowed()), (1, 49, 1));
    stand.permitted(won[0]);
    for answer in lost {
        stand.refused(answer, 400, "invalid_request", "token_replayed");
    }
}

#[tokio::test]
async fn a_token_is_good_once_for_each_target_also_after_a_restart() {
    let mut stand = Stand::open_with(SINGLE_USE, "").await;
    let token = stand.token().sign();
    let mut deploy = exchange(&token);
    deploy[3].1 = "deploy";
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    stand.restart().await;
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 400, "invalid_request", "token_replayed");
    let answer = stand.post("/oauth2/token", &deploy).await; // T25: another target, as good as the first
    stand.permitted(&answer);
    assert_eq!(stand.verified(&answer.token()).await.claims["aud"], "deploy");
    stand.restart().await;
    let answer = stand.post("/oauth2/token", &deploy).await;
    stand.refused(&answer, 400, "invalid_request", "token_replayed");
}

#[rstest]
#[case("scope", "admin", "scope_not_granted")]
#[case("audience", "nothing", "target_unknown")]
#[case("subject_issuer", "nobody", "issuer_unknown")]
#[case("subject_token_type", "urn:ietf:params:oauth:token-type:access_token", "type_refused")]
#[case("actor_token", "x", "request_malformed")]
#[tokio::test]
async fn a_denial_burns_nothing(#[case] name: &str, #[case] value: &str, #[case] reason: &str) {
    let stand = Stand::open_with(SINGLE_USE, "").await;
    let token = stand.token().sign();
    let mut form = exchange(&token);
    form.retain(|(known, _)| *known != name);
    form.push((name, value));
    let answer = stand.post("/oauth2/token", &form).await;
    assert_eq!(stand.record(&answer).reason.as_deref(), Some(reason));
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn what_can_not_be_minted_burns_nothing() {
    let stand = Stand::open_with(SINGLE_USE, "").await;
    let late = stand.token().shift("exp", -3570).sign();
    for _ in 0..2 {
        let answer = stand.exchange(&late).await;
        assert_eq!(stand.record(&answer).reason.as_deref(), Some("token_expires_too_soon"));
    }
    assert_eq!(stand.running().counter().replay().remembered(), 0);
}

#[tokio::test]
async fn a_forged_token_burns_nobodys_jti() {
    let stand = Stand::open_with(SINGLE_USE, "").await;
    let token = stand.token();
    let forged = format!("{}.{}", token.sign().rsplit_once('.').unwrap().0, support::key::encode([1; 64]));
    let answer = stand.exchange(&forged).await;
    stand.refused(&answer, 400, "invalid_request", "signature_invalid");
    let answer = stand.exchange(&token.sign()).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn two_issuers_may_use_the_same_jti() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let entries = entry("workloads", issuer.name(), SINGLE_USE) + &entry("others", other.name(), SINGLE_USE);
    let stand = Stand::open_for(issuer, &entries, "").await;
    for token in [stand.token(), other.token(stand.now())] {
        let answer = stand.exchange(&token.claim("jti", "one").sign()).await;
        stand.permitted(&answer);
    }
}

#[tokio::test]
async fn a_token_that_may_come_again_comes_again() {
    let stand = Stand::open_with("replay: reusable", "").await;
    let token = stand.token().sign();
    for _ in 0..3 {
        let answer = stand.exchange(&token).await;
        stand.permitted(&answer);
    }
}

#[tokio::test]
async fn nothing_is_minted_while_the_disk_of_the_records_fails() {
    let stand = Stand::open_with(SINGLE_USE, "audit: {file: /dev/full}").await;
    stand.settled().await;
    // The header of the journal's chain, which is written before any record, meets the failure.
    let journal = stand.running().counter().journal();
    eventually("the journal noticed", || !journal.healthy()).await;
    let token = stand.token().sign();
    for (form, code) in [(exchange(&token), 503), (bearer(&token), 503)] {
        let answer = stand.post("/oauth2/token", &form).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (code, Some("temporarily_unavailable")));
        assert_eq!((answer.header("retry-after"), answer.header("cache-control")), ("5", "no-store"));
        assert_eq!((&answer.json()["access_token"], answer.decision().len()), (&Value::Null, 36));
    }
    assert_eq!((stand.allowed(), stand.running().counter().replay().remembered()), (0, 0));
    let ready = stand.ops("/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (503, &json!(false)));
    let metrics = stand.ops("/metrics").await.text;
    assert!(metrics.contains("cambio_audit_healthy 0") && metrics.contains("audit_unavailable"), "{metrics}");
    assert_eq!(journal.counters().refused, 2);
    assert_eq!(journal.counters().lost, 0);
}

#[tokio::test]
async fn an_operator_may_say_that_exchanges_go_on_without_records() {
    let stand = Stand::open_with("replay: reusable", "audit: {file: /dev/full, on_failure: drop}").await;
    let _ = stand.exchange("rubbish").await;
    eventually("the journal noticed", || !stand.running().counter().journal().healthy()).await;
    let answer = stand.exchange(&stand.token().sign()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}
