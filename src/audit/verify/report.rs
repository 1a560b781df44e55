//! What a look at a journal comes to.

use std::collections::BTreeMap;

use serde::Serialize;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The chains, in the order in which they begin.
    pub chains: Vec<ChainReport>,
    /// What is wrong; of very many only the first.
    pub faults: Vec<Fault>,
    /// How much is wrong.
    pub fault_count: u64,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
    /// Whether a key from elsewhere was given.
    pub pinned: bool,
    /// How many heads from elsewhere were given.
    pub heads: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file's name.
    pub file: String,
    /// The line in it, from 1; 0: the file as a whole.
    pub line: u64,
    /// The line's number in its chain, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// A chain.
#[derive(Clone, Debug, Serialize)]
pub struct ChainReport {
    /// Its name.
    pub chain: String,
    /// The first segment that is here.
    pub first_segment: u64,
    /// The last one.
    pub last_segment: u64,
    /// The first line that is here.
    pub first_seq: u64,
    /// The last one.
    pub last_seq: u64,
    /// Lines that are records.
    pub records: u64,
    /// The time of the first record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_time: Option<String>,
    /// The time of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_time: Option<String>,
    /// Thumbprints of its keys, in the order in which they signed.
    pub keys: Vec<String>,
    /// How many good heads each key signed.
    pub heads_by: BTreeMap<String, u64>,
    /// The last good head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_head: Option<CoveredBy>,
    /// Pieces of lines that a crash left, and that the chain names.
    pub torn: u64,
    #[serde(skip)]
    pub(super) first_file: String,
    #[serde(skip)]
    pub(super) last_file: String,
    /// When the first segment that is here began.
    #[serde(skip)]
    pub(super) begins: String,
    /// It is a stream's.
    #[serde(skip)]
    pub(super) stream: bool,
}

/// A head, and up to where it reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoveredBy {
    /// The last line that it covers.
    pub seq: u64,
    /// When it was signed.
    pub time: String,
    /// The thumbprint of its key.
    pub key: String,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.fault_count == 0
    }
}

impl ChainReport {
    /// The lines that no head covers: the first and the last of them. The line with the last head itself is none of them: it
    /// is good if it reads back as what was signed.
    #[must_use]
    pub fn uncovered(&self) -> Option<(u64, u64)> {
        let first = self.last_head.as_ref().map_or(self.first_seq, |head| head.seq + 2);
        (first <= self.last_seq).then_some((first, self.last_seq))
    }
}
