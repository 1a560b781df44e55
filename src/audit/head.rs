//! A head as it is read back, and the keys that heads are verified by.

use serde_json::Value;
use zeroize::Zeroizing;

use super::audit_key::MEDIA_TYPE;
use super::lines::HeadClaims;
use crate::jose::{CompactJws, KeyRules, VerifyingKey};

/// A head whose signature nobody has checked.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) claims: HeadClaims,
    jws: CompactJws,
}

/// A text that is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoHead;

impl Head {
    pub(super) fn unverified(text: &str) -> Result<Self, NoHead> {
        let jws = CompactJws::parse(Zeroizing::new(text.trim().to_owned())).map_err(|_| NoHead)?;
        if jws.unverified_media_type() != Some(MEDIA_TYPE) || jws.has_other_header_members() {
            return Err(NoHead);
        }
        let claims = serde_json::from_value(Value::Object(jws.unverified_claims().clone())).map_err(|_| NoHead)?;
        Ok(Self { claims, jws })
    }

    /// The thumbprint of the key that it says it is signed by.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.jws.unverified_key_id()
    }

    pub(super) fn is_signed_by(&self, key: &AuditPublicKey) -> bool {
        self.key_id() == Some(&*key.thumbprint) && self.jws.is_signed_by(&key.key)
    }
}

/// The public half of an audit key.
#[derive(Debug)]
pub(super) struct AuditPublicKey {
    pub(super) thumbprint: Box<str>,
    key: VerifyingKey,
}

impl AuditPublicKey {
    /// Reads a JWK whose `kid` is its thumbprint.
    pub(super) fn read(jwk: &Value) -> Option<Self> {
        let key = VerifyingKey::from_jwk(&serde_json::to_vec(jwk).ok()?, &KeyRules::default()).ok()?;
        let thumbprint = key.thumbprint().base64url();
        (key.key_id() == Some(thumbprint.as_str()) && !key.is_exposed())
            .then(|| Self { thumbprint: thumbprint.into_boxed_str(), key })
    }
}
