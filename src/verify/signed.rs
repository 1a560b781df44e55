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
}

impl SignedToken {
    pub(super) fn new(jws: CompactJws, digest: Sha256, issuer: Arc<Issuer>, key: Sha256) -> Self {
        Self { jws, digest, issuer, key }
    }

    /// Checks every claim that decides whether the token is good, for us, now.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn check_claims(self, now: Timestamp) -> Result<VerifiedToken, Refusal> {
        let issuer = &self.issuer;
        // A token without `jti` is known again by what was signed.
        let has_id = self.jws.unverified_claims().contains_key("jti");
        let signed_digest = if has_id { self.digest } else { self.jws.signed_digest() };
        let key_id = self.jws.unverified_key_id().map(Box::from);
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
        checks::lifetime(&times, now, issuer.max_token_lifetime(), checks::has_issue_time(issuer.platform()))?;
        let subject = checks::subject(&claims)?;
        let token_id = checks::token_id(&claims)?;
        shape::check(&claims, issuer)?;
        Ok(VerifiedToken::new(Facts {
            subject,
            claims,
            digest: self.digest,
            times,
            token_id,
            signed_digest,
            key: self.key,
            key_id,
            issuer: self.issuer,
        }))
    }
}
