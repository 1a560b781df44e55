//! Counters that replicas share, in a Redis or Valkey: which single-use tokens came, and how much of a budget is left.
//!
//! Decides when an answer of the server may be believed: in time, by a server that may not forget what lives, and since when it
//! has not. Refuses to know what a key stands for, and what becomes of a request that gets no answer: whoever asks decides that.
//!
//! One server, or one at a time behind one name; no Redis Cluster. `docs/decisions/0047-shared-counters.md` says why it is built
//! like this, `docs/state.md` what each outage means.

mod error;
mod gcra;
mod link;
#[cfg(test)]
#[path = "../../../tests/support/redis.rs"]
pub(crate) mod real;
mod scripts;
mod settings;
mod tally;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

pub use error::CountersError;
pub use gcra::{Bucket, BucketAnswer, BucketAsk, MAX_LIMIT, MAX_WINDOW, take};
use link::Link;
pub use settings::{CountersFault, CountersSettings, DEFAULT_PREFIX, DEFAULT_TIMEOUT};
pub use tally::{COUNTERS_LATENCY_BOUNDS_US, COUNTERS_RESULTS, CountersTally};

use crate::clock::Timestamp;

/// By how much the clock of whoever says when a token was issued may be ahead of the server's. A token that is from further
/// ahead is not remembered yet, so that one which is from longer after the memory began cannot have come before that.
pub const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// By how much the clock of the server may differ from the caller's, and may leap, before no token is remembered, or is taken to
/// have been: the server drops what it remembers by that clock. Tokens are remembered for longer past their end than this.
pub const CLOCKS_APART: Duration = Duration::from_secs(60);

/// Shared counters. Connects by itself, again and again, until it is dropped.
pub struct Counters {
    link: Arc<Link>,
    keeper: AbortHandle,
}

/// A token to be remembered.
#[derive(Clone, Copy, Debug)]
pub struct OnceAsk {
    /// What it is known by.
    pub key: [u8; 16],
    /// The earliest moment at which it can have come: when it was issued.
    pub earliest: Timestamp,
    /// Until when it can come.
    pub until: Timestamp,
}

/// How the counters are.
#[derive(Clone, Debug)]
pub struct CountersStatus {
    /// Whether commands are sent.
    pub up: bool,
    /// Why not, or why no token is remembered.
    pub error: Option<CountersError>,
    /// Since when no token was forgotten, while that is known.
    pub since: Option<Timestamp>,
    /// By how many milliseconds the server's clock is ahead of ours.
    pub clock_ahead_ms: i64,
    /// What was counted.
    pub tally: CountersTally,
}

impl Counters {
    /// Opens the counters: tries for a second to connect, and goes on trying beside everything else if that fails. To be called on
    /// a tokio runtime, on which it stays.
    pub async fn open(settings: CountersSettings) -> Self {
        let link = Arc::new(Link::new(settings));
        link.try_once().await;
        let keeper = tokio::spawn(Arc::clone(&link).keep()).abort_handle();
        Self { link, keeper }
    }

