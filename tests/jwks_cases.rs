//! The JWKS cases J1 to J24, and the shapes of real issuers: which keys of a set are usable, exactly why the others are
//! not, and that a usable key verifies what an independent implementation signed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cambio::jose::{Algorithm, CompactJws, JsonError, KeyRules, KeySet, KeySetError, SkipReason};
use cambio::trust::Platform;
use jsonwebtoken::{EncodingKey, Header, encode};
use rstest::rstest;
use serde_json::json;
use zeroize::Zeroizing;

const MODULUS: SkipReason = SkipReason::Modulus;
const EXPONENT: SkipReason = SkipReason::Exponent;
const PARAMETERS: SkipReason = SkipReason::Parameters;
const ALGORITHM: SkipReason = SkipReason::Algorithm;
const OPERATIONS: SkipReason = SkipReason::Operations;
const NOT_AN_OBJECT: SkipReason = SkipReason::Json(JsonError::NotAnObject);
const TWICE: SkipReason = SkipReason::Json(JsonError::DuplicateMember);
const TOO_DEEP: SkipReason = SkipReason::Json(JsonError::TooDeep);
const GOOD: &[(&str, &str)] = &[("good", "RS256")];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("jwks-fixtures")
}

fn rules(platform: &str) -> KeyRules {
    let platform = Platform::embedded(platform).unwrap();
    KeyRules { algorithms: platform.algorithms().to_vec(), jwt_svid: platform.has_jwt_svid_keys() }
}

fn parse(file: &str, platform: &str) -> Result<KeySet, KeySetError> {
    KeySet::parse(&std::fs::read(fixtures().join(file)).unwrap(), &rules(platform))
}

/// `kid` (`-` for none) and algorithm of each usable key; the reasons of the others, which stand before them.
#[rstest]
#[case("hostile/j01-unknown-kty.json", GOOD, &[SkipReason::Type])]
#[case("hostile/j02-unknown-crv.json", GOOD, &[SkipReason::Type; 3])]
#[case("hostile/j03-malformed-member.json", GOOD, &[PARAMETERS, PARAMETERS, PARAMETERS, NOT_AN_OBJECT, NOT_AN_OBJECT, NOT_AN_OBJECT])]
#[case("hostile/j04-leading-zero.json", GOOD, &[])]
#[case("hostile/j05-padding.json", GOOD, &[PARAMETERS; 4])]
#[case("hostile/j06-rsa-1024.json", GOOD, &[MODULUS; 2])]
#[case("hostile/j07-rsa-16384.json", GOOD, &[MODULUS; 2])]
#[case("hostile/j08-exponent.json", GOOD, &[EXPONENT; 7])]
#[case("hostile/j09-roca.json", GOOD, &[SkipReason::Roca])]
#[case("hostile/j10-duplicate-kid.json", &[("same", "RS256"); 2], &[])]
#[case("hostile/j11-empty-kid.json", &[("real", "RS256"), ("-", "RS256")], &[])]
#[case("hostile/j12-no-kid.json", &[("-", "RS256"), ("-", "RS256"), ("named", "RS256")], &[])]
#[case("hostile/j14-use-enc.json", GOOD, &[SkipReason::Use; 2])]
#[case("hostile/j15-jwt-svid.json", &[], &[SkipReason::Use])]
#[case("hostile/j16-key-ops.json", GOOD, &[OPERATIONS; 3])]
#[case("hostile/j17-alg-differs.json", GOOD, &[ALGORITHM; 5])]
#[case("hostile/j18-no-alg.json", &[("rsa", "RS256"), ("p256", "ES256"), ("p384", "ES384"), ("ed", "EdDSA")], &[])]
#[case("hostile/j19-oct.json", GOOD, &[SkipReason::Symmetric; 2])]
#[case("hostile/j20-private-members.test-only.json", &[("leaked", "RS256"), ("good", "RS256")], &[])]
#[case("hostile/j22-x5c.json", &[("expired", "RS256"), ("other", "RS256"), ("remote", "RS256"), ("broken", "RS256")], &[])]
#[case("hostile/j23-extra-members.json", GOOD, &[])]
#[case("hostile/j24-duplicate-member.json", GOOD, &[TWICE; 3])]
#[case("hostile/key-deep.json", GOOD, &[TOO_DEEP])]
#[case("hostile/set-deep.json", GOOD, &[])]
#[case("hostile/set-empty.json", &[], &[])]
fn an_odd_key_is_left_out_and_the_others_stay(
    #[case] file: &str,
    #[case] usable: &[(&str, &str)],
    #[case] skipped: &[SkipReason],
) {
    let set = parse(file, "generic").unwrap();
    let found: Vec<_> = set.keys().iter().map(|key| (key.key_id().unwrap_or("-"), key.algorithm().name())).collect();
    assert_eq!(found, usable);
    let left_out: Vec<_> = set.skipped().iter().map(|one| (one.index, one.reason)).collect();
    assert_eq!(left_out, skipped.iter().copied().enumerate().collect::<Vec<_>>());
}

