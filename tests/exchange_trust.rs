//! Whom the counter trusts, and what it asks of them: garbage costs a handful of fetches, an issuer that is down keeps
//! nothing from starting, rotation drops no exchange, and no issuer's key is tried for another's token.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cambio::jose::Algorithm;
use rstest::rstest;
use serde_json::json;
use support::stand::{entry, eventually};
use support::{Issuer, Key, Stand, bearer, exchange};

const REUSABLE: &str = "replay: reusable";
const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";

/// Tokens of a key that nobody published, each with a `kid` of its own: a signature by the one key would do, but the key
/// is looked for first.
fn random_kids(stand: &Stand, count: usize) -> Vec<String> {
    let token = stand.token();
    let signature = token.sign().rsplit_once('.').unwrap().1.to_owned();
    let claims = support::key::encode(token.claims.to_string());
    let header = |n: usize| json!({"alg": "ES256", "typ": "JWT", "kid": format!("random-{n}")}).to_string();
    (0..count).map(|n| format!("{}.{claims}.{signature}", support::key::encode(header(n)))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tokens_with_random_kids_cause_a_handful_of_fetches() {
    let stand = Arc::new(Stand::open().await);
    stand.settled().await;
    let tokens = Arc::new(random_kids(&stand, 10_000));
    let (next, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (stand, tokens, next, refused) =
            (Arc::clone(&stand), Arc::clone(&tokens), Arc::clone(&next), Arc::clone(&refused));
        senders.spawn(async move {
            while let Some(token) = tokens.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = stand.exchange(token).await;
                assert_eq!((answer.status, answer.text_of("error").as_str()), (400, "invalid_request"));
                if refused.fetch_add(1, Ordering::Relaxed) % 1000 == 0 {
                    stand.advance(31); // beyond the cooldown: ten fetches may be
                }
            }
        });
    }
    senders.join_all().await;
    let hits = stand.issuer.key_hits();
    assert!((2..=12).contains(&hits), "{hits} fetches");
    let reasons = stand.running().counter().tally().reasons();
    assert_eq!((reasons.len(), reasons["key_unknown"], stand.allowed()), (1, 10_000, 0));
    assert_eq!(stand.records().len(), 10_000);
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn bad_signatures_under_a_known_kid_cause_one_fetch_per_cooldown() {
    let stand = Stand::open().await;
    stand.settled().await;
    stand.advance(31);
    let id = stand.issuer.key().id;
    for _ in 0..20 {
        let forged = Key::new(Algorithm::ES256).named(Some(&id)).sign(&stand.token().claims);
        let answer = stand.exchange(&forged).await;
        stand.refused(&answer, 400, "invalid_request", "signature_invalid");
    }
    assert_eq!(stand.issuer.key_hits(), 2);
}

#[tokio::test]
async fn an_unknown_issuer_is_never_asked() {
    let (stand, stranger) = (Stand::open().await, Issuer::start().await);
    stand.settled().await;
    let hits = stand.issuer.hits();
    let token = stranger.token(stand.now()).sign();
    for (form, code) in [(exchange(&token), "invalid_request"), (bearer(&token), "invalid_grant")] {
        let answer = stand.post("/oauth2/token", &form).await;
        let record = stand.refused(&answer, 400, code, "issuer_unknown");
        assert_eq!(record.claimed_issuer.as_deref(), Some(stranger.name()));
        assert_eq!((record.issuer, record.subject), (None, None));
    }
    assert_eq!((stranger.hits(), stand.issuer.hits()), (0, hits));
}

#[rstest]
#[case::down(Issuer::goes_down)]
#[case::hanging(Issuer::hangs)]
#[case::failing(|issuer: &Issuer| issuer.says(503, ""))]
#[case::redirecting(|issuer: &Issuer| issuer.says(302, ""))]
#[case::rubbish(|issuer: &Issuer| issuer.says(200, "<html>"))]
#[case::another_issuers_document(|issuer: &Issuer| issuer.says(200, r#"{"issuer":"https://evil.example","jwks_uri":"https://evil.example/"}"#))]
#[case::endless(|issuer: &Issuer| issuer.says(200, " ".repeat(300 * 1024)))]
#[tokio::test]
async fn an_issuer_that_is_ill_at_start_is_tried_again_and_then_trusted(#[case] ails: fn(&Issuer)) {
    let issuer = Issuer::start().await;
    ails(&issuer);
    let entries = entry("workloads", issuer.name(), "replay: reusable\njwks: {timeout: 500ms}");
    let stand = Stand::open_for(issuer, &entries, "").await;
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 503, "temporarily_unavailable", "keys_unavailable");
    assert_eq!(answer.header("retry-after"), "5");
    // Ready all the same: other issuers' tokens can be exchanged.
    let ready = stand.ops("/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &json!(true)));
    assert!(ready.text.contains("no usable keys"), "{}", ready.text);
    // Within the back-off it is left alone.
    let hits = stand.issuer.hits();
    for _ in 0..10 {
        let answer = stand.exchange(&token).await;
        stand.refused(&answer, 503, "temporarily_unavailable", "keys_unavailable");
    }
    assert_eq!(stand.issuer.hits(), hits);
    stand.issuer.comes_back();
    stand.advance(10);
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
}

#[rstest]
#[case::down(Issuer::goes_down)]
#[case::hanging(Issuer::hangs)]
#[case::empty(|issuer: &Issuer| issuer.says(200, r#"{"keys":[]}"#))]
#[case::broken(|issuer: &Issuer| issuer.says(200, r#"{"keys":"#))]
#[tokio::test]
async fn an_issuer_that_is_gone_for_an_hour_is_served_from_the_last_good_keys(#[case] ails: fn(&Issuer)) {
    let issuer = Issuer::start().await;
    let keys = format!("keys: {{jwks_url: {}}}\njwks: {{timeout: 200ms}}\n{REUSABLE}", issuer.jwks_url());
    let entries = entry("workloads", issuer.name(), &keys);
    let stand = Stand::open_for(issuer, &entries, "").await;
    stand.settled().await;
    ails(&stand.issuer);
    for _ in 0..12 {
        stand.advance(300);
        let answer = stand.exchange(&stand.token().sign()).await;
        stand.permitted(&answer);
    }
    let failures = || {
        let rules = stand.running().counter().rules();
        rules.issuers.iter().map(|issuer| issuer.keys().status().failures).sum::<u64>()
    };
    eventually("the failure is visible", || failures() > 0).await;
    stand.advance(24 * 3600);
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.refused(&answer, 503, "temporarily_unavailable", "keys_unavailable");
    stand.issuer.comes_back();
    stand.advance(120);
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_rotates_under_load_and_no_exchange_fails() {
    let stand = Arc::new(Stand::open().await);
    stand.settled().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (stand, stop) = (Arc::clone(&stand), Arc::clone(&stop));
        load.spawn(async move {
            let mut exchanged = 0;
            while !stop.load(Ordering::Relaxed) {
                let answer = stand.exchange(&stand.token().sign()).await;
                assert_eq!(answer.status, 200, "{}", answer.text);
                exchanged += 1;
            }
            exchanged
        });
    }
    for algorithm in [Algorithm::EdDSA, Algorithm::RS256, Algorithm::ES256, Algorithm::ES256] {
        // Rotations are minutes apart, not within the cooldown.
        stand.advance(31);
        let before = stand.allowed();
        stand.issuer.rotate(Key::new(algorithm), true);
        eventually("a hundred exchanges more", || stand.allowed() > before + 100).await;
    }
    stop.store(true, Ordering::Relaxed);
    let exchanged: u64 = load.join_all().await.into_iter().sum();
    assert!(exchanged > 400 && exchanged == stand.allowed());
    let hits = stand.issuer.key_hits();
    assert!(hits <= 6, "{hits} fetches for four rotations");
}

#[tokio::test]
async fn the_keys_of_one_issuer_never_verify_anothers_tokens() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let entries = entry("workloads", issuer.name(), REUSABLE) + &entry("others", other.name(), REUSABLE);
    let stand = Stand::open_for(issuer, &entries, "").await;
    stand.settled().await;
    for (signs, claims) in [(&other, &stand.issuer), (&stand.issuer, &other)] {
        // T26: a good signature, by a key that is trusted for another `iss`.
        let forged = signs.key().sign(&claims.token(stand.now()).claims);
        let answer = stand.exchange(&forged).await;
        stand.refused(&answer, 400, "invalid_request", "key_unknown");
        // The same under the `kid` that the claimed issuer has.
        let forged = signs.key().named(Some(&claims.key().id)).sign(&claims.token(stand.now()).claims);
        let answer = stand.exchange(&forged).await;
        stand.refused(&answer, 400, "invalid_request", "signature_invalid");
    }
    for (issuer, name) in [(&stand.issuer, "workloads"), (&other, "others")] {
        let answer = stand.exchange(&issuer.token(stand.now()).sign()).await;
        let record = stand.permitted(&answer);
        assert_eq!(record.issuer.as_deref(), Some(name));
        // Subjects of two issuers never collide.
        assert_eq!(stand.verified(&answer.token()).await.claims["sub"], format!("{name}:job-17"));
    }
}

/// Two clusters that call themselves the same, `workloads` and `others`, each with its own key.
async fn two_clusters() -> (Stand, Issuer) {
    let issuer = Issuer::start_with(Some(CLUSTER), Key::new(Algorithm::ES256)).await;
    let other = Issuer::start_with(Some(CLUSTER), Key::new(Algorithm::ES256)).await;
    let keys = |issuer: &Issuer| format!("{REUSABLE}\nkeys: {{jwks_url: {}}}", issuer.jwks_url());
    let entries = entry("workloads", CLUSTER, &keys(&issuer)) + &entry("others", CLUSTER, &keys(&other));
    let stand = Stand::open_for(issuer, &entries, "").await;
    stand.settled().await;
    (stand, other)
}

#[rstest]
#[case::in_the_body("/oauth2/token", true)]
#[case::in_the_query("/oauth2/token?subject_issuer=", false)]
#[tokio::test]
async fn one_of_two_clusters_with_one_issuer_string_is_named(#[case] path: &str, #[case] in_body: bool) {
    let (stand, other) = two_clusters().await;
    for (issuer, name, wrong) in [(&stand.issuer, "workloads", "others"), (&other, "others", "workloads")] {
        let token = issuer.token(stand.now()).sign();
        let ask = |name: &'static str| {
            let mut form = exchange(&token);
            let mut path = path.to_owned();
            if in_body {
                form.push(("subject_issuer", name))
            } else {
                path.push_str(name)
            }
            (path, form)
        };
        let (at, form) = ask(name);
        let answer = stand.post(&at, &form).await;
        let record = stand.permitted(&answer);
        assert_eq!(record.issuer.as_deref(), Some(name));
        let (at, form) = ask(wrong);
        let answer = stand.post(&at, &form).await;
        stand.refused(&answer, 400, "invalid_request", "key_unknown");
        let (at, form) = ask("nobody");
        let answer = stand.post(&at, &form).await;
        stand.refused(&answer, 400, "invalid_request", "issuer_unknown");
    }
}

