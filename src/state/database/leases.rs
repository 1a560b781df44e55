//! Rows about leases: which of several replicas does something that one does for all. A lease says who should; what must not
//! be done twice is guarded by the write itself, since a holder may sleep past its end.

use super::engine::query;
use super::keys::moment;
use super::{Database, DatabaseError, WriteTransaction};
use crate::clock::Timestamp;

pub(super) const TABLES: &str = "
    CREATE TABLE leases (
        name     {text} NOT NULL PRIMARY KEY,
        holder   {text} NOT NULL,
        until_ms BIGINT NOT NULL
    );
";

/// Who holds a lease, and until when, by the holder's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// A name that no two processes share.
    pub holder: String,
    /// The end, unless it is renewed.
    pub until: Timestamp,
}

const LEASE: &str = "SELECT holder, until_ms FROM leases WHERE name = $1";
/// Ours already, or long over: else nothing changes.
const TAKE_LEASE: &str = "INSERT INTO leases (name, holder, until_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE \
     SET holder = excluded.holder, until_ms = excluded.until_ms WHERE leases.holder = excluded.holder OR leases.until_ms < $4";

impl Database {
    /// Who holds the lease; nobody ever did if none.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn lease(&self, name: &str) -> Result<Option<LeaseRow>, DatabaseError> {
        let row = query(LEASE).bind(name).fetch_optional(self.reader().await?.connection()).await?;
        row.map(|row| Ok(LeaseRow { holder: row.read(0)?, until: moment(&row, 1)? })).transpose()
    }
}

impl WriteTransaction {
    /// Takes or renews the lease: false where another holds one that ends at `over` or later.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn take_lease(&mut self, name: &str, lease: &LeaseRow, over: Timestamp) -> Result<bool, DatabaseError> {
        let query = query(TAKE_LEASE).bind(name).bind(lease.holder.as_str());
        let query = query.bind(lease.until.as_millis()).bind(over.as_millis());
        Ok(query.execute(self.connection()).await? == 1)
    }
}
