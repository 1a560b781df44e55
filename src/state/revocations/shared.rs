//! Revocations in the database that replicas share. Each replica has all of them in memory, and looks for new ones.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::remembered::Remembered;
use super::{BLIND_AFTER, MAX_REVOCATIONS, RevocationError, SharedRevocations, well_formed};
use crate::clock::Timestamp;
use crate::state::database::{Database, DatabaseError, RevocationRow, Scope};
use crate::state::wrong_clock::{CLOCKS_APART, KEPT_PAST_END, is_possible_end};

/// How many rows are read at once.
const BATCH: u32 = 10_000;
/// How often everything is read anew, and what is long over is dropped.
const CHORES_EVERY: Duration = Duration::from_secs(600);
/// From how many on they are counted before one is added. The margin is for what other replicas have just added.
const COUNTED_FROM: usize = MAX_REVOCATIONS - 10_000;

/// What others revoke is found by its number, which grows (`database/revocations.rs` says why none is overlooked). Numbers
/// may go back where a database is restored from a backup, or a copy takes over that had not got the last rows: so all is
/// read anew, before anything is vouched for, where another run of the server answers, or where the largest number is smaller
/// than one that was seen. A look that fails goes on next time where it was: on a busy server one that began anew would never
/// end. Every ten minutes all is read once more as well, in pieces and after what is new, so that nothing new waits for it.
/// What is remembered stays remembered meanwhile.
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
    /// All up to this number.
    id: i64,
    /// Of the run of the server that this number counts for.
    run: Option<i64>,
    /// All up to this number once more; none where that is done.
    again: Option<i64>,
    /// When the last look began.
    looked: Timestamp,
    chores: Timestamp,
}

