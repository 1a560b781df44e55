//! One text per statement for both engines, and the only place that tells them apart while statements run.
//!
//! Files with rows say `query(TEXT).bind(value)`, run it on a [`Connection`], and read a [`Row`] by column number. They name no
//! engine and no type of sqlx.

use sqlx::postgres::{PgConnection, PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Decode, Row as _, Type};

use super::DatabaseError;
use super::gate::Gate;

/// A statement and its values.
#[derive(Debug)]
pub(super) struct Query<'q> {
    text: &'static str,
    values: Vec<Value<'q>>,
}

/// What a statement is given. A missing value has a type too: PostgreSQL wants to know.
#[derive(Clone, Copy)]
pub(super) enum Value<'q> {
    Whole(Option<i64>),
    Text(Option<&'q str>),
    Bytes(Option<&'q [u8]>),
}

/// What a statement runs on.
#[derive(Debug)]
pub(super) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection, &'c Gate),
}

/// What a statement brings.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column can be read as: `i64`, `String`, `Vec<u8>`, and `Option` of them.
pub(super) trait Readable:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Readable for T where T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{}

/// A statement with `$1`, `$2`, ... for its values.
pub(super) const fn query<'q>(text: &'static str) -> Query<'q> {
    Query { text, values: Vec::new() }
}

/// The statement, as the engine at hand takes it.
macro_rules! prepared {
    ($query:expr) => {{
        let mut built = sqlx::query($query.text);
        for value in $query.values {
            built = match value {
                Value::Whole(value) => built.bind(value),
                Value::Text(value) => built.bind(value),
                Value::Bytes(value) => built.bind(value),
            };
        }
        built
    }};
}

impl<'q> Query<'q> {
    /// The next value.
    pub(super) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// What one engine takes and the other does not is taken by neither: PostgreSQL has no NUL in texts.
    fn checked(self) -> Result<Self, DatabaseError> {
        let odd = |value: &Value<'_>| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
        if self.values.iter().any(odd) {
            return Err(DatabaseError::Failed("a text has a NUL".to_owned()));
        }
        Ok(self)
    }

    /// How many rows it changed.
    pub(super) async fn execute(self, on: Connection<'_>) -> Result<u64, DatabaseError> {
        let query = self.checked()?;
        match on {
            Connection::Sqlite(connection) => Ok(prepared!(query).execute(connection).await?.rows_affected()),
            Connection::Postgres(connection, gate) => {
                Ok(gate.in_time(prepared!(query).execute(connection)).await?.rows_affected())
            }
        }
    }

    /// The first row, if there is one.
    pub(super) async fn fetch_optional(self, on: Connection<'_>) -> Result<Option<Row>, DatabaseError> {
        let query = self.checked()?;
        match on {
            Connection::Sqlite(connection) => Ok(prepared!(query).fetch_optional(connection).await?.map(Row::Sqlite)),
            Connection::Postgres(connection, gate) => {
                Ok(gate.in_time(prepared!(query).fetch_optional(connection)).await?.map(Row::Postgres))
            }
        }
    }

    /// The row of a statement that always brings one.
    pub(super) async fn fetch_one(self, on: Connection<'_>) -> Result<Row, DatabaseError> {
        self.fetch_optional(on).await?.ok_or_else(|| DatabaseError::row("a statement brought no row"))
    }

    /// All rows.
    pub(super) async fn fetch_all(self, on: Connection<'_>) -> Result<Vec<Row>, DatabaseError> {
        let query = self.checked()?;
        match on {
            Connection::Sqlite(connection) => {
                Ok(prepared!(query).fetch_all(connection).await?.into_iter().map(Row::Sqlite).collect())
            }
            Connection::Postgres(connection, gate) => {
                let rows = gate.in_time(prepared!(query).fetch_all(connection)).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }
}

impl Connection<'_> {
    /// The same connection, for one statement more.
    pub(super) fn again(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(connection) => Connection::Sqlite(connection),
            Self::Postgres(connection, gate) => Connection::Postgres(connection, gate),
        }
    }
}

/// Runs a statement of a migration, which is put together from constants of ours and takes its time.
pub(super) async fn migrate(statement: String, on: Connection<'_>) -> Result<(), DatabaseError> {
    match on {
        Connection::Sqlite(connection) => {
            sqlx::query(AssertSqlSafe(statement)).execute(connection).await.map(|_| ())?
        }
        Connection::Postgres(connection, _) => {
            sqlx::query(AssertSqlSafe(statement)).execute(connection).await.map(|_| ())?;
        }
    }
    Ok(())
}

impl Row {
    /// What stands in a column.
    pub(super) fn read<T: Readable>(&self, column: usize) -> Result<T, DatabaseError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }
}

macro_rules! values {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl<'q> From<$from> for Value<'q> {
            fn from(value: $from) -> Self {
                Self::$variant(Some(value))
            }
        }
        impl<'q> From<Option<$from>> for Value<'q> {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}

values! { i64 => Whole, &'q str => Text, &'q [u8] => Bytes }

/// Says of which kind a value is, never what it is.
impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "whole",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        })
    }
}
