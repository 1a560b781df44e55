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
            match kept(&database, &outbox, &chunks).await {
                Some(refused) => outbox.done_but(&chunks, refused),
                None => outbox.done(&chunks, false),
            }
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

/// Tries until the store has them; how many it does not take, whenever it is asked. None: the journal was closed before.
/// Meanwhile the queue fills, and drops what finds no room.
async fn kept(database: &Database, outbox: &Outbox, chunks: &[Chunk]) -> Option<u64> {
    let rows: Vec<DecisionRow> = chunks.iter().flat_map(rows).collect();
    let mut refused = 0;
    for batch in rows.chunks(ROWS) {
        if taken(database, outbox, batch).await? {
            continue;
        }
        // One that the store refuses must not hold up all others for ever: a caller chooses what stands in it.
        let before = refused;
        for row in batch {
            refused += u64::from(!taken(database, outbox, std::slice::from_ref(row)).await?);
        }
        if let Some(first) = batch.first().filter(|_| refused > before) {
            let (count, from) = (refused - before, first.id);
            tracing::error!(count, %from, "the store does not take some decisions; the audit journal has them");
        }
    }
    Some(refused)
}

/// Tries until the store has these rows, or says that it does not take one of them; which of both. None: the journal was
/// closed before.
async fn taken(database: &Database, outbox: &Outbox, rows: &[DecisionRow]) -> Option<bool> {
    let mut pause = Duration::from_millis(200);
    loop {
        let Err(error) = insert(database, rows).await else { return Some(true) };
        outbox.failed(&error);
        // It answered, and is well.
        if matches!(error, DatabaseError::Failed(_) | DatabaseError::Damaged(_)) {
            return Some(false);
        }
        if outbox.is_closing() {
            return None;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

async fn insert(database: &Database, rows: &[DecisionRow]) -> Result<(), DatabaseError> {
    let mut write = database.write(Scope::Decisions).await?;
    write.insert_decisions(rows).await?;
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
    let column = |text: Option<String>| text.map(without_nul);
    Some(DecisionRow {
        id: DecisionId::parse(&record.id)?,
        outcome: record.outcome,
        surface: surface.as_str()?.to_owned(),
        issuer: column(record.issuer),
        subject: column(record.subject),
        target: column(record.target),
        namespace: column(record.namespace),
        reason: column(record.reason),
        policy_set: column(record.policy_set),
        chain: chain.to_owned(),
        seq: record.seq?,
        record: std::str::from_utf8(line).ok()?.to_owned(),
    })
}

/// A text as it stands in a column, and as it is sought there: PostgreSQL has no NUL in texts. The record itself is JSON, which
/// writes it as an escape.
pub(in crate::audit) fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::outlets::chunk;
    use crate::audit::settings::OnFailure;
    use crate::state::PrivateDir;
    use crate::state::database::DecisionsSought;
    use crate::state::real_postgres::Postgres;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn line(nth: u64, target: &str) -> String {
        let id = DecisionId::new(NOW.plus(Duration::from_millis(nth)), [7; 10]);
        let record = json!({
            "v": 1, "id": id.to_string(), "time": NOW.to_string(), "surface": "oauth", "outcome": "denied", "seq": nth,
            "issuer": target, "subject": target, "target": target, "namespace": target, "reason": target,
        });
        format!("{record}\n")
    }

    #[test]
    fn no_column_has_a_nul_and_the_record_is_as_it_was() {
        let line = line(1, "a\0b");
        let row = row("c", line.trim_end().as_bytes()).unwrap();
        let columns = [&row.issuer, &row.subject, &row.target, &row.namespace, &row.reason];
        assert!(columns.into_iter().all(|column| column.as_deref() == Some("a\u{fffd}b")), "{row:?}");
        assert!(row.record.contains(r"a\u0000b") && !row.record.contains('\0'));
    }

    /// The attack: a decision that the store refuses, by a caller whom nobody knows.
    #[tokio::test]
    async fn a_row_that_the_store_refuses_is_given_up_and_counted_and_the_others_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let database = Database::open(&PrivateDir::open(&home.path().join("data")).unwrap(), NOW).await.unwrap();
        let refuse = "CREATE TRIGGER refuses BEFORE INSERT ON decisions WHEN NEW.target = 'bad' \
             BEGIN SELECT RAISE(ABORT, 'no such text'); END";
        database.tamper(refuse).await;
        let outbox = Outbox::new("store".to_owned(), OnFailure::Drop);
        let text: String = ["good", "bad", "good", "bad", "good"]
            .into_iter()
            .zip(1..)
            .map(|(target, nth)| line(nth, target))
            .collect();
        let chunks = [chunk(&Arc::from("c"), text.as_bytes(), 5)];
        outbox.offer(chunks[0].clone());
        let taken = outbox.ready(BATCH);
        let refused = kept(&database, &outbox, &taken).await;
        assert_eq!(refused, Some(2));
        outbox.done_but(&taken, 2);
        let counters = outbox.counters();
        assert_eq!((counters.delivered, counters.dropped, counters.waiting_bytes), (3, 2, 0));
        let (found, _) = database.decisions(&DecisionsSought::default(), 10).await.unwrap();
        assert_eq!(found.iter().map(|found| found.seq).collect::<Vec<_>>(), [5, 3, 1]);
    }

    #[tokio::test]
    async fn a_replica_whose_clock_is_weeks_ahead_removes_no_decision() {
        let Some(postgres) = Postgres::start() else { return };
        let now = Clock::System.now();
        let database = Database::connect(&postgres.database_url(), now).await.unwrap();
        let id = DecisionId::new(now, [7; 10]);
        let row = DecisionRow {
            id,
            outcome: "issued".to_owned(),
            surface: "oauth".to_owned(),
            issuer: None,
            subject: None,
            target: None,
            namespace: None,
            reason: None,
            policy_set: None,
            chain: "c".to_owned(),
            seq: 1,
            record: "{}".to_owned(),
        };
        insert(&database, &[row]).await.unwrap();
        let retention = DecisionRetention::default();
        sweep(&database, retention, now.plus(retention.keep_for * 2)).await.unwrap();
        assert!(database.decision(id).await.unwrap().is_some());
        let short = DecisionRetention { keep_for: Duration::ZERO, ..retention };
        sweep(&database, short, now.plus(Duration::from_secs(10))).await.unwrap();
        assert!(database.decision(id).await.unwrap().is_none(), "by clocks that agree it is too old");
    }
}
