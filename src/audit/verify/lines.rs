//! One line after the other.

use std::collections::BTreeMap;

use super::{ChainReport, CoveredBy, Head, Link, MOST_TORN, Run, Seen, Unchained, Verifier};
use crate::audit::head::AuditPublicKey;
use crate::audit::lines::{
    FoundBefore, HeadClaims, HeadLine, KeyLine, Linked, RemovedLine, SegmentLine, TornLine, VERSION, exactly,
};
use crate::clock::Timestamp;
use crate::jose::{Sha256, sha256};

impl Verifier {
    /// A file begins with a header, unless it is of before there were chains.
    pub(super) fn begin_file(&mut self, first: &[u8]) {
        let found = exactly::<SegmentLine>(first).and_then(|header| header.found);
        let plain = !is_linked(first) && serde_json::from_slice::<serde_json::Value>(first).is_ok();
        if self.run.is_none() && plain {
            let lines = self.unchained.take().map_or(0, |before| before.lines);
            let file = self.place.file.clone();
            self.unchained = Some(Unchained { lines, file, bytes: 0, last_line: Sha256::NONE, here: true });
            return;
        }
        if let Some(unchained) = &mut self.unchained {
            unchained.here = false;
        }
        if found.is_none_or(|found| !found.unchained) {
            self.no_chain_followed();
        }
        if !is_header(first) {
            self.fault(None, "a file of a chain begins with a header, and this one does not");
        }
    }

    pub(super) fn line(&mut self, line: &[u8]) {
        let Ok(linked) = serde_json::from_slice::<Linked<'_>>(line) else { return self.no_line(line) };
        let digest = sha256(line);
        if is_header(line) {
            return self.header(line, digest);
        }
        let Some(run) = &mut self.run else {
            return self.fault(Some(linked.seq), "a line before the first header");
        };
        let torn = run.torn.take();
        let (expected, last) = (run.last.seq + 1, run.last);
        run.last = Link { seq: linked.seq, hash: digest };
        if let Some((piece, place)) = torn {
            let said: Option<TornLine> = exactly(line);
            if said.is_some_and(|said| said.sha256 == sha256(&piece) && said.bytes == piece.len() as u64) {
                self.count(|chain| chain.torn += 1);
            } else {
                self.fault_at(place, None, "no line of the chain, and no line says that it was torn");
            }
        } else if linked.kind.as_deref() == Some("torn") {
            self.fault(Some(linked.seq), "it says that the line before it was torn, and there is none");
        }
        let seq = linked.seq;
        if seq > expected {
            self.fault(Some(seq), &format!("lines {expected} to {} are missing", seq - 1));
        } else if seq < expected {
            self.fault(Some(seq), &format!("line {seq} comes again or out of order; line {expected} was to come"));
        } else if linked.prev != last.hash {
            self.fault(Some(seq), &format!("line {} is not what it was when this one was written", last.seq));
        }
        self.check_heads(seq, digest);
        self.count(|chain| chain.last_seq = chain.last_seq.max(seq));
        match linked.kind.as_deref() {
            None => self.record(seq, linked.time.as_deref()),
            Some("head") => self.head(line, last),
            Some("key") => self.key(line, last),
            Some("removed") => match exactly::<RemovedLine>(line) {
                Some(removed) if removed.v == VERSION => {
                    let oldest = self.oldest.entry(removed.chain).or_default();
                    *oldest = removed.oldest.max(*oldest);
                }
                _ => self.fault(Some(seq), "a line about removed files does not read back"),
            },
            Some("torn") if exactly::<TornLine>(line).is_some_and(|torn| torn.v == VERSION) => {}
            Some(_) => self.fault(Some(seq), "a line of a kind that does not exist, or that does not read back"),
        }
    }

    /// What a crash left, or what somebody put there: the next line has to say.
    fn no_line(&mut self, line: &[u8]) {
        let place = self.place.clone();
        let Some(run) = &mut self.run else { return self.fault(None, "no line of a chain") };
        match &mut run.torn {
            Some((piece, _)) if piece.len() + line.len() < MOST_TORN => {
                piece.push(b'\n');
                piece.extend_from_slice(line);
            }
            Some(_) => self.fault(None, "no line of the chain"),
            None => run.torn = Some((line.to_vec(), place)),
        }
    }