    /// Remembers a token: of all that ask for the same key, on whatever replica, exactly one is told `true`, until
    /// `ask.until` has passed by the clock that is furthest behind. Takes at most the timeout.
    ///
    /// # Errors
    /// [`CountersError`]: the token is not to be admitted. It may have been remembered all the same where the answer got lost
    /// ([`CountersError::Late`], [`CountersError::Connection`]); a command that the server gets to after its time remembers nothing.
    pub async fn remember_once(&self, ask: &OnceAsk, now: Timestamp) -> Result<bool, CountersError> {
        let live = self.link.for_command()?;
        if let Some(policy) = &live.evicts {
            return Err(CountersError::Evicts(policy.clone()));
        }
        let Link { scripts, settings, .. } = &*self.link;
        let left = ask.until.as_millis().saturating_sub(now.as_millis());
        let mut command = scripts.remember.prepare_invoke();
        command
            .key(self.key("memory"))
            .key(self.key(&format!("once:{:032x}", u128::from_be_bytes(ask.key))))
            .arg(&*live.memory)
            .arg(live.latest(settings.timeout))
            .arg(ask.earliest.as_millis())
            .arg(left)
            .arg(ask.until.as_millis())
            .arg(millis(CLOCKS_DIFFER))
            .arg(now.as_millis())
            .arg(millis(CLOCKS_APART));
        let (answer, server): (String, i64) = self.link.call(&live, &command).await?;
        self.link.compare_clocks(server, now);
        let error = match answer.as_str() {
            "new" => return Ok(true),
            "before" => return Ok(false),
            "forgotten" => CountersError::Forgotten(live.since),
            "apart" => CountersError::Apart(server.saturating_sub(now.as_millis())),
            "ahead" => CountersError::Ahead,
            "over" => CountersError::Over,
            "overtaken" => CountersError::Overtaken,
            "changed" => CountersError::Changed,
            _ => CountersError::Nonsense,
        };
        self.link.failed(&live, &error);
        Err(error)
    }

    /// Takes from buckets, each ask on its own, all at one moment; the answers are in the order of the asks. That moment is the
    /// server's, for all replicas: `now` only serves to notice that clocks differ. Takes at most the timeout.
    ///
    /// # Errors
    /// [`CountersError`]: nothing is known. It may have been charged all the same where the answer got lost.
    pub async fn take(&self, asks: &[BucketAsk<'_>], now: Timestamp) -> Result<Vec<BucketAnswer>, CountersError> {
        let (answers, server) = self.take_at(asks, None).await?;
        self.link.compare_clocks(server, now);
        Ok(answers)
    }

    async fn take_at(
        &self,
        asks: &[BucketAsk<'_>],
        moment: Option<Timestamp>,
    ) -> Result<(Vec<BucketAnswer>, i64), CountersError> {
        let live = self.link.for_command()?;
        let mut command = self.link.scripts.buckets.prepare_invoke();
        command.arg(moment.map(|moment| moment.as_millis().to_string()).unwrap_or_default());
        for ask in asks {
            let sizes = ask.sizes();
            // A window of another length is another bucket: what is owed is counted in its milliseconds.
            let mut key = self.key(&format!("bucket:{}:", sizes.window)).into_bytes();
            key.extend_from_slice(ask.key);
            command.key(key).arg(sizes.limit).arg(sizes.window).arg(ask.cost.min(MAX_LIMIT + 1));
        }
        let debts: Vec<i64> = self.link.call(&live, &command).await?;
        let sense = || {
            let (server, debts) = debts.split_first()?;
            let debts: Vec<u64> = debts.iter().map(|debt| u64::try_from(*debt).ok()).collect::<Option<_>>()?;
            (debts.len() == asks.len()).then_some((*server, debts))
        };
        let Some((server, debts)) = sense() else {
            self.link.failed(&live, &CountersError::Nonsense);
            return Err(CountersError::Nonsense);
        };
        Ok((asks.iter().zip(debts).map(|(ask, debt)| gcra::settle(ask, debt).0).collect(), server))
    }

    /// How they are.
    #[must_use]
    pub fn status(&self) -> CountersStatus {
        let live = self.link.live();
        let evicts = live.as_ref().and_then(|live| live.evicts.clone());
        let clock_ahead_ms = self.link.ahead_ms();
        let apart = live.is_some() && clock_ahead_ms.saturating_abs() > millis(CLOCKS_APART);
        let denies = evicts.map(CountersError::Evicts).or(apart.then_some(CountersError::Apart(clock_ahead_ms)));
        CountersStatus {
            up: live.is_some(),
            error: denies.or_else(|| self.link.error()),
            since: live.map(|live| live.since),
            clock_ahead_ms,
            tally: self.link.tally.read(),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.link.settings.prefix)
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counters({:?})", self.link.settings)
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
