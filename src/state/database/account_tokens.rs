//! Rows about the tokens of service accounts. Of a token there is only a digest; under which key, this file does not know.

use super::accounts::{self, AccountRow, account_columns};
use super::engine::{Row, query};
use super::keys::{count, moment};
use super::{Database, DatabaseError, WriteTransaction};
use crate::clock::Timestamp;

/// A token that was rotated has `rotated_ms`, is good until `good_until_ms`, and `successor` took its place. `family` is the
/// id of the first token that it descends from.
pub(super) const TABLES: &str = "
    CREATE TABLE service_account_tokens (
        id            {text} NOT NULL PRIMARY KEY,
        account       {text} NOT NULL REFERENCES service_accounts (id) ON DELETE CASCADE,
        family        {text} NOT NULL,
        name          {text} NOT NULL,
        digest        {bytes} NOT NULL UNIQUE,
        created_ms    BIGINT NOT NULL,
        created_by    {text} NOT NULL,
        expires_ms    BIGINT NOT NULL,
        used_ms       BIGINT,
        rotated_ms    BIGINT,
        good_until_ms BIGINT,
        successor     {text},
        revoked_ms    BIGINT,
        revoked_why   {text}
    );
    CREATE INDEX service_account_tokens_by_account ON service_account_tokens (account, id);
    CREATE INDEX service_account_tokens_by_family ON service_account_tokens (family);
    CREATE INDEX service_account_tokens_by_end ON service_account_tokens (expires_ms);
";

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountTokenRow {
    /// A UUID.
    pub id: String,
    /// The account's id.
    pub account: String,
    /// The id of the first token of its line.
    pub family: String,
    /// For people.
    pub name: String,
    /// The keyed digest of its text.
    pub digest: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// Its end.
    pub expires: Timestamp,
    /// When it was used last, about.
    pub used: Option<Timestamp>,
    /// When another took its place, and until when it stays good beside that one.
    pub rotated: Option<(Timestamp, Timestamp)>,
    /// The token that took its place.
    pub successor: Option<String>,
    /// When it was revoked, and why (a word of ours).
    pub revoked: Option<(Timestamp, String)>,
}

/// A statement about tokens (`t`): the columns that [`read`] reads, in their order, and what follows.
macro_rules! token_columns {
    ($after:literal) => {
        concat!(
            "SELECT t.id, t.account, t.family, t.name, t.digest, t.created_ms, t.created_by, t.expires_ms, t.used_ms, \
             t.rotated_ms, t.good_until_ms, t.successor, t.revoked_ms, t.revoked_why FROM service_account_tokens t ",
            $after
        )
    };
}
/// How many those are.
const WIDTH: usize = 14;

/// Those columns, and the account's after them.
const BY_DIGEST: &str = account_columns!(
    "SELECT t.id, t.account, t.family, t.name, t.digest, t.created_ms, t.created_by, t.expires_ms, t.used_ms, \
     t.rotated_ms, t.good_until_ms, t.successor, t.revoked_ms, t.revoked_why, ",
    " FROM service_account_tokens t JOIN service_accounts a ON a.id = t.account WHERE t.digest = $1"
);
const BY_ID: &str = token_columns!("WHERE t.id = $1");
const PAGE: &str = token_columns!("WHERE t.account = $1 AND t.id > $2 ORDER BY t.id LIMIT $3");
const INSERT: &str = "INSERT INTO service_account_tokens (id, account, family, name, digest, created_ms, created_by, \
     expires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
/// Whoever comes second finds it rotated.
const ROTATE: &str = "UPDATE service_account_tokens SET rotated_ms = $2, good_until_ms = $3, successor = $4 \
     WHERE id = $1 AND rotated_ms IS NULL AND revoked_ms IS NULL";
const REVOKE: &str =
    "UPDATE service_account_tokens SET revoked_ms = $2, revoked_why = $3 WHERE id = $1 AND revoked_ms IS NULL";
const REVOKE_FAMILY: &str =
    "UPDATE service_account_tokens SET revoked_ms = $2, revoked_why = $3 WHERE family = $1 AND revoked_ms IS NULL";
const REVOKE_OF_ACCOUNT: &str =
    "UPDATE service_account_tokens SET revoked_ms = $2, revoked_why = $3 WHERE account = $1 AND revoked_ms IS NULL";
const ALIVE: &str = "SELECT COUNT(*) FROM service_account_tokens WHERE family = $1 AND revoked_ms IS NULL";
const LIVE: &str = "SELECT COUNT(*) FROM service_account_tokens \
     WHERE account = $1 AND rotated_ms IS NULL AND revoked_ms IS NULL AND expires_ms > $2";
const USED: &str = "UPDATE service_account_tokens SET used_ms = $2 WHERE id = $1 AND (used_ms IS NULL OR used_ms < $2)";
const PURGE: &str = "DELETE FROM service_account_tokens WHERE id IN \
     (SELECT id FROM service_account_tokens WHERE expires_ms < $1 ORDER BY expires_ms LIMIT $2)";

