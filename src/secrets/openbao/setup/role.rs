//! The role that lets cambio's tokens in: a CEL program that makes a token's claims into an OpenBao login.
//!
//! Decides what a login gets: the token's own policies, for the rest of the token's life, in the namespace that the token
//! says and nowhere else. OpenBao has verified signature, issuer, audience and times before it runs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::identity::{Namespace, TargetName};

/// What kind of OpenBao token a login makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginToken {
    /// Stored, with an accessor, and revocable: three writes to OpenBao's storage a login.
    #[default]
    Service,
    /// Self-contained: nothing is written, and nobody can revoke it.
    Batch,
}

/// Which tokens a role lets in.
pub(super) enum Admits<'a> {
    /// Those of one namespace; none: those that name none.
    One(Option<&'a Namespace>),
    /// Those of all these, into one namespace: their policies are told apart by their names.
    Several(BTreeSet<&'a Namespace>),
}

/// The document of the role (OpenBao API, `auth/<mount>/cel/role/<name>`).
pub(super) fn document(admits: &Admits<'_>, audiences: &BTreeSet<TargetName>, token: LoginToken) -> Value {
    let claim = |name: &str| format!("('{name}' in claims) ? string(claims['{name}']) : ''");
    let (expected, is_other, policies) = match admits {
        // Every namespace trusts the same issuer: without this, a token of one opens all others that have a policy of the
        // same name.
        Admits::One(namespace) => {
            let expected = json!(namespace.map_or("", Namespace::as_str)).to_string();
            (expected, "named != expected", "granted")
        }
        // A namespace has no `:`, so no two pairs of namespace and policy make one name.
        Admits::Several(namespaces) => {
            (json!(namespaces).to_string(), "!(named in expected)", "granted.map(p, named + ':' + p)")
        }
    };
    let variables = [
        ("expected", expected),
        // `namespace` is a reserved word of CEL.
        ("named", claim("namespace")),
        ("sub", claim("sub")),
        ("target", claim("aud")),
        ("decision", claim("txn")),
        ("granted", "('policies' in claims) ? claims['policies'].map(p, string(p)) : []".to_owned()),
        ("policies", policies.to_owned()),
        ("ttl", "('exp' in claims) ? int(claims['exp']) - int(now) : 0".to_owned()),
    ];
    let kind = match token {
        LoginToken::Service => "1u",
        LoginToken::Batch => "2u",
    };
    // OpenBao lets a token in for a minute after its end, and takes a lease of zero for its longest, 32 days.
    let expression = format!(
        "sub == '' ? 'missing subject' : \
         ({is_other} ? 'the token is for another namespace' : \
         (ttl <= 0 ? 'the token has ended' : \
         (size(policies) == 0 ? 'the token has no policies' : pb.Auth{{\
         display_name: sub, \
         policies: policies, \
         lease_options: pb.LeaseOptions{{TTL: ttl * 1000000000, MaxTTL: ttl * 1000000000, issue_time: now}}, \
         token_type: {kind}, \
         metadata: {{'subject': sub, 'target': target, 'decision': decision}}\
         }})))"
    );
    let variables: Vec<Value> =
        variables.iter().map(|(name, expression)| json!({"name": name, "expression": expression})).collect();
    json!({
        "cel_program": {"variables": variables, "expression": expression},
        "bound_audiences": audiences,
    })
}
