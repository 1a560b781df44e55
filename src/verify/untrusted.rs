//! A parsed token that nobody has verified. It may be asked who claims to have issued it, and for a hint at the key.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::signed::SignedToken;
use super::{Refusal, checks};
use crate::clock::Timestamp;
use crate::identity::SpiffeTrustDomain;
use crate::jose::{Algorithm, CompactJws, KeySet, Sha256, VerifyingKey};
use crate::oauth::{DeclaredType, SubjectToken};
use crate::trust::{Issuer, MediaTypes};

/// A well-formed token of unknown worth. Its claims are out of reach until a trusted issuer's key has verified it.
#[derive(Debug)]
pub struct UntrustedToken {
    jws: CompactJws,
    declared: DeclaredType,
    digest: Sha256,
}

/// A token whose signature did not hold, given back: the issuer may have rotated its keys, and the caller may try once
/// more with fresh ones.
#[derive(Debug)]
pub struct SignatureFailure {
    /// Why.
    pub refusal: Refusal,
    /// The token.
    pub token: Box<UntrustedToken>,
}

impl UntrustedToken {
    /// Parses the token: sizes first, then structure, header and claims once each.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(token: SubjectToken, digest: Sha256) -> Result<Self, Refusal> {
        let declared = token.declared();
        Ok(Self { jws: CompactJws::parse(token.into_text())?, declared, digest })
    }

    /// SHA-256 of the token as it was presented.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// What the caller says that it is.
    #[must_use]
    pub fn declared(&self) -> DeclaredType {
        self.declared
    }

    /// The issuer that the token claims: `iss`, or for a JWT-SVID without one the trust domain of its SPIFFE id, as
    /// `spiffe://<trust domain>`. It selects the keys that will be tried, nothing else.
    ///
    /// # Errors
    /// [`Refusal::NoIssuer`].
    pub fn claimed_issuer(&self) -> Result<String, Refusal> {
        let claims = self.jws.unverified_claims();
        match (claims.get("iss"), claims.get("sub")) {
            (Some(Value::String(iss)), _) if iss.len() <= 512 => Ok(iss.clone()),
            (None, Some(Value::String(sub))) => SpiffeTrustDomain::of_id(sub)
                .map(|domain| format!("spiffe://{}", domain.as_str()))
                .ok_or(Refusal::NoIssuer),
            _ => Err(Refusal::NoIssuer),
        }
    }

    /// The `sub` that the token claims. It says whose small budget is charged where there is little left for anybody, nothing else.
    #[must_use]
    pub fn claimed_subject(&self) -> Option<&str> {
        self.jws.unverified_claims().get("sub").and_then(Value::as_str)
    }

    /// Whether the token is out of its time by what it says itself. Good for refusing early, and for nothing else.
    #[must_use]
    pub fn claims_to_be_over(&self, now: Timestamp, leeway: Duration) -> bool {
        let times = checks::read_times(self.jws.unverified_claims());
        !times.is_ok_and(|times| checks::times(&times, now, leeway).is_ok())
    }

    /// The `kid` that the header names, for finding a key and for the audit record.
    #[must_use]
    pub fn key_id_hint(&self) -> Option<&str> {
        self.jws.unverified_key_id()
    }

    /// Checks the header against what `issuer` may send, finds the key among `keys`, and verifies the signature. The keys
    /// are the issuer's own: no key of another issuer is ever tried (RFC 8725 section 3.8).
    ///
    /// # Errors
    /// [`SignatureFailure`] gives the token back.
    pub fn check_signature(self, issuer: &Arc<Issuer>, keys: &KeySet) -> Result<SignedToken, SignatureFailure> {
        match self.signing_key(issuer, keys) {
            Ok(thumbprint) => Ok(SignedToken::new(self.jws, self.digest, Arc::clone(issuer), thumbprint)),
            Err(refusal) => Err(SignatureFailure { refusal, token: Box::new(self) }),
        }
    }

    fn signing_key(&self, issuer: &Issuer, keys: &KeySet) -> Result<Sha256, Refusal> {
        let algorithm = self.jws.unverified_algorithm();
        self.media_type(issuer)?;
        if issuer.platform().has_closed_header() && self.jws.has_other_header_members() {
            return Err(Refusal::OpenHeader);
        }
        if !issuer.algorithms().contains(&algorithm) {
            return Err(Refusal::Algorithm);
        }
        let key_id = self.key_id_hint();
        let mut tried = false;
        for key in keys.candidates(algorithm, key_id) {
            tried = true;
            if self.jws.is_signed_by(key) {
                return Ok(key.thumbprint());
            }
        }
        Err(self.no_key(tried, algorithm, keys))
    }

    fn no_key(&self, tried: bool, algorithm: Algorithm, keys: &KeySet) -> Refusal {
        let other_algorithm = |key: &Arc<VerifyingKey>| key.algorithm() != algorithm;
        match self.key_id_hint() {
            _ if tried => Refusal::Signature,
            Some(key_id) if keys.knows(key_id) => Refusal::KeyForAnotherAlgorithm,
            None if keys.keys().iter().any(other_algorithm) => Refusal::KeyForAnotherAlgorithm,
            _ => Refusal::UnknownKey,
        }
    }

    /// `typ` says what kind of token it is, so that one kind is never taken for another (RFC 8725 section 3.11): what the
    /// issuer's tokens have, but an access token only where one was declared or any JWT may be, and nothing else where one
    /// was.
    fn media_type(&self, issuer: &Issuer) -> Result<(), Refusal> {
        let written = self.jws.unverified_media_type();
        let is = |media_type| MediaTypes::from(vec![String::from(media_type)]).accept(written);
        let allowed = match self.declared {
            DeclaredType::AccessToken => is("at+jwt") && issuer.types().accept(written),
            DeclaredType::IdToken => !is("at+jwt") && issuer.types().accept(written),
            DeclaredType::Assertion => is("authorization-grant+jwt") || issuer.types().accept(written),
            DeclaredType::Jwt => issuer.types().accept(written),
        };
        if allowed { Ok(()) } else { Err(Refusal::MediaType) }
    }
}
