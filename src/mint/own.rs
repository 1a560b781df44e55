//! Our own tokens, read back: for introspection, revocation, and whoever reads secrets with one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::accessor::{AccessorClaims, ReadAccessor};
use super::claims::ReadClaims;
use super::{KeyRing, LOGIN_MEDIA_TYPE, LoginToken, MAX_LIFETIME, MEDIA_TYPE};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName, Namespace, PolicyName, TargetName};
use crate::jose::{CompactError, CompactJws, KeySet, MAX_TOKEN_BYTES, Sha256, sha256};

/// How far ahead of this clock another replica's may be.
const REPLICA_SKEW: Duration = Duration::from_secs(60);

/// How many verified tokens are remembered, at about 1 KiB each. Whoever reads secrets presents the same token again and
/// again, and a digest costs a thirtieth of a signature.
const REMEMBERED: usize = 4096;

/// Verifies tokens that were minted here.
pub struct OwnTokens {
    ring: Arc<KeyRing>,
    issuer: Box<str>,
    seen: Cache<Sha256, Seen>,
}

/// A token that was verified, and the published keys that it was verified by: once they change, it counts no more.
#[derive(Clone)]
struct Seen {
    token: Arc<OwnToken>,
    keys: Arc<KeySet>,
}

/// A token that was minted here, verified and unexpired. Whether it was revoked, or its rule deleted, is not known here.
pub struct OwnToken {
    issuer: IssuerName,
    claims: ReadClaims,
    decision: DecisionId,
}

/// Why a token is not one of ours. For the log: who presents it learns `active: false` and nothing else (RFC 7662
/// section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnTokenError {
    /// Not a signed token at all.
    #[error(transparent)]
    Compact(#[from] CompactError),
    /// The header is not the one that is written here: `alg`, `kid` and `typ: at+jwt`.
    #[error("the header is not that of a token minted here")]
    Header,
    /// No published key of ours has that `kid`.
    #[error("the key is none of ours, or is no longer published")]
    Key,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
    /// Signed with our key, and not what is minted here: another version's, or a sign that the key leaked.
    #[error("the claims are not those of a token minted here")]
    Claims,
    /// `iss` is another one: the key serves another deployment too.
    #[error("the token was minted under another issuer name")]
    Issuer,
    /// Over.
    #[error("the token has expired")]
    Expired,
    /// `iat` lies ahead.
    #[error("the token was issued in the future")]
    Future,
}

impl OwnTokens {
    /// Accepts tokens that say `iss: issuer` and are signed by a published key of the ring.
    #[must_use]
    pub fn new(ring: Arc<KeyRing>, issuer: &str) -> Self {
        Self { ring, issuer: Box::from(issuer), seen: Cache::new(REMEMBERED) }
    }