#[tokio::test]
async fn one_of_two_clusters_with_one_issuer_string_is_not_guessed() {
    let (stand, other) = two_clusters().await;
    let hits = (stand.issuer.hits(), other.hits());
    let token = stand.token().sign();
    for (form, code) in [(exchange(&token), "invalid_request"), (bearer(&token), "invalid_grant")] {
        let answer = stand.post("/oauth2/token", &form).await;
        stand.refused(&answer, 400, code, "issuer_ambiguous");
    }
    assert_eq!((stand.issuer.hits(), other.hits()), hits);
}

#[tokio::test]
async fn an_issuer_is_named_once() {
    let (stand, _) = two_clusters().await;
    let token = stand.token().sign();
    for path in
        ["/oauth2/token?subject_issuer=workloads&subject_issuer=workloads", "/oauth2/token?subject_issuer=a%20b"]
    {
        let answer = stand.post(path, &exchange(&token)).await;
        stand.refused(&answer, 400, "invalid_request", "request_malformed");
    }
}

#[tokio::test]
async fn a_token_is_not_from_an_issuer_only_because_the_request_says_so() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let entries = entry("workloads", issuer.name(), REUSABLE) + &entry("others", other.name(), REUSABLE);
    let stand = Stand::open_for(issuer, &entries, "").await;
    stand.settled().await;
    let token = stand.token().sign();
    let mut form = exchange(&token);
    form.push(("subject_issuer", "others"));
    let answer = stand.post("/oauth2/token", &form).await;
    stand.refused(&answer, 400, "invalid_request", "issuer_not_the_named");
}

