//! The proof that a token was verified.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::checks::Times;
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::jose::Sha256;
use crate::trust::Issuer;

/// A token whose signature, issuer, audience, times and required claims all held. Only this module constructs one; it
/// is neither `Clone` nor `Deserialize`, so that holding it means that the checks ran.
///
/// ```compile_fail
/// fn twice(token: cambio::verify::VerifiedToken) -> (cambio::verify::VerifiedToken, cambio::verify::VerifiedToken) {
///     (token.clone(), token)
/// }
/// ```
///
/// ```compile_fail
/// fn forge(text: &str) -> cambio::verify::VerifiedToken {
///     serde_json::from_str(text).unwrap()
/// }
/// ```
///
/// ```compile_fail
/// fn forge() -> cambio::verify::VerifiedToken {
///     cambio::verify::VerifiedToken { facts: unreachable!() }
/// }
/// ```
#[derive(Debug)]
pub struct VerifiedToken {
    facts: Arc<Facts>,
}

/// What was verified; the cache of tokens seen before keeps it.
pub(super) struct Facts {
    pub(super) issuer: Arc<Issuer>,
    pub(super) subject: Box<str>,
    pub(super) claims: Map<String, Value>,
    pub(super) digest: Sha256,
    pub(super) signed_digest: Sha256,
    pub(super) times: Times,
    pub(super) token_id: Option<Box<str>>,
    pub(super) key: Sha256,
    pub(super) key_id: Option<Box<str>>,
}

impl VerifiedToken {
    pub(super) fn new(facts: Facts) -> Self {
        Self { facts: Arc::new(facts) }
    }

    pub(super) fn from_cache(facts: Arc<Facts>) -> Self {
        Self { facts }
    }

    pub(super) fn shared(&self) -> Arc<Facts> {
        Arc::clone(&self.facts)
    }

    /// The operator's name of the issuer that vouches.
    #[must_use]
    pub fn issuer(&self) -> &IssuerName {
        self.facts.issuer.name()
    }

    /// The issuer that vouches, as it is configured.
    #[must_use]
    pub fn trusted_issuer(&self) -> &Issuer {
        &self.facts.issuer
    }

    /// The verified `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// All claims.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.facts.claims
    }

    /// The claims, to be looked at after the token was consumed.
    #[must_use]
    pub fn claims_view(&self) -> ClaimsView {
        ClaimsView(Arc::clone(&self.facts))
    }

    /// SHA-256 of the token as it was presented.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.facts.digest
    }

    /// What a spent token without `jti` is known by: SHA-256 of what was signed, the same for every signature that verifies.
    #[must_use]
    pub fn signed_digest(&self) -> Sha256 {
        self.facts.signed_digest
    }

    /// The `kid` of the key that verified it, as the token names it.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.facts.key_id.as_deref()
    }

    /// The verified `exp`.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.facts.times.expires
    }

    /// The verified `iat`, where there is one.
    #[must_use]
    pub fn issued(&self) -> Option<Timestamp> {
        self.facts.times.issued
    }

    /// The verified `jti`, where the platform gives one.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.facts.token_id.as_deref()
    }
}

/// The claims of a token that was verified, to look at and no more: nothing of the chain is made from it.
#[derive(Clone)]
pub struct ClaimsView(Arc<Facts>);

impl ClaimsView {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.claims.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Facts({}, [claims redacted])", self.issuer.name())
    }
}

#[cfg(test)]
impl VerifiedToken {
    /// A token that nothing verified, for the tests of what comes after verification.
    pub(crate) fn for_tests(issuer: &str, subject: &str, claims: Map<String, Value>, expires: Timestamp) -> Self {
        let settings = serde_json::json!({
            "name": issuer,
            "platform": "generic",
            "issuer": "https://issuer.example",
            "audiences": ["https://cambio.example"],
        });
        let settings = serde_json::from_value(settings).unwrap();
        let issuer =
            Issuer::new(settings, &crate::trust::Platforms::embedded(), &crate::trust::Fetcher::new()).unwrap();
        Self::new(Facts {
            issuer: Arc::new(issuer),
            subject: subject.into(),
            claims,
            digest: crate::jose::sha256(subject.as_bytes()),
            signed_digest: crate::jose::sha256(subject.as_bytes()),
            times: Times { expires, not_before: None, issued: None },
            token_id: None,
            key: crate::jose::sha256(b"key"),
            key_id: None,
        })
    }
}
