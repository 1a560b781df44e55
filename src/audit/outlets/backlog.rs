//! What an outlet that must have everything has not got yet, when the journal begins: the file has it.
//!
//! Decides up to which line an outlet has the chain, across restarts, and gives what comes after that line from the files. The
//! place is noted after the lines were taken, so some may come twice, and none is left out.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::outbox::Chunk;
use super::{BATCH, chunk};
use crate::audit::file_names::rotated;
use crate::audit::lines::{MAX_LINE, SegmentLine, exactly};
use crate::audit::settings::Sink;
use crate::jose::sha256;
use crate::state::{PrivateDir, StateError};

const MAX_PLACE_BYTES: usize = 4 * 1024;
/// Batches between two notes while there is always more: a note is a file that is synced.
const BATCHES_PER_NOTE: u32 = 100;

/// A line of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::audit) struct Place {
    pub(in crate::audit) chain: String,
    pub(in crate::audit) seq: u64,
}

/// Up to where an outlet has the chain: a private file beside the key that signs.
pub(super) struct Sent {
    dir: PrivateDir,
    name: String,
    place: Place,
    /// Batches that were taken since the last note.
    unnoted: u32,
}

/// Files, from the one that has the first line that was not sent, each with its length when the journal began.
pub(super) struct Backlog {
    files: Vec<(File, u64)>,
    after: Place,
    pub(super) bytes: usize,
}

impl Sent {
    /// What is known of the outlet `name`. One that is new gets what comes after `now`.
    pub(super) fn open(dir: PrivateDir, name: &str, now: &Place) -> Result<Self, StateError> {
        // A name may have any character, and two names must not meet.
        let name = format!("sink-{}.json", sha256(name.as_bytes()));
        let noted = dir.read(&name, MAX_PLACE_BYTES)?;
        let mut sent = Self { dir, name, place: now.clone(), unnoted: 1 };
        if let Some(noted) = noted {
            // What cannot be read is a place that is in no chain: all that is kept is sent.
            sent.place = serde_json::from_slice(&noted).unwrap_or_default();
            // A machine that lost power may have lost lines that the outlet got; what is written in their place is not sent yet.
            if sent.place.chain == now.chain {
                sent.place.seq = sent.place.seq.min(now.seq);
            }
        } else {
            sent.dir.write(&sent.name, &serde_json::to_vec(&sent.place).unwrap_or_default())?;
        }
        Ok(Self { unnoted: 0, ..sent })
    }

    /// Says that the outlet has these.
    pub(super) fn took(&mut self, chunks: &[Chunk]) {
        let Some(last) = chunks.last() else { return };
        let line = last.text.strip_suffix(b"\n").unwrap_or(&last.text).rsplit(|b| *b == b'\n').next();
        if let Some(seq) = line.and_then(seq_of) {
            self.place = Place { chain: last.chain.to_string(), seq };
            self.unnoted += 1;
        }
        if self.unnoted >= BATCHES_PER_NOTE {
            self.note();
        }
    }

    /// Notes it, if there is something new.
    pub(super) fn note(&mut self) {
        if self.unnoted == 0 {
            return;
        }
        let text = serde_json::to_vec(&self.place).unwrap_or_default();
        match self.dir.write(&self.name, &text) {
            Ok(()) => self.unnoted = 0,
            Err(error) => {
                tracing::error!(%error, "how much an audit sink has got could not be noted; it may get lines twice")
            }
        }
    }

    /// What the files have and the outlet has not.
    pub(super) fn missing(&self, sink: &Sink) -> io::Result<Option<Backlog>> {
        let Sink::File { path, .. } = sink else { return Ok(None) };
        let mut backlog = Backlog { files: open_from(path, &self.place)?, after: self.place.clone(), bytes: 0 };
        let mut bytes = 0;
        backlog.chunks(|chunk| {
            bytes += chunk.text.len();
            true
        })?;
        backlog.bytes = bytes;
        Ok((bytes > 0).then_some(backlog))
    }
}

