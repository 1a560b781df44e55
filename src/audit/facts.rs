//! What is known about an exchange so far. Owned and bounded, so that it can be written after the exchange is over.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::escape;
use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName, PolicyName};
use crate::jose::Sha256;

/// The longest texts that are kept, in bytes; a longer one ends with `…`.
pub(super) const MAX_ISSUER: usize = 512;
pub(super) const MAX_KEY_ID: usize = 128;
pub(super) const MAX_SUBJECT: usize = 1024;
pub(super) const MAX_TARGET: usize = 255;
pub(super) const MAX_PATH: usize = 1536;
pub(super) const MAX_DETAIL: usize = 1024;
/// The most policies that are listed.
pub(super) const MAX_POLICIES: usize = 64;
/// The most claims that are listed; the longest name, all names, the longest value and all of names and values, in bytes.
const MAX_CLAIMS: usize = 128;
const MAX_CLAIM_NAME: usize = 64;
const MAX_CLAIM_NAMES: usize = 4 * 1024;
const MAX_CLAIM_VALUE: usize = 1024;
const MAX_CLAIM_VALUES: usize = 8 * 1024;
/// The longest trace, in bytes of JSON; of a longer one only the length is written.
const MAX_TRACE: usize = 16 * 1024;
/// The longest state of a changed thing, in bytes of JSON; of a longer one only the length is written. An account with all that
/// it may have fits, whole but for [`MAX_STATE_TEXT`]: what it was granted for a moment must not be what is missing.
const MAX_STATE: usize = 24 * 1024;
/// The longest text of a state that is too long: no pattern and no policy is longer, and who did it may be.
const MAX_STATE_TEXT: usize = 640;
/// The longest name of an account or of a thing that an administrator acts on.
pub(super) const MAX_OBJECT: usize = 512;

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// The token endpoint.
    OAuth,
    /// A Vault or OpenBao login.
    Vault,
    /// The REST API.
    Rest,
    /// The admin API.
    Admin,
    /// The command line.
    Cli,
}

/// What of a token's claims goes into the record. `docs/decisions/0022-claims-in-the-audit.md` weighs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimDetail {
    /// Nothing.
    None,
    /// Their names: enough to see that a claim was missing.
    #[default]
    Names,
    /// Names and values: what `diff` needs to replay a decision. May hold personal data, such as a user's address.
    Values,
}

/// Serialises a trace, on the writer's thread.
pub(super) type LateTrace = Box<dyn FnOnce(&mut Vec<u8>) -> serde_json::Result<()> + Send>;

pub(super) struct Facts {
    pub(super) id: DecisionId,
    pub(super) time: Timestamp,
    pub(super) surface: Surface,
    pub(super) remote: Option<IpAddr>,
    pub(super) claimed_issuer: Option<Box<str>>,
    pub(super) key_id: Option<Box<str>>,
    pub(super) token: Option<Sha256>,
    pub(super) issuer: Option<IssuerName>,
    pub(super) subject: Option<Box<str>>,
    /// JSON, escaped.
    pub(super) claims: Option<String>,
    pub(super) target: Option<Box<str>>,
    pub(super) policy_set: Option<Sha256>,
    pub(super) rule: Option<Box<str>>,
    pub(super) rule_digest: Option<Sha256>,
    pub(super) policies: Vec<PolicyName>,
    pub(super) metadata: BTreeMap<Box<str>, Box<str>>,
    pub(super) trace: Option<LateTrace>,
    /// What was done to a secret, and which.
    pub(super) operation: Option<&'static str>,
    pub(super) path: Option<Box<str>>,
    /// The `jti` of the token that a secret was asked for with.
    pub(super) presented: Option<Box<str>>,
    /// The decision by which that token was issued.
    pub(super) exchange: Option<DecisionId>,
    pub(super) namespace: Option<Box<str>>,
    /// The service account that acts.
    pub(super) account: Option<Box<str>>,
    /// The family of the token that it has, or had.
    pub(super) family: Option<Box<str>>,
    /// What an administrator does, and to what.
    pub(super) action: Option<&'static str>,
    pub(super) object: Option<Box<str>>,
    /// JSON, escaped, within its bound.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) end: End,
}

/// How it ended.
pub(super) struct End {
    pub(super) outcome: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) detail: Option<Box<str>>,
    pub(super) issued: Option<Issued>,
    pub(super) latency: Option<Duration>,
}

pub(super) struct Issued {
    pub(super) token_id: Box<str>,
    pub(super) expires: Timestamp,
    pub(super) lifetime: Duration,
}

