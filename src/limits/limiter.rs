//! The stages at which a request is let on or not.
//!
//! | stage | asks |
//! |---|---|
//! | [`Limiter::before_cryptography`] | whether the source has anything left, and the failures of source and issuer: nothing is charged |
//! | [`Limiter::verified`] | charges the subject; whether the source has anything left |
//! | [`Limiter::counted`] | charges source, issuer, target |
//! | [`Limiter::failed`] | charges the failures of source and issuer, after a refusal |
//! | [`Limiter::unsettled`] | charges a source, after a refusal for want of whoever could tell |
//!
//! The narrow budget comes before the wide ones, so that whoever is refused by his own takes nothing from his neighbours'.

use std::sync::Arc;
use std::time::Duration;

use super::key::{Budget, Key};
use super::met::Met;
use super::notices::Notices;
use super::passage::Passage;
use super::rate::{LimitSettings, Rate};
use super::shared::{Question, Shared};
use super::state::{Limited, State};
use super::table::Table;
use super::tally::{LimiterStatus, LimiterTally};
use crate::clock::Timestamp;
use crate::identity::{IssuerName, TargetName};
use crate::jose::Sha256;
use crate::state::counters::{BucketAnswer, Counters};

/// How much more an issuer's tokens may fail, from everywhere, than an address.
const ISSUER_FAILURES: u64 = 10;
/// The part of the failures that is left for signatures once there are none.
const LAST_RESORT: u64 = 10;

/// What a token that nobody has verified says of itself, as far as it is asked here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// The trusted issuer that it names; none where it is a token of ours.
    pub issuer: Option<&'a IssuerName>,
    /// Its subject, with the issuer's name before it: `gitlab:project_path:...`.
    pub subject: Option<&'a str>,
    /// The digest of a token that says nothing by itself: by that alone it is found to have been here before
    /// ([`Limiter::remember`]).
    pub token: Option<Sha256>,
    /// Whether it is over by what it says itself: its signature is not worth checking where there is little left.
    pub over: bool,
}

/// The budgets of one engine.
pub struct Limiter {
    settings: LimitSettings,
    table: Table,
    shared: Option<Shared>,
    met: Met,
    notices: Notices,
    tally: LimiterTally,
}

impl Limiter {
    /// With nothing charged. Where replicas share `counters`, those are asked first.
    #[must_use]
    pub fn new(settings: LimitSettings, counters: Option<Arc<Counters>>) -> Self {
        let (table, met) = (Table::new(settings.max_keys), Met::new(settings.max_keys));
        let (notices, tally) = (Notices::default(), LimiterTally::default());
        Self { settings, table, shared: counters.map(Shared::new), met, notices, tally }
    }

    /// Whether a token that nobody has verified is worth it. Charges nothing while there are failures left.
    ///
    /// Without any, garbage ends here. A token of somebody who was at this address before goes on, and of strangers a few: each
    /// by a small budget of this replica's own, which is charged. Tokens that are known need not be asked about at all.
    ///
    /// # Errors
    /// [`Limited`] by `source` or `failures`.
    pub async fn before_cryptography(
        &self,
        passage: &mut Passage,
        claim: Claim<'_>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let source = passage.source;
        let failures = source.under(Budget::Failures);
        let of_issuer = claim.issuer.map(|issuer| Key::issuer(issuer).under(Budget::IssuerFailures));
        let asks = [Some((source, 0)), Some((failures, 0)), of_issuer.map(|key| (key, 0))];
        let answers = self.ask(passage, asks.into_iter().flatten(), now).await;
        match answers {
            Err(limited) if limited.key.budget != Budget::Source => {
                self.last_resort(source, claim, limited, now)?;
                passage.let_on();
                Ok(())
            }
            other => other,
        }
    }

    /// Remembers that a token which says nothing by itself was here, and good ([`Claim::token`]).
    pub fn remember(&self, passage: &Passage, token: &Sha256, now: Timestamp) {
        if self.settings.failures != Rate::Off {
            self.met.remember(&passage.source.met(token.bytes()), now);
        }
    }