impl Database {
    /// The token of that digest, and its account.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn account_token_of(
        &self,
        digest: &[u8],
    ) -> Result<Option<(AccountTokenRow, AccountRow)>, DatabaseError> {
        let row = query(BY_DIGEST).bind(digest).fetch_optional(self.reader().await?.connection()).await?;
        row.as_ref().map(|row| Ok((read(row)?, accounts::read(row, WIDTH)?))).transpose()
    }

    /// The token of that id.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn account_token(&self, id: &str) -> Result<Option<AccountTokenRow>, DatabaseError> {
        let row = query(BY_ID).bind(id).fetch_optional(self.reader().await?.connection()).await?;
        row.as_ref().map(read).transpose()
    }

    /// How many tokens of a family are not revoked.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn family_of_account_tokens(&self, family: &str) -> Result<u64, DatabaseError> {
        let row = query(ALIVE).bind(family).fetch_one(self.reader().await?.connection()).await?;
        count(&row, 0)
    }

    /// At most `limit` tokens of an account, oldest first, after the one of that id; the empty id for the first.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn account_tokens(
        &self,
        account: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<AccountTokenRow>, DatabaseError> {
        let query = query(PAGE);
        let query = query.bind(account).bind(after).bind(i64::from(limit));
        query.fetch_all(self.reader().await?.connection()).await?.iter().map(read).collect()
    }
}

impl WriteTransaction {
    /// As [`Database::account_token`].
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn account_token(&mut self, id: &str) -> Result<Option<AccountTokenRow>, DatabaseError> {
        let row = query(BY_ID).bind(id).fetch_optional(self.connection()).await?;
        row.as_ref().map(read).transpose()
    }

    /// How many tokens of an account are neither rotated, nor revoked, nor over.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn live_account_tokens(&mut self, account: &str, now: Timestamp) -> Result<u64, DatabaseError> {
        let row = query(LIVE).bind(account).bind(now.as_millis()).fetch_one(self.connection()).await?;
        count(&row, 0)
    }

    /// A new token.
    ///
    /// # Errors
    /// [`DatabaseError`], also where its account does not exist.
    pub async fn insert_account_token(&mut self, row: &AccountTokenRow) -> Result<(), DatabaseError> {
        query(INSERT)
            .bind(row.id.as_str())
            .bind(row.account.as_str())
            .bind(row.family.as_str())
            .bind(row.name.as_str())
            .bind(row.digest.as_slice())
            .bind(row.created.as_millis())
            .bind(row.created_by.as_str())
            .bind(row.expires.as_millis())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Another token takes the place of this one, which stays good for a while: false where that happened already, or where
    /// it is revoked.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn rotate_account_token(
        &mut self,
        id: &str,
        (rotated, good_until): (Timestamp, Timestamp),
        successor: &str,
    ) -> Result<bool, DatabaseError> {
        let query = query(ROTATE).bind(id).bind(rotated.as_millis()).bind(good_until.as_millis()).bind(successor);
        Ok(query.execute(self.connection()).await? == 1)
    }

    /// Revokes a token: false where it was already.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn revoke_account_token(&mut self, id: &str, at: Timestamp, why: &str) -> Result<bool, DatabaseError> {
        let query = query(REVOKE).bind(id).bind(at.as_millis()).bind(why);
        Ok(query.execute(self.connection()).await? == 1)
    }

    /// Revokes all tokens of a family: how many were not yet.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn revoke_account_tokens(
        &mut self,
        family: &str,
        at: Timestamp,
        why: &str,
    ) -> Result<u64, DatabaseError> {
        let query = query(REVOKE_FAMILY).bind(family).bind(at.as_millis()).bind(why);
        query.execute(self.connection()).await
    }

    /// Revokes all tokens of an account: how many were not yet.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn revoke_tokens_of_account(
        &mut self,
        account: &str,
        at: Timestamp,
        why: &str,
    ) -> Result<u64, DatabaseError> {
        let query = query(REVOKE_OF_ACCOUNT).bind(account).bind(at.as_millis()).bind(why);
        query.execute(self.connection()).await
    }

    /// The token was used then; an earlier moment than the one on record changes nothing.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn note_account_token_use(&mut self, id: &str, at: Timestamp) -> Result<(), DatabaseError> {
        query(USED).bind(id).bind(at.as_millis()).execute(self.connection()).await?;
        Ok(())
    }

    /// Removes at most `limit` tokens that ended before then: how many.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn purge_account_tokens(&mut self, before: Timestamp, limit: u32) -> Result<u64, DatabaseError> {
        let query = query(PURGE).bind(before.as_millis()).bind(i64::from(limit));
        query.execute(self.connection()).await
    }
}

fn read(row: &Row) -> Result<AccountTokenRow, DatabaseError> {
    let optional = |column: usize| -> Result<Option<Timestamp>, DatabaseError> {
        Ok(row.read::<Option<i64>>(column)?.map(Timestamp::from_millis))
    };
    let why: Option<String> = row.read(13)?;
    Ok(AccountTokenRow {
        id: row.read(0)?,
        account: row.read(1)?,
        family: row.read(2)?,
        name: row.read(3)?,
        digest: row.read(4)?,
        created: moment(row, 5)?,
        created_by: row.read(6)?,
        expires: moment(row, 7)?,
        used: optional(8)?,
        rotated: optional(9)?.zip(optional(10)?),
        successor: row.read(11)?,
        revoked: optional(12)?.map(|at| (at, why.unwrap_or_default())),
    })
}

impl std::fmt::Debug for AccountTokenRow {
    /// Without the digest: nobody needs to see it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountTokenRow({} of {})", self.id, self.account)
    }
}
