//! What is told of a token (OpenBao API, `auth/token/lookup`): every member that any client looks for.

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::exchange::Bearer;
use crate::identity::{IssuerName, Namespace, PolicyName, TargetName};
use crate::mint::AccessorClaims;

struct About<'a> {
    id: &'a str,
    accessor: &'a str,
    revocable: bool,
    subject: &'a str,
    issuer: Option<&'a IssuerName>,
    target: Option<&'a TargetName>,
    namespace: Option<&'a Namespace>,
    policies: &'a [PolicyName],
    issued: Timestamp,
    expires: Timestamp,
}

/// Of a token; `secret` is the token itself, which its bearer has already.
pub(super) fn by_token(token: &Bearer, secret: &str, accessor: &str, now: Timestamp) -> Value {
    let about = About {
        id: secret,
        accessor,
        revocable: token.token().is_none_or(|token| token.revocable()),
        subject: token.subject(),
        issuer: Some(token.issuer()),
        target: token.token().map(|token| token.target()),
        namespace: token.namespace(),
        policies: token.policies(),
        issued: token.issued_at(),
        expires: token.expires_at(),
    };
    about.told(now)
}

/// Of a token that is known by its accessor: without the token.
pub(super) fn by_accessor(claims: &AccessorClaims, accessor: &str, now: Timestamp) -> Value {
    let about = About {
        id: "",
        accessor,
        revocable: true,
        subject: claims.subject(),
        issuer: None,
        target: Some(claims.target()),
        namespace: claims.namespace(),
        policies: claims.policies(),
        issued: claims.issued_at(),
        expires: claims.expires_at(),
    };
    about.told(now)
}

impl About<'_> {
    fn told(&self, now: Timestamp) -> Value {
        let issuer = self.issuer.map(IssuerName::as_str).or_else(|| self.subject.split_once(':').map(|(name, _)| name));
        let path = self.namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
        json!({
            "accessor": self.accessor,
            "creation_time": self.issued.as_secs(),
            "creation_ttl": self.expires.since(self.issued).as_secs(),
            "display_name": self.subject,
            "entity_id": "",
            "expire_time": self.expires.to_string(),
            "explicit_max_ttl": 0,
            "id": self.id,
            "issue_time": self.issued.to_string(),
            "meta": {"role": self.target.map_or("", TargetName::as_str), "subject": self.subject},
            "namespace_path": path,
            "num_uses": 0,
            "orphan": true,
            "path": format!("auth/{}/login", issuer.unwrap_or_default()),
            "policies": self.policies,
            "renewable": false,
            "ttl": self.expires.since(now).as_secs(),
            "type": if self.revocable { "service" } else { "batch" },
        })
    }
}
