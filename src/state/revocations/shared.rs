//! Revocations in the database that replicas share. Each replica has all of them in memory, and looks for new ones.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::remembered::Remembered;
use super::{BLIND_AFTER, MAX_REVOCATIONS, RevocationError, SharedRevocations, well_formed};
use crate::clock::Timestamp;
use crate::state::database::{Database, DatabaseError, RevocationRow, Scope};
use crate::state::wrong_clock::{KEPT_PAST_END, is_possible_end};

/// How many rows are read at once.
const BATCH: u32 = 10_000;
/// How often everything is read anew, and what is long over is dropped.
const CHORES_EVERY: Duration = Duration::from_secs(600);
/// From how many on they are counted before one is added. The margin is for what other replicas have just added.
const COUNTED_FROM: usize = MAX_REVOCATIONS - 10_000;

/// What others revoke is found by its number, which grows (`database/revocations.rs` says why none is overlooked). Numbers
/// may go back where a database is restored from a backup, or a copy takes over that had not got the last rows: so all is
/// read anew after every failure, where the largest number is smaller than one that was seen, and every ten minutes. What is
/// remembered stays remembered meanwhile.
#[derive(Debug)]
pub(super) struct Shared {
    database: Database,
    remembered: Remembered,
    /// One look at a time.
    seen: tokio::sync::Mutex<Seen>,
    /// When the last look that succeeded began, in milliseconds.
    read: AtomicI64,
    /// Whether any look has succeeded.
    ever: AtomicBool,
    error: Mutex<Option<String>>,
}

/// How far the table was read.
#[derive(Debug)]
struct Seen {
    /// The largest number.
    id: i64,
    chores: Timestamp,
}

impl Shared {
    pub(super) fn new(database: Database, now: Timestamp) -> Self {
        Self {
            database,
            remembered: Remembered::default(),
            seen: tokio::sync::Mutex::new(Seen { id: 0, chores: now }),
            read: AtomicI64::new(now.as_millis()),
            ever: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    pub(super) async fn revoke(
        &self,
        token_id: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), RevocationError> {
        if crate::state::is_long_over(expires, now) || self.remembered.contains(token_id) {
            return Ok(());
        }
        self.revoke_all([(Box::from(token_id), expires)]).await
    }

    pub(super) async fn revoke_all(
        &self,
        tokens: impl IntoIterator<Item = (Box<str>, Timestamp)>,
    ) -> Result<(), RevocationError> {
        let tokens: Vec<_> = tokens.into_iter().collect();
        if tokens.is_empty() {
            return Ok(());
        }
        let mut write = self.database.write(Scope::Revocations).await?;
        if self.len() + tokens.len() >= COUNTED_FROM
            && write.count_revocations().await? + tokens.len() > MAX_REVOCATIONS
        {
            return Err(RevocationError::Full);
        }
        for (token_id, expires) in &tokens {
            write.insert_revocation(token_id, *expires).await?;
        }
        write.commit().await?;
        self.remembered.insert(tokens);
        Ok(())
    }

    pub(super) fn is_revoked(&self, token_id: &str) -> bool {
        self.remembered.contains(token_id)
    }

    pub(super) fn is_blind(&self, now: Timestamp) -> bool {
        let read = Timestamp::from_millis(self.read.load(Ordering::Acquire));
        !self.ever.load(Ordering::Acquire) || read.plus(BLIND_AFTER) < now
    }

    pub(super) fn len(&self) -> usize {
        self.remembered.len()
    }

    pub(super) fn status(&self, now: Timestamp) -> SharedRevocations {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = Timestamp::from_millis(self.read.load(Ordering::Acquire));
        SharedRevocations { read, blind: self.is_blind(now), error }
    }

    /// Learns what is new.
    pub(super) async fn look(&self, now: Timestamp) -> Result<(), RevocationError> {
        let mut seen = self.seen.lock().await;
        let looked = self.look_from(&mut seen, now).await;
        match &looked {
            Ok(()) => {
                self.read.store(now.as_millis(), Ordering::Release);
                self.ever.store(true, Ordering::Release);
            }
            Err(_) => {
                seen.id = 0;
                // A clock that was set back must not make the last look younger than it is.
                self.read.fetch_min(now.as_millis(), Ordering::AcqRel);
            }
        }
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) =
            looked.as_ref().err().map(|error: &RevocationError| error.to_string());
        looked
    }

    async fn look_from(&self, seen: &mut Seen, now: Timestamp) -> Result<(), RevocationError> {
        let are_chores_due = seen.chores.plus(CHORES_EVERY) <= now;
        if are_chores_due || (seen.id > 0 && self.database.newest_revocation().await? < seen.id) {
            seen.id = 0;
        }
        loop {
            let rows = self.database.revocations_after(seen.id, BATCH).await?;
            let full = u32::try_from(rows.len()).is_ok_and(|count| count >= BATCH);
            let last = rows.last().map_or(seen.id, |row| row.id);
            self.remember(rows, now)?;
            seen.id = last;
            if !full {
                break;
            }
        }
        if are_chores_due {
            seen.chores = now;
            self.remembered.forget(now);
            let mut write = self.database.write(Scope::Revocations).await?;
            write.remove_revocations(now.minus(KEPT_PAST_END)).await?;
            write.commit().await?;
        }
        Ok(())
    }

    fn remember(&self, rows: Vec<RevocationRow>, now: Timestamp) -> Result<(), RevocationError> {
        for row in &rows {
            if !well_formed(&row.token_id) {
                let odd = DatabaseError::Damaged("a revocation names no token of ours".to_owned());
                return Err(odd.into());
            }
            if !is_possible_end(row.expires, now) {
                return Err(RevocationError::Clock { end: row.expires, now });
            }
        }
        // Also what has expired, but not what is long over: see `wrong_clock.rs`.
        let live = rows.into_iter().filter(|row| !crate::state::is_long_over(row.expires, now));
        self.remembered.insert(live.map(|row| (row.token_id.into_boxed_str(), row.expires)));
        // More than anybody of ours adds: somebody else writes the table.
        if self.len() > 2 * MAX_REVOCATIONS { Err(RevocationError::Full) } else { Ok(()) }
    }
}
