//! A case: claims in, a decision out.
//!
//! Decides how a case is written. The first case of a kind gives its `claims` in full; the next say which one they are
//! `like`, and what is different: `with` is merged into the claims (objects member by member), `without` takes claims
//! away (by name, or by JSON Pointer, RFC 6901, below the first level). One good request, one change per case: what
//! a case is about is all that it shows.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor, value};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::shape::Ttl;
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::policy::Grant;

/// One case. Only its name has a place, at which everything about it is told: a place costs as much to read as a value,
/// and most of a file is cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct CaseDocument {
    /// Unique in the file.
    pub(in crate::policy) name: Spanned<String>,
    /// An earlier case, whose issuer, claims and moment this one starts from.
    #[serde(default)]
    pub(in crate::policy) like: Option<String>,
    /// Who vouches.
    #[serde(default)]
    pub(in crate::policy) issuer: Option<IssuerName>,
    /// All claims.
    #[serde(default)]
    pub(in crate::policy) claims: Option<Map<String, Value>>,
    /// Claims that differ.
    #[serde(default)]
    pub(in crate::policy) with: Map<String, Value>,
    /// Claims that are absent.
    #[serde(default)]
    pub(in crate::policy) without: Vec<String>,
    /// The moment of the decision.
    #[serde(default)]
    pub(in crate::policy) at: Option<When>,
    /// What is granted.
    #[serde(default)]
    pub(in crate::policy) permit: Option<ExpectPermit>,
    /// Why nothing is.
    #[serde(default)]
    pub(in crate::policy) deny: Option<ExpectDenial>,
}

/// An expected permit: exactly these policies; the rest is compared where it is stated.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct ExpectPermit {
    #[serde(default)]
    pub(in crate::policy) rule: Option<String>,
    pub(in crate::policy) policies: Vec<String>,
    #[serde(default)]
    ttl: Option<Ttl>,
    #[serde(default)]
    pub(in crate::policy) outlive_subject: Option<bool>,
    #[serde(default)]
    pub(in crate::policy) scopes: Option<Vec<String>>,
    #[serde(default)]
    pub(in crate::policy) metadata: Option<Map<String, Value>>,
}

impl ExpectPermit {
    pub(in crate::policy) fn ttl(&self) -> Option<Duration> {
        self.ttl.map(|ttl| ttl.0)
    }

    /// What was granted, in the words of a case: as much of it as `asked` states.
    pub(in crate::policy) fn of(grant: &Grant, asked: Option<&Self>) -> Self {
        let stated = |states: fn(&Self) -> bool| asked.is_some_and(states);
        Self {
            rule: Some(grant.rule().to_owned()),
            policies: grant.policies().iter().map(ToString::to_string).collect(),
            ttl: grant.ttl().filter(|_| stated(|asked| asked.ttl.is_some())).map(Ttl),
            outlive_subject: stated(|asked| asked.outlive_subject.is_some()).then(|| grant.outlive_subject()),
            scopes: stated(|asked| asked.scopes.is_some()).then(|| grant.scopes().map(str::to_owned).collect()),
            metadata: stated(|asked| asked.metadata.is_some())
                .then(|| grant.metadata().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()),
        }
    }
}

/// An expected denial: the message of the condition that fails, or the code of the reason. Written as text, or as a map
/// that also names the rule.
#[derive(Debug)]
pub(in crate::policy) struct ExpectDenial {
    pub(in crate::policy) rule: Option<String>,
    pub(in crate::policy) reason: String,
}

/// A moment, RFC 3339.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct When(pub(in crate::policy) Timestamp);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<jiff::Timestamp>() {
            Ok(moment) => Ok(Self(Timestamp::from_millis(moment.as_millisecond()))),
            Err(_) => Err(D::Error::custom(format!("`{text}` is no moment such as `2026-11-18T11:06:40Z`"))),
        }
    }
}

impl<'de> Deserialize<'de> for ExpectDenial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            #[serde(default)]
            rule: Option<String>,
            reason: String,
        }

        struct DenialVisitor;

        impl<'de> Visitor<'de> for DenialVisitor {
            type Value = ExpectDenial;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message or reason code, or a map of `rule` and `reason`")
            }

            fn visit_str<E: Error>(self, reason: &str) -> Result<Self::Value, E> {
                Ok(ExpectDenial { rule: None, reason: reason.to_owned() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let Full { rule, reason } = Full::deserialize(value::MapAccessDeserializer::new(map))?;
                Ok(ExpectDenial { rule, reason })
            }
        }

        deserializer.deserialize_any(DenialVisitor)
    }
}