    /// Verifies `token` at `now`, with no leeway on its `exp`: it was measured by our own clock.
    ///
    /// # Errors
    /// [`OwnTokenError`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<OwnToken>, OwnTokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(OwnTokenError::Compact(CompactError::TooLong));
        }
        let keys = self.ring.own();
        let digest = sha256(token.as_bytes());
        if let Some(seen) = self.seen.get(&digest)
            && Arc::ptr_eq(&seen.keys, &keys)
        {
            seen.token.check_times(now)?;
            return Ok(seen.token);
        }
        let token = Arc::new(self.read(token, MEDIA_TYPE, &keys, now)?);
        self.seen.insert(digest, Seen { token: Arc::clone(&token), keys });
        Ok(token)
    }

    /// Verifies a token that is good for a login and for nothing else, in the same way.
    ///
    /// # Errors
    /// [`OwnTokenError`]; [`OwnTokenError::Header`] for a token of any other kind.
    pub fn login(&self, token: &str, now: Timestamp) -> Result<LoginToken, OwnTokenError> {
        self.read(token, LOGIN_MEDIA_TYPE, &self.ring.own(), now).map(LoginToken::new)
    }

    fn read(&self, token: &str, media_type: &str, keys: &KeySet, now: Timestamp) -> Result<OwnToken, OwnTokenError> {
        let claims = Self::signed(token, media_type, keys)?;
        let claims: ReadClaims = serde_json::from_value(Value::Object(claims)).map_err(|_| OwnTokenError::Claims)?;
        if *claims.iss != *self.issuer {
            return Err(OwnTokenError::Issuer);
        }
        let token = OwnToken::new(claims).ok_or(OwnTokenError::Claims)?;
        token.check_times(now)?;
        Ok(token)
    }

    /// Whether `token` was verified before, and costs no signature now.
    #[must_use]
    pub fn knows(&self, token: &str) -> bool {
        let seen = (token.len() <= MAX_TOKEN_BYTES).then(|| self.seen.get(&sha256(token.as_bytes()))).flatten();
        seen.is_some_and(|seen| Arc::ptr_eq(&seen.keys, &self.ring.own()))
    }

    /// The `sub` that a token which nobody has verified claims, if it claims one.
    ///
    /// # Errors
    /// [`CompactError`] where it is no signed token at all, so that no signature is checked of it.
    pub fn claimed_subject(token: &str) -> Result<Option<String>, CompactError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(CompactError::TooLong);
        }
        let jws = CompactJws::parse(Zeroizing::new(token.to_owned()))?;
        Ok(jws.unverified_claims().get("sub").and_then(Value::as_str).map(str::to_owned))
    }

    /// The token that `accessor` names, whatever became of it.
    ///
    /// # Errors
    /// [`OwnTokenError`].
    pub fn accessor(&self, accessor: &str) -> Result<AccessorClaims, OwnTokenError> {
        let claims = Self::signed(accessor, MEDIA_TYPE, &self.ring.own())?;
        let read: ReadAccessor = serde_json::from_value(Value::Object(claims)).map_err(|_| OwnTokenError::Claims)?;
        Ok(read.accessor)
    }

    /// The claims of what a published key of ours has signed.
    fn signed(token: &str, media_type: &str, keys: &KeySet) -> Result<Map<String, Value>, OwnTokenError> {
        let jws = CompactJws::parse(Zeroizing::new(token.to_owned()))?;
        if jws.unverified_media_type() != Some(media_type) || jws.has_other_header_members() {
            return Err(OwnTokenError::Header);
        }
        let key_id = jws.unverified_key_id().ok_or(OwnTokenError::Header)?;
        let (mut known, mut signed) = (false, false);
        for key in keys.candidates(jws.unverified_algorithm(), Some(key_id)) {
            known = true;
            signed |= jws.is_signed_by(key);
        }
        if !signed {
            return Err(if known { OwnTokenError::Signature } else { OwnTokenError::Key });
        }
        Ok(jws.into_claims())
    }
}

impl OwnToken {
    fn new(claims: ReadClaims) -> Option<Self> {
        let issuer = IssuerName::new(claims.sub.split_once(':')?.0).ok()?;
        let decision = DecisionId::parse(&claims.txn)?;
        let lifetime = claims.expires().since(claims.issued());
        (claims.client_id == claims.sub && lifetime <= MAX_LIFETIME).then_some(Self { issuer, claims, decision })
    }

    fn check_times(&self, now: Timestamp) -> Result<(), OwnTokenError> {
        if now >= self.claims.expires() {
            return Err(OwnTokenError::Expired);
        }
        if self.claims.issued() > now.plus(REPLICA_SKEW) {
            return Err(OwnTokenError::Future);
        }
        Ok(())
    }

    /// Whether clients are to revoke it when they are done: `type: service` in OpenBao's words, else `batch`.
    #[must_use]
    pub fn revocable(&self) -> bool {
        self.claims.token_type.is_some()
    }

    /// The operator's name of the issuer that vouched for the subject.
    #[must_use]
    pub fn issuer(&self) -> &IssuerName {
        &self.issuer
    }

    /// The `sub`, with the issuer's name before the first `:`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// The `client_id`, equal to the subject.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.claims.client_id
    }

    /// The `aud`.
    #[must_use]
    pub fn target(&self) -> &TargetName {
        &self.claims.aud
    }

    /// Where the target's secrets live.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.claims.namespace.as_ref()
    }

    /// The policies that it carries.
    #[must_use]
    pub fn policies(&self) -> &[PolicyName] {
        &self.claims.policies
    }

    /// The scope, space-delimited; empty for none.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.claims.scope
    }

    /// The `jti`, by which it is revoked.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.claims.jti
    }

    /// The `exp`.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.claims.expires()
    }

    /// The `iat`.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.claims.issued()
    }

    /// The rule that it came from.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.claims.rule
    }

    /// The digest of that rule, in hex.
    #[must_use]
    pub fn rule_digest(&self) -> &str {
        &self.claims.rule_digest
    }

    /// The digest of the policy set that it came from, in hex.
    #[must_use]
    pub fn policy_digest(&self) -> &str {
        &self.claims.policy_digest
    }

    /// The decision that it came from.
    #[must_use]
    pub fn decision(&self) -> DecisionId {
        self.decision
    }
}

impl ReadClaims {
    fn expires(&self) -> Timestamp {
        Timestamp::from_secs(self.exp)
    }

    fn issued(&self) -> Timestamp {
        Timestamp::from_secs(self.iat)
    }
}

impl fmt::Debug for OwnToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnToken({} for {} until {})", self.claims.sub, self.claims.aud, self.expires_at())
    }
}
