//! Tokens at the counter: the good one, exchanged by both grants and read by an independent implementation, and every
//! hostile case that we know (facts/workload-tokens.md, A1-A20 and T1-T27): one good token, one change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use cambio::jose::Algorithm;
use rstest::rstest;
use serde_json::{Value, json};
use support::key::{encode, encode_standard};
use support::{AUDIENCE, Issuer, Key, Stand, bearer, exchange};

#[tokio::test]
async fn a_good_token_becomes_a_token_that_an_independent_implementation_takes() {
    let stand = Stand::open().await;
    let answer = stand.exchange(&stand.token().sign()).await;
    let record = stand.permitted(&answer);
    let body = answer.json();
    let members: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "expires_in", "issued_token_type", "scope", "token_type"]);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(body["expires_in"], 600);
    // None was asked for, so what was granted has to be said (RFC 6749 section 5.1).
    assert_eq!(body["scope"], "read list");

    let token = stand.verified(&answer.token()).await;
    assert_eq!(token.header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(token.header.alg, jsonwebtoken::Algorithm::ES256);
    let (claims, now) = (token.claims, stand.now().as_secs());
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(now), Some(now + 600)));
    let said = [
        ("iss", AUDIENCE),
        ("sub", "workloads:job-17"),
        ("client_id", "workloads:job-17"),
        ("aud", "vault"),
        ("scope", "read list"),
        ("namespace", "group_100/group_200"),
        ("rule", "job"),
        ("txn", answer.decision()),
        ("jti", record.jti.as_deref().unwrap()),
        ("rule_digest", record.rule_digest.as_deref().unwrap()),
        ("policy_digest", record.policy_set.as_deref().unwrap()),
    ];
    for (name, value) in said {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["policies"], json!(["jobs/global"]));
    assert_eq!(record.policies, ["jobs/global"]);
    assert_eq!((record.issuer.as_deref(), record.subject.as_deref()), (Some("workloads"), Some("job-17")));
    assert_eq!((record.target.as_deref(), record.lifetime_s), (Some("vault"), Some(600)));
}

#[tokio::test]
async fn an_assertion_is_exchanged_the_same_way() {
    let stand = Stand::open().await;
    let answer = stand.post("/oauth2/token", &bearer(&stand.token().sign())).await;
    stand.permitted(&answer);
    let claims = stand.verified(&answer.token()).await.claims;
    assert_eq!((claims["sub"].as_str(), claims["aud"].as_str()), (Some("workloads:job-17"), Some("vault")));
}

#[rstest]
#[case(3600, 600)]
#[case(610, 600)]
#[case(120, 120)]
#[case(30, 30)]
#[tokio::test]
async fn what_is_issued_does_not_outlive_the_subject_token(#[case] left: i64, #[case] lifetime: i64) {
    let stand = Stand::open().await;
    let now = stand.now().as_secs();
    let answer = stand.exchange(&stand.token().claim("exp", now + left).sign()).await;
    stand.permitted(&answer);
    assert_eq!(answer.json()["expires_in"], lifetime);
    assert_eq!(stand.verified(&answer.token()).await.claims["exp"], now + lifetime);
}

#[rstest]
#[case(Algorithm::ES256)]
#[case(Algorithm::EdDSA)]
#[case(Algorithm::RS256)]
#[tokio::test]
async fn any_algorithm_goes_in_and_comes_out(#[case] algorithm: Algorithm) {
    if cfg!(not(feature = "aws-lc")) && algorithm == Algorithm::RS256 {
        return; // ring makes no RSA keys, so our own can only be a file
    }
    let sections = format!("tokens: {{algorithm: {algorithm}}}");
    let issuer = Issuer::start_with(None, Key::new(algorithm)).await;
    let stand = Stand::open_by(issuer, "replay: reusable", &sections).await;
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
    let header = stand.verified(&answer.token()).await.header;
    assert_eq!(format!("{:?}", header.alg), algorithm.name());
}

