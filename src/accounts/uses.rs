//! When accounts and tokens were used: coarse, and written in batches, so that a request never waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::ids::{AccountId, AccountTokenId};
use crate::clock::Timestamp;
use crate::state::database::{Database, DatabaseError, Scope};

/// How often what was noted is written.
pub const EVERY: Duration = Duration::from_secs(30);
/// A use is noted this long after the last one that was.
const COARSE: Duration = Duration::from_secs(10 * 60);
/// How many are written in one transaction.
const AT_ONCE: usize = 500;
/// How many are noted at most, at about 60 bytes each; further ones are left out.
const NOTED: usize = 200_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Used {
    Account(AccountId),
    Token(AccountTokenId),
}

/// A use, and whether the database has it.
#[derive(Clone, Copy)]
struct Noted {
    at: Timestamp,
    written: bool,
}

/// The uses that were noted. One that was written stays for a while, so that it is not noted again.
#[derive(Default)]
pub(super) struct Uses(Mutex<HashMap<Used, Noted>>);

impl Uses {
    pub(super) fn account(&self, id: AccountId, known: Option<Timestamp>, now: Timestamp) {
        self.note(Used::Account(id), known, now);
    }

    pub(super) fn token(&self, id: AccountTokenId, known: Option<Timestamp>, now: Timestamp) {
        self.note(Used::Token(id), known, now);
    }

    /// Notes a use at `now`; `known` is the last one that the database has, as far as is known.
    fn note(&self, used: Used, known: Option<Timestamp>, now: Timestamp) {
        let is_recent = |at: Timestamp| now.since(at) < COARSE;
        if known.is_some_and(is_recent) {
            return;
        }
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = noted.len() < NOTED;
        match noted.get_mut(&used) {
            Some(last) if is_recent(last.at) => {}
            Some(last) => *last = Noted { at: now, written: false },
            None if room => drop(noted.insert(used, Noted { at: now, written: false })),
            None => {}
        }
    }

    /// Writes what is not written yet, some hundreds in a transaction, so that no other writer waits for long: how many. What
    /// fails stays noted.
    pub(super) async fn write(&self, database: &Database, now: Timestamp) -> Result<usize, DatabaseError> {
        let new: Vec<(Used, Timestamp)> = {
            let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            noted.retain(|_, noted| !noted.written || now.since(noted.at) < COARSE);
            noted.iter().filter(|(_, noted)| !noted.written).map(|(used, noted)| (*used, noted.at)).collect()
        };
        for some in new.chunks(AT_ONCE) {
            let mut transaction = database.write(Scope::Accounts).await?;
            for (used, at) in some {
                match used {
                    Used::Account(id) => transaction.note_account_use(&id.to_string(), *at).await?,
                    Used::Token(id) => transaction.note_account_token_use(&id.to_string(), *at).await?,
                }
            }
            transaction.commit().await?;
            let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (used, at) in some {
                if let Some(noted) = noted.get_mut(used).filter(|noted| noted.at == *at) {
                    noted.written = true;
                }
            }
        }
        Ok(new.len())
    }
}