#[rstest]
#[case("hostile/set-array.json", KeySetError::Malformed)]
#[case("hostile/set-array-of-array.json", KeySetError::Malformed)]
#[case("hostile/set-keys-object.json", KeySetError::Malformed)]
#[case("hostile/set-keys-twice.json", KeySetError::Malformed)]
#[case("hostile/set-html.json", KeySetError::Malformed)]
#[case("hostile/set-truncated.json", KeySetError::Malformed)]
#[case("hostile/set-null.json", KeySetError::Malformed)]
#[case("hostile/set-none.json", KeySetError::Malformed)]
#[case("hostile/set-101-keys.json", KeySetError::TooManyKeys)]
fn what_is_no_key_set_is_refused_whole(#[case] file: &str, #[case] error: KeySetError) {
    assert_eq!(parse(file, "generic").unwrap_err(), error);
}

#[test]
fn a_set_beyond_256_kib_is_refused_before_it_is_read() {
    let body = format!(r#"{{"keys":[],"filler":"{}"}}"#, "x".repeat(256 * 1024));
    assert_eq!(KeySet::parse(body.as_bytes(), &rules("generic")).unwrap_err(), KeySetError::TooLarge);
}

/// A token, signed by an independent implementation.
fn token(private_key: &str, algorithm: Algorithm, key_id: Option<&str>) -> CompactJws {
    let pem = std::fs::read(fixtures().join("keys").join(format!("{private_key}.test-only.pem"))).unwrap();
    let key = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(&pem),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(&pem),
        _ => EncodingKey::from_rsa_pem(&pem),
    };
    let mut header = Header::new(algorithm.name().parse().unwrap());
    header.kid = key_id.map(str::to_owned);
    let token = encode(&header, &json!({"iss": "https://issuer.example.com"}), &key.unwrap()).unwrap();
    CompactJws::parse(Zeroizing::new(token)).unwrap()
}

/// As `verify` does it.
fn verifies(set: &KeySet, token: &CompactJws) -> bool {
    set.candidates(token.unverified_algorithm(), token.unverified_key_id()).any(|key| token.is_signed_by(key))
}