    fn header(&mut self, line: &[u8], digest: Sha256) {
        let good = exactly::<SegmentLine>(line).filter(|header| header.v == VERSION && header.seq > 0);
        let Some(header) = good else { return self.fault(None, "a header that does not read back") };
        let Some(key) = AuditPublicKey::read(&header.key) else {
            return self.fault(Some(header.seq), "the header's key is none");
        };
        let thumbprint = key.thumbprint.to_string();
        let last = Link { seq: header.seq, hash: digest };
        let here = self.place.file.clone();
        if let Some((_, place)) = self.run.as_mut().and_then(|run| run.torn.take()) {
            self.fault_at(place, None, "no line of the chain, and no line says that it was torn");
        }
        match &mut self.run {
            Some(run) if run.chain == header.chain => {
                let (before, segment, same_key) = (run.last, run.segment, run.key == thumbprint);
                (run.last, run.segment) = (last, header.segment);
                if header.segment != segment + 1 || self.place.line != 1 {
                    let what = format!("segment {} follows segment {segment}", header.segment);
                    self.fault(Some(header.seq), &what);
                } else if header.seq != before.seq + 1 || header.prev != before.hash {
                    let what = format!(
                        "the end of segment {segment} is not what it was: it ended with line {}",
                        header.seq - 1
                    );
                    self.fault(Some(header.seq), &what);
                }
                if !same_key {
                    self.fault(
                        Some(header.seq),
                        "the header's key is another, and the one of before did not vouch for it",
                    );
                }
                if header.found.is_some() || header.stream {
                    self.fault(Some(header.seq), "a header within a chain that says it begins one");
                }
            }
            _ => self.new_chain(&header, &thumbprint, last),
        }
        self.keys.entry(thumbprint).or_insert(key);
        self.check_heads(header.seq, digest);
        self.count(|chain| {
            (chain.last_segment, chain.last_seq) = (header.segment, chain.last_seq.max(header.seq));
            chain.last_file = here;
        });
    }

    fn new_chain(&mut self, header: &SegmentLine, key: &str, last: Link) {
        let (seq, segment) = (header.seq, header.segment);
        let another = self.chains.iter().any(|chain| chain.chain == header.chain);
        if another {
            self.fault(Some(seq), &format!("chain {} comes again, after another one", header.chain));
        }
        if segment == 1 && (seq != 1 || header.prev != Sha256::NONE) {
            self.fault(Some(seq), "a chain's first segment begins with line 1, after nothing");
        }
        match (&header.found, self.unchained.take()) {
            (Some(FoundBefore { unchained: true, file, bytes, last_line, .. }), before) => match before {
                Some(it) if it.file == *file && it.bytes == *bytes && it.last_line == *last_line => {
                    let lines = it.lines;
                    self.notes.push(format!(
                        "{lines} lines of before there were chains, up to `{file}`: nothing covers them"
                    ));
                }
                Some(it) => {
                    let what = format!("`{}` is not the file that the chain found when it began", it.file);
                    self.fault(Some(seq), &what);
                }
                None => {}
            },
            (Some(found), _) => {
                let what = format!("a new chain begins here, because of `{}`: {}", found.file, found.what);
                self.fault(Some(seq), &what);
            }
            (None, _) if self.run.is_some() && !header.stream => {
                self.fault(Some(seq), "a new chain begins here without saying why");
            }
            (None, _) => {}
        }
        self.run = Some(Run { chain: header.chain.clone(), segment, last, key: key.to_owned(), torn: None });
        self.chains.push(ChainReport {
            chain: header.chain.clone(),
            first_segment: segment,
            last_segment: segment,
            first_seq: seq,
            last_seq: seq,
            records: 0,
            first_time: None,
            last_time: None,
            keys: vec![key.to_owned()],
            heads_by: BTreeMap::new(),
            last_head: None,
            torn: 0,
            first_file: self.place.file.clone(),
            last_file: self.place.file.clone(),
            begins: header.time.clone(),
            stream: header.stream,
        });
    }