impl Shared {
    pub(super) fn new(database: Database, now: Timestamp) -> Self {
        Self {
            database,
            remembered: Remembered::default(),
            seen: tokio::sync::Mutex::new(Seen { id: 0, run: None, again: None, looked: now, chores: now }),
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
        if crate::state::is_long_over(expires, now) {
            return Ok(());
        }
        // Also what is remembered here: the database may have lost it, and then nobody else would know.
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

    /// Learns what is new; then some of what is done now and then.
    pub(super) async fn look(&self, now: Timestamp) -> Result<(), RevocationError> {
        let mut seen = self.seen.lock().await;
        // A clock that was ahead has left out what it took for long over.
        let was_ahead = seen.looked > now.plus(CLOCKS_APART);
        if was_ahead {
            seen.id = 0;
        }
        seen.looked = now;
        let looked = match self.look_for_new(&mut seen, now).await {
            Ok(()) => {
                self.read.store(now.as_millis(), Ordering::Release);
                self.ever.store(true, Ordering::Release);
                self.do_chores(&mut seen, was_ahead, now).await
            }
            Err(error) => {
                // A clock that was set back must not make the last look younger than it is.
                self.read.fetch_min(now.as_millis(), Ordering::AcqRel);
                Err(error)
            }
        };
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) =
            looked.as_ref().err().map(|error: &RevocationError| error.to_string());
        looked
    }

    async fn look_for_new(&self, seen: &mut Seen, now: Timestamp) -> Result<(), RevocationError> {
        loop {
            let found = self.database.revocations_after(seen.id, BATCH).await?;
            let begun_anew = found.run != seen.run || found.newest < seen.id;
            seen.run = found.run;
            if begun_anew && seen.id > 0 {
                seen.id = 0;
                continue;
            }
            let (last, full) = self.remember(found.rows, now)?;
            seen.id = last.unwrap_or(seen.id);
            if !full {
                return Ok(());
            }
        }
    }

    /// One piece of what is read once more; where that is due, what is long over goes.
    async fn do_chores(&self, seen: &mut Seen, due: bool, now: Timestamp) -> Result<(), RevocationError> {
        let due = due || seen.chores.plus(CHORES_EVERY) <= now;
        if due {
            seen.chores = now;
            seen.again = seen.again.or(Some(0));
        }
        if let Some(from) = seen.again {
            let (last, full) = self.remember(self.database.revocations_after(from, BATCH).await?.rows, now)?;
            seen.again = last.filter(|_| full);
        }
        if due && let Some(agreed) = self.database.agreed_time(now).await? {
            self.remembered.forget(agreed);
            let mut write = self.database.write(Scope::Revocations).await?;
            write.remove_revocations(agreed.minus(KEPT_PAST_END)).await?;
            write.commit().await?;
        }
        Ok(())
    }

    /// The largest number among `rows`, and whether there may be more.
    fn remember(&self, rows: Vec<RevocationRow>, now: Timestamp) -> Result<(Option<i64>, bool), RevocationError> {
        let last = rows.last().map(|row| row.id);
        let full = u32::try_from(rows.len()).is_ok_and(|count| count >= BATCH);
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
        if self.len() > 2 * MAX_REVOCATIONS { Err(RevocationError::Full) } else { Ok((last, full)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::state::real_postgres::Postgres;

    /// A database with this many revocations, and who looks at them.
    async fn filled(count: usize) -> Option<(Postgres, Shared, Timestamp)> {
        let (postgres, now) = (Postgres::start()?, Clock::System.now());
        let shared = Shared::new(Database::connect(&postgres.database_url(), now).await.unwrap(), now);
        let end = now.plus(Duration::from_secs(600)).as_millis();
        postgres.ask(&format!(
            "INSERT INTO revocations (token_id, expires_ms) SELECT 'x' || n, {end} FROM generate_series(1, {count}) n"
        ));
        Some((postgres, shared, now))
    }

    #[tokio::test]
    async fn a_look_that_fails_goes_on_where_it_was() {
        let Some((postgres, shared, now)) = filled(15_000).await else { return };
        postgres.ask("UPDATE revocations SET token_id = 'no id' WHERE token_id = 'x12000'");
        for _ in 0..2 {
            assert!(shared.look(now).await.is_err());
            assert_eq!((shared.seen.lock().await.id, shared.is_blind(now)), (i64::from(BATCH), true));
        }
        postgres.ask("UPDATE revocations SET token_id = 'x12000' WHERE token_id = 'no id'");
        shared.look(now).await.unwrap();
        assert!(shared.len() == 15_000 && !shared.is_blind(now));
    }

    #[tokio::test]
    async fn another_run_of_the_server_is_read_from_the_beginning() {
        let Some((mut postgres, shared, now)) = filled(3).await else { return };
        shared.look(now).await.unwrap();
        // As a copy would have it that had not got the last rows, and gave their numbers to others.
        postgres.ask("UPDATE revocations SET token_id = 'other' WHERE token_id = 'x2'");
        shared.look(now).await.unwrap();
        assert!(!shared.is_revoked("other"), "numbers that were seen are not read again for nothing");
        postgres.kill();
        postgres.start_again();
        let mut tries = 0;
        while shared.look(now).await.is_err() {
            tries += 1;
            assert!(tries < 100, "it does not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(shared.is_revoked("other") && shared.is_revoked("x2"));
    }

    #[tokio::test]
    async fn what_is_new_does_not_wait_for_what_is_read_once_more() {
        let Some((postgres, shared, now)) = filled(25_000).await else { return };
        shared.look(now).await.unwrap();
        let due = now.plus(CHORES_EVERY);
        let end = due.plus(Duration::from_secs(600)).as_millis();
        postgres.ask(&format!("INSERT INTO revocations (token_id, expires_ms) VALUES ('new', {end})"));
        postgres.ask("UPDATE revocations SET token_id = 'restored' WHERE token_id = 'x15000'");
        shared.look(due).await.unwrap();
        assert!(shared.is_revoked("new") && !shared.is_revoked("restored"));
        assert_eq!(shared.seen.lock().await.again, Some(i64::from(BATCH)));
        for _ in 0..2 {
            shared.look(due).await.unwrap();
        }
        assert!(shared.is_revoked("restored") && shared.seen.lock().await.again.is_none());
    }

    #[tokio::test]
    async fn a_replica_whose_clock_is_days_ahead_removes_nothing_and_knows_all_once_it_is_set_right() {
        let Some((postgres, shared, now)) = filled(5).await else { return };
        shared.look(now).await.unwrap();
        let ahead = now.plus(Duration::from_secs(3 * 86_400));
        shared.look(ahead).await.unwrap();
        assert_eq!(postgres.ask("SELECT COUNT(*) FROM revocations").trim(), "5", "they are everybody's");
        assert!(shared.is_revoked("x1"), "nor what is in memory");
        // One that starts with such a clock leaves out what it takes for over, and looks again when it is set right.
        let other = Shared::new(shared.database.clone(), ahead);
        other.look(ahead).await.unwrap();
        assert_eq!(other.len(), 0);
        other.look(now).await.unwrap();
        assert_eq!(other.len(), 5);
    }

    #[tokio::test]
    async fn what_the_database_has_lost_is_revoked_by_revoking_it_again() {
        let Some((postgres, shared, now)) = filled(2).await else { return };
        shared.look(now).await.unwrap();
        postgres.ask("DELETE FROM revocations WHERE token_id = 'x1'");
        shared.revoke("x1", now.plus(Duration::from_secs(600)), now).await.unwrap();
        assert_eq!(postgres.ask("SELECT COUNT(*) FROM revocations WHERE token_id = 'x1'").trim(), "1");
    }
}
