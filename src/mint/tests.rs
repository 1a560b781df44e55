//! Minted tokens: what they say, that an independent implementation takes them, and what is not one of them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName, Namespace, PolicyName, TargetName};
use crate::jose::{Algorithm, CompactError, SigningKey, sha256};
use crate::mint::minter::MintInput;
use crate::mint::{
    IssuedToken, KeyRing, KeySettings, KeySource, LOGIN_MEDIA_TYPE, LifetimeInput, MintError, Minter, OwnTokenError,
    OwnTokens, SubjectExpiresTooSoon, Usage,
};
use rstest::rstest;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_700);
const ISSUER: &str = "https://cambio.example";

struct Bench {
    _dir: tempfile::TempDir,
    ring: Arc<KeyRing>,
    pem: String,
    algorithm: Algorithm,
}

fn bench(algorithm: Algorithm) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let pem = SigningKey::generate(algorithm).unwrap().to_string();
    fs::write(&path, &pem).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let ring = Arc::new(KeyRing::open(&KeySettings::new(KeySource::Files(vec![path])), NOW).unwrap());
    Bench { _dir: dir, ring, pem, algorithm }
}

pub(super) struct Names {
    issuer: IssuerName,
    target: TargetName,
    namespace: Namespace,
    policies: Vec<PolicyName>,
}

pub(super) fn names() -> Names {
    Names {
        issuer: IssuerName::new("gitlab").unwrap(),
        target: TargetName::new("deploy/prod").unwrap(),
        namespace: Namespace::new("group_100/group_200").unwrap(),
        policies: ["pipelines/protected/global", "pipelines/protected/env/70726f64756374696f6e"]
            .map(|name| PolicyName::new(name).unwrap())
            .to_vec(),
    }
}

pub(super) fn input<'a>(names: &'a Names, subject: &'a str) -> MintInput<'a> {
    MintInput {
        issuer: &names.issuer,
        subject,
        target: &names.target,
        namespace: Some(&names.namespace),
        rule: "protected pipelines",
        rule_digest: sha256(b"rule"),
        policy_digest: sha256(b"set"),
        policies: &names.policies,
        scope: "read list",
        lifetime: LifetimeInput {
            asked: None,
            rule: None,
            issuer_cap: None,
            subject_expires: NOW.plus(Duration::from_secs(3600)),
            outlive_subject: false,
        },
        decision: DecisionId::new(NOW, [7; 10]),
        revocable: false,
        usage: Usage::Access,
        now: NOW,
    }
}

fn mint(bench: &Bench, subject: &str) -> IssuedToken {
    let names = names();
    Minter::new(Arc::clone(&bench.ring), ISSUER).mint_for_tests(&input(&names, subject)).unwrap()
}

#[rstest]
#[case(Algorithm::ES256, jsonwebtoken::Algorithm::ES256)]
#[case(Algorithm::EdDSA, jsonwebtoken::Algorithm::EdDSA)]
#[cfg_attr(feature = "aws-lc", case(Algorithm::RS256, jsonwebtoken::Algorithm::RS256))]
fn an_independent_implementation_takes_a_minted_token(
    #[case] ours: Algorithm,
    #[case] theirs: jsonwebtoken::Algorithm,
) {
    let bench = bench(ours);
    let issued = mint(&bench, "project_path:a/b:ref:main");
    let header = jsonwebtoken::decode_header(issued.token()).unwrap();
    assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), theirs));
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&bench.ring.public_jwks()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(theirs);
    rules.validate_exp = false; // the test's clock is not the machine's
    rules.set_audience(&["deploy/prod"]);
    rules.set_issuer(&[ISSUER]);
    let claims = jsonwebtoken::decode::<Value>(issued.token(), &key, &rules).unwrap().claims;
    let expected = json!({
        "iss": ISSUER,
        "sub": "gitlab:project_path:a/b:ref:main",
        "aud": "deploy/prod",
        "iat": 1_795_000_000,
        "exp": 1_795_000_600,
        "jti": issued.jti(),
        "client_id": "gitlab:project_path:a/b:ref:main",
        "scope": "read list",
        "policies": ["pipelines/protected/global", "pipelines/protected/env/70726f64756374696f6e"],
        "namespace": "group_100/group_200",
        "rule": "protected pipelines",
        "rule_digest": sha256(b"rule").to_string(),
        "policy_digest": sha256(b"set").to_string(),
        "txn": DecisionId::new(NOW, [7; 10]).to_string(),
    });
    assert_eq!(claims, expected);
    assert_eq!(issued.expires_in(), Duration::from_secs(600));
    assert_eq!(issued.expires_at(), Timestamp::from_secs(1_795_000_600));
    assert_eq!(issued.digest(), sha256(issued.token().as_bytes()));
}

