//! Minting: lifetime, claims, signature.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::claims::{Claims, TokenKind};
use super::{IssuedToken, KeyRing, LifetimeInput, SubjectExpiresTooSoon, Usage, lifetime};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName, Namespace, PolicyName, TargetName};
use crate::jose::{NoRandomness, Sha256, SigningError, SigningKey, random};

/// The longest set of claims that is signed, in bytes: the token then fits the 8 KiB that web servers give a header.
pub const MAX_CLAIMS_BYTES: usize = 5 * 1024;

/// Makes secrets tokens.
pub struct Minter {
    ring: Arc<KeyRing>,
    issuer: Box<str>,
}

/// What a token is minted from: everything in it was verified, or decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MintInput<'a> {
    /// The operator's name of the subject token's issuer.
    pub(crate) issuer: &'a IssuerName,
    /// The verified `sub`.
    pub(crate) subject: &'a str,
    /// What the token is for.
    pub(crate) target: &'a TargetName,
    /// Where the target's secrets live, if it has secrets.
    pub(crate) namespace: Option<&'a Namespace>,
    /// The name of the rule that decided.
    pub(crate) rule: &'a str,
    /// The digest of that rule: a token names what it came from, so that deleting the rule revokes it.
    pub(crate) rule_digest: Sha256,
    /// The digest of the whole policy set.
    pub(crate) policy_digest: Sha256,
    /// The granted policies.
    pub(crate) policies: &'a [PolicyName],
    /// The granted scope, space-delimited (RFC 6749 section 3.3); empty for none.
    pub(crate) scope: &'a str,
    /// What the lifetime depends on.
    pub(crate) lifetime: LifetimeInput,
    /// The id of the decision; `txn` in the token.
    pub(crate) decision: DecisionId,
    /// Whether clients are to revoke the token when they are done.
    pub(crate) revocable: bool,
    /// What the token is to be used for.
    pub(crate) usage: Usage,
    /// The moment of the exchange.
    pub(crate) now: Timestamp,
}

/// A token without its signature.
pub(super) struct Unsigned {
    pub(super) ring: Arc<KeyRing>,
    pub(super) usage: Usage,
    pub(super) claims: Vec<u8>,
    pub(super) token_id: Box<str>,
    pub(super) scope: Box<str>,
    pub(super) lifetime: Duration,
    pub(super) expires: Timestamp,
    pub(super) subject: Box<str>,
}

/// Why nothing was minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// Too little is left of the subject token.
    #[error(transparent)]
    Lifetime(#[from] SubjectExpiresTooSoon),
    /// The subject, the scope and the policies together are longer than [`MAX_CLAIMS_BYTES`].
    #[error("the claims would have {0} bytes, at most 5120 fit a token that clients can send")]
    TooLong(usize),
    /// The claims could not be written.
    #[error("the claims could not be written")]
    Claims,
    /// Whether the key would be published for as long as the token lives is unknown.
    #[error("the signing keys could not be read from the database for too long")]
    StaleKeys,
    /// No `jti`.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// No signature.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl Minter {
    /// A minter whose tokens say `iss: issuer`, signed by the ring's active key.
    #[must_use]
    pub fn new(ring: Arc<KeyRing>, issuer: &str) -> Self {
        Self { ring, issuer: Box::from(issuer) }
    }

    /// Everything of a token but its signature. Writes nothing anywhere.
    ///
    /// # Errors
    /// [`MintError`].
    pub(super) fn prepare(&self, input: &MintInput<'_>) -> Result<Unsigned, MintError> {
        let lifetime = lifetime(&input.lifetime, input.now)?;
        let expires = Timestamp::from_secs(input.now.as_secs()).plus(lifetime);
        self.outlives(expires)?;
        let token_id = new_token_id()?;
        let subject = [input.issuer.as_str(), ":", input.subject].concat();
        let claims = Claims {
            iss: &self.issuer,
            sub: &subject,
            aud: input.target.as_str(),
            exp: expires.as_secs(),
            iat: input.now.as_secs(),
            jti: &token_id,
            client_id: &subject,
            scope: input.scope,
            policies: input.policies,
            namespace: input.namespace.map(Namespace::as_str),
            rule: input.rule,
            rule_digest: input.rule_digest,
            policy_digest: input.policy_digest,
            txn: input.decision,
            token_type: input.revocable.then_some(TokenKind::Service),
        };
        let mut text = Vec::with_capacity(1024);
        serde_json::to_writer(&mut text, &claims).map_err(|_| MintError::Claims)?;
        if text.len() > MAX_CLAIMS_BYTES {
            return Err(MintError::TooLong(text.len()));
        }
        Ok(Unsigned {
            ring: Arc::clone(&self.ring),
            usage: input.usage,
            claims: text,
            token_id: token_id.into_boxed_str(),
            scope: Box::from(input.scope),
            lifetime,
            expires,
            subject: subject.into_boxed_str(),
        })
    }

    /// Mints without a permit, for tests of what comes after.
    #[cfg(test)]
    pub(crate) fn mint_for_tests(&self, input: &MintInput<'_>) -> Result<IssuedToken, MintError> {
        self.prepare(input)?.sign()
    }

    /// The keys.
    pub(super) fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// Whether the key that signs now is published for as long as a token that expires then.
    pub(super) fn outlives(&self, expires: Timestamp) -> Result<(), MintError> {
        match self.ring.reading() {
            Some(reading) if expires > reading.signs_until() => Err(MintError::StaleKeys),
            _ => Ok(()),
        }
    }

    /// The key that signs now.
    pub(super) fn signer(&self) -> Arc<SigningKey> {
        self.ring.signer()
    }

    /// The `iss` of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// A `jti`: 128 random bits.
pub(super) fn new_token_id() -> Result<String, NoRandomness> {
    let mut token_id = String::with_capacity(22);
    URL_SAFE_NO_PAD.encode_string(random::<16>()?, &mut token_id);
    Ok(token_id)
}

impl Unsigned {
    /// Signs with the key that signs now, not with that of a moment ago: that one may have been revoked.
    pub(super) fn sign(self) -> Result<IssuedToken, MintError> {
        Ok(IssuedToken {
            token: self.usage.sign(&self.ring.signer(), &self.claims)?,
            token_id: self.token_id,
            scope: self.scope,
            lifetime: self.lifetime,
            expires: self.expires,
            subject: self.subject,
        })
    }
}