impl Facts {
    pub(super) fn new(id: DecisionId, time: Timestamp, surface: Surface, remote: Option<IpAddr>) -> Self {
        Self {
            id,
            time,
            surface,
            remote,
            claimed_issuer: None,
            key_id: None,
            token: None,
            issuer: None,
            subject: None,
            claims: None,
            target: None,
            policy_set: None,
            rule: None,
            rule_digest: None,
            policies: Vec::new(),
            metadata: BTreeMap::new(),
            trace: None,
            operation: None,
            path: None,
            presented: None,
            exchange: None,
            namespace: None,
            account: None,
            family: None,
            action: None,
            object: None,
            before: None,
            after: None,
            end: End { outcome: "aborted", reason: None, detail: None, issued: None, latency: None },
        }
    }

    /// Appends the trace within its bound, as JSON; whether there is one.
    pub(super) fn write_trace(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(late) = self.trace.take() else { return false };
        let start = out.len();
        if late(out).is_err() {
            out.truncate(start);
            out.extend_from_slice(br#"{"unwritable":true}"#);
        }
        let long = out.len() - start;
        if long > MAX_TRACE {
            out.truncate(start);
            out.extend_from_slice(format!(r#"{{"cut_bytes":{long}}}"#).as_bytes());
        }
        true
    }
}

/// What is kept of the claims, as JSON: it is made here, within its bounds, because a copy of the claims would cost more.
pub(super) fn claims_json<'a>(
    detail: ClaimDetail,
    claims: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Option<String> {
    let mut out = Vec::with_capacity(1024);
    match detail {
        ClaimDetail::None => return None,
        ClaimDetail::Names => names(&mut out, claims.map(|(name, _)| name).take(MAX_CLAIMS)).ok()?,
        ClaimDetail::Values => values(&mut out, claims.take(MAX_CLAIMS)).ok()?,
    }
    String::from_utf8(out).ok()
}

/// A list; where it is cut, it ends with `…`.
fn names<'a>(out: &mut Vec<u8>, names: impl Iterator<Item = &'a str>) -> serde_json::Result<()> {
    out.push(b'[');
    for name in names {
        if out.len() > 1 {
            out.push(b',');
        }
        if out.len() > MAX_CLAIM_NAMES {
            escape::write(out, &"…")?;
            break;
        }
        escape::write_text(out, short_name(name))?;
    }
    out.push(b']');
    Ok(())
}

/// An object; a value beyond its bound is written as `"…"`, and where all are, the object ends with such a member.
fn values<'a>(out: &mut Vec<u8>, claims: impl Iterator<Item = (&'a str, &'a Value)>) -> serde_json::Result<()> {
    out.push(b'{');
    for (name, value) in claims {
        if out.len() > 1 {
            out.push(b',');
        }
        if out.len() > MAX_CLAIM_VALUES {
            out.extend_from_slice(r#""…":"…""#.as_bytes());
            break;
        }
        escape::write_text(out, short_name(name))?;
        out.push(b':');
        let start = out.len();
        escape::write(out, value)?;
        if out.len() - start > MAX_CLAIM_VALUE {
            out.truncate(start);
            escape::write(out, &"…")?;
        }
    }
    out.push(b'}');
    Ok(())
}

fn short_name(name: &str) -> &str {
    if name.len() <= MAX_CLAIM_NAME {
        return name;
    }
    name.get(..name.floor_char_boundary(MAX_CLAIM_NAME)).unwrap_or_default()
}

/// The state of a thing as JSON, escaped and within its bound: taken at once, as it may change or be forgotten.
pub(super) fn state_json(state: &Value) -> Option<String> {
    let mut out = Vec::with_capacity(256);
    escape::write(&mut out, state).ok()?;
    let whole = out.len();
    if whole > MAX_STATE {
        out.clear();
        escape::write(&mut out, &shortened(state)).ok()?;
    }
    if out.len() > MAX_STATE {
        out = format!(r#"{{"cut_bytes":{whole}}}"#).into_bytes();
    }
    String::from_utf8(out).ok()
}

/// The same, with long texts cut.
fn shortened(state: &Value) -> Value {
    match state {
        Value::String(text) => Value::from(&*cut(text, MAX_STATE_TEXT)),
        Value::Array(items) => items.iter().map(shortened).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shortened(value))).collect(),
        other => other.clone(),
    }
}

/// `text` within `most` bytes.
pub(super) fn cut(text: &str, most: usize) -> Box<str> {
    if text.len() <= most {
        return Box::from(text);
    }
    [text.get(..text.floor_char_boundary(most)).unwrap_or_default(), "…"].concat().into_boxed_str()
}
