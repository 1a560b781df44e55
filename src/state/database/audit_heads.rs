//! Rows about heads of audit chains: here, whoever edits the files of a chain is not. The newest head of every segment.

use super::engine::{Row, query};
use super::keys::{count, moment, whole};
use super::{Database, DatabaseError, WriteTransaction};
use crate::clock::Timestamp;

pub(super) const TABLES: &str = "
    CREATE TABLE audit_heads (
        chain   {text} NOT NULL,
        segment BIGINT NOT NULL,
        seq     BIGINT NOT NULL,
        at_ms   BIGINT NOT NULL,
        head    {text} NOT NULL,
        PRIMARY KEY (chain, segment)
    );
";

/// The newest head of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// The chain.
    pub chain: String,
    /// The segment, from 1.
    pub segment: u64,
    /// The line that it covers, and all before.
    pub seq: u64,
    /// When it was signed.
    pub at: Timestamp,
    /// The head, a compact JWS.
    pub head: String,
}

const PUT_HEAD: &str = "INSERT INTO audit_heads (chain, segment, seq, at_ms, head) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (chain, segment) DO UPDATE SET seq = EXCLUDED.seq, at_ms = EXCLUDED.at_ms, head = EXCLUDED.head \
     WHERE EXCLUDED.seq > audit_heads.seq";
const HEADS: &str = "SELECT chain, segment, seq, at_ms, head FROM audit_heads ORDER BY chain, segment DESC LIMIT $1";
const FORGET_HEADS: &str = "DELETE FROM audit_heads WHERE at_ms < $1 AND segment < (SELECT MAX(newer.segment) \
     FROM audit_heads newer WHERE newer.chain = audit_heads.chain)";

impl Database {
    /// The newest head of every segment that is remembered, at most `limit`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn audit_heads(&self, limit: u32) -> Result<Vec<HeadRow>, DatabaseError> {
        let rows = query(HEADS).bind(i64::from(limit)).fetch_all(self.reader().await?.connection()).await?;
        let read = |row: &Row| {
            let (segment, seq) = (count(row, 1)?, count(row, 2)?);
            Ok(HeadRow { chain: row.read(0)?, segment, seq, at: moment(row, 3)?, head: row.read(4)? })
        };
        rows.iter().map(read).collect()
    }
}

impl WriteTransaction {
    /// Keeps a head, unless the segment has a newer one.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn put_audit_head(&mut self, row: &HeadRow) -> Result<(), DatabaseError> {
        query(PUT_HEAD)
            .bind(row.chain.as_str())
            .bind(whole(row.segment)?)
            .bind(whole(row.seq)?)
            .bind(row.at.as_millis())
            .bind(row.head.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Forgets the heads of before `end`, but each chain's last: how many.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn forget_audit_heads(&mut self, end: Timestamp) -> Result<u64, DatabaseError> {
        query(FORGET_HEADS).bind(end.as_millis()).execute(self.connection()).await
    }
}
