//! Rows about decisions, for those who ask afterwards.
//!
//! A row's key is the decision's id, a UUID version 7: it is ordered by time, so every index ends with it, every page is
//! one range of one index, and what is too old is the front of the primary key.

use std::sync::LazyLock;

use super::engine::{Row, query};
use super::keys::{count, whole};
use super::{Database, DatabaseError, WriteTransaction};
use crate::identity::DecisionId;

/// `record` stands last: what is filtered by is read without it.
pub(super) const TABLES: &str = "
    CREATE TABLE decisions (
        id         {bytes} NOT NULL PRIMARY KEY,
        outcome    {text} NOT NULL,
        surface    {text} NOT NULL,
        issuer     {text},
        subject    {text},
        target     {text},
        namespace  {text},
        reason     {text},
        policy_set {text},
        chain      {text} NOT NULL,
        seq        BIGINT NOT NULL,
        record     {text} NOT NULL
    );
    CREATE INDEX decisions_by_outcome ON decisions (outcome, id);
    CREATE INDEX decisions_by_issuer ON decisions (issuer, id);
    CREATE INDEX decisions_by_subject ON decisions (subject, id);
    CREATE INDEX decisions_by_target ON decisions (target, id);
    CREATE INDEX decisions_by_reason ON decisions (reason, id);
";

/// A decision, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRow {
    /// Its id, which has its time.
    pub id: DecisionId,
    /// `issued`, `served`, `denied`, ...
    pub outcome: String,
    /// Where it came in.
    pub surface: String,
    /// The operator's name of the issuer.
    pub issuer: Option<String>,
    /// The verified subject.
    pub subject: Option<String>,
    /// What was asked for.
    pub target: Option<String>,
    /// Whose secrets.
    pub namespace: Option<String>,
    /// The stable code.
    pub reason: Option<String>,
    /// The digest of the policy set.
    pub policy_set: Option<String>,
    /// The chain that the record stands in.
    pub chain: String,
    /// Its line in the chain.
    pub seq: u64,
    /// The record, JSON.
    pub record: String,
}

/// Which decisions are sought: each that is given must be equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecisionsSought<'a> {
    /// As [`DecisionRow::outcome`].
    pub outcome: Option<&'a str>,
    /// As [`DecisionRow::issuer`].
    pub issuer: Option<&'a str>,
    /// As [`DecisionRow::subject`].
    pub subject: Option<&'a str>,
    /// As [`DecisionRow::target`].
    pub target: Option<&'a str>,
    /// As [`DecisionRow::reason`].
    pub reason: Option<&'a str>,
    /// The first id that counts.
    pub from: Option<DecisionId>,
    /// The first id that counts no more.
    pub before: Option<DecisionId>,
}

/// A decision that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDecision {
    /// Its id.
    pub id: DecisionId,
    /// The chain that its record stands in.
    pub chain: String,
    /// Its line in the chain.
    pub seq: u64,
    /// The record, JSON.
    pub record: String,
}

const COLUMNS: usize = 12;
/// How many rows one statement keeps, where there are so many: a replica decides thousands of times a second, and each statement is
/// a round trip.
const AT_ONCE: usize = 16;
static INSERT: LazyLock<String> = LazyLock::new(|| inserting(1));
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| inserting(AT_ONCE));

/// The statement that keeps so many rows.
fn inserting(rows: usize) -> String {
    let numbers = |row: usize| (1..=COLUMNS).map(move |column| format!("${}", row * COLUMNS + column));
    let values = |row: usize| format!("({})", numbers(row).collect::<Vec<_>>().join(", "));
    format!(
        "INSERT INTO decisions (id, outcome, surface, issuer, subject, target, namespace, reason, policy_set, chain, seq, record) \
         VALUES {} ON CONFLICT (id) DO NOTHING",
        (0..rows).map(values).collect::<Vec<_>>().join(", ")
    )
}

const FIND: &str = "SELECT id, chain, seq, record FROM decisions WHERE id = $1";
/// The most rows of one index that one page looks through: a filter that hardly any row passes costs no more than this.
pub const MOST_SCANNED: u32 = 20_000;

/// The inner statement walks one index downwards, bounded; the outer one filters the rest and fetches the records. One text
/// for each index that can lead; the first that is asked for does, rarest first.
macro_rules! page {
    ($lead:literal) => {
        concat!(
            "SELECT d.id, d.chain, d.seq, d.record FROM (SELECT id, outcome, issuer, subject, target, reason FROM decisions \
             WHERE ",
            $lead,
            "id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3) i JOIN decisions d ON d.id = i.id \
             WHERE (CAST($5 AS TEXT) IS NULL OR i.subject = $5) AND (CAST($6 AS TEXT) IS NULL OR i.reason = $6) \
             AND (CAST($7 AS TEXT) IS NULL OR i.target = $7) AND (CAST($8 AS TEXT) IS NULL OR i.issuer = $8) \
             AND (CAST($9 AS TEXT) IS NULL OR i.outcome = $9) ORDER BY i.id DESC LIMIT $4"
        )
    };
}
macro_rules! end {
    ($lead:literal) => {
        concat!("SELECT id FROM decisions WHERE ", $lead, "id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $3")
    };
}
const PAGE: [&str; 6] = [
    page!("subject = $5 AND "),
    page!("reason = $6 AND "),
    page!("target = $7 AND "),
    page!("issuer = $8 AND "),
    page!("outcome = $9 AND "),
    page!(""),
];
const END: [&str; 5] = [
    end!("subject = $4 AND "),
    end!("reason = $4 AND "),
    end!("target = $4 AND "),
    end!("issuer = $4 AND "),
    end!("outcome = $4 AND "),
];
const OLDER: &str = "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions WHERE id < $1 ORDER BY id LIMIT $2)";
const NTH_NEWEST: &str = "SELECT id FROM decisions ORDER BY id DESC LIMIT 1 OFFSET $1";