    /// Charges the subject of a good token, as [`Claim::subject`] has it, and remembers that it was here.
    ///
    /// # Errors
    /// [`Limited`] by `source` or `subject`.
    pub async fn verified(&self, passage: &mut Passage, subject: &str, now: Timestamp) -> Result<(), Limited> {
        if self.settings.failures != Rate::Off {
            self.met.remember(&passage.source.met(subject.as_bytes()), now);
        }
        self.ask(passage, [(passage.source, 0), (Key::subject(subject), 1)], now).await
    }

    /// Charges what a good token's request takes from others: its source, and its issuer and target where they are known.
    ///
    /// # Errors
    /// [`Limited`] by `source`, `issuer` or `target`.
    pub async fn counted(
        &self,
        passage: &mut Passage,
        issuer: Option<&IssuerName>,
        target: Option<&TargetName>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let asks = [Some(passage.source), issuer.map(Key::issuer), target.map(Key::target)];
        self.ask(passage, asks.into_iter().flatten().map(|key| (key, 1)), now).await
    }

    /// Charges a refused request to its source, and to the trusted issuer that its token named. Waits for nobody: what this
    /// replica knows is what counts here.
    ///
    /// # Errors
    /// [`Limited`] where its source had nothing left: whoever refuses may say that instead, if the refusal was of garbage.
    pub fn failed(&self, passage: &mut Passage, issuer: Option<&IssuerName>, now: Timestamp) -> Result<(), Limited> {
        let failures = passage.source.under(Budget::Failures);
        let of_issuer = issuer.map(|issuer| Key::issuer(issuer).under(Budget::IssuerFailures));
        let mut ended = Ok(());
        for key in [Some(failures), of_issuer].into_iter().flatten() {
            let Some(rate) = self.rate(key.budget, self.is_fallen()) else { continue };
            if let Some(shared) = self.shared.as_ref().filter(|shared| !shared.is_fallen()) {
                let rate = self.rate(key.budget, false).unwrap_or(rate);
                shared.charge(Question { key, rate, cost: 1 }, now);
            }
            let answer = self.table.take(&key, rate, 1, now);
            let told = self.judge(passage, key, rate, &answer, now);
            if key.budget == Budget::Failures {
                ended = told;
            }
        }
        ended
    }

    /// Charges a request that is refused because nobody can tell at the moment whether its token is good. That is no fault of the
    /// caller's, so it takes no failures away from others; but else whoever makes up tokens would have each of them looked up and
    /// recorded for as long as it lasts. As many as failures, each replica by itself.
    ///
    /// # Errors
    /// [`Limited`] where the source had nothing left: whoever refuses says that instead.
    pub fn unsettled(&self, passage: &mut Passage, now: Timestamp) -> Result<(), Limited> {
        let key = passage.source.under(Budget::Unsettled);
        let Some(rate) = self.rate(key.budget, false) else { return Ok(()) };
        let answer = self.table.take(&key, rate, 1, now);
        self.judge(passage, key, rate, &answer, now)
    }

    /// Whether a refusal by a budget is to be recorded: the first, and one in ten seconds, with the number of those that were
    /// not since the last. Of each bucket, as long as they are few.
    pub fn worth_a_record(&self, limited: &Limited, now: Timestamp) -> Option<u64> {
        self.notices.next(&limited.key, now)
    }

