//! Decisions in the store: written in batches beside the requests, forgotten by age and by number.
//!
//! Decides what of a record is a column. A convenience: where the store is down for longer than the queue lasts, it has a gap
//! and the file has the records.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::outbox::{Chunk, Outbox};
use crate::audit::chain::SignedHead;
use crate::audit::record::Record;
use crate::clock::{Clock, Timestamp};
use crate::identity::DecisionId;
use crate::state::database::{Database, DatabaseError, DecisionRow, HeadRow, Scope};

/// How often what waits is written.
const EVERY: Duration = Duration::from_millis(500);
/// Ticks between two looks for what is to be forgotten.
const TICKS_PER_SWEEP: u32 = 120;
/// How many rows one transaction has at most: others write to the same store.
const ROWS: usize = 500;
/// How many decisions are forgotten in one transaction.
const FORGOTTEN: u32 = 500;
/// How many transactions one sweep has at most; the rest is the next one's.
const SWEEPS: u32 = 400;
const BATCH: usize = 512 * 1024;

/// How long decisions stay in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionRetention {
    /// The oldest that is kept. Default 30 days.
    pub keep_for: Duration,
    /// How many are kept. Default 1,000,000.
    pub max: u64,
}

impl Default for DecisionRetention {
    fn default() -> Self {
        Self { keep_for: Duration::from_secs(30 * 24 * 3600), max: 1_000_000 }
    }
}

/// The newest head that the store does not have yet.
pub(in crate::audit) type NewHead = watch::Receiver<Option<Arc<SignedHead>>>;

/// Writes until the outbox is closed and empty.
pub(in crate::audit) async fn keep(
    database: Database,
    outbox: Arc<Outbox>,
    mut heads: NewHead,
    retention: DecisionRetention,
    clock: Clock,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count: u32 = 0;
    loop {
        ticks.tick().await;
        let closing = outbox.is_closing();
        loop {
            let chunks = outbox.ready(BATCH);
            if chunks.is_empty() {
                break;
            }
            let kept = kept(&database, &outbox, &chunks).await;
            outbox.done(&chunks, kept);
        }
        if heads.has_changed().unwrap_or(false) {
            let head = heads.borrow_and_update().clone();
            if let Some(head) = head
                && let Err(error) = put_head(&database, &head).await
            {
                outbox.failed(&error);
                heads.mark_changed();
            }
        }
        if closing {
            return;
        }
        if count.is_multiple_of(TICKS_PER_SWEEP)
            && let Err(error) = sweep(&database, retention, clock.now()).await
        {
            tracing::warn!(%error, "old decisions could not be removed from the store");
        }
        count = count.wrapping_add(1);
    }
}

/// Tries until the store has them, or the journal is closed. Meanwhile the queue fills, and drops what finds no room.
async fn kept(database: &Database, outbox: &Outbox, chunks: &[Chunk]) -> bool {
    let rows: Vec<DecisionRow> = chunks.iter().flat_map(rows).collect();
    let mut pause = Duration::from_millis(200);
    for batch in rows.chunks(ROWS) {
        while let Err(error) = insert(database, batch).await {
            outbox.failed(&error);
            if outbox.is_closing() {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }
    true
}

async fn insert(database: &Database, rows: &[DecisionRow]) -> Result<(), DatabaseError> {
    let mut write = database.write(Scope::Decisions).await?;
    for row in rows {
        write.insert_decision(row).await?;
    }
    write.commit().await
}

async fn put_head(database: &Database, head: &SignedHead) -> Result<(), DatabaseError> {
    let mut write = database.write(Scope::Decisions).await?;
    let (chain, segment, seq) = (head.chain.to_string(), head.segment, head.covers.seq);
    write.put_audit_head(&HeadRow { chain, segment, seq, at: head.time, head: head.jws.clone() }).await?;
    write.commit().await
}

/// The same by the clock that the database agrees with: a replica that starts with one that is weeks ahead would remove what is
/// everybody's.
async fn sweep(database: &Database, retention: DecisionRetention, now: Timestamp) -> Result<(), DatabaseError> {
    match database.agreed_time(now).await? {
        Some(now) => forget(database, retention, now).await,
        None => Ok(()),
    }
}

/// Forgets what is too old or too much, in small transactions.
pub(in crate::audit) async fn forget(
    database: &Database,
    retention: DecisionRetention,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let oldest = now.minus(retention.keep_for);
    let by_age = DecisionId::first_at(oldest);
    // The newest that is too much; those before it are too.
    let beyond = match retention.max.checked_sub(1) {
        Some(newer) => database.decision_with_newer(newer).await?,
        None => None,
    };
    let end = beyond.map_or(by_age, |beyond| beyond.max(by_age));
    for _ in 0..SWEEPS {
        let mut write = database.write(Scope::Decisions).await?;
        let gone = write.forget_decisions(end, FORGOTTEN).await?;
        write.commit().await?;
        if gone < u64::from(FORGOTTEN) {
            break;
        }
    }
    let mut write = database.write(Scope::Decisions).await?;
    write.forget_audit_heads(oldest).await?;
    write.commit().await
}

/// The rows of the lines that are records.
fn rows(chunk: &Chunk) -> impl Iterator<Item = DecisionRow> {
    chunk.text.split(|b| *b == b'\n').filter_map(|line| row(&chunk.chain, line))
}

fn row(chain: &str, line: &[u8]) -> Option<DecisionRow> {
    let record: Record = serde_json::from_slice(line).ok()?;
    let surface = serde_json::to_value(record.surface).ok()?;
    Some(DecisionRow {
        id: DecisionId::parse(&record.id)?,
        outcome: record.outcome,
        surface: surface.as_str()?.to_owned(),
        issuer: record.issuer,
        subject: record.subject,
        target: record.target,
        namespace: record.namespace,
        reason: record.reason,
        policy_set: record.policy_set,
        chain: chain.to_owned(),
        seq: record.seq?,
        record: std::str::from_utf8(line).ok()?.to_owned(),
    })
}