#[rstest]
#[case("plain")]
#[case("quote \" backslash \\ slash /")]
#[case("line\nfeed\r\u{0}\u{1b}[31m")]
#[case("\",\"policies\":[\"root\"],\"x\":\"")]
#[case("grüße 日本 \u{202e}\u{10ffff}")]
#[case("a:b:c")]
fn a_subject_comes_back_as_it_was_whatever_is_in_it(#[case] subject: &str) {
    let bench = bench(Algorithm::ES256);
    let issued = mint(&bench, subject);
    let own = OwnTokens::new(Arc::clone(&bench.ring), ISSUER).verify(issued.token(), NOW).unwrap();
    assert_eq!(own.subject(), format!("gitlab:{subject}"));
    assert_eq!((own.issuer().as_str(), own.client_id()), ("gitlab", own.subject()));
    assert_eq!(own.policies(), names().policies);
    assert_eq!((own.jti(), own.scope(), own.rule()), (issued.jti(), "read list", "protected pipelines"));
    assert_eq!(own.rule_digest(), sha256(b"rule").to_string());
    assert_eq!(own.policy_digest(), sha256(b"set").to_string());
    assert_eq!(own.decision(), DecisionId::new(NOW, [7; 10]));
    assert_eq!(
        (own.target().as_str(), own.namespace().map(Namespace::as_str)),
        ("deploy/prod", Some("group_100/group_200"))
    );
}

#[test]
fn a_token_id_is_never_used_twice_and_nothing_is_printed() {
    let bench = bench(Algorithm::EdDSA);
    let tokens: Vec<IssuedToken> = (0..100).map(|_| mint(&bench, "s")).collect();
    assert_eq!(tokens.iter().map(|token| token.jti()).collect::<BTreeSet<_>>().len(), 100);
    let printed = format!("{:?}", tokens[0]);
    assert!(printed.contains("[redacted]") && !printed.contains(&tokens[0].token()[..20]));
}

#[test]
fn without_time_left_or_with_too_much_to_say_nothing_is_minted() {
    let bench = bench(Algorithm::EdDSA);
    let names = names();
    let minter = Minter::new(Arc::clone(&bench.ring), ISSUER);
    let mut late = input(&names, "s");
    late.lifetime.subject_expires = NOW.plus(Duration::from_secs(29));
    assert_eq!(minter.mint_for_tests(&late).unwrap_err(), MintError::Lifetime(SubjectExpiresTooSoon));
    let long = "s".repeat(3000);
    assert!(matches!(minter.mint_for_tests(&input(&names, &long)), Err(MintError::TooLong(_))));
}

/// The claims of a good token, each time with one thing changed, signed by our own key.
#[rstest]
#[case::as_they_are(|_: &mut Value| (), Ok(()))]
#[case::no_scope(|c: &mut Value| drop(c.as_object_mut().unwrap().remove("scope")), Ok(()))]
#[case::expired(|c: &mut Value| c["exp"] = json!(1_795_000_000), Err(OwnTokenError::Expired))]
#[case::from_the_future(|c: &mut Value| c["iat"] = json!(1_795_000_100), Err(OwnTokenError::Future))]
#[case::another_replicas_clock(|c: &mut Value| c["iat"] = json!(1_795_000_059), Ok(()))]
#[case::another_issuer(|c: &mut Value| c["iss"] = json!("https://cambio.example/"), Err(OwnTokenError::Issuer))]
#[case::bound_by_a_later_version(|c: &mut Value| c["cnf"] = json!({"jkt": "x"}), Err(OwnTokenError::Claims))]
#[case::two_days(|c: &mut Value| c["exp"] = json!(1_795_172_800), Err(OwnTokenError::Claims))]
#[case::no_txn(|c: &mut Value| c["txn"] = json!("x"), Err(OwnTokenError::Claims))]
#[case::no_prefix(|c: &mut Value| { c["sub"] = json!("x"); c["client_id"] = json!("x"); }, Err(OwnTokenError::Claims))]
#[case::another_client(|c: &mut Value| c["client_id"] = json!("gitlab:t"), Err(OwnTokenError::Claims))]
#[case::root(|c: &mut Value| c["policies"] = json!(["root"]), Err(OwnTokenError::Claims))]
#[case::several_audiences(|c: &mut Value| c["aud"] = json!(["a", "b"]), Err(OwnTokenError::Claims))]
fn only_claims_as_they_are_minted_are_ours(
    #[case] change: fn(&mut Value),
    #[case] expected: Result<(), OwnTokenError>,
) {
    let bench = bench(Algorithm::ES256);
    let mut claims = payload(mint(&bench, "s").token());
    change(&mut claims);
    let token = sign(&bench, &claims, "at+jwt");
    let own = OwnTokens::new(Arc::clone(&bench.ring), ISSUER);
    assert_eq!(own.verify(&token, NOW).map(|_| ()), expected);
}

