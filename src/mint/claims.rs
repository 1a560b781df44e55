//! What a secrets token says (RFC 9068 section 2.2, and what ties it to the rule that it came from).

use serde::{Deserialize, Serialize, Serializer};

use crate::identity::{DecisionId, Namespace, PolicyName, TargetName};

/// The claims as they are written: borrowed, in this order. `D` is how digests are at hand.
#[derive(Serialize)]
pub(super) struct Claims<'a, D> {
    pub(super) iss: &'a str,
    /// `<issuer name>:<subject>`. The prefix has no `:`, so subjects of two issuers never collide (RFC 9700 section
    /// 4.15).
    pub(super) sub: &'a str,
    pub(super) aud: &'a str,
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) jti: &'a str,
    pub(super) client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) scope: &'a str,
    #[serde(serialize_with = "as_texts")]
    pub(super) policies: &'a [PolicyName],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<&'a str>,
    pub(super) rule: &'a str,
    pub(super) rule_digest: D,
    pub(super) policy_digest: D,
    pub(super) txn: DecisionId,
    /// `service` where the rule asks for tokens that clients revoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_type: Option<TokenKind>,
}

/// The `token_type` of a Vault login (OpenBao API), as far as the token itself has to remember it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TokenKind {
    /// One that clients revoke when they are done.
    Service,
}

/// The claims as they are read back. A member that is not known here ends the reading: a later version may put a
/// restriction into it, such as `cnf` (RFC 7800), that must not be overlooked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadClaims {
    pub(super) iss: Box<str>,
    pub(super) sub: Box<str>,
    pub(super) aud: TargetName,
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) jti: Box<str>,
    pub(super) client_id: Box<str>,
    #[serde(default)]
    pub(super) scope: Box<str>,
    pub(super) policies: Vec<PolicyName>,
    #[serde(default)]
    pub(super) namespace: Option<Namespace>,
    pub(super) rule: Box<str>,
    pub(super) rule_digest: Box<str>,
    pub(super) policy_digest: Box<str>,
    pub(super) txn: Box<str>,
    #[serde(default)]
    pub(super) token_type: Option<TokenKind>,
}

fn as_texts<S: Serializer>(names: &[PolicyName], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(names.iter().map(PolicyName::as_str))
}