#[rstest]
#[case::secret(json!({"kty": "oct", "k": "c2VjcmV0", "kid": "odd", "alg": "HS256"}))] // J19
#[case::later_kind(json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "odd", "pub": "AA"}))] // J1
#[case::unknown_curve(json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "odd"}))] // J2
#[case::no_coordinate(json!({"kty": "EC", "crv": "P-256", "x": "AA", "kid": "odd"}))] // J3
#[case::weak_rsa(json!({"kty": "RSA", "n": "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL7jTKEn5u-qKhbwKfBstIs-bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW_VDL5AaWTg0nLVkjRo9z-40RQzuVaE8AkAFmxZzow3x-VJYKdjykkJ0iT9wCS0DRTXu269V264Vf_3jvredZiKRkgwlL9xNAwxXFg0x_XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC-9aGVd-Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbcmw", "e": "AQ", "kid": "odd"}))] // J8
#[case::no_object(json!("key"))]
#[tokio::test]
async fn one_odd_key_spoils_no_set(#[case] odd: serde_json::Value) {
    let issuer = Issuer::start().await;
    issuer.publish(odd);
    let entries = entry("workloads", issuer.name(), REUSABLE);
    let stand = Stand::open_for(issuer, &entries, "").await;
    stand.settled().await;
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
    let answer = stand.exchange(&stand.token().header("kid", json!("odd")).sign()).await;
    stand.refused(&answer, 400, "invalid_request", "key_unknown");
}

