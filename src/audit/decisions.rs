//! Decisions as they are kept in the store, for those who ask by more than a file's name.
//!
//! A convenience: the chain in the file is the record. What is here may lag by a second, may have gaps where the store was
//! down for long, and ends where retention does.

use std::fmt;

use super::outlets::store::without_nul;
use super::record::Record;
use crate::clock::Timestamp;
use crate::identity::DecisionId;
use crate::state::database::{Database, DatabaseError, DecisionsSought, FoundDecision};

/// The most decisions of one page.
pub const MAX_PAGE: u32 = 200;

/// The decisions in the store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Decisions(pub(super) Database);

/// Which decisions are wanted. Each that is given must be equal, byte for byte; times count from when a decision began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// `issued`, `served`, `done`, `denied`, `failed`, `aborted`.
    pub outcome: Option<String>,
    /// The operator's name of the issuer.
    pub issuer: Option<String>,
    /// The verified subject.
    pub subject: Option<String>,
    /// What was asked for.
    pub target: Option<String>,
    /// The stable code, as `docs/audit.md` lists them.
    pub reason: Option<String>,
    /// The first moment that counts.
    pub since: Option<Timestamp>,
    /// The first moment that counts no more.
    pub until: Option<Timestamp>,
}

/// Where a page ended: the next begins after it. Prints as, and is read from, the text that a caller gets; it grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(super) DecisionId);

/// A decision from the store.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// The chain whose file has its record.
    pub chain: String,
    /// Its line in that chain.
    pub seq: u64,
    /// The record.
    pub record: Record,
}

/// Some decisions, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// At most as many as were asked for; fewer do not mean that it is the last page.
    pub decisions: Vec<Decision>,
    /// Where to go on; none after the last.
    pub next: Option<Cursor>,
}

impl Decisions {
    /// Those in `database`.
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self(database)
    }

    /// The next decisions that `filter` wants, newest first, at most `limit` (1 to [`MAX_PAGE`], others are taken for the
    /// nearest). Where many rows have to be looked through, a page may have fewer, or none, and still a next one.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn page(
        &self,
        filter: &DecisionFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page, DatabaseError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let until = filter.until.map(DecisionId::first_at);
        let column = |text: &Option<String>| text.clone().map(without_nul);
        let [outcome, issuer, subject, target, reason] =
            [&filter.outcome, &filter.issuer, &filter.subject, &filter.target, &filter.reason].map(column);
        let sought = DecisionsSought {
            outcome: outcome.as_deref(),
            issuer: issuer.as_deref(),
            subject: subject.as_deref(),
            target: target.as_deref(),
            reason: reason.as_deref(),
            from: filter.since.map(DecisionId::first_at),
            before: [until, after.map(|Cursor(id)| id)].into_iter().flatten().min(),
        };
        let (found, ended_early) = self.0.decisions(&sought, limit).await?;
        let full = u32::try_from(found.len()).is_ok_and(|found| found >= limit);
        let last = found.last().filter(|_| full).map(|found| found.id);
        let decisions = found.into_iter().map(Decision::read).collect::<Result<_, _>>()?;
        Ok(Page { decisions, next: last.or(ended_early).map(Cursor) })
    }

    /// The decision of that id.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn find(&self, id: DecisionId) -> Result<Option<Decision>, DatabaseError> {
        self.0.decision(id).await?.map(Decision::read).transpose()
    }
}

impl Decision {
    fn read(found: FoundDecision) -> Result<Self, DatabaseError> {
        let FoundDecision { id, chain, seq, record } = found;
        // Its own error would quote what it could not read.
        let record =
            serde_json::from_str(&record).map_err(|_| DatabaseError::Damaged("a decision is no record".to_owned()))?;
        Ok(Self { id, chain, seq, record })
    }
}

impl Cursor {
    /// The place right after that decision.
    #[must_use]
    pub const fn of(decision: &Decision) -> Self {
        Self(decision.id)
    }

    /// Reads what [`Cursor`] prints.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        DecisionId::parse(text).map(Self)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
