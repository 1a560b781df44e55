//! What the writer does besides writing: heads are made known, segments begin and end, old ones are removed, keys change.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::chain::SignedHead;
use super::lines::{MAX_LINE, SegmentLine, exactly};
use super::sink::OpenSink;
use super::syncing::keep;
use super::writer::{SYNCS_PER_SWEEP, Writer};

impl Writer<'_> {
    /// Puts the newest head, which the disk has now, where whoever edits the journal is not.
    pub(super) fn publish(&mut self) {
        if let Some(head) = self.unpublished() {
            let kept = keep(&self.keys, &head);
            self.tell(&head, kept);
        }
    }

    /// The newest head, if nobody knows it yet, or it could not be kept.
    pub(super) fn unpublished(&self) -> Option<Arc<SignedHead>> {
        let kept = |seq| self.kept.as_ref().is_some_and(|(kept, _)| *kept == seq);
        self.chain.head.clone().filter(|head| head.covers.seq > self.published || !kept(head.covers.seq))
    }

    /// Tells of a head that the disk has; `kept`: it is beside the key.
    pub(super) fn tell(&mut self, head: &Arc<SignedHead>, kept: bool) {
        let (chain, segment, seq, jws) = (&*head.chain, head.segment, head.covers.seq, &*head.jws);
        if seq > self.published {
            self.published = seq;
            tracing::info!(target: "cambio::audit", chain, segment, seq, head = jws, "audit head");
            self.shared.head.send_replace(Some(Arc::clone(head)));
        }
        if kept {
            self.kept = Some((seq, head.key.clone()));
        }
    }

    /// Goes over to the key that waits, if one does.
    pub(super) fn change_key(&mut self) {
        let next = match self.keys.next() {
            Ok(Some(next)) if self.first.is_empty() => next,
            Ok(_) => return,
            Err(error) => {
                tracing::error!(%error, "the audit key that is to take over cannot be read");
                return;
            }
        };
        let (mut chain, mut text) = (self.chain.clone(), Vec::new());
        if next.key_id() != chain.key.key_id() {
            if let Err(error) = chain.change_key(&mut text, next, self.clock.now()) {
                tracing::error!(%error, "the audit key could not be changed");
                return;
            }
            // Else a head by the key that goes could be kept after one by the key that comes.
            self.end_sync(true);
            if !self.append(chain, &text, i64::MIN, 0) || self.waiting(OpenSink::sync).is_err() {
                return;
            }
            self.publish();
        }
        // Else the next start would find a head whose key is gone, and take it for somebody else's.
        if self.kept.as_ref().is_none_or(|(_, key)| key != self.chain.key.key_id()) {
            return;
        }
        match self.keys.promote() {
            Ok(()) => tracing::info!(key = self.chain.key.key_id(), "audit heads are signed by another key"),
            Err(error) => tracing::error!(%error, "the audit key of before could not be replaced"),
        }
    }

    /// Begins another segment. Where that fails the longer file goes on, and it is tried again with the next lines.
    pub(super) fn rotate_if_full(&mut self) {
        let OpenSink::File(file) = &self.sink else { return };
        if !file.is_full() || self.shared.failing.load(Ordering::Relaxed) {
            return;
        }
        self.sign();
        self.sync();
        // It may have been left meanwhile.
        if matches!(&self.sink, OpenSink::File(file) if file.is_full()) && self.begin_segment() {
            self.sweep();
        }
    }

    /// Goes over to another file once a sync failed, since nothing that a later one says of this file can be relied on: a head
    /// must not be made known as being on the disk that is not. At most once a minute, so that a disk which fails again and
    /// again does not push out the files of before; meanwhile the sink is not well. Whether there is another file now.
    pub(super) fn leave_doubtful(&mut self) -> bool {
        let OpenSink::File(file) = &self.sink else { return false };
        let lately = self.left.is_some_and(|left| self.syncs.wrapping_sub(left) < SYNCS_PER_SWEEP);
        if !file.is_doubtful() || lately || !self.first.is_empty() {
            return false;
        }
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        if !self.begin_segment() {
            return false;
        }
        tracing::error!("a sync of the audit journal failed: its disk may have lost lines; another file has begun");
        self.left = Some(self.syncs);
        true
    }

    /// Sets the file aside and begins the next one; whether the sink has its first lines.
    fn begin_segment(&mut self) -> bool {
        let now = self.clock.now();
        let OpenSink::File(file) = &mut self.sink else { return false };
        if let Err(error) = file.rotate(now) {
            tracing::error!(%error, "an audit file could not be set aside; it goes on");
            return false;
        }
        self.chain.segment += 1;
        // Kept apart until the sink has them: whatever comes next comes after them.
        self.chain.open_segment(&mut self.first, now, None);
        let (mut chain, mut first) = (self.chain.clone(), std::mem::take(&mut self.first));
        self.signed(&mut chain, &mut first);
        (self.chain, self.first) = (chain, first);
        self.write_first()
    }

    /// Removes files that are too many or too old; the chain says so first.
    pub(super) fn sweep(&mut self) {
        let OpenSink::File(file) = &self.sink else { return };
        let now = self.clock.now();
        let (files, oldest) = match file.expired(now) {
            Ok((files, _)) if files.is_empty() => return,
            Ok(expired) => expired,
            Err(error) => {
                tracing::error!(%error, "old audit files cannot be listed");
                return;
            }
        };
        let (mut chain, mut text) = (self.chain.clone(), Vec::new());
        chain.removed(&mut text, files.iter().map(|file| name(file)).collect(), segment_of(&oldest), now);
        self.signed(&mut chain, &mut text);
        if self.first.is_empty() && self.append(chain, &text, i64::MIN, 0) && self.waiting(OpenSink::sync).is_ok() {
            remove(&files);
        }
    }
}

fn remove(files: &[PathBuf]) {
    for file in files {
        match std::fs::remove_file(file) {
            Ok(()) => tracing::info!(file = name(file), "an old audit file was removed"),
            Err(error) => tracing::error!(file = name(file), %error, "an old audit file could not be removed"),
        }
    }
}

fn name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The chain and the segment of a file, by its header.
fn segment_of(file: &Path) -> (String, u64) {
    let mut line = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| {
        BufReader::new(file.take(u64::try_from(MAX_LINE).unwrap_or(u64::MAX))).read_until(b'\n', &mut line)
    });
    let header = exactly::<SegmentLine>(line.strip_suffix(b"\n").unwrap_or(&line)).filter(|_| read.is_ok());
    header.map_or_else(Default::default, |header| (header.chain, header.segment))
}