impl Database {
    /// At most `limit` decisions that are `sought`, newest first; and where the search goes on when it ended early, because it
    /// had looked through [`MOST_SCANNED`] rows.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn decisions(
        &self,
        sought: &DecisionsSought<'_>,
        limit: u32,
    ) -> Result<(Vec<FoundDecision>, Option<DecisionId>), DatabaseError> {
        let values = [sought.subject, sought.reason, sought.target, sought.issuer, sought.outcome];
        let lead = values.iter().position(Option::is_some);
        let alone = values.iter().flatten().count() <= 1;
        // Without a further filter, every row of the index is one of the page.
        let scanned = if alone { limit } else { MOST_SCANNED };
        let from = sought.from.map_or([0; 16], DecisionId::bytes);
        let before = sought.before.map_or([0xff; 16], DecisionId::bytes);
        let mut page = query(PAGE.get(lead.unwrap_or(5)).copied().unwrap_or_default());
        page = page.bind(from.as_slice()).bind(before.as_slice()).bind(i64::from(scanned)).bind(i64::from(limit));
        for value in values {
            page = page.bind(value);
        }
        let mut reader = self.reader().await?;
        let found = page.fetch_all(reader.connection()).await?;
        let found = found.iter().map(read_found).collect::<Result<Vec<_>, _>>()?;
        let full = u32::try_from(found.len()).is_ok_and(|found| found >= limit);
        let (Some(lead), false, false) = (lead, alone, full) else { return Ok((found, None)) };
        let end = query(END.get(lead).copied().unwrap_or_default()).bind(from.as_slice()).bind(before.as_slice());
        let end = end.bind(i64::from(MOST_SCANNED) - 1).bind(values.get(lead).copied().flatten());
        let end = end.fetch_optional(reader.connection()).await?;
        Ok((found, end.map(|end| read_id(&end)).transpose()?))
    }

    /// The decision of that id.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn decision(&self, id: DecisionId) -> Result<Option<FoundDecision>, DatabaseError> {
        let bytes = id.bytes();
        let row = query(FIND).bind(bytes.as_slice()).fetch_optional(self.reader().await?.connection()).await?;
        row.as_ref().map(read_found).transpose()
    }

    /// The id of the decision that has `newer` newer ones; none where there are fewer.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn decision_with_newer(&self, newer: u64) -> Result<Option<DecisionId>, DatabaseError> {
        let row = query(NTH_NEWEST).bind(whole(newer)?).fetch_optional(self.reader().await?.connection()).await?;
        row.as_ref().map(read_id).transpose()
    }
}

impl WriteTransaction {
    /// Keeps decisions; those that are kept already stay as they are.
    ///
    /// # Errors
    /// [`DatabaseError`]: none of them, once the transaction ends.
    pub async fn insert_decisions(&mut self, rows: &[DecisionRow]) -> Result<(), DatabaseError> {
        let (many, others) = rows.as_chunks::<AT_ONCE>();
        for rows in many {
            self.insert(&INSERT_MANY, rows).await?;
        }
        for row in others {
            self.insert(&INSERT, std::slice::from_ref(row)).await?;
        }
        Ok(())
    }

    async fn insert(&mut self, text: &'static str, rows: &[DecisionRow]) -> Result<(), DatabaseError> {
        let ids: Vec<_> = rows.iter().map(|row| row.id.bytes()).collect();
        let mut statement = query(text);
        for (row, id) in rows.iter().zip(&ids) {
            statement = statement
                .bind(id.as_slice())
                .bind(row.outcome.as_str())
                .bind(row.surface.as_str())
                .bind(row.issuer.as_deref())
                .bind(row.subject.as_deref())
                .bind(row.target.as_deref())
                .bind(row.namespace.as_deref())
                .bind(row.reason.as_deref())
                .bind(row.policy_set.as_deref())
                .bind(row.chain.as_str())
                .bind(whole(row.seq)?)
                .bind(row.record.as_str());
        }
        statement.execute(self.connection()).await?;
        Ok(())
    }

    /// Forgets at most `limit` decisions that are older than the id `end`: how many.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn forget_decisions(&mut self, end: DecisionId, limit: u32) -> Result<u64, DatabaseError> {
        let end = end.bytes();
        query(OLDER).bind(end.as_slice()).bind(i64::from(limit)).execute(self.connection()).await
    }
}

fn read_found(row: &Row) -> Result<FoundDecision, DatabaseError> {
    Ok(FoundDecision { id: read_id(row)?, chain: row.read(1)?, seq: count(row, 2)?, record: row.read(3)? })
}

/// The id in the first column.
fn read_id(row: &Row) -> Result<DecisionId, DatabaseError> {
    let bytes: [u8; 16] =
        row.read::<Vec<u8>>(0)?.try_into().map_err(|_| DatabaseError::row("a decision's id has another length"))?;
    Ok(DecisionId::from_bytes(bytes))
}
