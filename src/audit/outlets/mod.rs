//! Where records go besides the file, which stays the reference: standard output, syslog, a webhook, the store.
//!
//! Decides what happens when one of them cannot keep up: `deny` lets nothing be minted until it can, `drop` counts what it
//! misses. What a sink with `deny` has not got when the process ends it gets from the file after the next start. None of them makes the writer wait, and so none makes an exchange wait. Each gets the lines of the chain as they
//! stand in the file, so that whoever collects them can verify them too.

mod backlog;
pub(super) mod outbox;
pub(super) mod store;
mod syslog;
mod webhook;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use outbox::OutletCounters;
pub use syslog::{Facility, SyslogAddress, SyslogSettings};
pub use webhook::{BearerSource, WebhookSettings};

use super::fault::AuditError;
use super::settings::{JournalSettings, OnFailure, Sink};
use super::sink::OpenSink;
use crate::state::PrivateDir;
pub(super) use backlog::Place;
use backlog::{Backlog, Sent};
use outbox::{Chunk, Outbox};
use syslog::Syslog;
use webhook::Webhook;

/// How long a worker waits for lines before it looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between tries: from the first to the longest, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a batch is tried for an outlet that may drop.
const MOST_TRIES: u32 = 6;
/// The most that is handed over at once.
const BATCH: usize = 512 * 1024;

/// An outlet, as it is configured.
#[derive(Clone, Debug)]
pub struct OutletSettings {
    /// What it is called in metrics and messages.
    pub name: String,
    /// What happens when it cannot keep up.
    pub on_failure: OnFailure,
    /// Where it is.
    pub to: OutletKind,
}

/// Where records go besides the file.
#[derive(Clone, Debug)]
pub enum OutletKind {
    /// Standard output.
    Stdout,
    /// A syslog daemon or collector (RFC 5424).
    Syslog(SyslogSettings),
    /// An HTTPS endpoint that takes batches of JSON lines.
    Webhook(WebhookSettings),
}

/// How an outlet is.
#[derive(Clone, Debug)]
pub struct OutletStatus {
    /// What it is called.
    pub name: String,
    /// Whether it must have everything.
    pub on_failure: OnFailure,
    /// Whether it took the last batch.
    pub failing: bool,
    /// Whether nothing is minted because of it.
    pub blocking: bool,
    /// What became of its records.
    pub counters: OutletCounters,
}

impl OutletStatus {
    pub(super) fn of(outbox: &Outbox) -> Self {
        Self {
            name: outbox.name.clone(),
            on_failure: outbox.on_failure,
            failing: outbox.is_failing(),
            blocking: outbox.blocks(),
            counters: outbox.counters(),
        }
    }
}

/// What takes lines, or says why not. Blocks, each time within a bound.
enum Outlet {
    Stdout(OpenSink),
    Syslog(Syslog),
    Webhook(Box<Webhook>),
}

/// Why lines were not taken.
pub(super) enum Refusal {
    /// Another try may do.
    Later(String),
    /// These lines will never be taken.
    Never(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

impl Outlet {
    fn open(kind: &OutletKind) -> io::Result<Self> {
        Ok(match kind {
            OutletKind::Stdout => Self::Stdout(OpenSink::new(&Sink::Stdout).map_err(io::Error::other)?),
            OutletKind::Syslog(settings) => Self::Syslog(Syslog::new(settings.clone())),
            OutletKind::Webhook(settings) => Self::Webhook(Box::new(Webhook::new(settings.clone())?)),
        })
    }

    /// How long lines are collected before they are handed over.
    fn lingers(&self) -> Duration {
        match self {
            Self::Webhook(_) => Duration::from_millis(500),
            Self::Stdout(_) | Self::Syslog(_) => Duration::ZERO,
        }
    }

    fn deliver(&mut self, lines: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Stdout(out) => Ok(out.write(lines, i64::MIN)?),
            Self::Syslog(syslog) => syslog.deliver(lines),
            Self::Webhook(webhook) => webhook.deliver(lines),
        }
    }

    fn give_up(&mut self, lines: &[u8]) {
        match self {
            Self::Stdout(out) => out.give_up(lines),
            Self::Syslog(syslog) => syslog.give_up(),
            Self::Webhook(_) => {}
        }
    }
}

/// Queues, and the threads that empty them.
pub(super) type Started = (Vec<Arc<Outbox>>, Vec<JoinHandle<()>>);

/// Starts the outlets' threads, before the writer's: the chain ends at `now`.
pub(super) fn start(journal: &JournalSettings, now: &Place) -> Result<Started, AuditError> {
    let (mut outboxes, mut threads) = (Vec::new(), Vec::new());
    for settings in &journal.outlets {
        let failed = |error| AuditError::Outlet(settings.name.clone(), error);
        let outbox = Arc::new(Outbox::new(settings.name.clone(), settings.on_failure));
        let sent = match &journal.keys {
            Some(keys) if settings.on_failure == OnFailure::Deny && matches!(journal.sink, Sink::File { .. }) => {
                Some(Sent::open(PrivateDir::open(keys)?, &settings.name, now)?)
            }
            _ => None,
        };
        let backlog = sent.as_ref().map(|sent| sent.missing(&journal.sink)).transpose().map_err(failed)?.flatten();
        if let Some(backlog) = &backlog {
            tracing::warn!(
                sink = settings.name,
                bytes = backlog.bytes,
                "a sink gets what it has not got before the start"
            );
            outbox.owe(backlog.bytes);
        }
        let (outlet, theirs) = (Outlet::open(&settings.to).map_err(failed)?, Arc::clone(&outbox));
        let thread = std::thread::Builder::new().name("audit-outlet".to_owned());
        let thread = thread.spawn(move || Worker { outbox: &theirs, outlet, sent }.run(backlog)).map_err(failed)?;
        outboxes.push(outbox);
        threads.push(thread);
    }
    Ok((outboxes, threads))
}

/// Who empties the queue of an outlet.
struct Worker<'a> {
    outbox: &'a Outbox,
    outlet: Outlet,
    /// Up to where the outlet has the chain; none where it may miss something.
    sent: Option<Sent>,
}

