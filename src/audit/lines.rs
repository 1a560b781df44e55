//! The lines of a chain that are no records, and what every line of a chain has.
//!
//! Decides how they are written, byte for byte: a line is good only if writing what was read of it gives the same bytes, so
//! that no member can be changed, added or moved without being seen.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jose::Sha256;

/// The version of the lines.
pub(super) const VERSION: u32 = 1;
/// The longest line that is read back; a record has at most 128 KiB.
pub(super) const MAX_LINE: usize = 256 * 1024;

/// What every line of a chain has, whatever else it says.
#[derive(Deserialize)]
pub(super) struct Linked<'a> {
    #[serde(borrow, default)]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) time: Option<Cow<'a, str>>,
    pub(super) seq: u64,
    pub(super) prev: Sha256,
}

/// The first line of a segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SegmentLine {
    pub(super) v: u32,
    pub(super) kind: String,
    pub(super) time: String,
    /// Random, made with the chain.
    pub(super) chain: String,
    /// From 1.
    pub(super) segment: u64,
    /// The public half of the key by which heads are signed from here on, a JWK.
    pub(super) key: Value,
    /// The chain goes to what cannot be read back, so every start of the process begins another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) stream: bool,
    /// Why this is the first segment of a chain, where there was a journal before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<FoundBefore>,
    pub(super) seq: u64,
    pub(super) prev: Sha256,
}

/// What a new chain found in place of one that it could have continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FoundBefore {
    /// What is wrong with it.
    pub(super) what: String,
    /// Whether it is only records of a cambio that wrote no chain.
    pub(super) unchained: bool,
    /// The file, as it is named now.
    pub(super) file: String,
    pub(super) bytes: u64,
    /// The digest of its last line.
    pub(super) last_line: Sha256,
    /// The newest head that was known of the chain of before: what of it was signed, and which chain this one follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) head: Option<String>,
}

/// A signature over everything before.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadLine {
    pub(super) v: u32,
    pub(super) kind: String,
    pub(super) time: String,
    /// A compact JWS of [`HeadClaims`].
    pub(super) head: String,
    pub(super) seq: u64,
    pub(super) prev: Sha256,
}

/// What a head says: up to this line the chain is this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadClaims {
    /// `head`, or `key` where it vouches for the next key.
    pub(super) kind: String,
    pub(super) chain: String,
    pub(super) segment: u64,
    /// The last line that it covers.
    pub(super) seq: u64,
    /// The digest of that line.
    pub(super) hash: Sha256,
    pub(super) time: String,
    /// The thumbprint (RFC 7638) of the next key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// From here on heads are signed by another key, for which the one of before vouches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyLine {
    pub(super) v: u32,
    pub(super) kind: String,
    pub(super) time: String,
    /// The next key, a JWK.
    pub(super) key: Value,
    /// A compact JWS of [`HeadClaims`] by the key of before.
    pub(super) vouched: String,
    pub(super) seq: u64,
    pub(super) prev: Sha256,
}

/// The line before this one, which is no line of the chain, is what a process was writing when it was killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TornLine {
    pub(super) v: u32,
    pub(super) kind: String,
    pub(super) time: String,
    pub(super) bytes: u64,
    pub(super) sha256: Sha256,
    pub(super) seq: u64,
    pub(super) prev: Sha256,
}

/// Old segments are removed, as the configuration says; written before it is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemovedLine {
    pub(super) v: u32,
    pub(super) kind: String,
    pub(super) time: String,
    pub(super) files: Vec<String>,
    /// The chain of the oldest file that is kept, and its segment; empty and 0 where it has none.
    pub(super) chain: String,
    pub(super) oldest: u64,
    pub(super) seq: u64,
    pub(super) prev: Sha256,
}

/// Reads a line whose bytes are exactly those that are written for it.
pub(super) fn exactly<T: DeserializeOwned + Serialize>(line: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(line).ok()?;
    (serde_json::to_vec(&read).ok()? == line).then_some(read)
}
