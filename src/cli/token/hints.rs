//! What to do about a check that failed: for whoever has the token, or runs the counter.

use serde_json::Value;

use super::inspection::Read;
use crate::cli::text::shown;
use crate::clock::Timestamp;
use crate::jose::CompactError;
use crate::trust::{Issuer, Issuers, Untrusted};
use crate::verify::Refusal;

pub(super) const FRESH: &str =
    "get a fresh one: a pod reads its file anew each time, a CI job asks again or starts again";
pub(super) const CLOCK: &str = "the clocks differ: `cambio doctor` compares ours with the issuers'";

/// A time claim, as far as it can be one.
#[allow(clippy::cast_possible_truncation, reason = "saturates, and is only shown")]
pub(super) fn seconds(value: f64) -> Timestamp {
    Timestamp::from_secs(value as i64)
}

pub(super) fn form(error: CompactError) -> String {
    match error {
        CompactError::Parts | CompactError::Character | CompactError::Encoding => {
            "give the whole token: three parts between dots, nothing cut off and nothing added".to_owned()
        }
        CompactError::Encrypted => "cambio takes signed tokens, not encrypted ones".to_owned(),
        CompactError::Header(_) => {
            "this header is refused from every issuer; is it really a token of the platform?".to_owned()
        }
        _ => "this is refused from every issuer".to_owned(),
    }
}

pub(super) fn untrusted(error: Untrusted, claimed: &str, issuers: &Issuers) -> String {
    let named = |names: Vec<&str>| names.join(", ");
    match error {
        Untrusted::Ambiguous => {
            let same = issuers.iter().filter(|issuer| issuer.url().as_str() == claimed);
            let names = named(same.map(|issuer| issuer.name().as_str()).collect());
            format!("name one: `--issuer` here, `--subject-issuer` for `cambio exchange`; there are {names}")
        }
        Untrusted::NameMismatch => format!("the token says `{}`", shown(claimed)),
        Untrusted::UnknownIssuer => {
            let plain = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
            let near = issuers.iter().find(|issuer| plain(issuer.url().as_str()) == plain(claimed));
            match near {
                Some(issuer) => format!(
                    "the token says `{}`, issuer `{}` is configured as `{}`: they are compared byte by byte",
                    shown(claimed),
                    issuer.name(),
                    issuer.url()
                ),
                None => format!(
                    "the token says `{}`; add an issuer with exactly this `issuer`, if you trust it",
                    shown(claimed)
                ),
            }
        }
    }
}

pub(super) fn signature(refusal: &Refusal, read: &Read, issuer: &Issuer, published: &[&str]) -> String {
    let published = || published.iter().map(|id| shown(id)).collect::<Vec<_>>().join(", ");
    match refusal {
        Refusal::UnknownKey => format!(
            "the token names `{}`, published are {}: the issuer replaced its keys, or the token is from another instance",
            read.key_id.as_deref().map(shown).unwrap_or_default(),
            published()
        ),
        Refusal::Signature => "the token was changed or cut on its way, or another instance signed it".to_owned(),
        Refusal::MediaType => {
            let typ =
                read.media_type.as_deref().map_or_else(|| "no `typ`".to_owned(), |typ| format!("`{}`", shown(typ)));
            format!("the header has {typ}; `types` of the issuer says which ones are accepted")
        }
        Refusal::Algorithm | Refusal::KeyForAnotherAlgorithm => {
            let accepted: Vec<_> = issuer.algorithms().iter().map(|algorithm| algorithm.name()).collect();
            format!(
                "the header says {}; accepted are {} (`algorithms` of the issuer)",
                read.algorithm,
                accepted.join(", ")
            )
        }
        _ => String::new(),
    }
}

pub(super) fn refusal(refusal: &Refusal, read: &Read, issuer: &Issuer) -> String {
    let audience = || read.claims.get("aud").map(|aud| shown(&aud.to_string())).unwrap_or_else(|| "none".to_owned());
    let accepted = || issuer.audiences().iter().map(|one| format!("`{}`", shown(one))).collect::<Vec<_>>().join(", ");
    match refusal {
        Refusal::Audience | Refusal::NoAudience => {
            format!("the token is for {}; ask the platform for one for {}", audience(), accepted())
        }
        Refusal::SeveralAudiences => format!("the token is for {}; ask for one for {} alone", audience(), accepted()),
        Refusal::PlatformAudience => {
            format!("the token is for {}: the platform's own; ask for one for {}", audience(), accepted())
        }
        Refusal::Expired(_) | Refusal::Time(_) => FRESH.to_owned(),
        Refusal::NotYetValid(_) | Refusal::IssuedInFuture(_) => CLOCK.to_owned(),
        Refusal::LongLived(..) => {
            "ask the platform for a shorter one, or raise `max_token_lifetime` of the issuer".to_owned()
        }
        Refusal::RefusedClaim(name) => {
            let claims = issuer.platform().refused_claims().iter();
            let why = claims.filter(|one| one.claim.to_string() == *name).map(|one| one.because.to_string()).next();
            why.unwrap_or_default()
        }
        Refusal::MissingClaim(_) => {
            "a required claim is one of the platform's, or of `required_claims`; is this the right kind of token?"
                .to_owned()
        }
        Refusal::Issuer => {
            let iss = read.claims.get("iss").map(Value::to_string).unwrap_or_default();
            format!("the token says {}, the issuer is configured as `{}`", shown(&iss), issuer.url())
        }
        _ => String::new(),
    }
}