/// Presents a token by both grants. They refuse it for the same reason, each with its own code.
async fn refused_by_both(stand: &Stand, token: &str, reason: &str) {
    stand.settled().await;
    let hits = stand.issuer.hits();
    for (form, code) in [(exchange(token), "invalid_request"), (bearer(token), "invalid_grant")] {
        let answer = stand.post("/oauth2/token", &form).await;
        stand.refused(&answer, 400, code, reason);
        // T27: one text for all of them.
        assert_eq!(answer.text_of("error_description"), "the token is not acceptable");
    }
    assert_eq!(stand.issuer.hits(), hits, "the issuer was asked");
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

type Change = fn(&Stand) -> String;

#[rstest]
// T1, T2: no signature, and one by a key that everybody has
#[case::none(|s: &Stand| unsigned(s, "none"))]
#[case::none_capitalised(|s: &Stand| unsigned(s, "None"))]
#[case::none_in_odd_case(|s: &Stand| unsigned(s, "nOnE"))]
#[case::hmac_with_the_published_x(|s: &Stand| hmac(s, s.issuer.key().jwk["x"].as_str().unwrap()))]
#[case::hmac_with_the_published_key(|s: &Stand| hmac(s, &s.issuer.key().jwk.to_string()))]
#[case::no_alg(|s: &Stand| s.token().no_header("alg").sign())]
#[case::alg_in_lower_case(|s: &Stand| s.token().header("alg", json!("es256")).sign())]
#[case::alg_as_a_number(|s: &Stand| s.token().header("alg", json!(256)).sign())]
// T3: keys that the token brings
#[case::jku(|s: &Stand| s.token().header("jku", json!(s.issuer.jwks_url())).sign())]
#[case::x5u(|s: &Stand| s.token().header("x5u", json!(s.issuer.jwks_url())).sign())]
#[case::embedded_jwk(|s: &Stand| s.token().header("jwk", s.issuer.key().jwk).sign())]
// T4: key ids
#[case::kid_of_257_bytes(|s: &Stand| s.token().header("kid", json!("k".repeat(257))).sign())]
#[case::kid_of_10_kb(|s: &Stand| s.token().header("kid", json!("k".repeat(10_000))).sign())]
#[case::kid_as_a_number(|s: &Stand| s.token().header("kid", json!(1)).sign())]
#[case::kid_as_a_list(|s: &Stand| s.token().header("kid", json!(["a"])).sign())]
// T5: extensions
#[case::b64(|s: &Stand| s.token().header("b64", json!(false)).sign())]
#[case::b64_critical(|s: &Stand| s.token().header("b64", json!(false)).header("crit", json!(["b64"])).sign())]
#[case::critical(|s: &Stand| s.token().header("crit", json!(["exp"])).sign())]
#[case::critical_and_empty(|s: &Stand| s.token().header("crit", json!([])).sign())]
// T7: encrypted, nested, compressed
#[case::five_parts(|s: &Stand| format!("{}.AA.AA", s.token().sign()))]
#[case::four_parts(|s: &Stand| format!("{}.AA", s.token().sign()))]
#[case::two_parts(|s: &Stand| s.token().sign().rsplit_once('.').unwrap().0.to_owned())]
#[case::encrypted(|s: &Stand| s.token().header("enc", json!("A256GCM")).sign())]
#[case::nested(|s: &Stand| s.token().header("cty", json!("JWT")).sign())]
#[case::compressed(|s: &Stand| s.token().header("zip", json!("DEF")).sign())]
// T9, T10: spellings of one token
#[case::padded(|s: &Stand| format!("{}==", s.token().sign()))]
#[case::another_alphabet(|s: &Stand| { let t = s.token(); signed(s, &encode_standard(t.header.to_string()), &encode(t.claims.to_string())) })]
#[case::leading_space(|s: &Stand| format!(" {}", s.token().sign()))]
#[case::two_line_ends(|s: &Stand| format!("{}\n\n", s.token().sign()))]
#[case::carriage_return_inside(|s: &Stand| s.token().sign().replacen('.', "\r.", 1))]
#[case::not_canonical(|s: &Stand| { let token = s.token().sign(); respelt(&token) })]
#[case::json_serialisation(|s: &Stand| json_serialised(&s.token().sign()))]
#[case::too_long(|s: &Stand| s.token().claim("filler", "x".repeat(16 * 1024)).sign())]
#[case::empty_parts(|_: &Stand| "..".to_owned())]
#[case::rubbish(|_: &Stand| "\u{0}\u{feff}eyJ".to_owned())]
#[case::claims_that_are_a_list(|s: &Stand| s.issuer.key().sign(&json!([1])))]
#[case::not_utf8(|s: &Stand| { let h = encode(s.token().header.to_string()); signed(s, &h, &encode([b'{', b'"', 0xff, b'"', b':', b'1', b'}'])) })]
#[case::deep(|s: &Stand| { let t = s.token(); t.sign_with_text(&format!(",\"x\":{}{}", "[".repeat(200), "]".repeat(200))) })]
// T13: duplicates; T14: look-alikes
#[case::duplicate_claim(|s: &Stand| s.token().sign_with_text(r#","repository":"evil/shop""#))]
#[case::duplicate_issuer(|s: &Stand| s.token().sign_with_text(r#","iss":"https://evil.example""#))]
#[case::duplicate_by_escape(|s: &Stand| s.token().sign_with_text(r#","rep\u006fsitory":"evil/shop""#))]
#[case::duplicate_inside(|s: &Stand| s.token().sign_with_text(r#","x":{"a":1,"a":2}"#))]
#[case::duplicate_in_the_header(|s: &Stand| { let t = s.token(); s.issuer.key().sign_texts(
    &t.header.to_string().replacen('{', r#"{"alg":"none","#, 1), &t.claims.to_string()) })]
#[case::sub_in_capitals(|s: &Stand| s.token().claim("SUB", "job-1").sign())]
#[case::sub_with_a_long_s(|s: &Stand| s.token().claim("\u{17f}ub", "job-1").sign())]
#[case::iss_with_long_s(|s: &Stand| s.token().claim("i\u{17f}\u{17f}", "https://evil.example").sign())]
#[case::kid_look_alike(|s: &Stand| s.token().header("KID", json!("a")).sign())]
#[case::kid_with_the_sign_of_kelvin(|s: &Stand| s.token().header("\u{212a}id", json!("a")).sign())]
#[tokio::test]
async fn what_is_not_one_well_formed_signed_token_is_refused(#[case] change: Change) {
    let stand = Stand::open().await;
    let token = change(&stand);
    refused_by_both(&stand, &token, "token_malformed").await;
}

#[rstest]
// A3: the issuer
#[case::no_issuer(|s: &Stand| s.token().no_claim("iss").sign(), "issuer_missing")]
#[case::issuer_as_a_list(|s: &Stand| { let iss = json!([s.issuer.name()]); s.token().claim("iss", iss).sign() }, "issuer_missing")]
#[case::issuer_null(|s: &Stand| s.token().claim("iss", Value::Null).sign(), "issuer_missing")]
#[case::another_issuer(|s: &Stand| s.token().claim("iss", "https://evil.example").sign(), "issuer_unknown")]
#[case::issuer_with_a_slash(|s: &Stand| { let iss = format!("{}/", s.issuer.name()); s.token().claim("iss", iss).sign() }, "issuer_unknown")]
#[case::issuer_as_a_prefix(|s: &Stand| { let iss = format!("{}.evil.example", s.issuer.name()); s.token().claim("iss", iss).sign() }, "issuer_unknown")]
#[case::issuer_in_capitals(|s: &Stand| { let iss = s.issuer.name().to_uppercase(); s.token().claim("iss", iss).sign() }, "issuer_unknown")]
#[case::ourselves(|s: &Stand| s.token().claim("iss", AUDIENCE).sign(), "issuer_unknown")]
// T4, T11, T12: keys and signatures
#[case::kid_that_walks(|s: &Stand| s.token().header("kid", json!("../../etc/passwd")).sign(), "key_unknown")]
#[case::kid_that_injects(|s: &Stand| s.token().header("kid", json!("' OR 1=1 --")).sign(), "key_unknown")]
#[case::kid_of_nobody(|s: &Stand| s.token().header("kid", json!("nobody")).sign(), "key_unknown")]
#[case::ps256(|s: &Stand| s.token().header("alg", json!("PS256")).sign(), "algorithm_refused")]
#[case::rs256_with_a_key_for_es256(|s: &Stand| s.token().header("alg", json!("RS256")).sign(), "algorithm_refused")]
#[case::es384_with_a_key_for_es256(|s: &Stand| s.token().header("alg", json!("ES384")).sign(), "algorithm_refused")]
#[case::another_key_under_the_same_kid(|s: &Stand| { let id = s.issuer.key().id; Key::new(Algorithm::ES256).named(Some(&id)).sign(&s.token().claims) }, "signature_invalid")]
#[case::changed_claims(|s: &Stand| { let t = s.token(); t.sign().replacen(&encode(t.claims.to_string()), &encode(s.token().claim("sub", "job-18").claims.to_string()), 1) }, "signature_invalid")]
#[case::no_signature(|s: &Stand| format!("{}.", s.token().sign().rsplit_once('.').unwrap().0), "signature_invalid")]
#[case::signature_cut_off(|s: &Stand| { let t = s.token().sign(); t[..t.len() - 4].to_owned() + "A" }, "signature_invalid")]
#[case::signature_with_a_tail(|s: &Stand| { let t = s.token().sign(); let (a, b) = t.rsplit_once('.').unwrap(); lengthened(a, b) }, "signature_invalid")]
#[case::signature_of_zeros(|s: &Stand| format!("{}.{}", s.token().sign().rsplit_once('.').unwrap().0, encode([0; 64])), "signature_invalid")]
// T8: tokens of another kind
#[case::access_token(|s: &Stand| s.token().header("typ", json!("at+jwt")).sign(), "type_refused")]
#[case::access_token_in_full(|s: &Stand| s.token().header("typ", json!("application/at+jwt")).sign(), "type_refused")]
#[case::dpop(|s: &Stand| s.token().header("typ", json!("dpop+jwt")).sign(), "type_refused")]
#[case::secevent(|s: &Stand| s.token().header("typ", json!("secevent+jwt")).sign(), "type_refused")]
#[case::logout(|s: &Stand| s.token().header("typ", json!("logout+jwt")).sign(), "type_refused")]
#[case::entity_statement(|s: &Stand| s.token().header("typ", json!("entity-statement+jwt")).sign(), "type_refused")]
#[case::wit(|s: &Stand| s.token().header("typ", json!("wit+jwt")).sign(), "type_refused")]
#[case::id_jag(|s: &Stand| s.token().header("typ", json!("oauth-id-jag+jwt")).sign(), "type_refused")]
// T15, T17-T20, A9: times
#[case::no_exp(|s: &Stand| s.token().no_claim("exp").sign(), "time_malformed")]
#[case::exp_as_text(|s: &Stand| s.token().claim("exp", "4102444800").sign(), "time_malformed")]
#[case::exp_null(|s: &Stand| s.token().claim("exp", Value::Null).sign(), "time_malformed")]
#[case::exp_true(|s: &Stand| s.token().claim("exp", true).sign(), "time_malformed")]
#[case::exp_negative(|s: &Stand| s.token().claim("exp", -1).sign(), "time_malformed")]
#[case::exp_beyond_all(|s: &Stand| s.token().claim("exp", 1e300).sign(), "time_malformed")]
#[case::nbf_as_text(|s: &Stand| s.token().claim("nbf", "0").sign(), "time_malformed")]
#[case::nbf_negative(|s: &Stand| s.token().claim("nbf", -1).sign(), "time_malformed")]
#[case::iat_as_text(|s: &Stand| s.token().claim("iat", "0").sign(), "time_malformed")]
#[case::expired(|s: &Stand| { let now = s.now().as_secs(); s.token().claim("exp", now - 61).sign() }, "token_expired")]
#[case::expired_within_the_leeway(|s: &Stand| { let now = s.now().as_secs(); s.token().claim("exp", now - 59).sign() }, "token_expires_too_soon")]
#[case::too_little_left(|s: &Stand| { let now = s.now().as_secs(); s.token().claim("exp", now + 29).sign() }, "token_expires_too_soon")]
#[case::not_yet(|s: &Stand| { let now = s.now().as_secs(); s.token().claim("nbf", now + 61).sign() }, "token_not_yet_valid")]
#[case::from_the_future(|s: &Stand| { let now = s.now().as_secs(); s.token().claim("iat", now + 61).sign() }, "token_issued_in_future")]
#[case::a_year_long(|s: &Stand| s.token().shift("exp", 365 * 86_400).sign(), "token_long_lived")]
#[case::a_year_long_without_iat(|s: &Stand| s.token().no_claim("iat").shift("exp", 365 * 86_400).sign(), "token_long_lived")]
// T21, T22, A1, A2: audiences
#[case::no_aud(|s: &Stand| s.token().no_claim("aud").sign(), "audience_missing")]
#[case::aud_null(|s: &Stand| s.token().claim("aud", Value::Null).sign(), "audience_missing")]
#[case::aud_empty(|s: &Stand| s.token().claim("aud", json!([])).sign(), "audience_missing")]
#[case::aud_object(|s: &Stand| s.token().claim("aud", json!({AUDIENCE: true})).sign(), "audience_missing")]
#[case::aud_number(|s: &Stand| s.token().claim("aud", 1).sign(), "audience_missing")]
#[case::aud_with_a_number(|s: &Stand| s.token().claim("aud", json!([AUDIENCE, 1])).sign(), "audience_missing")]
#[case::aud_of_another(|s: &Stand| s.token().claim("aud", "https://other.example.com").sign(), "audience_mismatch")]
#[case::aud_as_a_prefix(|s: &Stand| s.token().claim("aud", format!("{AUDIENCE}.evil.example")).sign(), "audience_mismatch")]
#[case::aud_of_others(|s: &Stand| s.token().claim("aud", json!(["a", "b"])).sign(), "audience_mismatch")]
#[case::aud_of_another_too(|s: &Stand| s.token().claim("aud", json!([AUDIENCE, "b"])).sign(), "audience_not_single")]
// T23, A8: subjects
#[case::no_sub(|s: &Stand| s.token().no_claim("sub").sign(), "subject_malformed")]
#[case::sub_as_a_number(|s: &Stand| s.token().claim("sub", 17).sign(), "subject_malformed")]
#[case::sub_as_a_list(|s: &Stand| s.token().claim("sub", json!(["job-17"])).sign(), "subject_malformed")]
#[case::sub_null(|s: &Stand| s.token().claim("sub", Value::Null).sign(), "subject_malformed")]
#[case::sub_empty(|s: &Stand| s.token().claim("sub", "").sign(), "subject_malformed")]
#[case::sub_with_a_line_end(|s: &Stand| s.token().claim("sub", "job-17\nrole: admin").sign(), "subject_malformed")]
#[case::jti_as_a_list(|s: &Stand| s.token().claim("jti", json!(["a"])).sign(), "token_id_malformed")]
// policy
#[case::another_subject(|s: &Stand| s.token().claim("sub", "user-17").sign(), "conditions_not_met")]
#[case::a_claim_of_the_wrong_type(|s: &Stand| s.token().claim("repository", json!(["acme/shop"])).sign(), "conditions_not_met")]
// T24: near 2^53 two numbers are one as a double
#[case::another_large_number(|s: &Stand| s.token().claim("run", 9_007_199_254_740_992_i64).sign(), "conditions_not_met")]
#[case::a_number_that_would_wrap(|s: &Stand| s.token().claim("run", u64::MAX).sign(), "conditions_not_met")]
#[tokio::test]
async fn what_is_not_good_is_refused_by_both_grants(#[case] change: Change, #[case] reason: &str) {
    let stand = Stand::open().await;
    let token = change(&stand);
    refused_by_both(&stand, &token, reason).await;
}

#[rstest]
#[case::unchanged(|s: &Stand| s.token().sign())]
#[case::private_header(|s: &Stand| s.token().header("ver", json!(1)).sign())] // T6
#[case::certificates_in_the_header(|s: &Stand| s.token().header("x5t", json!("a")).header("x5c", json!(["a"])).sign())]
#[case::one_line_end(|s: &Stand| format!("{}\n", s.token().sign()))] // T9: as files have it
#[case::no_type(|s: &Stand| s.token().no_header("typ").sign())]
#[case::jose(|s: &Stand| s.token().header("typ", json!("JOSE")).sign())]
#[case::type_in_full(|s: &Stand| s.token().header("typ", json!("application/jwt")).sign())]
#[case::exp_with_a_fraction(|s: &Stand| { let exp = s.now().as_secs() as f64 + 300.5; s.token().claim("exp", exp).sign() })] // T16
#[case::no_kid(|s: &Stand| s.token().no_header("kid").sign())] // J13
#[case::no_iat(|s: &Stand| s.token().no_claim("iat").sign())]
#[case::no_jti(|s: &Stand| s.token().no_claim("jti").sign())]
#[case::nbf_within_the_leeway(|s: &Stand| { let now = s.now().as_secs(); s.token().claim("nbf", now + 60).sign() })] // T19
#[case::iat_within_the_leeway(|s: &Stand| { let now = s.now().as_secs(); s.token().claim("iat", now + 60).sign() })]
#[case::aud_as_a_list(|s: &Stand| s.token().claim("aud", json!([AUDIENCE])).sign())]
#[case::a_large_number(|s: &Stand| s.token().claim("run", 9_007_199_254_740_993_i64).sign())] // T24
#[case::an_unknown_claim(|s: &Stand| s.token().claim("weather", json!({"sun": [1, null, 1.5]})).sign())]
#[case::a_subject_with_spaces(|s: &Stand| s.token().claim("sub", "job-organization:O:project:Default Project").sign())]
#[tokio::test]
async fn what_is_odd_and_good_is_permitted_by_both_grants(#[case] change: Change) {
    let stand = Stand::open().await;
    let token = change(&stand);
    for form in [exchange(&token), bearer(&token)] {
        let answer = stand.post("/oauth2/token", &form).await;
        stand.permitted(&answer);
    }
}

#[tokio::test]
async fn rsa_signatures_are_those_of_their_algorithm() {
    let key = Key::new(Algorithm::RS256);
    let issuer = Issuer::start_with(None, key.clone()).await;
    let stand = Stand::open_by(issuer, "replay: reusable\nalgorithms: [RS256]", "").await;
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
    let token = stand.token();
    let (header, claims) = (token.header.to_string(), token.claims.to_string());
    let pss = key.sign_as(Algorithm::PS256, &header, &claims); // T11, T12
    let longer = key.sign_as(Algorithm::RS384, &header, &claims);
    let good = token.sign();
    let (text, signature) = good.rsplit_once('.').unwrap();
    let tail = lengthened(text, signature);
    for token in [pss, longer, tail] {
        let answer = stand.exchange(&token).await;
        stand.refused(&answer, 400, "invalid_request", "signature_invalid");
    }
}

#[rstest]
#[case("jwt", "JWT", true)]
#[case("id_token", "JWT", true)]
#[case("access_token", "JWT", false)] // RFC 8693 section 2.1: the declared type selects the validator
#[case("id_token", "at+jwt", false)]
#[case("access_token", "at+jwt", false)] // this issuer's tokens never are
#[case("jwt", "authorization-grant+jwt", false)]
#[tokio::test]
async fn a_token_is_validated_as_what_it_was_declared(#[case] declared: &str, #[case] typ: &str, #[case] good: bool) {
    let stand = Stand::open().await;
    let token = stand.token().header("typ", json!(typ)).sign();
    let urn = format!("urn:ietf:params:oauth:token-type:{declared}");
    let mut form = exchange(&token);
    form[2].1 = &urn;
    let answer = stand.post("/oauth2/token", &form).await;
    if good {
        stand.permitted(&answer);
    } else {
        stand.refused(&answer, 400, "invalid_request", "type_refused");
    }
}

#[tokio::test]
async fn an_access_token_is_taken_where_the_issuer_sends_them_and_one_was_declared() {
    let stand = Stand::open_with("replay: reusable\ntypes: [JWT, at+jwt]", "").await;
    let token = stand.token().header("typ", json!("at+jwt")).sign();
    for (declared, good) in [("access_token", true), ("jwt", true), ("id_token", false)] {
        let urn = format!("urn:ietf:params:oauth:token-type:{declared}");
        let mut form = exchange(&token);
        form[2].1 = &urn;
        let answer = stand.post("/oauth2/token", &form).await;
        if good {
            stand.permitted(&answer);
        } else {
            stand.refused(&answer, 400, "invalid_request", "type_refused");
        }
    }
}

#[tokio::test]
async fn an_assertion_may_say_that_it_is_one() {
    let stand = Stand::open().await;
    let token = stand.token().header("typ", json!("authorization-grant+jwt")).sign();
    let answer = stand.post("/oauth2/token", &bearer(&token)).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn a_token_of_ours_is_nobodys_identity() {
    let stand = Stand::open().await;
    let ours = stand.exchange(&stand.token().sign()).await.token();
    let answer = stand.exchange(&ours).await;
    stand.refused(&answer, 400, "invalid_request", "issuer_unknown");
}

fn unsigned(stand: &Stand, algorithm: &str) -> String {
    let token = stand.token().header("alg", json!(algorithm));
    format!("{}.{}.", encode(token.header.to_string()), encode(token.claims.to_string()))
}

fn hmac(stand: &Stand, secret: &str) -> String {
    let header = jsonwebtoken::Header { kid: Some(stand.issuer.key().id), ..Default::default() };
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&header, &stand.token().claims, &key).unwrap()
}

fn signed(stand: &Stand, header: &str, payload: &str) -> String {
    stand.issuer.key().seal(Algorithm::ES256, &format!("{header}.{payload}"))
}

/// The last character of 64 bytes carries two bits; the other four must be 0.
fn respelt(token: &str) -> String {
    let (head, last) = token.split_at(token.len() - 1);
    let next = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        "w" => "x",
        other => panic!("{other} ends no 64 bytes"),
    };
    format!("{head}{next}")
}

fn lengthened(text: &str, signature: &str) -> String {
    use base64::Engine as _;
    let mut bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes.push(0);
    format!("{text}.{}", encode(bytes))
}

fn json_serialised(token: &str) -> String {
    let parts: Vec<_> = token.split('.').collect();
    json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string()
}
