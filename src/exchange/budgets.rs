//! Where the engine asks the budgets, for both of its use cases and for calls that leave no record.
//!
//! Decides which refusals are charged as failures: those that are the caller's fault. Refuses to know how much there is of what:
//! that is [`crate::limits`].

use std::net::IpAddr;
use std::time::Duration;

use super::Counter;
use super::bearer::{Bearer, NotGood};
use super::outcome::RefusedClass;
use super::stop::Stop;
use crate::audit::{Outcome, Trail};
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::limits::{Claim, Limited, Passage, State};
use crate::mint::OwnTokens;
use crate::trust::Issuer;
use crate::verify::UntrustedToken;

/// A call that is within its budgets and leaves no record: introspection, revocation, what a token is.
pub struct Visit<'a> {
    counter: &'a Counter,
    passage: Passage,
    now: Timestamp,
}

impl Counter {
    /// Lets a call in that leaves no record: charges its source, and asks whether `token`, one of ours that nobody may have
    /// verified yet, is worth it.
    ///
    /// # Errors
    /// How the budget stands that is empty.
    pub async fn visit(&self, address: IpAddr, token: Option<&str>) -> Result<Visit<'_>, State> {
        let now = self.clock().now();
        let mut visit = Visit { counter: self, passage: Passage::from(address), now };
        if let Some(token) = token {
            self.worth_reading(&mut visit.passage, token, now).await.map_err(|limited| limited.state)?;
        }
        let counted = self.limiter().counted(&mut visit.passage, None, None, now).await;
        counted.map_err(|limited| limited.state)?;
        Ok(visit)
    }

    /// Whether a token of a trusted issuer is worth verifying.
    pub(super) async fn worth_verifying(
        &self,
        passage: &mut Passage,
        issuer: &Issuer,
        token: &UntrustedToken,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let subject = token.claimed_subject().map(|subject| whole_subject(issuer.name(), subject));
        let over = token.claims_to_be_over(now, issuer.leeway());
        let claim = Claim { issuer: Some(issuer.name()), subject: subject.as_deref(), over };
        self.limiter().before_cryptography(passage, claim, now).await
    }

    /// Whoever presents a token, if it is good and within the budgets.
    pub(super) async fn bearer_within_budgets(
        &self,
        passage: &mut Passage,
        trail: &mut Trail,
        token: &str,
        now: Timestamp,
    ) -> Result<Result<Bearer, NotGood>, Limited> {
        self.note_presented(trail, token);
        self.worth_reading(passage, token, now).await?;
        let bearer = match self.bearer_on(trail, token).await {
            Ok(bearer) => bearer,
            Err(not_good) => {
                // What nobody can tell is no fault of the caller's.
                if !not_good.may_pass() {
                    self.limiter().failed(passage, None, now)?;
                }
                return Ok(Err(not_good));
            }
        };
        self.limiter().verified(passage, bearer.subject(), now).await?;
        let target = bearer.token().map(|token| token.target());
        self.limiter().counted(passage, Some(bearer.issuer()), target, now).await?;
        Ok(Ok(bearer))
    }

    /// Charges a refusal that is the caller's fault. Where its source has no failures left, and nobody has verified its token,
    /// the refusal is that: there is nothing in it that anybody would want to know.
    pub(super) fn refused(
        &self,
        passage: &mut Passage,
        (issuer, verified): (Option<&IssuerName>, bool),
        stop: &Stop,
        now: Timestamp,
    ) -> Option<Limited> {
        match (stop, stop.class()) {
            (Stop::Limited(limited), _) => Some(*limited),
            (_, RefusedClass::Request | RefusedClass::Token | RefusedClass::Target | RefusedClass::Scope) => {
                self.limiter().failed(passage, issuer, now).err().filter(|_| !verified)
            }
            (_, RefusedClass::TooMany(_) | RefusedClass::Unavailable(_) | RefusedClass::Fault) => None,
        }
    }

    /// Ends the trail of a request that a budget refuses: by a record, or by none where the last is only a moment ago.
    pub(super) fn record_limited(&self, trail: Trail, limited: &Limited, now: Timestamp, took: Duration) {
        let Some(left_out) = self.limiter().worth_a_record(limited, now) else { return trail.leave_out() };
        let others = if left_out == 0 { String::new() } else { format!("; {left_out} more since the last record") };
        let detail = Some(format!("{limited}{others}"));
        trail.close(Outcome::Denied { reason: limited.reason(), detail }, took);
    }

    /// Whether a token that says it is ours is worth verifying.
    pub(super) async fn worth_reading(
        &self,
        passage: &mut Passage,
        token: &str,
        now: Timestamp,
    ) -> Result<(), Limited> {
        if self.own_tokens().knows(token) {
            return Ok(());
        }
        let subject = OwnTokens::claimed_subject(token);
        let claim = Claim { issuer: None, subject: subject.as_deref(), over: false };
        self.limiter().before_cryptography(passage, claim, now).await
    }
}

impl Visit<'_> {
    /// Charges it as a failure.
    ///
    /// # Errors
    /// How the budget stands, where there were no failures left.
    pub fn failed(&mut self) -> Result<(), State> {
        self.counter.limiter().failed(&mut self.passage, None, self.now).map_err(|limited| limited.state)
    }

    /// The budget that has the smallest part left.
    #[must_use]
    pub fn budget(&self) -> Option<State> {
        self.passage.tightest()
    }
}

/// A subject as our own tokens have it: one budget for whoever it is, with either token.
pub(super) fn whole_subject(issuer: &IssuerName, subject: &str) -> String {
    [issuer.as_str(), ":", subject].concat()
}
