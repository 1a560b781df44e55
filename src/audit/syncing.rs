//! Waits for the disk on a thread of its own.
//!
//! Decides when what is written is on the disk for sure, and which head may be made known then. A busy disk takes a second for
//! a sync now and then: if the writer waited for it, a process that is killed meanwhile would take the records of that second
//! along. Refuses to let that go on without end: a sync that takes longer than some seconds is waited for, records queue up,
//! and nothing is minted without room for its record.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::audit_key::AuditKeys;
use super::chain::SignedHead;
use super::writer::Writer;

/// How many seconds a sync may be under way until the writer waits for its end.
const PATIENCE: u32 = 5;

/// One sync at a time, beside the writer.
pub(super) struct Syncing {
    jobs: Sender<Job>,
    ended: Receiver<Ended>,
    /// How many seconds ago the one began that is under way.
    age: Option<u32>,
}

/// What is to be on the disk.
pub(super) struct Job {
    file: File,
    /// The newest head in the file, to be kept beside the key of `keys` afterwards.
    head: Option<Arc<SignedHead>>,
    keys: AuditKeys,
}

/// How it ended: the head that the disk has then, and whether it is beside the key.
type Ended = io::Result<Option<(Arc<SignedHead>, bool)>>;

impl Syncing {
    /// Starts the thread; it ends with this.
    ///
    /// # Errors
    /// The system's, where it has no thread to give.
    pub(super) fn start() -> io::Result<Self> {
        Self::start_by(|file| file.sync_data())
    }

    /// The same, with another way to sync.
    pub(super) fn start_by(sync: impl Fn(&File) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (jobs, asked) = channel::<Job>();
        let (ends, ended) = channel();
        std::thread::Builder::new().name("audit-sync".to_owned()).spawn(move || {
            for Job { file, head, keys } in asked {
                let synced = sync(&file).map(|()| head.map(|head| (Arc::clone(&head), keep(&keys, &head))));
                // The lock on the file goes with its last handle: whoever learns of the end may close it.
                drop((file, keys));
                if ends.send(synced).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, ended, age: None })
    }

    fn begin(&mut self, job: Job) -> io::Result<()> {
        self.jobs.send(job).map_err(|_| gone())?;
        self.age = Some(0);
        Ok(())
    }

    /// How the one ended that was under way, if it has; where that is to be waited for, it has.
    fn end(&mut self, wait: bool) -> Option<Ended> {
        self.age?;
        let ended = if wait {
            self.ended.recv().unwrap_or_else(|_| Err(gone()))
        } else {
            match self.ended.try_recv() {
                Ok(ended) => ended,
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => Err(gone()),
            }
        };
        self.age = None;
        Some(ended)
    }
}

impl Writer<'_> {
    /// Once a second: has what is written put on the disk, beside this thread.
    pub(super) fn begin_sync(&mut self) {
        if let Some(age) = &mut self.syncing.age {
            *age += 1;
            if *age < PATIENCE {
                return;
            }
            self.end_sync(true);
        }
        let head = self.unpublished();
        match self.sink.take_unsynced() {
            Ok(Some(file)) => match self.syncing.begin(Job { file, head, keys: self.keys.clone() }) {
                Ok(()) => self.shared.syncs.begins(),
                Err(_) => {
                    self.sink.is_not_synced(false);
                    self.sync();
                }
            },
            // Everything is there already, or it takes another file.
            Ok(None) | Err(_) => self.sync(),
        }
    }

    /// Takes up how the sync ended that was under way, if it has.
    pub(super) fn end_sync(&mut self, wait: bool) {
        if wait {
            self.shared.waits.begins();
        }
        let ended = self.syncing.end(wait);
        if wait {
            self.shared.waits.ends();
        }
        let Some(ended) = ended else { return };
        self.shared.syncs.ends();
        match ended {
            Ok(head) => {
                self.unsynced = false;
                self.shared.failing.store(false, Ordering::Relaxed);
                if let Some((head, kept)) = head {
                    self.tell(&head, kept);
                }
            }
            Err(_) => {
                self.unsynced = true;
                self.sink.is_not_synced(true);
                self.refused();
            }
        }
    }
}

/// Puts a head beside the key; whether it is there.
pub(super) fn keep(keys: &AuditKeys, head: &SignedHead) -> bool {
    let kept = keys.keep_head(&head.jws);
    kept.inspect_err(|error| tracing::error!(%error, "the newest audit head could not be kept beside its key")).is_ok()
}

fn gone() -> io::Error {
    io::Error::other("the thread that syncs the audit journal has ended")
}

/// Since when the disk has kept somebody waiting.
#[derive(Default)]
pub(super) struct Wait(Mutex<Option<Instant>>);

impl Wait {
    #[allow(clippy::disallowed_methods, reason = "measures how long a disk takes; decides about no token")]
    pub(super) fn begins(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn ends(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn is_longer_than(&self, bound: Duration) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|since| since.elapsed() > bound)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::audit::tests::{LATENCY, begin, denied, home};
    use crate::audit::{Journal, JournalSettings};

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn while_a_sync_takes_long_records_are_written_and_no_head_is_made_known() {
        let home = home();
        let ((begun, is_begun), (may_end, ends)) = (channel(), channel::<()>());
        let syncing = Syncing::start_by(move |file| {
            let _ = begun.send(());
            // Nobody is there any more once the test has seen what it wants to.
            let _ = ends.recv();
            file.sync_data()
        });
        let keys = Some(home.path.with_file_name("keys"));
        let settings = JournalSettings { keys: keys.clone(), ..JournalSettings::file(home.path.clone()) };
        let journal = Journal::open_with(settings, syncing.unwrap()).unwrap();
        is_begun.recv_timeout(LONG).unwrap();
        for count in 1..=3 {
            begin(&journal).close(denied(), LATENCY);
            assert!(journal.flush(Duration::from_millis(900)), "it waits for the disk");
            assert_eq!(home.lines().len(), count);
        }
        // It is told after some seconds, and stops minting in the end, when records that nobody takes fill their room.
        eventually(|| !journal.healthy());
        eventually(|| {
            begin(&journal).close(denied(), LATENCY);
            !journal.flush(Duration::from_millis(100))
        });
        let head = || AuditKeys::open(keys.as_deref()).unwrap().head().unwrap();
        assert!(fs::read_to_string(&home.path).unwrap().contains("\"kind\":\"head\"") && head().is_none());
        drop(may_end);
        eventually(|| journal.healthy());
        assert!(journal.flush(LONG));
        journal.shutdown();
        assert_eq!((journal.counters().lost, journal.counters().failures), (0, 0));
        assert!(head().is_some());
        // The file is nobody's any more.
        home.journal().shutdown();
    }

    #[test]
    fn a_sync_that_fails_stops_minting_until_one_succeeds() {
        let home = home();
        let fails = Arc::new(Mutex::new(true));
        let seen = Arc::clone(&fails);
        let syncing = Syncing::start_by(move |file| match *seen.lock().unwrap() {
            true => Err(io::Error::other("the disk is broken")),
            false => file.sync_data(),
        });
        let journal = Journal::open_with(JournalSettings::file(home.path.clone()), syncing.unwrap()).unwrap();
        eventually(|| !journal.healthy());
        assert!(begin(&journal).admit().is_err());
        *fails.lock().unwrap() = false;
        eventually(|| journal.healthy());
        begin(&journal).admit().unwrap();
        journal.shutdown();
    }

    fn eventually(mut holds: impl FnMut() -> bool) {
        for _ in 0..2000 {
            if holds() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("not within twenty seconds");
    }
}