#[rstest]
#[case("JWT")]
#[case("AT+JWT")]
#[case("application/at+jwt")]
#[case("dpop+jwt")]
fn a_token_of_another_type_under_our_key_is_not_ours(#[case] media_type: &str) {
    let bench = bench(Algorithm::ES256);
    let claims = payload(mint(&bench, "s").token());
    let token = sign(&bench, &claims, media_type);
    let own = OwnTokens::new(Arc::clone(&bench.ring), ISSUER);
    assert_eq!(own.verify(&token, NOW).unwrap_err(), OwnTokenError::Header);
}

#[test]
fn what_our_keys_did_not_sign_is_not_ours() {
    let (bench, stranger) = (bench(Algorithm::ES256), bench(Algorithm::ES256));
    let own = OwnTokens::new(Arc::clone(&bench.ring), ISSUER);
    let foreign = mint(&stranger, "s");
    assert_eq!(own.verify(foreign.token(), NOW).unwrap_err(), OwnTokenError::Key);
    let good = mint(&bench, "s");
    let (signed, _) = good.token().rsplit_once('.').unwrap();
    let (_, foreign_signature) = foreign.token().rsplit_once('.').unwrap();
    let grafted = format!("{signed}.{foreign_signature}");
    assert_eq!(own.verify(&grafted, NOW).unwrap_err(), OwnTokenError::Signature);
    assert_eq!(own.verify("", NOW).unwrap_err(), OwnTokenError::Compact(CompactError::Empty));
    assert_eq!(own.verify(good.token(), NOW.plus(Duration::from_secs(600))).unwrap_err(), OwnTokenError::Expired);
    assert!(own.verify(good.token(), NOW.plus(Duration::from_millis(599_299))).is_ok());
}

#[test]
fn a_token_to_log_in_with_is_none_to_read_with_and_the_other_way_round() {
    let bench = bench(Algorithm::ES256);
    let own = OwnTokens::new(Arc::clone(&bench.ring), ISSUER);
    let access = mint(&bench, "s");
    let login = sign(&bench, &payload(access.token()), LOGIN_MEDIA_TYPE);
    assert_eq!(own.verify(&login, NOW).unwrap_err(), OwnTokenError::Header);
    assert_eq!(own.login(access.token(), NOW).unwrap_err(), OwnTokenError::Header);
    assert_eq!(own.login(&login, NOW).unwrap().token().subject(), own.verify(access.token(), NOW).unwrap().subject());
    let elsewhere = OwnTokens::new(Arc::clone(&bench.ring), "https://other.example.com");
    assert_eq!(elsewhere.login(&login, NOW).unwrap_err(), OwnTokenError::Issuer);
    assert_eq!(own.login(&login, NOW.plus(Duration::from_secs(600))).unwrap_err(), OwnTokenError::Expired);
}

#[test]
fn the_session_of_a_login_says_the_same_and_ends_in_the_same_second() {
    let bench = bench(Algorithm::ES256);
    let own = OwnTokens::new(Arc::clone(&bench.ring), ISSUER);
    let before = payload(mint(&bench, "s").token());
    let login = own.login(&sign(&bench, &before, LOGIN_MEDIA_TYPE), NOW).unwrap();
    let later = NOW.plus(Duration::from_millis(299_500));
    let decision = DecisionId::new(later, [9; 10]);
    let minter = Minter::new(Arc::clone(&bench.ring), ISSUER);
    let session = minter.session(&login, decision, later).unwrap();
    assert!(own.verify(session.token(), later).is_ok());
    let mut after = payload(session.token());
    assert_ne!(after["jti"], before["jti"]);
    assert_eq!((after["iat"].as_i64(), after["txn"].as_str()), (Some(later.as_secs()), Some(&*decision.to_string())));
    assert!(session.expires_in() <= Duration::from_secs(301), "{:?}", session.expires_in());
    for name in ["jti", "iat", "txn"] {
        after[name] = before[name].clone();
    }
    assert_eq!(after, before);
}

fn payload(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn sign(bench: &Bench, claims: &Value, media_type: &str) -> String {
    let key = SigningKey::from_pem(bench.algorithm, &bench.pem, media_type).unwrap();
    key.sign(claims.to_string().as_bytes()).unwrap().to_string()
}