    /// What was counted.
    #[must_use]
    pub fn tally(&self) -> &LimiterTally {
        &self.tally
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> LimiterStatus {
        let (evicted, shared_buckets) = self.table.pressed();
        LimiterStatus {
            keys: self.table.len(),
            max_keys: self.settings.max_keys,
            evicted,
            shared_buckets,
            shared: self.shared.is_some(),
            fallen: self.is_fallen(),
            falls: self.tally.fallen.load(std::sync::atomic::Ordering::Relaxed),
        }
    }

    /// Asks the budgets one after the other, and where replicas share them, all at once.
    async fn ask(
        &self,
        passage: &mut Passage,
        asks: impl IntoIterator<Item = (Key, u64)>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        // Beside a memory that is shared, this is nothing; without one, nothing waits.
        let Some(shared) = &self.shared else { return self.ask_here(passage, asks, now) };
        let questions: Vec<Question> = asks
            .into_iter()
            .filter_map(|(key, cost)| Some(Question { key, rate: self.rate(key.budget, false)?, cost }))
            .collect();
        if questions.is_empty() {
            return Ok(());
        }
        // In a box, so that requests of a single replica do not carry the room for it about.
        let Some(answers) = Box::pin(shared.ask(&questions, &self.tally, now)).await else {
            return self.ask_here(passage, questions.iter().map(|question| (question.key, question.cost)), now);
        };
        let both = questions.iter().zip(&answers);
        both.map(|(question, answer)| self.judge(passage, question.key, question.rate, answer, now))
            .fold(Ok(()), Result::and)
    }

    fn ask_here(
        &self,
        passage: &mut Passage,
        asks: impl IntoIterator<Item = (Key, u64)>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        for (key, cost) in asks {
            if let Some(rate) = self.rate(key.budget, self.is_fallen()) {
                let answer = self.table.take(&key, rate, cost, now);
                self.judge(passage, key, rate, &answer, now)?;
            }
        }
        Ok(())
    }

    /// What is left where an address, or an issuer, has no failures left: for garbage nothing. Nobody who was not here with a
    /// good token can take from those who were, but by naming them; and a stranger can only take from strangers.
    fn last_resort(&self, source: Key, claim: Claim<'_>, limited: Limited, now: Timestamp) -> Result<(), Limited> {
        if claim.over {
            return Err(limited);
        }
        let who = claim.subject.map(str::as_bytes).or(claim.token.as_ref().map(|token| token.bytes().as_slice()));
        let known = who.map(|who| source.met(who)).filter(|key| self.met.knows(key));
        let key = known.unwrap_or_else(|| source.under(Budget::Strangers));
        let Some(rate) = self.rate(key.budget, false) else { return Err(limited) };
        let answer = self.table.take(&key, rate, 1, now);
        self.tally.count(key.budget, answer.allowed);
        if answer.allowed { Ok(()) } else { Err(Limited { key, state: State::of(key.budget, rate.0, &answer, now) }) }
    }

    fn judge(
        &self,
        passage: &mut Passage,
        key: Key,
        rate: (u64, Duration),
        answer: &BucketAnswer,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let state = State::of(key.budget, rate.0, answer, now);
        self.tally.count(key.budget, answer.allowed);
        // Of an issuer's failures a caller learns nothing: they are others', too.
        if key.budget != Budget::IssuerFailures {
            passage.told(state);
        }
        if answer.allowed { Ok(()) } else { Err(Limited { key, state }) }
    }

    fn rate(&self, budget: Budget, fallen: bool) -> Option<(u64, Duration)> {
        let LimitSettings { source, issuer, subject, target, failures, replicas, .. } = &self.settings;
        let rate = match budget {
            Budget::Source => *source,
            Budget::Failures | Budget::Unsettled => *failures,
            Budget::IssuerFailures => failures.times(ISSUER_FAILURES),
            Budget::Issuer => *issuer,
            Budget::Subject => *subject,
            Budget::Target => *target,
            Budget::Strangers | Budget::Met => failures.share(LAST_RESORT),
        };
        match if fallen { rate.share(u64::from(*replicas)) } else { rate } {
            Rate::Off => None,
            Rate::Per { limit, window } => Some((limit, window)),
        }
    }

    fn is_fallen(&self) -> bool {
        self.shared.as_ref().is_some_and(Shared::is_fallen)
    }
}