#[rstest]
#[case("github", "github", "rsa-b", Algorithm::RS256, Some("38826b17-6a30-5f9b-b169-8beb8202f723"))]
#[case("gitlab", "gitlab", "rsa-a", Algorithm::RS256, None)]
#[case("gke", "gke", "p256", Algorithm::ES256, None)]
#[case("jenkins", "jenkins", "rsa-a", Algorithm::RS256, Some("deploy-credential"))]
#[case("kubernetes", "kubernetes", "rsa-a", Algorithm::RS256, None)]
#[case("kubernetes", "kubernetes", "p256", Algorithm::ES256, None)]
#[case("kubernetes", "kubernetes", "p384", Algorithm::ES384, None)]
#[case("google", "google", "rsa-a", Algorithm::RS256, Some("1dc0f172e8d6ef382d6d3a231f6c197dd68ce5ef"))]
#[case("spiffe", "spiffe", "p256", Algorithm::ES256, Some("C6vs25welZOx6WksNYfbMfiw9l96pMnD"))]
#[case("spire-oidc", "spiffe", "p256", Algorithm::ES256, None)]
#[case("entra", "azure-devops", "rsa-a", Algorithm::RS256, Some("kWbkha6qs8wsTnBwiiNYOhHbnAw"))]
#[case("terraform-cloud", "terraform-cloud", "rsa-a", Algorithm::RS256, None)]
#[case("buildkite", "buildkite", "rsa-a", Algorithm::RS256, None)]
fn the_set_of_a_real_issuer_verifies_what_it_signs(
    #[case] set: &str,
    #[case] platform: &str,
    #[case] private_key: &str,
    #[case] algorithm: Algorithm,
    #[case] key_id: Option<&str>,
) {
    let set = parse(&format!("good/{set}.json"), platform).unwrap();
    assert!(verifies(&set, &token(private_key, algorithm, key_id)), "{set}");
    assert!(!verifies(&set, &token("p256-b", Algorithm::ES256, key_id)), "{set}");
}

#[rstest]
#[case::j1("generic", "j01-unknown-kty", "rsa-a", Algorithm::RS256, Some("good"), true)]
#[case::j4("generic", "j04-leading-zero", "rsa-a", Algorithm::RS256, Some("good"), true)]
#[case::j10_first("generic", "j10-duplicate-kid", "rsa-b", Algorithm::RS256, Some("same"), true)]
#[case::j10_second("generic", "j10-duplicate-kid", "rsa-a", Algorithm::RS256, Some("same"), true)]
#[case::j10_fifth("generic", "j10-fifth-of-one-kid", "rsa-a", Algorithm::RS256, Some("same"), false)]
#[case::j11_named("generic", "j11-empty-kid", "rsa-a", Algorithm::RS256, Some("real"), true)]
#[case::j11_without("generic", "j11-empty-kid", "rsa-a", Algorithm::RS256, None, true)]
#[case::j11_empty("generic", "j11-empty-kid", "rsa-a", Algorithm::RS256, Some(""), false)]
#[case::j12_without("generic", "j12-no-kid", "rsa-a", Algorithm::RS256, None, true)]
#[case::j12_null("generic", "j12-no-kid", "rsa-b", Algorithm::RS256, None, true)]
#[case::j12_named("generic", "j12-no-kid", "rsa-a", Algorithm::RS256, Some("named"), false)]
#[case::j12_other("generic", "j12-no-kid", "rsa-a", Algorithm::RS256, Some("another"), false)]
#[case::j12_not_text("generic", "j12-kid-not-text", "rsa-a", Algorithm::RS256, Some("7"), false)]
#[case::j13_sixteenth("generic", "j13-sixteenth-of-many", "rsa-a", Algorithm::RS256, None, true)]
#[case::j13_seventeenth("generic", "j13-sixteenth-of-many", "rsa-b", Algorithm::RS256, None, false)]
#[case::j13_other_algorithm("generic", "j13-sixteenth-of-many", "p256", Algorithm::ES256, None, true)]
#[case::j14("generic", "j14-use-enc", "rsa-a", Algorithm::RS256, Some("enc"), false)]
#[case::j15_spiffe("spiffe", "j15-jwt-svid", "p256", Algorithm::ES256, Some("svid"), true)]
#[case::j15_other("generic", "j15-jwt-svid", "p256", Algorithm::ES256, Some("svid"), false)]
#[case::j16("generic", "j16-key-ops", "rsa-a", Algorithm::RS256, Some("sign"), false)]
#[case::j17_key("generic", "j17-alg-differs", "rsa-a", Algorithm::RS256, Some("ps"), false)]
#[case::j17_token("spiffe", "j17-alg-differs", "rsa-a", Algorithm::PS256, Some("good"), false)]
#[case::j17_same("spiffe", "j17-alg-differs", "rsa-a", Algorithm::PS256, Some("ps"), true)]
#[case::j18_rs256("generic", "j18-no-alg", "rsa-a", Algorithm::RS256, Some("rsa"), true)]
#[case::j18_ps256("spiffe", "j18-no-alg", "rsa-a", Algorithm::PS256, Some("rsa"), false)]
#[case::j18_rs512("spiffe", "j18-no-alg", "rsa-a", Algorithm::RS512, Some("rsa"), false)]
#[case::j18_ed25519("generic", "j18-no-alg", "ed25519", Algorithm::EdDSA, Some("ed"), true)]
#[case::j18_not_of_the_platform("github", "j18-no-alg", "p256", Algorithm::ES256, Some("p256"), false)]
#[case::j22_expired("generic", "j22-x5c", "rsa-a", Algorithm::RS256, Some("expired"), true)]
#[case::j22_certificate_of_another("generic", "j22-x5c", "rsa-b", Algorithm::RS256, Some("other"), false)]
#[case::j24("generic", "j24-duplicate-member", "rsa-a", Algorithm::RS256, Some("twice"), false)]
#[case::a_stranger("generic", "j23-extra-members", "rsa-b", Algorithm::RS256, Some("good"), false)]
fn a_signature_holds_only_by_a_usable_key_under_its_kid(
    #[case] platform: &str,
    #[case] file: &str,
    #[case] private_key: &str,
    #[case] algorithm: Algorithm,
    #[case] key_id: Option<&str>,
    #[case] holds: bool,
) {
    let set = parse(&format!("hostile/{file}.json"), platform).unwrap();
    assert_eq!(verifies(&set, &token(private_key, algorithm, key_id)), holds, "{set}");
}

