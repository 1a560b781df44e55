//! Rows about service accounts. What they may do is text here; who may change it, this file does not know.

use super::engine::{Row, query};
use super::keys::{count, moment, whole};
use super::{Database, DatabaseError, WriteTransaction};
use crate::clock::Timestamp;

/// `granted` is what an account may do; `wanted` what somebody has asked for and nobody approved yet, and `wanted_by` all who
/// did. `approved` is 1 once somebody has approved the account, or where nobody had to: without it nobody acts as the account,
/// whatever became of what was wanted. `revision` counts all changes, `epoch` those that end what was minted for the account's
/// tokens. `namespace` is empty for the root's.
pub(super) const TABLES: &str = "
    CREATE TABLE service_accounts (
        id          {text} NOT NULL PRIMARY KEY,
        namespace   {text} NOT NULL,
        name        {text} NOT NULL,
        owner       {text} NOT NULL,
        description {text} NOT NULL,
        granted     {text} NOT NULL,
        wanted      {text},
        wanted_by   {text},
        approved_by {text},
        expires_ms  BIGINT NOT NULL,
        disabled    BIGINT NOT NULL,
        created_ms  BIGINT NOT NULL,
        created_by  {text} NOT NULL,
        updated_ms  BIGINT NOT NULL,
        updated_by  {text} NOT NULL,
        revision    BIGINT NOT NULL,
        epoch       BIGINT NOT NULL,
        used_ms     BIGINT,
        approved    BIGINT NOT NULL,
        UNIQUE (namespace, name)
    );
";

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// A UUID.
    pub id: String,
    /// Its namespace; empty for the root's.
    pub namespace: String,
    /// Unique in the namespace.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    pub description: String,
    /// What it may do.
    pub granted: String,
    /// What it shall be able to do once somebody approves.
    pub wanted: Option<String>,
    /// All who asked for that, in a text of the caller's.
    pub wanted_by: Option<String>,
    /// Who approved what it may do.
    pub approved_by: Option<String>,
    /// Its end.
    pub expires: Timestamp,
    /// Whether it is switched off.
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was changed last.
    pub updated: Timestamp,
    /// By whom.
    pub updated_by: String,
    /// One more with every change.
    pub revision: u64,
    /// One more whenever what was minted for its tokens must end.
    pub epoch: u64,
    /// When it was used last, about.
    pub used: Option<Timestamp>,
    /// Whether somebody has approved it once, or nobody had to.
    pub approved: bool,
}

/// A statement about accounts (`a`): the columns that [`read`] reads, in their order, between two texts.
macro_rules! account_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "a.id, a.namespace, a.name, a.owner, a.description, a.granted, a.wanted, a.wanted_by, a.approved_by, \
             a.expires_ms, a.disabled, a.created_ms, a.created_by, a.updated_ms, a.updated_by, a.revision, a.epoch, a.used_ms, \
             a.approved",
            $after
        )
    };
}
pub(super) use account_columns;

const BY_ID: &str = account_columns!("SELECT ", " FROM service_accounts a WHERE a.id = $1");
const BY_NAME: &str = account_columns!("SELECT ", " FROM service_accounts a WHERE a.namespace = $1 AND a.name = $2");
const PAGE: &str = account_columns!(
    "SELECT ",
    " FROM service_accounts a WHERE a.namespace = $1 AND a.name > $2 ORDER BY a.name LIMIT $3"
);
const PAGE_OF_ALL: &str = account_columns!(
    "SELECT ",
    " FROM service_accounts a WHERE a.namespace > $1 OR (a.namespace = $1 AND a.name > $2) \
     ORDER BY a.namespace, a.name LIMIT $3"
);
const INSERT: &str = "INSERT INTO service_accounts (id, namespace, name, owner, description, granted, wanted, wanted_by, \
     approved_by, expires_ms, disabled, created_ms, created_by, updated_ms, updated_by, revision, epoch, approved) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
     ON CONFLICT (namespace, name) DO NOTHING";
const UPDATE: &str = "UPDATE service_accounts SET owner = $3, description = $4, granted = $5, wanted = $6, wanted_by = $7, \
     approved_by = $8, expires_ms = $9, disabled = $10, updated_ms = $11, updated_by = $12, approved = $13, \
     revision = revision + 1 \
     WHERE id = $1 AND revision = $2";
const DELETE: &str = "DELETE FROM service_accounts WHERE id = $1 AND revision = $2";
const NEW_EPOCH: &str = "UPDATE service_accounts SET epoch = epoch + 1 WHERE id = $1";
const USED: &str = "UPDATE service_accounts SET used_ms = $2 WHERE id = $1 AND (used_ms IS NULL OR used_ms < $2)";

