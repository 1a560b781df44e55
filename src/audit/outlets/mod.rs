//! Where records go besides the file, which stays the reference: standard output, syslog, a webhook, the store.
//!
//! Decides what happens when one of them cannot keep up: `deny` lets nothing be minted until it can, `drop` counts what it
//! misses. None of them makes the writer wait, and so none makes an exchange wait. Each gets the lines of the chain as they
//! stand in the file, so that whoever collects them can verify them too.

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

use super::settings::{OnFailure, Sink};
use super::sink::OpenSink;
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

/// Starts an outlet's thread.
pub(super) fn start(settings: &OutletSettings) -> io::Result<(Arc<Outbox>, JoinHandle<()>)> {
    let outlet = Outlet::open(&settings.to)?;
    let outbox = Arc::new(Outbox::new(settings.name.clone(), settings.on_failure));
    let theirs = Arc::clone(&outbox);
    let thread = std::thread::Builder::new().name("audit-outlet".to_owned()).spawn(move || work(&theirs, outlet))?;
    Ok((outbox, thread))
}

/// Hands over what waits, until the outlet is closed and nothing does, or it refuses once more after that.
fn work(outbox: &Outbox, mut outlet: Outlet) {
    loop {
        let mut chunks = outbox.wait(BATCH, PATIENCE);
        if chunks.is_empty() {
            if outbox.is_closing() {
                return;
            }
            continue;
        }
        let lingers = outlet.lingers();
        if lingers > Duration::ZERO && !outbox.is_closing() {
            std::thread::sleep(lingers);
            chunks.extend(outbox.ready(BATCH));
        }
        let lines: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.text.iter().copied()).collect();
        let delivered = handed_over(outbox, &mut outlet, &lines);
        outbox.done(&chunks, delivered);
        if !delivered && outbox.is_closing() {
            outbox.abandon();
            return;
        }
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
