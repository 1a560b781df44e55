//! Each check on claims by itself, for whoever wants to know everything that is wrong with a token at once. Proves nothing:
//! no type of the chain comes out of it, and what goes in may be anybody's claims.

use serde_json::{Map, Value};

use super::{Refusal, checks, shape};
use crate::clock::Timestamp;
use crate::identity::SpiffeTrustDomain;
use crate::trust::{AudienceRule, Issuer};

/// What one check said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// What was checked, in a few words.
    pub check: &'static str,
    /// Why it failed, if it did.
    pub refusal: Option<Refusal>,
}

/// All checks of [`super::SignedToken::check_claims`] in its order, each run whatever the others say.
#[must_use]
pub fn examine(claims: &Map<String, Value>, issuer: &Issuer, now: Timestamp) -> Vec<Examined> {
    let mut all = Vec::new();
    let mut note = |check, result: Result<(), Refusal>| all.push(Examined { check, refusal: result.err() });
    if let Some(domain) = issuer.trust_domain() {
        let within = checks::subject(claims).and_then(|subject| match SpiffeTrustDomain::of_id(&subject) {
            Some(of) if of.as_str() == domain => Ok(()),
            _ => Err(Refusal::TrustDomain),
        });
        note("trust domain", within);
    }
    if claims.contains_key("iss") || issuer.trust_domain().is_none() {
        note("issuer", checks::issuer(claims, issuer.url().as_str()));
    }
    let several = issuer.audience_rule() == AudienceRule::Any;
    let refuses = |audience: &str| issuer.refuses_audience(audience);
    note("audience", checks::audience(claims, issuer.audiences(), several, refuses));
    match checks::read_times(claims) {
        Ok(times) => {
            note("times", checks::times(&times, now, issuer.leeway()));
            note(
                "lifetime",
                checks::lifetime(&times, now, issuer.max_token_lifetime(), checks::has_issue_time(issuer.platform())),
            );
        }
        Err(refusal) => note("times", Err(refusal)),
    }
    note("subject", checks::subject(claims).map(drop));
    note("token id", checks::token_id(claims).map(drop));
    note("required and refused claims", shape::check(claims, issuer));
    all
}

#[cfg(test)]
mod tests {
    use super::super::signed::SignedToken;
    use super::*;
    use crate::jose::{CompactJws, sha256};
    use crate::trust::{Fetcher, IssuerSettings, Platforms};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use rstest::rstest;
    use serde_json::json;
    use std::sync::Arc;
    use zeroize::Zeroizing;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn issuer() -> Arc<Issuer> {
        let yaml = "{name: gitlab, platform: gitlab, issuer: 'https://gitlab.example.com', audiences: [us]}";
        let settings: IssuerSettings = serde_saphyr::from_str(yaml).unwrap();
        Arc::new(Issuer::new(settings, &Platforms::embedded(), &Fetcher::new()).unwrap())
    }

    #[rstest]
    #[case(json!({}))]
    #[case(json!({"iss": "https://gitlab.example.com/"}))]
    #[case(json!({"aud": "them"}))]
    #[case(json!({"aud": "them", "exp": 1}))]
    #[case(json!({"exp": 1, "sub": 7}))]
    #[case(json!({"exp": "tomorrow"}))]
    #[case(json!({"exp": 1_900_000_000}))]
    #[case(json!({"sub": ""}))]
    #[case(json!({"jti": 1}))]
    #[case(json!({"ref_protected": null}))]
    fn its_first_refusal_is_that_of_the_chain(#[case] change: Value) {
        let mut claims = json!({
            "iss": "https://gitlab.example.com", "aud": "us", "sub": "a", "exp": 1_795_000_300, "iat": 1_795_000_000,
            "project_id": "1", "ref": "main", "ref_protected": "true",
        });
        let claims = claims.as_object_mut().unwrap();
        claims.extend(change.as_object().unwrap().clone());
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let claims_text = Value::Object(claims.clone()).to_string();
        let token = format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims_text), part("s"));
        let jws = CompactJws::parse(Zeroizing::new(token)).unwrap();
        let digest = sha256(b"");
        let chain = SignedToken::new(jws, digest, issuer(), digest).check_claims(NOW).err();
        let examined = examine(claims, &issuer(), NOW);
        assert_eq!(examined.into_iter().find_map(|one| one.refusal), chain);
    }
}
