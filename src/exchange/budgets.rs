//! Where the engine asks the budgets, for both of its use cases and for calls that leave no record.
//!
//! Decides which refusals are charged as failures: those that are the caller's fault. Refuses to know how much there is of what:
//! that is [`crate::limits`].

use std::time::Duration;

use super::Counter;
use super::bearer::{Bearer, NotGood};
use super::outcome::{RefusedClass, Source};
use super::stop::Stop;
use crate::accounts::{AccountToken, ActingAccount};
use crate::audit::{Outcome, Trail};
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::limits::{Claim, Limited, Passage, State};
use crate::mint::OwnTokens;
use crate::trust::Issuer;
use crate::verify::UntrustedToken;

/// A call that leaves no record: introspection, revocation, what a token is. Nothing of the source's budget is taken before it is
/// known that somebody good is there: else whoever sends anything at all would take from all who are behind the same address.
pub struct Visit<'a> {
    counter: &'a Counter,
    source: Source,
    passage: Passage,
    now: Timestamp,
    /// Whether what it is charged as is settled.
    settled: bool,
}

impl Counter {
    /// Lets a call in that leaves no record. Nothing is charged yet.
    #[must_use]
    pub fn visit(&self, source: Source) -> Visit<'_> {
        let (passage, now) = (Passage::from(source.address), self.clock().now());
        Visit { counter: self, source, passage, now, settled: false }
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
        let claim = Claim { issuer: Some(issuer.name()), subject: subject.as_deref(), over, ..Claim::default() };
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
        let bearer = match self.good_bearer(passage, trail, token, now).await? {
            Ok(bearer) => bearer,
            Err(not_good) => return Ok(Err(not_good)),
        };
        self.limiter().verified(passage, bearer.subject(), now).await?;
        let target = bearer.token().map(|token| token.target());
        self.limiter().counted(passage, Some(bearer.issuer()), target, now).await?;
        Ok(Ok(bearer))
    }

    /// Whoever presents a token, if it is good. That is charged to nobody yet; a token that is not good is.
    async fn good_bearer(
        &self,
        passage: &mut Passage,
        trail: &mut Trail,
        token: &str,
        now: Timestamp,
    ) -> Result<Result<Bearer, NotGood>, Limited> {
        self.note_presented(trail, token);
        self.worth_reading(passage, token, now).await?;
        let found = self.bearer_on(trail, token).await;
        match &found {
            Ok(Bearer::Token(_)) => {}
            Ok(Bearer::Account(account)) => self.remember_token(passage, &account.acting, now),
            // A family has ended: that is what is told and recorded, however many failures are left.
            Err(not_good) if not_good.is_reuse() => drop(self.limiter().failed(passage, None, now)),
            // What nobody can tell is no fault of the caller's.
            Err(not_good) if not_good.may_pass() => self.limiter().unsettled(passage, now)?,
            Err(_) => self.limiter().failed(passage, None, now)?,
        }
        Ok(found)
    }

    /// Remembers that the token of a service account was good at this address.
    pub(super) fn remember_token(&self, passage: &Passage, acting: &ActingAccount, now: Timestamp) {
        if let Some(digest) = acting.token_digest() {
            self.limiter().remember(passage, &digest, now);
        }
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
            (Stop::Bearer(not_good), _) if not_good.may_pass() && !verified => {
                self.limiter().unsettled(passage, now).err()
            }
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

    /// Whether a token that says it is ours is worth verifying, or worth being looked up. One that is none by its form alone goes
    /// on: that is found out for nothing, and it takes nothing from strangers who have one.
    pub(super) async fn worth_reading(
        &self,
        passage: &mut Passage,
        token: &str,
        now: Timestamp,
    ) -> Result<(), Limited> {
        if AccountToken::is_meant(token.as_bytes()) {
            let Some(accounts) = self.accounts() else { return Ok(()) };
            let Some(digest) = accounts.digest(token).filter(|digest| !accounts.knows(digest, now)) else {
                return Ok(());
            };
            let claim = Claim { token: Some(digest), ..Claim::default() };
            return self.limiter().before_cryptography(passage, claim, now).await;
        }
        if self.own_tokens().knows(token) {
            return Ok(());
        }
        let Ok(subject) = OwnTokens::claimed_subject(token) else { return Ok(()) };
        let claim = Claim { subject: subject.as_deref(), ..Claim::default() };
        self.limiter().before_cryptography(passage, claim, now).await
    }
}

impl Visit<'_> {
    /// Whoever presents a token, if it is good, charged as with any other request: to the subject first. One that is not good is
    /// charged as a failure.
    ///
    /// # Errors
    /// How the budget stands that is empty.
    pub async fn bearer(&mut self, token: &str) -> Result<Result<Bearer, NotGood>, State> {
        self.settled = true;
        let mut call = self.counter.silent_call(self.source);
        let found = self.counter.bearer_within_budgets(&mut self.passage, &mut call.trail, token, self.now).await;
        let found = found.map_err(|limited| limited.state)?;
        call.end(&found);
        Ok(found)
    }

    /// The same for whoever wants to end that token. It is charged to its source only: who has stolen a token must not keep its
    /// owner from ending it by using up what the subject has.
    ///
    /// # Errors
    /// As [`Self::bearer`].
    pub async fn who_ends(&mut self, token: &str) -> Result<Result<Bearer, NotGood>, State> {
        self.settled = true;
        let mut call = self.counter.silent_call(self.source);
        let found = self.counter.good_bearer(&mut self.passage, &mut call.trail, token, self.now).await;
        let found = found.map_err(|limited| limited.state)?;
        call.end(&found);
        if found.is_ok() {
            self.proved().await?;
        }
        Ok(found)
    }

    /// Charges the source of somebody who has proved who it is, by whatever means.
    ///
    /// # Errors
    /// How the budget stands that is empty.
    pub async fn proved(&mut self) -> Result<(), State> {
        self.settled = true;
        let counted = self.counter.limiter().counted(&mut self.passage, None, None, self.now).await;
        counted.map_err(|limited| limited.state)
    }

    /// Charges it as a failure, unless it was charged as anything else.
    ///
    /// # Errors
    /// How the budget stands, where there were no failures left.
    pub fn failed(&mut self) -> Result<(), State> {
        if self.settled {
            return Ok(());
        }
        self.settled = true;
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