impl Database {
    /// The account of that id.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn account(&self, id: &str) -> Result<Option<AccountRow>, DatabaseError> {
        let row = query(BY_ID).bind(id).fetch_optional(self.reader().await?.connection()).await?;
        row.as_ref().map(|row| read(row, 0)).transpose()
    }

    /// The account of that name in a namespace; the root's is empty.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn account_named(&self, namespace: &str, name: &str) -> Result<Option<AccountRow>, DatabaseError> {
        let query = query(BY_NAME).bind(namespace).bind(name);
        query.fetch_optional(self.reader().await?.connection()).await?.as_ref().map(|row| read(row, 0)).transpose()
    }

    /// At most `limit` accounts of a namespace, by name, after the one of that name; the empty name for the first.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn accounts_of(
        &self,
        namespace: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<AccountRow>, DatabaseError> {
        let query = query(PAGE);
        let query = query.bind(namespace).bind(after).bind(i64::from(limit));
        query.fetch_all(self.reader().await?.connection()).await?.iter().map(|row| read(row, 0)).collect()
    }

    /// At most `limit` accounts of all namespaces, by namespace and name, after that one.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn accounts(&self, after: (&str, &str), limit: u32) -> Result<Vec<AccountRow>, DatabaseError> {
        let query = query(PAGE_OF_ALL).bind(after.0).bind(after.1).bind(i64::from(limit));
        query.fetch_all(self.reader().await?.connection()).await?.iter().map(|row| read(row, 0)).collect()
    }
}

impl WriteTransaction {
    /// As [`Database::account`].
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn account(&mut self, id: &str) -> Result<Option<AccountRow>, DatabaseError> {
        let row = query(BY_ID).bind(id).fetch_optional(self.connection()).await?;
        row.as_ref().map(|row| read(row, 0)).transpose()
    }

    /// A new account: false where the namespace has one of that name.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn insert_account(&mut self, row: &AccountRow) -> Result<bool, DatabaseError> {
        let query = query(INSERT)
            .bind(row.id.as_str())
            .bind(row.namespace.as_str())
            .bind(row.name.as_str())
            .bind(row.owner.as_str())
            .bind(row.description.as_str())
            .bind(row.granted.as_str())
            .bind(row.wanted.as_deref())
            .bind(row.wanted_by.as_deref())
            .bind(row.approved_by.as_deref())
            .bind(row.expires.as_millis())
            .bind(i64::from(row.disabled))
            .bind(row.created.as_millis())
            .bind(row.created_by.as_str())
            .bind(row.updated.as_millis())
            .bind(row.updated_by.as_str())
            .bind(whole(row.revision)?)
            .bind(whole(row.epoch)?)
            .bind(i64::from(row.approved));
        Ok(query.execute(self.connection()).await? == 1)
    }

    /// Writes what of an account can change, as long as it still has the revision of `row`: false where it has not.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn update_account(&mut self, row: &AccountRow) -> Result<bool, DatabaseError> {
        let query = query(UPDATE)
            .bind(row.id.as_str())
            .bind(whole(row.revision)?)
            .bind(row.owner.as_str())
            .bind(row.description.as_str())
            .bind(row.granted.as_str())
            .bind(row.wanted.as_deref())
            .bind(row.wanted_by.as_deref())
            .bind(row.approved_by.as_deref())
            .bind(row.expires.as_millis())
            .bind(i64::from(row.disabled))
            .bind(row.updated.as_millis())
            .bind(row.updated_by.as_str())
            .bind(i64::from(row.approved));
        Ok(query.execute(self.connection()).await? == 1)
    }

    /// Removes an account and its tokens, as long as it has that revision.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn delete_account(&mut self, id: &str, revision: u64) -> Result<bool, DatabaseError> {
        let query = query(DELETE).bind(id).bind(whole(revision)?);
        Ok(query.execute(self.connection()).await? == 1)
    }

    /// Ends what was minted for the account's tokens.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn begin_account_epoch(&mut self, id: &str) -> Result<(), DatabaseError> {
        query(NEW_EPOCH).bind(id).execute(self.connection()).await?;
        Ok(())
    }

    /// The account was used then; an earlier moment than the one on record changes nothing.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn note_account_use(&mut self, id: &str, at: Timestamp) -> Result<(), DatabaseError> {
        query(USED).bind(id).bind(at.as_millis()).execute(self.connection()).await?;
        Ok(())
    }
}

/// Reads [`COLUMNS`] that begin with column `from`.
pub(super) fn read(row: &Row, from: usize) -> Result<AccountRow, DatabaseError> {
    let used: Option<i64> = row.read(from + 17)?;
    Ok(AccountRow {
        id: row.read(from)?,
        namespace: row.read(from + 1)?,
        name: row.read(from + 2)?,
        owner: row.read(from + 3)?,
        description: row.read(from + 4)?,
        granted: row.read(from + 5)?,
        wanted: row.read(from + 6)?,
        wanted_by: row.read(from + 7)?,
        approved_by: row.read(from + 8)?,
        expires: moment(row, from + 9)?,
        disabled: row.read::<i64>(from + 10)? != 0,
        created: moment(row, from + 11)?,
        created_by: row.read(from + 12)?,
        updated: moment(row, from + 13)?,
        updated_by: row.read(from + 14)?,
        revision: count(row, from + 15)?,
        epoch: count(row, from + 16)?,
        used: used.map(Timestamp::from_millis),
        approved: row.read::<i64>(from + 18)? != 0,
    })
}
