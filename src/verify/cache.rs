//! Tokens seen before: verified once, checked again at each use for what may have changed since.
//!
//! Pods present one projected token again and again, and a signature is the dearest step. An entry is found by the
//! SHA-256 of the whole token (never by claims: CVE-2026-35039), what it was declared as, and the issuer that the caller
//! named. It never outlives the token's own times, the trust in its issuer as it is configured now, or the trust in the
//! key that verified it. Policies are not cached: they run at every exchange.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::Value;

use super::checks;
use super::verified::{Facts, VerifiedToken};
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::jose::Sha256;
use crate::oauth::DeclaredType;
use crate::trust::{Issuer, Issuers};

/// What finds an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenKey {
    /// SHA-256 of the token as it was presented.
    pub digest: Sha256,
    /// What it was declared as: the declaration decides which `typ` is accepted.
    pub declared: DeclaredType,
    /// The issuer that the caller named, if it named one.
    pub named: Option<IssuerName>,
}

/// A cache of verified tokens, bounded in bytes.
pub struct VerifiedTokens {
    entries: Option<Cache<SeenKey, Entry, ByBytes>>,
}

#[derive(Clone)]
struct Entry {
    facts: Arc<Facts>,
    weight: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<SeenKey, Entry> for ByBytes {
    fn weight(&self, _key: &SeenKey, entry: &Entry) -> u64 {
        entry.weight
    }
}

/// What an entry holds beside its claims, and what a value holds beside its text: a tree's node shared by few.
const ENTRY_BYTES: u64 = 512;
const VALUE_BYTES: u64 = 72;
/// The weight of an ordinary token's facts, for the cache's first guess at how many entries there will be.
const ORDINARY_WEIGHT: u64 = 4096;

impl VerifiedTokens {
    /// A cache of about `bytes`; 0 turns it off.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / ORDINARY_WEIGHT).unwrap_or(usize::MAX).max(16);
        Self { entries: (bytes > 0).then(|| Cache::with_weighter(items, bytes, ByBytes)) }
    }

    /// The token, if it was verified before and everything that it rested on still holds at `now`: the issuer is
    /// configured as it was then, still publishes the key, and the token's times still hold.
    pub fn find(&self, key: &SeenKey, trusted: &Issuers, now: Timestamp) -> Option<VerifiedToken> {
        let facts = self.entries.as_ref()?.get(key)?.facts;
        let issuer = trusted.named(facts.issuer.name())?;
        let unchanged = Arc::ptr_eq(issuer, &facts.issuer);
        if !unchanged || !still_trusted(issuer, facts.key, now) {
            return None;
        }
        checks::times(&facts.times, now, issuer.leeway()).ok()?;
        Some(VerifiedToken::from_cache(facts))
    }

    /// Remembers a token that was just verified.
    pub fn remember(&self, key: SeenKey, token: &VerifiedToken) {
        if let Some(entries) = &self.entries {
            let weight =
                ENTRY_BYTES + token.claims().iter().map(|(name, value)| name.len() as u64 + bytes(value)).sum::<u64>();
            entries.insert(key, Entry { facts: token.shared(), weight });
        }
    }

    /// How many tokens are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, Cache::len)
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// About what a JSON value holds in memory. Recursion is bounded by the depth that parsing allows.
fn bytes(value: &Value) -> u64 {
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len() as u64,
            Value::Array(items) => items.iter().map(bytes).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| name.len() as u64 + bytes(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

fn still_trusted(issuer: &Issuer, key: Sha256, now: Timestamp) -> bool {
    issuer.keys().current(now).is_ok_and(|keys| keys.keys().contains(key))
}