/// The files that have lines after `place`; all of them, if none has that place.
fn open_from(path: &Path, place: &Place) -> io::Result<Vec<(File, u64)>> {
    let mut files = Vec::new();
    let names = rotated(path)?.into_iter().map(|(_, path)| path).chain([path.to_owned()]);
    for name in names.rev() {
        // One may be removed as too old meanwhile.
        let file = match File::open(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let length = file.metadata()?.len();
        let header = header_of(&file, length)?;
        files.push((file, length));
        if header.is_some_and(|header| header.chain == place.chain && header.seq <= place.seq.saturating_add(1)) {
            break;
        }
    }
    files.reverse();
    Ok(files)
}

fn header_of(file: &File, length: u64) -> io::Result<Option<SegmentLine>> {
    let mut line = Vec::new();
    let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    BufReader::new(Part { file, at: 0, end: length.min(most) }).read_until(b'\n', &mut line)?;
    Ok(exactly(line.strip_suffix(b"\n").unwrap_or(&line)))
}

impl Backlog {
    /// Gives the lines that were not sent, in chunks of one chain each, until it is told that it is enough.
    pub(super) fn chunks(&self, mut give: impl FnMut(Chunk) -> bool) -> io::Result<()> {
        // Lines before the first header belong to no chain.
        let (mut chain, mut text, mut records): (Option<Arc<str>>, Vec<u8>, usize) = (None, Vec::new(), 0);
        let mut line = Vec::new();
        for (file, end) in &self.files {
            let mut lines = BufReader::with_capacity(256 * 1024, Part { file, at: 0, end: *end });
            loop {
                line.clear();
                if lines.read_until(b'\n', &mut line)? == 0 {
                    break;
                }
                let Some(whole) = line.strip_suffix(b"\n") else { continue };
                let Some(seq) = seq_of(whole) else { continue }; // what a crash left of one
                let header =
                    whole.starts_with(br#"{"v":1,"kind":"segment""#).then(|| exactly::<SegmentLine>(whole)).flatten();
                let other = header.map(|header| Arc::from(header.chain)).filter(|other| Some(other) != chain.as_ref());
                if let Some(of) =
                    chain.as_ref().filter(|_| !text.is_empty() && (text.len() >= BATCH || other.is_some()))
                {
                    if !give(chunk(of, &text, records)) {
                        return Ok(());
                    }
                    (text, records) = (Vec::new(), 0);
                }
                chain = other.or(chain);
                let Some(of) = &chain else { continue };
                if **of != *self.after.chain || seq > self.after.seq {
                    text.extend_from_slice(&line);
                    records += usize::from(!whole.starts_with(br#"{"v":1,"kind":"#));
                }
            }
        }
        if let (Some(of), false) = (&chain, text.is_empty()) {
            give(chunk(of, &text, records));
        }
        Ok(())
    }
}

/// A part of a file, read without moving where others read.
struct Part<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(into.len());
        let read = self.file.read_at(into.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += u64::try_from(read).unwrap_or_default();
        Ok(read)
    }
}

/// The number of a line of a chain, which ends with it and the digest of the line before.
fn seq_of(line: &[u8]) -> Option<u64> {
    const DIGEST: usize = 64;
    let before = line.strip_suffix(br#""}"#)?;
    let before = before.get(..before.len().checked_sub(DIGEST)?)?.strip_suffix(br#","prev":""#)?;
    let digits = before.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, number) = before.split_at_checked(before.len() - digits)?;
    before.ends_with(br#","seq":"#).then(|| std::str::from_utf8(number).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Sha256;
    use rstest::rstest;

    fn line(end: &str) -> String {
        end.replace("H", &Sha256::NONE.to_string())
    }

    #[rstest]
    #[case(r#"{"v":1,"seq":12,"prev":"H"}"#, Some(12))]
    #[case(r#"{"v":1,"detail":"\",\"seq\":7","seq":3,"prev":"H"}"#, Some(3))]
    #[case(r#"{"v":1,"seq":,"prev":"H"}"#, None)]
    #[case(r#"{"v":1,"seq":12,"prev":"H""#, None)]
    #[case(r#"{"v":1,"sq":12,"prev":"H"}"#, None)]
    #[case(r#"{"seq":99999999999999999999,"prev":"H"}"#, None)]
    #[case("", None)]
    fn the_number_of_a_line_is_read_from_its_end(#[case] text: &str, #[case] seq: Option<u64>) {
        assert_eq!(seq_of(line(text).as_bytes()), seq);
    }

    #[test]
    fn a_new_outlet_gets_what_comes_and_a_known_one_what_it_has_not() {
        let home = tempfile::tempdir().unwrap();
        let dir = || PrivateDir::open(&home.path().join("keys")).unwrap();
        let at = |seq| Place { chain: "c".to_owned(), seq };
        let place = |name: &str, now: &Place| Sent::open(dir(), name, now).unwrap().place;
        assert_eq!(place("a", &at(5)), at(5));
        assert_eq!(place("a", &at(9)), at(5), "it was noted");
        assert_eq!(place("a", &at(3)), at(3), "the chain has no more");
        assert_eq!(place("../a", &at(9)), at(9), "a name is no path");
        let mut sent = Sent::open(dir(), "a", &at(9)).unwrap();
        let text = line("{\"v\":1,\"seq\":7,\"prev\":\"H\"}\n");
        sent.took(&[chunk(&Arc::from("d"), text.as_bytes(), 1)]);
        assert_eq!(place("a", &at(9)), at(5), "not with every batch");
        sent.note();
        assert_eq!(place("a", &at(9)), Place { chain: "d".to_owned(), seq: 7 });
    }
}