#[rstest]
#[case::for_encryption("use", json!("enc"))] // J14
#[case::for_signing_only("key_ops", json!(["sign"]))] // J16
#[case::for_another_algorithm("alg", json!("ES384"))] // J17, J21
#[tokio::test]
async fn a_key_verifies_only_what_it_was_published_for(#[case] member: &str, #[case] value: serde_json::Value) {
    let stand = Stand::open().await;
    stand.settled().await;
    let mut key = Key::new(Algorithm::ES256);
    key.jwk[member] = value;
    stand.issuer.publish(key.jwk.clone());
    stand.advance(31);
    let answer = stand.exchange(&key.sign(&stand.token().claims)).await;
    stand.refused(&answer, 400, "invalid_request", "key_unknown");
}

#[tokio::test]
async fn two_keys_of_one_kid_are_both_tried() {
    let stand = Stand::open().await; // J10
    stand.settled().await;
    let id = stand.issuer.key().id;
    let second = Key::new(Algorithm::ES256).named(Some(&id));
    stand.issuer.publish(second.jwk.clone());
    stand.advance(301);
    let answer = stand.exchange(&second.sign(&stand.token().claims)).await;
    stand.permitted(&answer);
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn an_es256_token_is_not_verified_by_a_p384_key() {
    let stand = Stand::open().await; // T11
    stand.settled().await;
    stand.issuer.publish(json!({"kty": "EC", "crv": "P-384", "kid": "p384",
        "x": "tq-13QjEp1zmKrOHdrab88F0wU9eCJpldUO9Sn_FstoaXNS4bn7vfG9pgLQ3XlRl",
        "y": "PhNVH1q28QT00XNQRTosImiVyl_6RxeNhChOws-c5uHoPtc5dyr_0YPnImfs7azY"}));
    stand.advance(31);
    let answer = stand.exchange(&stand.token().header("kid", json!("p384")).sign()).await;
    let record = stand.record(&answer);
    assert!(["algorithm_refused", "key_unknown"].contains(&record.reason.as_deref().unwrap()), "{record:?}");
    stand.refused(&answer, 400, "invalid_request", record.reason.as_deref().unwrap());
}
