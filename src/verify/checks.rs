//! The checks on claims, one function each, pure: what is compared, and the section that asks for it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Refusal;
use crate::clock::Timestamp;
use crate::trust::{Platform, Presence};

/// The times of a token, as far as it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) expires: Timestamp,
    pub(super) not_before: Option<Timestamp>,
    pub(super) issued: Option<Timestamp>,
}

/// `iss` is one string, byte for byte the issuer's (RFC 7519 section 4.1.1). Checked again after the signature: what
/// chose the keys was the unverified claim.
pub(super) fn issuer(claims: &Map<String, Value>, trusted: &str) -> Result<(), Refusal> {
    match claims.get("iss") {
        Some(Value::String(iss)) if iss == trusted => Ok(()),
        _ => Err(Refusal::Issuer),
    }
}

/// `aud` holds one of `accepted`, and nobody else unless `several` may be named; never `refused` (RFC 8725 section 3.9,
/// JWT-SVID section 7.2). An absent audience is refused: there is no mode that skips this check.
pub(super) fn audience(
    claims: &Map<String, Value>,
    accepted: &[String],
    several: bool,
    refused: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    let single;
    let audiences: &[Value] = match claims.get("aud") {
        Some(Value::String(one)) => {
            single = [Value::String(one.clone())];
            &single
        }
        Some(Value::Array(list)) => list,
        _ => return Err(Refusal::NoAudience),
    };
    let ours = |audience: &str| accepted.iter().any(|known| known == audience);
    let mut found = false;
    for audience in audiences {
        let Value::String(audience) = audience else { return Err(Refusal::NoAudience) };
        if refused(audience) && !ours(audience) {
            return Err(Refusal::PlatformAudience);
        }
        found |= ours(audience);
    }
    if audiences.is_empty() {
        return Err(Refusal::NoAudience);
    }
    if !found {
        return Err(Refusal::Audience);
    }
    if audiences.len() > 1 && !several {
        return Err(Refusal::SeveralAudiences);
    }
    Ok(())
}

/// Reads `exp` (mandatory), `nbf` and `iat` (RFC 7519 section 4.1). A string or null is refused, not skipped
/// (CVE-2026-25537); a fraction is rounded down.
pub(super) fn read_times(claims: &Map<String, Value>) -> Result<Times, Refusal> {
    Ok(Times {
        expires: time(claims, "exp")?.ok_or(Refusal::Time("exp"))?,
        not_before: time(claims, "nbf")?,
        issued: time(claims, "iat")?,
    })
}

fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        _ => None,
    };
    match seconds {
        Some(seconds @ 0..) => Ok(Some(Timestamp::from_secs(seconds))),
        _ => Err(Refusal::Time(name)),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "checked against the range of exact integers")]
fn whole(number: f64) -> Option<i64> {
    (0.0..9_007_199_254_740_992.0).contains(&number).then(|| number.floor() as i64)
}

/// Now lies between `nbf` and `exp`, and not before `iat`, give or take `leeway` (RFC 7519 sections 4.1.4 to 4.1.6).
/// The same leeway governs how long a single-use token is remembered: were it forgotten at `exp`, it could be presented
/// once more within the leeway.
pub(super) fn times(times: &Times, now: Timestamp, leeway: Duration) -> Result<(), Refusal> {
    if now >= times.expires.plus(leeway) {
        return Err(Refusal::Expired(now.since(times.expires).as_secs()));
    }
    let ahead = |moment: Option<Timestamp>| moment.map(|m| m.since(now)).filter(|ahead| *ahead > leeway);
    if let Some(ahead) = ahead(times.not_before) {
        return Err(Refusal::NotYetValid(ahead.as_secs()));
    }
    if let Some(ahead) = ahead(times.issued) {
        return Err(Refusal::IssuedInFuture(ahead.as_secs()));
    }
    Ok(())
}

/// The token lives no longer than `most`: from `iat`, else from `nbf`, else (JWT-SVIDs need have neither) from now. A
/// year-long token is one that the platform issued for its own API; without `iat` it would pass in its last hours, so
/// `iat` must be there where the platform's tokens always have it.
pub(super) fn lifetime(times: &Times, now: Timestamp, most: Duration, has_issue_time: bool) -> Result<(), Refusal> {
    if has_issue_time && times.issued.is_none() {
        return Err(Refusal::Time("iat"));
    }
    let lifetime = times.expires.since(times.issued.or(times.not_before).unwrap_or(now));
    if lifetime > most {
        return Err(Refusal::LongLived(lifetime.as_secs(), most.as_secs()));
    }
    Ok(())
}

