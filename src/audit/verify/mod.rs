//! Whether a journal is what was written: offline, line by line, in constant memory.
//!
//! Decides what is wrong with a chain, and how far signatures reach. Trusts nothing that the files say of themselves but what
//! a key signed: which key that may be, and which heads there were, the caller can bring along. Without heads from elsewhere a
//! cut at the end is not to be seen beyond the last head that is left; the report says which lines none covers.

mod elsewhere;
mod lines;
mod report;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

pub use report::{ChainReport, CoveredBy, Fault, Report};

use super::chain::Link;
use super::file_names::rotated;
use super::head::{AuditPublicKey, Head};
use super::lines::MAX_LINE;
use crate::jose::{KeyRules, Sha256, VerifyingKey, sha256};

/// How many faults are told one by one; all are counted.
const MOST_TOLD: usize = 100;
/// How much of what is no line is remembered until a line says that it was torn.
const MOST_TORN: usize = 4 * MAX_LINE;

/// Looks at files in the order in which they were written.
pub struct Verifier {
    /// Thumbprints of keys that are known from elsewhere.
    pinned: Vec<String>,
    /// Heads that are known from elsewhere, with what became of them.
    heads: Vec<(Head, Seen)>,
    /// Which of them cover a line of that number.
    heads_of: HashMap<u64, Vec<usize>>,
    keys: HashMap<String, AuditPublicKey>,
    run: Option<Run>,
    chains: Vec<ChainReport>,
    /// The oldest segment that is kept of a chain, as the newest line about it says.
    oldest: BTreeMap<String, u64>,
    /// Files without a chain, for which the next header may account.
    unchained: Option<Unchained>,
    faults: Vec<Fault>,
    fault_count: u64,
    notes: Vec<String>,
    place: Place,
}

/// What became of a head from elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    NotYet,
    Same,
    Other,
}

/// The line at hand.
#[derive(Clone, Default)]
struct Place {
    file: String,
    line: u64,
}

/// Files of before there were chains.
struct Unchained {
    lines: u64,
    /// The last of them: its name, length and last line.
    file: String,
    bytes: u64,
    last_line: Sha256,
    /// Whether it is the file at hand.
    here: bool,
}

/// The chain at hand. Its report is the last of all.
struct Run {
    chain: String,
    segment: u64,
    last: Link,
    key: String,
    /// What stands where a line should, with line feeds in between, and where it began.
    torn: Option<(Vec<u8>, Place)>,
}

