//! The counters that replicas share, and what becomes of the limits while they are out of reach.
//!
//! Decides whether they are believed: as long as they answer. While they do not, each replica keeps its own buckets with its part
//! of each limit, and the log says so once, and once more when they are back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::key::Key;
use super::tally::LimiterTally;
use crate::clock::Timestamp;
use crate::state::counters::{BucketAnswer, BucketAsk, Counters};

/// Failures that are on their way to the shared counters at once. One more is counted here only.
const ON_THEIR_WAY: usize = 64;

/// One question to the counters.
pub(super) struct Question {
    pub(super) key: Key,
    pub(super) rate: (u64, std::time::Duration),
    pub(super) cost: u64,
}

pub(super) struct Shared {
    counters: Arc<Counters>,
    fallen: AtomicBool,
    places: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { counters, fallen: AtomicBool::new(false), places: Arc::new(Semaphore::new(ON_THEIR_WAY)) }
    }

    /// Whether the counters did not answer the last time.
    pub(super) fn is_fallen(&self) -> bool {
        self.fallen.load(Ordering::Relaxed)
    }

    /// The answers in the order of the questions, in one round trip; none where the counters are out of reach.
    pub(super) async fn ask(
        &self,
        questions: &[Question],
        tally: &LimiterTally,
        now: Timestamp,
    ) -> Option<Vec<BucketAnswer>> {
        let names: Vec<String> = questions.iter().map(|question| question.key.shared()).collect();
        let asks: Vec<_> = questions.iter().zip(&names).map(|(question, name)| question.ask(name)).collect();
        match self.counters.take(&asks, now).await {
            Ok(answers) => {
                if self.fallen.swap(false, Ordering::Relaxed) {
                    tracing::info!("limits are shared again");
                }
                Some(answers)
            }
            Err(error) => {
                if !self.fallen.swap(true, Ordering::Relaxed) {
                    tally.fallen.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "limits are not shared: each replica keeps its part of them");
                }
                None
            }
        }
    }

    /// Charges a bucket beside the request that is answered; not at all where too many are on their way.
    pub(super) fn charge(&self, question: Question, now: Timestamp) {
        let (Ok(runtime), Ok(place)) = (Handle::try_current(), Arc::clone(&self.places).try_acquire_owned()) else {
            return;
        };
        let counters = Arc::clone(&self.counters);
        runtime.spawn(async move {
            let name = question.key.shared();
            // What is lost here was counted by this replica all the same.
            let _ = counters.take(&[question.ask(&name)], now).await;
            drop(place);
        });
    }
}

impl Question {
    fn ask<'n>(&self, name: &'n str) -> BucketAsk<'n> {
        BucketAsk { key: name.as_bytes(), limit: self.rate.0, window: self.rate.1, cost: self.cost }
    }
}