#[test]
fn a_point_off_its_curve_or_of_the_wrong_length_verifies_nothing() {
    let set = parse("hostile/j21-point.json", "generic").unwrap();
    let usable: Vec<_> = set.keys().iter().filter_map(|key| key.key_id()).collect();
    assert_eq!(usable, ["fine"]);
    assert!(set.skipped().iter().all(|one| one.reason == PARAMETERS));
    for key_id in ["off", "short", "long", "curve", "zero", "p384-as-256"] {
        assert!(!verifies(&set, &token("p256", Algorithm::ES256, Some(key_id))), "{key_id}");
    }
    assert!(verifies(&set, &token("p256", Algorithm::ES256, Some("fine"))));
}

#[test]
fn a_published_private_key_is_noticed_and_never_printed() {
    let file = "hostile/j20-private-members.test-only.json";
    let set = parse(file, "generic").unwrap();
    let exposed: Vec<_> = set.keys().iter().map(|key| key.is_exposed()).collect();
    assert_eq!(exposed, [true, false]);
    let published: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(fixtures().join(file)).unwrap()).unwrap();
    assert!(!format!("{set:?} {set}").contains(published["keys"][0]["d"].as_str().unwrap()));
}

#[test]
fn every_case_from_j1_to_j24_has_a_file_and_every_private_key_says_that_it_is_for_tests() {
    let names = |directory: &str| -> Vec<String> {
        let entries = std::fs::read_dir(fixtures().join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let numbers: BTreeSet<String> =
        names("hostile").iter().filter_map(|name| Some(name.get(..3)?.to_owned())).collect();
    for number in 1..=24 {
        assert!(numbers.contains(&format!("j{number:02}")), "no file for J{number}");
    }
    for directory in ["good", "hostile", "keys"] {
        for name in names(directory) {
            let text = std::fs::read_to_string(fixtures().join(directory).join(&name)).unwrap();
            let private = text.contains("PRIVATE KEY") || text.contains("\"d\":");
            assert!(!private || name.contains(".test-only."), "{directory}/{name}");
        }
    }
}
