//! How a journal that is there is continued: by the same chain, where the end of it verifies, and not in silence where not.
//!
//! Decides whether the last lines are ours and whole. It looks back to the last signed head and no further: what is wrong
//! before it, that head's signature does not hide from `cambio audit verify`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::chain::{Link, key_id};
use super::head::{AuditPublicKey, Head};
use super::lines::{FoundBefore, HeadClaims, HeadLine, KeyLine, Linked, MAX_LINE, SegmentLine, TornLine, exactly};
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
}

/// Looks at the last file of a journal. `kept` is the newest head that was on the disk for sure; heads are signed by one of
/// `keys`.
pub(super) fn look(last_file: Option<&Path>, kept: Option<&str>, keys: &[AuditPublicKey]) -> io::Result<Resumed> {
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
    let continued = match Walk::over(&tail, bytes <= TAIL, &header, keys) {
        Ok(continued) => continued,
        Err(what) => return Ok(fault(what)),
    };
    Ok(match kept {
        Err(_) => fault("its newest head, kept beside the key, is damaged".to_owned()),
        Ok(Some(head)) if head.claims.chain != continued.id => {
            fault(format!("it is another chain than was written last: {}", told(&head)))
        }
        Ok(Some(head)) if head.claims.seq > continued.last.seq => {
            fault(format!("lines are missing at its end: {}", told(&head)))
        }
        Ok(_) => Resumed::Chain(Box::new(continued)),
    })
}

fn told(head: &Head) -> String {
    format!("line {} of chain {} was signed at {}", head.claims.seq, head.claims.chain, head.claims.time)
}

fn broken(file: &str, bytes: u64, tail: &[u8], what: String) -> Resumed {
    let last = tail.strip_suffix(b"\n").unwrap_or(tail).rsplit(|b| *b == b'\n').next().unwrap_or_default();
    Resumed::Broken(FoundBefore { what, unchained: false, file: file.to_owned(), bytes, last_line: sha256(last) })
}

fn read(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// The lines since the last head.
struct Walk {
    last: Link,
    /// The thumbprint of the key that signs.
    key: String,
    unsigned: u32,
    /// What stands where a line should, with line feeds in between.
    torn: Option<Vec<u8>>,
}

impl Walk {
    /// Looks at the lines of `tail`, which begins with the file's first line if `whole`, and else within a line.
    fn over(tail: &[u8], whole: bool, header: &SegmentLine, keys: &[AuditPublicKey]) -> Result<Continued, String> {
        let mut lines: Vec<&[u8]> = tail.split(|b| *b == b'\n').collect();
        let rest = lines.pop().unwrap_or_default();
        let lines = lines.get(usize::from(!whole)..).unwrap_or_default();
        let last_head = lines.iter().rposition(|line| line.starts_with(br#"{"v":1,"kind":"head","#));
        let (mut walk, from) = match last_head {
            Some(at) => (Self::at_head(lines.get(at).copied().unwrap_or_default(), header, keys)?, at + 1),
            None if whole => {
                let last = Link { seq: header.seq.saturating_sub(1), hash: header.prev };
                let key = key_id(&header.key).ok_or("its header names no key")?.to_owned();
                (Self { last, key, unsigned: 0, torn: None }, 0)
            }
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
        })
    }

    fn at_head(line: &[u8], header: &SegmentLine, keys: &[AuditPublicKey]) -> Result<Self, String> {
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
        Ok(Self { last, key: signer.thumbprint.to_string(), unsigned: 1, torn: None })
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
        if linked.seq != self.last.seq + 1 || linked.prev != self.last.hash {
            return Err(format!("line {} does not follow line {}", linked.seq, self.last.seq));
        }
        if linked.kind.as_deref() == Some("key") {
            let next: KeyLine = exactly(line).ok_or("a change of the key is unreadable")?;
            self.key = key_id(&next.key).ok_or("a change of the key names none")?.to_owned();
        }
        self.last = Link { seq: linked.seq, hash: sha256(line) };
        self.unsigned = self.unsigned.saturating_add(1);
        Ok(())
    }
}