impl Worker<'_> {
    /// Hands over what waits, until the outlet is closed and nothing does, or it refuses once more after that.
    fn run(mut self, backlog: Option<Backlog>) {
        if backlog.is_none_or(|backlog| self.catches_up(&backlog)) {
            self.empty();
        }
        if let Some(sent) = &mut self.sent {
            sent.note();
        }
        self.outbox.abandon(self.sent.is_some());
    }

    /// Whether all that was missing was taken.
    fn catches_up(&mut self, backlog: &Backlog) -> bool {
        let (mut all, mut left) = (true, backlog.bytes);
        let read = backlog.chunks(|chunk| {
            left = left.saturating_sub(chunk.text.len());
            all = self.hand_over(&[chunk]);
            all
        });
        if let Err(error) = read {
            // It goes on with what comes: to stop for good would help nobody, and the file is damaged or gone.
            tracing::error!(sink = self.outbox.name, %error, "what a sink has not got cannot be read; the audit journal has it");
        }
        self.outbox.settle(left);
        all
    }

    fn empty(&mut self) {
        loop {
            let mut chunks = self.outbox.wait(BATCH, PATIENCE);
            if chunks.is_empty() {
                if self.outbox.is_closing() {
                    return;
                }
                if let Some(sent) = &mut self.sent {
                    sent.note();
                }
                continue;
            }
            let lingers = self.outlet.lingers();
            if lingers > Duration::ZERO && !self.outbox.is_closing() {
                std::thread::sleep(lingers);
                chunks.extend(self.outbox.ready(BATCH));
            }
            if !self.hand_over(&chunks) && self.outbox.is_closing() {
                return;
            }
        }
    }

    fn hand_over(&mut self, chunks: &[Chunk]) -> bool {
        let lines: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.text.iter().copied()).collect();
        let delivered = handed_over(self.outbox, &mut self.outlet, &lines);
        match &mut self.sent {
            Some(sent) if delivered => {
                sent.took(chunks);
                self.outbox.done(chunks, true);
            }
            Some(_) => self.outbox.postpone(chunks),
            None => self.outbox.done(chunks, delivered),
        }
        delivered
    }
}

fn handed_over(outbox: &Outbox, outlet: &mut Outlet, lines: &[u8]) -> bool {
    let (mut pause, mut tries) = (FIRST_PAUSE, 0);
    loop {
        tries += 1;
        let never = match outlet.deliver(lines) {
            Ok(()) => return true,
            Err(Refusal::Later(error)) => {
                outbox.failed(&error);
                false
            }
            Err(Refusal::Never(error)) => {
                outbox.failed(&error);
                true
            }
        };
        // An outlet that must have everything is tried for ever; meanwhile nothing is minted once its queue is full.
        let may_drop = outbox.on_failure == OnFailure::Drop && (never || tries >= MOST_TRIES);
        if may_drop || outbox.is_closing() {
            outlet.give_up(lines);
            return false;
        }
        let mut left = pause;
        while left > Duration::ZERO && !outbox.is_closing() {
            let step = left.min(Duration::from_millis(100));
            std::thread::sleep(step);
            left -= step;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Lines of a chain, and how many of them are records.
pub(super) fn chunk(chain: &Arc<str>, text: &[u8], records: usize) -> Chunk {
    Chunk { chain: Arc::clone(chain), text: Arc::from(text), records: u64::try_from(records).unwrap_or(u64::MAX) }
}
