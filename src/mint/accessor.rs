//! Accessors (OpenBao API, `auth/token/lookup-accessor`): names of tokens with which they can be looked up and revoked, and
//! nothing else.
//!
//! Nothing is kept about a token that is minted, so its accessor carries what there is to know, signed by us. None of its
//! claims is one that a resource server looks for in a token (RFC 9068 section 2.2): an accessor opens nothing anywhere.

use serde::{Deserialize, Serialize};

use super::{MintError, Minter, OwnToken};
use crate::clock::Timestamp;
use crate::identity::{Namespace, PolicyName, TargetName};

/// What an accessor says of its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessorClaims {
    jti: Box<str>,
    sub: Box<str>,
    target: TargetName,
    namespace: Option<Namespace>,
    policies: Vec<PolicyName>,
    exp: i64,
    iat: i64,
}

/// The claims of an accessor.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadAccessor {
    pub(super) accessor: AccessorClaims,
}

impl AccessorClaims {
    /// What there is to know about `token`.
    #[must_use]
    pub fn of(token: &OwnToken) -> Self {
        Self {
            jti: Box::from(token.jti()),
            sub: Box::from(token.subject()),
            target: token.target().clone(),
            namespace: token.namespace().cloned(),
            policies: token.policies().to_vec(),
            exp: token.expires_at().as_secs(),
            iat: token.issued_at().as_secs(),
        }
    }

    /// The `jti` of the token.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// The `sub` of the token.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.sub
    }

    /// The target of the token.
    #[must_use]
    pub fn target(&self) -> &TargetName {
        &self.target
    }

    /// Where the target's secrets live.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// The policies of the token.
    #[must_use]
    pub fn policies(&self) -> &[PolicyName] {
        &self.policies
    }

    /// The `exp` of the token.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_secs(self.exp)
    }

    /// The `iat` of the token.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        Timestamp::from_secs(self.iat)
    }
}

impl Minter {
    /// The accessor of a token that was minted here.
    ///
    /// # Errors
    /// [`MintError::Signing`], [`MintError::Claims`].
    pub fn accessor(&self, token: &OwnToken) -> Result<String, MintError> {
        let claims = ReadAccessor { accessor: AccessorClaims::of(token) };
        let text = serde_json::to_vec(&claims).map_err(|_| MintError::Claims)?;
        Ok(self.signer().sign(&text)?.as_str().to_owned())
    }
}
