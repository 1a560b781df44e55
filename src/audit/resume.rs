//! How a journal that is there is continued: by the same chain, where the end of it verifies, and not in silence where not.
//!
//! Decides whether the last lines are ours and whole. It looks back to the last signed head and no further: what is wrong
//! before it, that head's signature does not hide from `cambio audit verify`. The newest head that is kept beside the key has
//! to be borne out: without the key nobody makes a head, but anybody who can write the file can leave heads out, and link
//! lines of their own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::chain::{Link, key_id};
use super::head::{AuditPublicKey, Head};
use super::lines::{
    FoundBefore, HeadClaims, HeadLine, KeyLine, Linked, MAX_LINE, SegmentLine, TornLine, VERSION, exactly,
};
use crate::jose::{Sha256, sha256};

/// How far from the end the last head stands at most: one is written after every so many lines, and after every chunk.
const TAIL: u64 = 4 * 1024 * 1024;

/// What is there.
#[derive(Debug)]
pub(super) enum Resumed {
    /// Nothing: a first start.
    Nothing,
    /// A chain that is whole as far as was looked.
    Chain(Box<Continued>),
    /// Something that cannot be continued.
    Broken(FoundBefore),
}

/// Where a chain goes on.
#[derive(Debug)]
pub(super) struct Continued {
    pub(super) id: String,
    pub(super) segment: u64,
    pub(super) last: Link,
    /// The thumbprint of the key that signs now.
    pub(super) key: String,
    /// What was cut off: its length and digest.
    pub(super) torn: Option<(u64, Sha256)>,
    /// How many lines no head covers.
    pub(super) unsigned: u32,
    /// Whether a head of ours stands in the file.
    headed: bool,
    /// Whether the line that the kept head covers is the one that it covers; none where it is not among those looked at.
    borne_out: Option<bool>,
}

/// Looks at the last file of a journal. `kept` is the newest head that was on the disk for sure; heads are signed by one of
/// `keys`.
pub(super) fn look(last_file: Option<&Path>, kept: Option<&str>, keys: &[AuditPublicKey]) -> io::Result<Resumed> {
    let text = kept;
    let kept = kept.map(Head::unverified).transpose();
    let Some(path) = last_file else {
        return Ok(match kept {
            Ok(None) => Resumed::Nothing,
            Ok(Some(head)) => broken("", 0, &[], format!("the journal is gone: {}", told(&head))),
            Err(_) => broken("", 0, &[], "the journal is gone, and its newest head is damaged".to_owned()),
        });
    };
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let tail = read(&file, bytes.saturating_sub(TAIL), bytes)?;
    let first = read(&file, 0, bytes.min(u64::try_from(MAX_LINE).unwrap_or(u64::MAX)))?;
    let first = first.split(|b| *b == b'\n').next().unwrap_or_default();
    let Some(header) = exactly::<SegmentLine>(first) else {
        let mut found = broken("", 0, &tail, "its first line is no header".to_owned());
        if let Resumed::Broken(found) = &mut found {
            (found.file, found.bytes) = (name, bytes);
            let last = tail.strip_suffix(b"\n").unwrap_or(&tail).rsplit(|b| *b == b'\n').next().unwrap_or_default();
            let linked = |line: &[u8]| serde_json::from_slice::<Linked<'_>>(line).is_ok();
            // Whoever damages a header must not make a chain look as if it had never been one.
            if matches!(kept, Ok(None)) && !linked(first) && !linked(last) {
                (found.unchained, found.what) = (true, "records of before there were chains".to_owned());
            }
        }
        return Ok(found);
    };
    let fault = |what: String| broken(&name, bytes, &tail, what);
    let known = kept.as_ref().ok().and_then(Option::as_ref);
    let witness = known.zip(text).map(|(head, text)| Witness::of(head, text));
    let continued = match Walk::over(&tail, bytes <= TAIL, &header, keys, witness) {
        Ok(continued) => continued,
        Err(what) => return Ok(fault(what)),
    };
    let wrong = match (kept, text) {
        (Err(_), _) => Some("its newest head, kept beside the key, is damaged".to_owned()),
        (Ok(Some(head)), Some(text)) => contradicted(&head, text, &header, &continued, keys),
        (Ok(_), _) => None,
    };
    Ok(wrong.map_or_else(|| Resumed::Chain(Box::new(continued)), fault))
}

