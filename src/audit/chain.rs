//! The chain: every line names its number and the digest of the line before, and heads sign the digest of the last.
//!
//! Decides what binds lines to each other. Whoever changes, removes, adds or moves a line changes its digest, and with it
//! every later one up to the next signed head, which only the holder of the audit key can make.

use std::io::Write as _;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::lines::{FoundBefore, HeadClaims, HeadLine, KeyLine, RemovedLine, SegmentLine, TornLine, VERSION};
use crate::clock::Timestamp;
use crate::jose::{NoRandomness, Sha256, SigningError, SigningKey, random, sha256};

/// The last line of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) hash: Sha256,
}

impl Link {
    /// What stands before the first line.
    pub(super) const NONE: Self = Self { seq: 0, hash: Sha256::NONE };
}

/// A head that was signed.
#[derive(Clone, Debug)]
pub(super) struct SignedHead {
    pub(super) chain: Arc<str>,
    pub(super) segment: u64,
    pub(super) covers: Link,
    pub(super) time: Timestamp,
    pub(super) jws: String,
    /// The thumbprint of the key that signed it.
    pub(super) key: String,
}

/// A chain that is being written. Cheap to copy, so that lines which no sink took can be taken back.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) id: Arc<str>,
    pub(super) segment: u64,
    pub(super) last: Link,
    /// How many lines no head covers yet.
    pub(super) unsigned: u32,
    /// The newest head.
    pub(super) head: Option<Arc<SignedHead>>,
    pub(super) key: Arc<SigningKey>,
    pub(super) stream: bool,
}

impl Chain {
    /// A chain that has no line yet.
    pub(super) fn begin(key: Arc<SigningKey>, stream: bool) -> Result<Self, NoRandomness> {
        let id: String = random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id: id.into(), segment: 1, last: Link::NONE, unsigned: 0, head: None, key, stream })
    }

    /// Links the line that stands in `out` from `start` on, an object with its closing brace and without a line feed.
    pub(super) fn link(&mut self, out: &mut Vec<u8>, start: usize) {
        out.pop();
        self.finish(out, start, true);
    }

    /// Appends the header of the segment, and a head that signs it.
    pub(super) fn open_segment(&mut self, out: &mut Vec<u8>, now: Timestamp, found: Option<FoundBefore>) {
        let line = SegmentLine {
            v: VERSION,
            kind: "segment".to_owned(),
            time: now.to_string(),
            chain: self.id.to_string(),
            segment: self.segment,
            key: self.key.public_jwk().clone(),
            stream: self.stream,
            found,
            seq: self.last.seq + 1,
            prev: self.last.hash,
        };
        self.append(out, &line);
    }

    /// Appends a head. Nothing is appended where the key cannot sign; the lines then wait for the next.
    pub(super) fn sign(&mut self, out: &mut Vec<u8>, now: Timestamp) -> Result<(), SigningError> {
        let claims = self.claims("head", now, None);
        let jws = signed(&self.key, &claims)?;
        let covers = self.last;
        let line = HeadLine {
            v: VERSION,
            kind: claims.kind,
            time: claims.time,
            head: jws.clone(),
            seq: covers.seq + 1,
            prev: covers.hash,
        };
        self.append(out, &line);
        let (chain, segment, key) = (Arc::clone(&self.id), self.segment, self.key.key_id().to_owned());
        self.head = Some(Arc::new(SignedHead { chain, segment, covers, time: now, jws, key }));
        self.unsigned = 0;
        Ok(())
    }

    /// Goes over to another key.
    pub(super) fn change_key(
        &mut self,
        out: &mut Vec<u8>,
        next: Arc<SigningKey>,
        now: Timestamp,
    ) -> Result<(), SigningError> {
        let claims = self.claims("key", now, Some(next.key_id().to_owned()));
        let line = KeyLine {
            v: VERSION,
            vouched: signed(&self.key, &claims)?,
            kind: claims.kind,
            time: claims.time,
            key: next.public_jwk().clone(),
            seq: self.last.seq + 1,
            prev: self.last.hash,
        };
        self.append(out, &line);
        self.key = next;
        self.sign(out, now)
    }

    /// Says that what stands before is a line that was cut off.
    pub(super) fn torn(&mut self, out: &mut Vec<u8>, bytes: u64, digest: Sha256, now: Timestamp) {
        let (time, kind) = (now.to_string(), "torn".to_owned());
        let (seq, prev) = (self.last.seq + 1, self.last.hash);
        self.append(out, &TornLine { v: VERSION, kind, time, bytes, sha256: digest, seq, prev });
    }

    /// Says that files are about to be removed, and where what is kept begins.
    pub(super) fn removed(&mut self, out: &mut Vec<u8>, files: Vec<String>, oldest: (String, u64), now: Timestamp) {
        let (time, kind) = (now.to_string(), "removed".to_owned());
        let (seq, prev) = (self.last.seq + 1, self.last.hash);
        let (chain, oldest) = oldest;
        self.append(out, &RemovedLine { v: VERSION, kind, time, files, chain, oldest, seq, prev });
    }

    fn claims(&self, kind: &str, now: Timestamp, next: Option<String>) -> HeadClaims {
        HeadClaims {
            kind: kind.to_owned(),
            chain: self.id.to_string(),
            segment: self.segment,
            seq: self.last.seq,
            hash: self.last.hash,
            time: now.to_string(),
            next,
        }
    }

    fn append(&mut self, out: &mut Vec<u8>, line: &impl Serialize) {
        let start = out.len();
        // Shapes of our own, without a map that could have a key of another type: this cannot fail.
        if serde_json::to_writer(&mut *out, line).is_ok() {
            self.finish(out, start, false);
        } else {
            out.truncate(start);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>, start: usize, bare: bool) {
        let seq = self.last.seq + 1;
        if bare {
            let _ = write!(out, r#","seq":{seq},"prev":"{}"}}"#, self.last.hash); // a vector takes all
        }
        self.last = Link { seq, hash: sha256(out.get(start..).unwrap_or_default()) };
        self.unsigned = self.unsigned.saturating_add(1);
        out.push(b'\n');
    }
}

fn signed(key: &SigningKey, claims: &HeadClaims) -> Result<String, SigningError> {
    let claims = serde_json::to_vec(claims).map_err(|_| SigningError::Signature)?;
    Ok(key.sign(&claims)?.to_string())
}

/// The thumbprint that a JWK of ours names itself by.
pub(super) fn key_id(jwk: &Value) -> Option<&str> {
    jwk.get("kid").and_then(Value::as_str)
}
