//! What is known about an exchange so far. Owned and bounded, so that it can be written after the exchange is over.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::escape;
use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName, PolicyName};
use crate::jose::Sha256;

/// The longest texts that are kept, in bytes; a longer one ends with `…`.
pub(super) const MAX_ISSUER: usize = 512;
pub(super) const MAX_KEY_ID: usize = 128;
pub(super) const MAX_SUBJECT: usize = 1024;
pub(super) const MAX_TARGET: usize = 255;
pub(super) const MAX_DETAIL: usize = 1024;
/// The most policies that are listed.
pub(super) const MAX_POLICIES: usize = 64;
/// The most claims that are listed; the longest name, all names, the longest value and all of names and values, in bytes.
const MAX_CLAIMS: usize = 128;
const MAX_CLAIM_NAME: usize = 64;
const MAX_CLAIM_NAMES: usize = 2 * 1024;
const MAX_CLAIM_VALUE: usize = 1024;
const MAX_CLAIM_VALUES: usize = 8 * 1024;
/// The longest trace, in bytes of JSON; of a longer one only the length is written.
const MAX_TRACE: usize = 16 * 1024;

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
    pub(super) claims: Claims,
    pub(super) target: Option<Box<str>>,
    pub(super) policy_set: Option<Sha256>,
    pub(super) rule: Option<Box<str>>,
    pub(super) rule_digest: Option<Sha256>,
    pub(super) policies: Vec<PolicyName>,
    pub(super) trace: Option<LateTrace>,
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

/// Names are kept in one text with the ends of each, so that thirty-six of them cost two allocations.
pub(super) enum Claims {
    None,
    Names { text: String, ends: Vec<usize> },
    Values(Option<Box<RawValue>>),
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
            claims: Claims::None,
            target: None,
            policy_set: None,
            rule: None,
            rule_digest: None,
            policies: Vec::new(),
            trace: None,
            end: End { outcome: "aborted", reason: None, detail: None, issued: None, latency: None },
        }
    }

    /// The trace as JSON within its bound.
    pub(super) fn take_trace(&mut self) -> Option<Box<RawValue>> {
        let late = self.trace.take()?;
        let mut text = Vec::new();
        if late(&mut text).is_err() {
            text = br#"{"unwritable":true}"#.to_vec();
        } else if text.len() > MAX_TRACE {
            text = format!(r#"{{"cut_bytes":{}}}"#, text.len()).into_bytes();
        }
        RawValue::from_string(String::from_utf8(text).ok()?).ok()
    }
}

impl Claims {
    pub(super) fn new<'a>(detail: ClaimDetail, claims: impl Iterator<Item = (&'a str, &'a Value)>) -> Self {
        let claims = claims.take(MAX_CLAIMS);
        match detail {
            ClaimDetail::None => Self::None,
            ClaimDetail::Names => {
                let (mut text, mut ends) = (String::with_capacity(512), Vec::with_capacity(48));
                for (name, _) in claims {
                    if text.len() + MAX_CLAIM_NAME > MAX_CLAIM_NAMES {
                        text.push('…');
                        ends.push(text.len());
                        break;
                    }
                    text.push_str(short_name(name));
                    ends.push(text.len());
                }
                Self::Names { text, ends }
            }
            ClaimDetail::Values => Self::Values(values(claims)),
        }
    }

    /// The names, where they are kept.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let (text, ends) = match self {
            Self::Names { text, ends } => (text.as_str(), ends.as_slice()),
            _ => ("", [].as_slice()),
        };
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends).map(|(start, end)| text.get(start..*end).unwrap_or_default())
    }
}

/// A value beyond its bound is written as `"…"`; where all are, the object ends with such a member.
fn values<'a>(claims: impl Iterator<Item = (&'a str, &'a Value)>) -> Option<Box<RawValue>> {
    const CUT: &[u8] = "\"…\"".as_bytes();
    let mut out = vec![b'{'];
    for (name, value) in claims {
        if out.len() > 1 {
            out.push(b',');
        }
        let full = out.len() > MAX_CLAIM_VALUES;
        escape::write(&mut out, &if full { "…" } else { short_name(name) }).ok()?;
        out.push(b':');
        let start = out.len();
        if !full {
            escape::write(&mut out, value).ok()?;
        }
        if full || out.len() - start > MAX_CLAIM_VALUE {
            out.truncate(start);
            out.extend_from_slice(CUT);
        }
        if full {
            break;
        }
    }
    out.push(b'}');
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}

fn short_name(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_CLAIM_NAME)).unwrap_or_default()
}

/// `text` within `most` bytes.
pub(super) fn cut(text: &str, most: usize) -> Box<str> {
    if text.len() <= most {
        return Box::from(text);
    }
    [text.get(..text.floor_char_boundary(most)).unwrap_or_default(), "…"].concat().into_boxed_str()
}