/// In what the chain that is there is not the one of the kept head.
fn contradicted(
    head: &Head,
    text: &str,
    header: &SegmentLine,
    there: &Continued,
    keys: &[AuditPublicKey],
) -> Option<String> {
    if head.claims.kind != "head" || !keys.iter().any(|key| head.is_signed_by(key)) {
        return Some("its newest head, kept beside the key, is by no key of ours".to_owned());
    }
    if head.claims.chain != there.id {
        // A chain that began because of what was found, when no head of it was kept yet. The header names the head that was
        // kept then, so no older chain passes for it; and a head of ours covers the header.
        let found = header.found.as_ref().and_then(|found| found.head.as_deref());
        let follows = header.segment == 1 && there.headed && found == Some(text);
        return (!follows).then(|| format!("it is another chain than was written last: {}", told(head)));
    }
    if head.claims.seq > there.last.seq {
        return Some(format!("lines are missing at its end: {}", told(head)));
    }
    match there.borne_out {
        Some(true) => None,
        Some(false) => Some(format!("it was written anew: {}, and is another now", told(head))),
        // The last head in the file is a later one.
        None if there.headed => None,
        None => Some(format!("no head of ours stands in it: {}", told(head))),
    }
}

fn told(head: &Head) -> String {
    format!("line {} of chain {} was signed at {}", head.claims.seq, head.claims.chain, head.claims.time)
}

fn broken(file: &str, bytes: u64, tail: &[u8], what: String) -> Resumed {
    let last = tail.strip_suffix(b"\n").unwrap_or(tail).rsplit(|b| *b == b'\n').next().unwrap_or_default();
    let (file, last_line) = (file.to_owned(), sha256(last));
    Resumed::Broken(FoundBefore { what, unchained: false, file, bytes, last_line, head: None })
}

