//! The line: how facts are written, and how a record is read back. The module's description lists the members.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize, Serializer};

use super::escape;
use super::facts::{Facts, MAX_POLICIES, Surface};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, PolicyName};
use crate::jose::Sha256;

const VERSION: u32 = 1;

/// A record that was read back, for `explain` and `diff`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the module's description lists the members")]
pub struct Record {
    pub v: u32,
    pub id: String,
    pub time: String,
    pub surface: Surface,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<IpAddr>,
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_set: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_digest: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_s: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<String>,
}

/// The members of [`Record`] but those that are JSON already and those of the chain, borrowed from facts.
#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    id: DecisionId,
    #[serde(serialize_with = "display")]
    time: Timestamp,
    surface: Surface,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<IpAddr>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Sha256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_set: Option<Sha256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_digest: Option<Sha256>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "texts")]
    policies: &'a [PolicyName],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<Box<str>, Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<DecisionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a str>,
}

/// Appends the record of `facts`, an object, without a line feed.
pub(super) fn write_line(out: &mut Vec<u8>, mut facts: Box<Facts>) -> serde_json::Result<()> {
    let end = &facts.end;
    let line = Line {
        v: VERSION,
        id: facts.id,
        time: facts.time,
        surface: facts.surface,
        remote: facts.remote,
        outcome: end.outcome,
        reason: end.reason,
        detail: end.detail.as_deref(),
        claimed_issuer: facts.claimed_issuer.as_deref(),
        key_id: facts.key_id.as_deref(),
        token: facts.token,
        issuer: facts.issuer.as_ref().map(|issuer| issuer.as_str()),
        subject: facts.subject.as_deref(),
        target: facts.target.as_deref(),
        policy_set: facts.policy_set,
        rule: facts.rule.as_deref(),
        rule_digest: facts.rule_digest,
        policies: facts.policies.get(..MAX_POLICIES).unwrap_or(&facts.policies),
        metadata: &facts.metadata,
        operation: facts.operation,
        path: facts.path.as_deref(),
        jti: end.issued.as_ref().map(|issued| &*issued.token_id).or(facts.presented.as_deref()),
        expires: end.issued.as_ref().map(|issued| issued.expires.to_string()),
        lifetime_s: end.issued.as_ref().map(|issued| issued.lifetime.as_secs()),
        latency_us: end.latency.map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
        namespace: facts.namespace.as_deref(),
        account: facts.account.as_deref(),
        family: facts.family.as_deref(),
        exchange: facts.exchange,
        action: facts.action,
        object: facts.object.as_deref(),
    };
    escape::write(out, &line)?;
    // Some members are JSON already, or write it: they go before the closing brace.
    out.pop();
    let written = [("claims", &facts.claims), ("before", &facts.before), ("after", &facts.after)];
    for (name, json) in written.into_iter().filter_map(|(name, json)| Some((name, json.as_deref()?))) {
        out.extend_from_slice(format!(r#","{name}":{json}"#).as_bytes());
    }
    let before = out.len();
    out.extend_from_slice(br#","trace":"#);
    if !facts.write_trace(out) {
        out.truncate(before);
    }
    out.push(b'}');
    Ok(())
}

fn display<S: Serializer>(value: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn texts<S: Serializer>(names: &[PolicyName], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(names.iter().map(PolicyName::as_str))
}
