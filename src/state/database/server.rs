//! What a server says of itself: its clock, and since when it runs. The one statement that only one engine has: a file has no
//! clock but this machine's, and nobody puts another in its place while it is open.

use super::engine::query;
use super::keys::moment;
use super::{Database, DatabaseError, Reader};
use crate::clock::Timestamp;
use crate::state::wrong_clock::agreed;

const SERVER: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), \
     CAST(EXTRACT(EPOCH FROM pg_postmaster_start_time()) * 1000000 AS BIGINT)";

impl Database {
    /// The moment by which what is long over may be removed for all replicas: the earlier of `now` and the server's clock. None
    /// where those differ by more than a minute, which is told in the log: one of them is wrong, and a clock that is days ahead
    /// would have everybody's rows removed while they matter. Of a file it is `now`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn agreed_time(&self, now: Timestamp) -> Result<Option<Timestamp>, DatabaseError> {
        if !self.is_shared() {
            return Ok(Some(now));
        }
        let row = query(SERVER).fetch_one(self.reader().await?.connection()).await?;
        let server = moment(&row, 0)?;
        let agreed = agreed(now, server);
        if agreed.is_none() {
            tracing::error!(
                ours = %now, database = %server,
                "nothing old is removed from the database: its clock and ours differ by more than a minute"
            );
        }
        Ok(agreed)
    }
}

impl Reader<'_> {
    /// Which run of the server answers, as a number that no other run has; none of a file.
    pub(super) async fn run(&mut self) -> Result<Option<i64>, DatabaseError> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(..) => query(SERVER).fetch_one(self.connection()).await?.read(1).map(Some),
        }
    }
}