/// Whether every token of the platform says when it was issued.
pub(super) fn has_issue_time(platform: &Platform) -> bool {
    platform.schema().claim("iat").is_some_and(|claim| claim.presence() == Presence::Required)
}

/// `sub` names somebody (RFC 7519 section 4.1.2).
pub(super) fn subject(claims: &Map<String, Value>) -> Result<Box<str>, Refusal> {
    match claims.get("sub") {
        Some(Value::String(sub)) if (1..=1024).contains(&sub.len()) && !sub.chars().any(char::is_control) => {
            Ok(sub.as_str().into())
        }
        _ => Err(Refusal::Subject),
    }
}

/// `jti` names the token, where the platform gives one (RFC 7519 section 4.1.7).
pub(super) fn token_id(claims: &Map<String, Value>) -> Result<Option<Box<str>>, Refusal> {
    match claims.get("jti") {
        None => Ok(None),
        Some(Value::String(jti)) if (1..=256).contains(&jti.len()) => Ok(Some(jti.as_str().into())),
        Some(_) => Err(Refusal::TokenId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const LEEWAY: Duration = Duration::from_secs(60);

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[rstest]
    #[case(json!({"iss": "https://a"}), true)]
    #[case(json!({"iss": "https://a/"}), false)]
    #[case(json!({"iss": "https://A"}), false)]
    #[case(json!({"iss": ["https://a"]}), false)]
    #[case(json!({"iss": ["https://evil", "https://a"]}), false)]
    #[case(json!({"iss": null}), false)]
    #[case(json!({}), false)]
    fn the_issuer_is_one_string_byte_for_byte(#[case] value: Value, #[case] fine: bool) {
        assert_eq!(issuer(&claims(value), "https://a").is_ok(), fine);
    }

    #[rstest]
    #[case(json!({"aud": "us"}), Ok(()))]
    #[case(json!({"aud": ["us"]}), Ok(()))]
    #[case(json!({}), Err(Refusal::NoAudience))]
    #[case(json!({"aud": null}), Err(Refusal::NoAudience))]
    #[case(json!({"aud": []}), Err(Refusal::NoAudience))]
    #[case(json!({"aud": {}}), Err(Refusal::NoAudience))]
    #[case(json!({"aud": {"us": 1}}), Err(Refusal::NoAudience))]
    #[case(json!({"aud": 2}), Err(Refusal::NoAudience))]
    #[case(json!({"aud": ["us", 2]}), Err(Refusal::NoAudience))]
    #[case(json!({"aud": "them"}), Err(Refusal::Audience))]
    #[case(json!({"aud": "us/"}), Err(Refusal::Audience))]
    #[case(json!({"aud": "US"}), Err(Refusal::Audience))]
    #[case(json!({"aud": ["us", "them"]}), Err(Refusal::SeveralAudiences))]
    #[case(json!({"aud": ["us", "platform"]}), Err(Refusal::PlatformAudience))]
    #[case(json!({"aud": "platform"}), Err(Refusal::PlatformAudience))]
    fn the_audience_is_ours_alone(#[case] value: Value, #[case] expected: Result<(), Refusal>) {
        let accepted = ["us".to_owned(), "also us".to_owned()];
        assert_eq!(audience(&claims(value), &accepted, false, |a| a == "platform"), expected);
    }

    #[test]
    fn several_audiences_pass_only_where_the_operator_said_so() {
        let several = claims(json!({"aud": ["us", "them"]}));
        assert_eq!(audience(&several, &["us".to_owned()], true, |_| false), Ok(()));
    }

    #[rstest]
    #[case(json!({"exp": 1_795_000_100}), Ok(1_795_000_100))]
    #[case(json!({"exp": 1_795_000_100.9}), Ok(1_795_000_100))]
    #[case(json!({"exp": 1.79e9}), Ok(1_790_000_000))]
    #[case(json!({}), Err(Refusal::Time("exp")))]
    #[case(json!({"exp": -1}), Err(Refusal::Time("exp")))]
    #[case(json!({"exp": -1.5}), Err(Refusal::Time("exp")))]
    #[case(json!({"exp": 1e18}), Err(Refusal::Time("exp")))]
    #[case(json!({"exp": u64::MAX}), Err(Refusal::Time("exp")))]
    #[case(json!({"exp": "1795000100"}), Err(Refusal::Time("exp")))]
    #[case(json!({"exp": null}), Err(Refusal::Time("exp")))]
    #[case(json!({"exp": true}), Err(Refusal::Time("exp")))]
    #[case(json!({"exp": 1, "nbf": "0"}), Err(Refusal::Time("nbf")))]
    #[case(json!({"exp": 1, "nbf": null}), Err(Refusal::Time("nbf")))]
    #[case(json!({"exp": 1, "nbf": -5}), Err(Refusal::Time("nbf")))]
    #[case(json!({"exp": 1, "iat": "0"}), Err(Refusal::Time("iat")))]
    fn a_time_is_a_non_negative_number(#[case] value: Value, #[case] expected: Result<i64, Refusal>) {
        assert_eq!(read_times(&claims(value)).map(|times| times.expires.as_secs()), expected);
    }

    #[rstest]
    #[case(300, 0, 0, Ok(()))]
    #[case(-59, -300, -300, Ok(()))]
    #[case(-60, -300, -300, Err(Refusal::Expired(60)))]
    #[case(-3600, -7200, -7200, Err(Refusal::Expired(3600)))]
    #[case(300, 60, 0, Ok(()))]
    #[case(300, 61, 0, Err(Refusal::NotYetValid(61)))]
    #[case(300, 0, 60, Ok(()))]
    #[case(300, 0, 61, Err(Refusal::IssuedInFuture(61)))]
    fn now_lies_within_the_times(
        #[case] exp: i64,
        #[case] nbf: i64,
        #[case] iat: i64,
        #[case] expected: Result<(), Refusal>,
    ) {
        let at = |offset: i64| Timestamp::from_secs(NOW.as_secs() + offset);
        let token = Times { expires: at(exp), not_before: Some(at(nbf)), issued: Some(at(iat)) };
        assert_eq!(times(&token, NOW, LEEWAY), expected);
    }

    #[test]
    fn a_year_long_token_is_refused_with_or_without_iat() {
        let year = Duration::from_secs(365 * 86_400);
        let day = Duration::from_secs(86_400);
        for (issued, not_before) in [(Some(NOW), None), (None, Some(NOW)), (None, None)] {
            let token = Times { expires: NOW.plus(year), not_before, issued };
            let long = Err(Refusal::LongLived(year.as_secs(), day.as_secs()));
            assert_eq!(lifetime(&token, NOW, day, false), long);
            let token = Times { expires: NOW.plus(day), not_before, issued };
            assert_eq!(lifetime(&token, NOW, day, false), Ok(()));
        }
    }

    #[test]
    fn a_platform_whose_tokens_say_when_they_were_issued_must_say_it() {
        let token = Times { expires: NOW, not_before: Some(NOW), issued: None };
        assert_eq!(lifetime(&token, NOW, LEEWAY, true), Err(Refusal::Time("iat")));
    }

    #[rstest]
    #[case(json!({"sub": "organization:O:project:Default Project:workspace:W"}), true)]
    #[case(json!({"sub": ""}), false)]
    #[case(json!({"sub": 7}), false)]
    #[case(json!({"sub": ["a"]}), false)]
    #[case(json!({"sub": "a\nb"}), false)]
    #[case(json!({}), false)]
    fn a_subject_is_a_string(#[case] value: Value, #[case] fine: bool) {
        assert_eq!(subject(&claims(value)).is_ok(), fine);
    }

    #[rstest]
    #[case(json!({}), Ok(None))]
    #[case(json!({"jti": "x"}), Ok(Some("x".into())))]
    #[case(json!({"jti": ["x"]}), Err(Refusal::TokenId))]
    #[case(json!({"jti": null}), Err(Refusal::TokenId))]
    #[case(json!({"jti": ""}), Err(Refusal::TokenId))]
    fn a_token_id_is_a_string_where_there_is_one(
        #[case] value: Value,
        #[case] expected: Result<Option<Box<str>>, Refusal>,
    ) {
        assert_eq!(token_id(&claims(value)), expected);
    }
}