    fn record(&mut self, seq: u64, time: Option<&str>) {
        let Some(time) = time.filter(|time| Timestamp::parse(time).is_some()) else {
            return self.fault(Some(seq), "a record without a time");
        };
        self.count(|chain| {
            chain.records += 1;
            chain.first_time.get_or_insert_with(|| time.to_owned());
            chain.last_time = Some(time.to_owned());
        });
    }

    fn head(&mut self, line: &[u8], covers: Link) {
        let seq = covers.seq + 1;
        let Some(head) = exactly::<HeadLine>(line).filter(|head| head.v == VERSION) else {
            return self.fault(Some(seq), "a head that does not read back");
        };
        let Some(claims) = self.signed(&head.head, "head", covers) else { return };
        if claims.time != head.time {
            return self.fault(Some(seq), "a head whose time is not the signed one");
        }
        let Some(key) = self.run.as_ref().map(|run| run.key.clone()) else { return };
        self.count(|chain| {
            *chain.heads_by.entry(key.clone()).or_default() += 1;
            chain.last_head = Some(CoveredBy { seq: covers.seq, time: claims.time, key });
        });
    }

    fn key(&mut self, line: &[u8], covers: Link) {
        let seq = covers.seq + 1;
        let read = exactly::<KeyLine>(line).filter(|key| key.v == VERSION);
        let Some((change, next)) = read.and_then(|change| AuditPublicKey::read(&change.key).map(|key| (change, key)))
        else {
            return self.fault(Some(seq), "a change of the key that does not read back");
        };
        let Some(claims) = self.signed(&change.vouched, "key", covers) else { return };
        if claims.next.as_deref() != Some(&*next.thumbprint) || claims.time != change.time {
            return self.fault(Some(seq), "the key of before vouched for another one");
        }
        let thumbprint = next.thumbprint.to_string();
        if let Some(run) = &mut self.run {
            run.key.clone_from(&thumbprint);
        }
        self.count(|chain| chain.keys.push(thumbprint.clone()));
        self.keys.entry(thumbprint).or_insert(next);
    }

    /// The claims of a head, where it is good for the line before it.
    fn signed(&mut self, jws: &str, kind: &str, covers: Link) -> Option<HeadClaims> {
        let run = self.run.as_ref()?;
        let seq = Some(covers.seq + 1);
        let Ok(head) = Head::unverified(jws) else {
            self.fault(seq, "a head that is no signed token");
            return None;
        };
        let key = self.keys.get(&run.key)?;
        if !head.is_signed_by(key) {
            let foreign = head.key_id() != Some(&*key.thumbprint);
            let what = if foreign { "a head by a foreign key" } else { "a head whose signature is wrong" };
            self.fault(seq, what);
            return None;
        }
        let HeadClaims { kind: said, chain, segment, seq: covered, hash, .. } = &head.claims;
        if said != kind || *chain != run.chain || *segment != run.segment {
            self.fault(seq, "a head of another segment or chain");
            return None;
        }
        if *covered != covers.seq || *hash != covers.hash {
            self.fault(seq, &format!("line {} is not what was signed", covers.seq));
            return None;
        }
        Some(head.claims)
    }

    fn check_heads(&mut self, seq: u64, digest: Sha256) {
        let (Some(run), Some(of)) = (&self.run, self.heads_of.get(&seq)) else { return };
        for at in of {
            if let Some((head, seen)) = self.heads.get_mut(*at).filter(|(head, _)| head.claims.chain == run.chain) {
                *seen = if head.claims.hash == digest { Seen::Same } else { Seen::Other };
            }
        }
    }

    fn count(&mut self, count: impl FnOnce(&mut ChainReport)) {
        if let Some(chain) = self.chains.last_mut() {
            count(chain);
        }
    }
}

pub(super) fn is_linked(line: &[u8]) -> bool {
    serde_json::from_slice::<Linked<'_>>(line).is_ok()
}

fn is_header(line: &[u8]) -> bool {
    line.starts_with(br#"{"v":1,"kind":"segment","#)
}