impl Verifier {
    /// Without any knowledge from elsewhere.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pinned: Vec::new(),
            heads: Vec::new(),
            heads_of: HashMap::new(),
            keys: HashMap::new(),
            run: None,
            chains: Vec::new(),
            oldest: BTreeMap::new(),
            unchained: None,
            faults: Vec::new(),
            fault_count: 0,
            notes: Vec::new(),
            place: Place::default(),
        }
    }

    /// Every chain must have a head by one of the keys that were given so: each by its thumbprint (RFC 7638, base64url).
    pub fn pin(&mut self, thumbprint: &str) {
        self.pinned.push(thumbprint.to_owned());
    }

    /// A head (a compact JWS) that was kept elsewhere: the line that it covers must be there. Whether it reads as a head.
    pub fn expect(&mut self, head: &str) -> bool {
        let Ok(head) = Head::unverified(head) else { return false };
        self.heads_of.entry(head.claims.seq).or_default().push(self.heads.len());
        self.heads.push((head, Seen::NotYet));
        true
    }

    /// Looks at the journal at `path`: the full files beside it, oldest first, and itself.
    ///
    /// # Errors
    /// The system's, where a file cannot be read, or where there is none.
    pub fn journal(&mut self, path: &Path) -> io::Result<()> {
        let full = rotated(path)?;
        for (_, file) in &full {
            self.file(file)?;
        }
        // A process that was killed in the moment of rotation leaves none, and begins it when it starts.
        if full.is_empty() || path.try_exists()? {
            self.file(path)?;
        }
        Ok(())
    }

    /// Looks at one file.
    ///
    /// # Errors
    /// The system's.
    pub fn file(&mut self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.lines(&name, BufReader::with_capacity(256 * 1024, file))
    }

    /// Looks at the lines of what is called `name`.
    ///
    /// # Errors
    /// The system's.
    pub fn lines(&mut self, name: &str, mut lines: impl BufRead) -> io::Result<()> {
        self.place = Place { file: name.to_owned(), line: 0 };
        let (mut line, mut bytes) = (Vec::new(), 0);
        loop {
            line.clear();
            let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
            if lines.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            bytes += line.len() as u64;
            self.place.line += 1;
            let whole = line.pop_if(|last| *last == b'\n').is_some();
            if self.place.line == 1 {
                self.begin_file(&line);
            }
            match self.unchained.as_mut().filter(|unchained| unchained.here) {
                Some(unchained) => {
                    unchained.lines += 1;
                    (unchained.bytes, unchained.last_line) = (bytes, sha256(&line));
                    if lines::is_linked(&line) {
                        self.fault(None, "a line of a chain whose header is gone");
                    }
                }
                None => self.line(&line),
            }
            if !whole {
                self.fault(None, "the last line is not whole: a process was killed, is writing, or the file was cut");
            }
        }
        if let Some((_, place)) = self.run.as_mut().and_then(|run| run.torn.take()) {
            self.fault_at(place, None, "no line of the chain, and no line says that it was torn");
        }
        Ok(())
    }

    /// What it comes to.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.no_chain_followed();
        let chains = std::mem::take(&mut self.chains);
        for chain in &chains {
            self.judge(chain);
        }
        self.judge_heads(&chains);
        if chains.is_empty() && self.fault_count == 0 {
            self.fault_at(Place::default(), None, "there is no chain");
        }
        let Self { faults, fault_count, notes, pinned, heads, .. } = self;
        Report { chains, faults, fault_count, notes, pinned: !pinned.is_empty(), heads: heads.len() }
    }

    fn no_chain_followed(&mut self) {
        if let Some(Unchained { lines, file, .. }) = self.unchained.take() {
            self.fault_at(Place { file, line: 1 }, None, &format!("{lines} lines that belong to no chain"));
        }
    }

    /// A chain, once all of it was seen.
    fn judge(&mut self, chain: &ChainReport) {
        let oldest = self.oldest.get(&chain.chain).copied().unwrap_or(1);
        let place = Place { file: chain.first_file.clone(), line: 1 };
        if chain.first_segment > oldest {
            let (from, to) = (oldest, chain.first_segment - 1);
            self.fault_at(
                place.clone(),
                Some(chain.first_seq),
                &format!(
                    "segments {from} to {to} of chain {} are missing, and no line says that they were removed",
                    chain.chain
                ),
            );
        }
        let signed = |pin: &String| chain.heads_by.contains_key(pin);
        if !self.pinned.is_empty() && !self.pinned.iter().any(signed) {
            let keys = chain.keys.join(", ");
            self.fault_at(
                place,
                Some(chain.first_seq),
                &format!("no head of chain {} is signed by the key that was given; its keys: {keys}", chain.chain),
            );
        }
    }

    fn fault(&mut self, seq: Option<u64>, what: &str) {
        let place = self.place.clone();
        self.fault_at(place, seq, what);
    }

    fn fault_at(&mut self, place: Place, seq: Option<u64>, what: &str) {
        self.fault_count += 1;
        if self.faults.len() < MOST_TOLD {
            self.faults.push(Fault { file: place.file, line: place.line, seq, what: what.to_owned() });
        }
    }
}

/// The thumbprint (RFC 7638, base64url) of a public key that is given as a JWK; none where it is not one that signs heads.
#[must_use]
pub fn thumbprint(jwk: &str) -> Option<String> {
    VerifyingKey::from_jwk(jwk.as_bytes(), &KeyRules::default()).ok().map(|key| key.thumbprint().base64url())
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}
