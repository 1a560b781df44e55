//! The proof that a token was verified.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::jose::Sha256;

/// A token whose signature, issuer, audience, times and required claims all held. Only this module constructs one; it
/// is neither `Clone` nor `Deserialize`, so that holding it means that the checks ran.
///
/// ```compile_fail
/// let forged = cambio::verify::VerifiedToken { facts: todo!() };
/// ```
#[derive(Debug)]
pub struct VerifiedToken {
    facts: Arc<Facts>,
}

/// What was verified, shared with the verified-token cache.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) issuer: IssuerName,
    pub(super) subject: Box<str>,
    pub(super) claims: Map<String, Value>,
    pub(super) digest: Sha256,
    pub(super) expires: Timestamp,
    pub(super) token_id: Option<Box<str>>,
}

impl VerifiedToken {
    /// The operator's name of the issuer that vouches.
    #[must_use]
    pub fn issuer(&self) -> &IssuerName {
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

    /// SHA-256 of the token as it was presented.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.facts.digest
    }

    /// The verified `exp`.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.facts.expires
    }

    /// The verified `jti`, where the platform gives one.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.facts.token_id.as_deref()
    }
}
