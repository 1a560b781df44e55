//! A token that a trusted issuer's key signed, and whose claims nobody has checked.

use std::sync::Arc;

use super::verified::{Facts, VerifiedToken};
use super::{Refusal, checks, shape};
use crate::clock::Timestamp;
use crate::identity::SpiffeTrustDomain;
use crate::jose::{CompactJws, Sha256};
use crate::trust::{AudienceRule, Issuer};

/// A token with a good signature. Only [`super::UntrustedToken::check_signature`] makes one.
#[derive(Debug)]
pub struct SignedToken {
    jws: CompactJws,
    digest: Sha256,
    issuer: Arc<Issuer>,
    key: Sha256,
    token_bytes: u64,
}

/// What the facts of a token weigh in the cache, for each byte of the token: its decoded claims as a tree.
const BYTES_PER_TOKEN_BYTE: u64 = 4;

impl SignedToken {
    pub(super) fn new(jws: CompactJws, digest: Sha256, issuer: Arc<Issuer>, key: Sha256) -> Self {
        let token_bytes = jws.token_bytes();
        Self { jws, digest, issuer, key, token_bytes }
    }

    /// Checks every claim that decides whether the token is good, for us, now.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn check_claims(self, now: Timestamp) -> Result<VerifiedToken, Refusal> {
        let issuer = &self.issuer;
        let claims = self.jws.into_claims();
        if let Some(domain) = issuer.trust_domain() {
            let subject = checks::subject(&claims)?;
            if SpiffeTrustDomain::of_id(&subject).is_none_or(|of| of.as_str() != domain) {
                return Err(Refusal::TrustDomain);
            }
        }
        if claims.contains_key("iss") || issuer.trust_domain().is_none() {
            checks::issuer(&claims, issuer.url().as_str())?;
        }
        checks::audience(&claims, issuer.audiences(), issuer.audience_rule() == AudienceRule::Any, |audience| {
            issuer.refuses_audience(audience)
        })?;
        let times = checks::read_times(&claims)?;
        checks::times(&times, now, issuer.leeway())?;
        checks::lifetime(&times, now, issuer.max_token_lifetime())?;
        let subject = checks::subject(&claims)?;
        let token_id = checks::token_id(&claims)?;
        shape::check(&claims, issuer)?;
        let weight = BYTES_PER_TOKEN_BYTE * self.token_bytes;
        Ok(VerifiedToken::new(Facts {
            subject,
            claims,
            digest: self.digest,
            times,
            token_id,
            key: self.key,
            weight,
            issuer: self.issuer,
        }))
    }
}