fn read(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// What a chain has where a head is: the line that it covers, and after it the line in which the head stands.
struct Witness {
    covered: Link,
    stands_in: Option<Link>,
}

impl Witness {
    fn of(head: &Head, text: &str) -> Self {
        let HeadClaims { seq, hash, time, .. } = &head.claims;
        let (covered, kind, time) = (Link { seq: *seq, hash: *hash }, "head".to_owned(), time.clone());
        let line = HeadLine { v: VERSION, kind, time, head: text.to_owned(), seq: seq + 1, prev: *hash };
        let line = serde_json::to_vec(&line).ok();
        Self { covered, stands_in: line.map(|line| Link { seq: seq + 1, hash: sha256(&line) }) }
    }
}

/// The lines since the last head.
struct Walk {
    last: Link,
    /// The thumbprint of the key that signs.
    key: String,
    unsigned: u32,
    /// What stands where a line should, with line feeds in between.
    torn: Option<Vec<u8>>,
    /// It began at a head of ours.
    headed: bool,
    witness: Option<Witness>,
    borne_out: Option<bool>,
}

impl Walk {
    /// Looks at the lines of `tail`, which begins with the file's first line if `whole`, and else within a line.
    fn over(
        tail: &[u8],
        whole: bool,
        header: &SegmentLine,
        keys: &[AuditPublicKey],
        witness: Option<Witness>,
    ) -> Result<Continued, String> {
        let mut lines: Vec<&[u8]> = tail.split(|b| *b == b'\n').collect();
        let rest = lines.pop().unwrap_or_default();
        let lines = lines.get(usize::from(!whole)..).unwrap_or_default();
        let last_head = lines.iter().rposition(|line| line.starts_with(br#"{"v":1,"kind":"head","#));
        let (mut walk, from) = match last_head {
            Some(at) => {
                let line = lines.get(at).copied().unwrap_or_default();
                (Self::at_head(line, header, keys, witness)?, at + 1)
            }
            None if whole => (Self::at_header(header, witness)?, 0),
            None => return Err("no signed head stands near its end".to_owned()),
        };
        for line in lines.get(from..).unwrap_or_default() {
            walk.line(line)?;
        }
        if !rest.is_empty() {
            walk.line(rest)?;
        }
        if walk.last.seq < header.seq {
            return Err("its header does not verify".to_owned());
        }
        Ok(Continued {
            id: header.chain.clone(),
            segment: header.segment,
            last: walk.last,
            key: walk.key,
            torn: walk.torn.map(|torn| (u64::try_from(torn.len()).unwrap_or(u64::MAX), sha256(&torn))),
            unsigned: walk.unsigned,
            headed: walk.headed,
            borne_out: walk.borne_out,
        })
    }

    fn at_header(header: &SegmentLine, witness: Option<Witness>) -> Result<Self, String> {
        let last = Link { seq: header.seq.saturating_sub(1), hash: header.prev };
        let key = key_id(&header.key).ok_or("its header names no key")?.to_owned();
        let mut walk = Self { last, key, unsigned: 0, torn: None, headed: false, witness, borne_out: None };
        walk.sees(last);
        // A segment ends with a head, so the one of before may lie one line before what the header is linked to.
        let ends_before = walk.witness.as_ref().and_then(|witness| witness.stands_in);
        if let Some(line) = ends_before.filter(|line| line.seq == last.seq) {
            walk.borne_out = Some(line.hash == last.hash);
        }
        Ok(walk)
    }

    fn at_head(
        line: &[u8],
        header: &SegmentLine,
        keys: &[AuditPublicKey],
        witness: Option<Witness>,
    ) -> Result<Self, String> {
        let odd = || "its last head does not verify".to_owned();
        let read: HeadLine = exactly(line).ok_or_else(odd)?;
        let head = Head::unverified(&read.head).map_err(|_| odd())?;
        let HeadClaims { kind, chain, segment, seq, hash, .. } = &head.claims;
        let fits = kind == "head" && *chain == header.chain && *segment == header.segment;
        let signer = keys.iter().find(|key| head.is_signed_by(key)).filter(|_| fits).ok_or_else(odd)?;
        if seq + 1 != read.seq || *hash != read.prev {
            return Err(odd());
        }
        let last = Link { seq: read.seq, hash: sha256(line) };
        let key = signer.thumbprint.to_string();
        let mut walk = Self { last, key, unsigned: 1, torn: None, headed: true, witness, borne_out: None };
        walk.sees(Link { seq: *seq, hash: *hash });
        walk.sees(last);
        Ok(walk)
    }

    /// Compares a line with what the kept head says of it.
    fn sees(&mut self, line: Link) {
        if let Some(covered) = self.witness.as_ref().map(|witness| witness.covered).filter(|it| it.seq == line.seq) {
            self.borne_out = Some(covered == line);
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let Ok(linked) = serde_json::from_slice::<Linked<'_>>(line) else {
            // A process may have been killed once more while it said that a line was torn: both are one piece then.
            match &mut self.torn {
                Some(torn) => {
                    torn.push(b'\n');
                    torn.extend_from_slice(line);
                }
                None => self.torn = Some(line.to_vec()),
            }
            return Ok(());
        };
        if let Some(torn) = self.torn.take() {
            let said = exactly::<TornLine>(line).is_some_and(|said| said.sha256 == sha256(&torn));
            if !said {
                return Err(format!("what stands before line {} is no line of the chain", linked.seq));
            }
        }
        // A segment's header and its first head are one write, which a crash may cut off; what comes after comes after a head.
        if !self.headed && !matches!(linked.kind.as_deref(), Some("segment" | "torn")) {
            return Err(format!("no head of ours stands in it, and it has line {}", linked.seq));
        }
        if linked.seq != self.last.seq + 1 || linked.prev != self.last.hash {
            return Err(format!("line {} does not follow line {}", linked.seq, self.last.seq));
        }
        if linked.kind.as_deref() == Some("key") {
            let next: KeyLine = exactly(line).ok_or("a change of the key is unreadable")?;
            self.key = key_id(&next.key).ok_or("a change of the key names none")?.to_owned();
        }
        self.last = Link { seq: linked.seq, hash: sha256(line) };
        self.sees(self.last);
        self.unsigned = self.unsigned.saturating_add(1);
        Ok(())
    }
}
