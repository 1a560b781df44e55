//! One exchange, step by step; each step consumes the value of the step before.

mod account;
mod upstream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::budgets::whole_subject;
use super::counter::Counter;
use super::outcome::{Exchanged, Presentation, Refused, RefusedClass, Source};
use super::places::Place;
use super::rules::Rules;
use super::stop::Stop;
use crate::accounts::AccountToken;
use crate::audit::{Outcome, Trail};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName};
use crate::limits::Passage;
use crate::mint::{Granted, IssuedToken, Usage, Wish};
use crate::oauth::{Scope, ScopeToken, SubjectToken};
use crate::policy::{Permit, Target};
use crate::trust::{Issuer, Reason, Refresh, ReplayRule};
use crate::verify::{ClaimsView, Refusal, SeenKey, SignedToken, UntrustedToken, VerifiedToken};

/// An exchange that has begun: it has an id and a trail, and ends as exactly one record, whatever happens to it.
pub struct Walk<'a> {
    pub(super) counter: &'a Counter,
    pub(super) trail: Trail,
    pub(super) passage: Passage,
    pub(super) id: DecisionId,
    pub(super) now: Timestamp,
    began: Instant,
    pub(super) issuer: Option<IssuerName>,
    claims: Option<ClaimsView>,
    usage: Usage,
    /// At the store that is asked once the token is minted.
    place: Option<Place<'a>>,
}

impl<'a> Walk<'a> {
    #[allow(clippy::disallowed_methods, reason = "measures latency; decides nothing")]
    pub(super) fn begin(counter: &'a Counter, source: Source) -> Self {
        let now = counter.clock().now();
        let id = counter.decision_id(now);
        let trail = Trail::begin(counter.journal(), id, now, source.surface, Some(source.address));
        let passage = Passage::from(source.address);
        let usage = Usage::Access;
        Self { counter, trail, passage, id, now, began: Instant::now(), issuer: None, claims: None, usage, place: None }
    }

    /// The same exchange, for a token to log in with.
    #[must_use]
    pub fn for_login(self) -> Self {
        Self { usage: Usage::Login, ..self }
    }

    /// The exchange: parse, trust, verify, decide, draft, admit, mint, record.
    ///
    /// # Errors
    /// [`Refused`] says as much as the caller may learn.
    pub async fn exchange(mut self, presented: Presentation) -> Result<Exchanged, Refused> {
        // The request may have taken its time to arrive: what is decided is decided now.
        self.now = self.counter.clock().now();
        let rules = self.counter.rules();
        match self.steps(&rules, presented).await {
            Ok((token, granted, scope)) => {
                let direct = match self.upstream(&token, &granted).await {
                    Ok(direct) => direct,
                    Err(error) => return Err(self.stop(&Stop::Upstream(error))),
                };
                self.counter.tally().issued(self.issuer.as_ref());
                let took = self.took();
                if self.trail.keeps_claims_of_issued() {
                    self.note_claims();
                }
                self.trail.close(Outcome::Issued(&token), took);
                let budget = self.passage.tightest();
                Ok(Exchanged { decision: self.id, token, scope, granted, direct, budget })
            }
            Err(stop) => Err(self.stop(&stop)),
        }
    }

    /// Ends the walk of a request that its surface could not read: `code` is a stable word for the audit record, `detail`
    /// says what is wrong, and quotes nothing of the request.
    #[must_use]
    pub fn malformed(self, code: &'static str, detail: impl ToString) -> Refused {
        self.stop(&Stop::Malformed { code, detail: detail.to_string() })
    }

    async fn steps(
        &mut self,
        rules: &Arc<Rules>,
        presented: Presentation,
    ) -> Result<(IssuedToken, Granted, Option<Scope>), Stop> {
        if let Some(words) = presented.wanted.words() {
            self.trail.asked(&words);
        }
        self.trail.policy_set(rules.policies.digest());
        self.trail.worthwhile()?;
        if AccountToken::is_meant(presented.subject_token.as_bytes()) {
            return self.of_account(rules, presented).await;
        }
        let Presentation { subject_token, wanted, issuer, scope, lifetime } = presented;
        // Kept only where a cluster may have to see it.
        let text = rules.issuers.are_reviewed().then(|| subject_token.copy_for_review());
        let (token, new) =
            self.verified(rules, subject_token, issuer.or_else(|| rules.issuer(&wanted).cloned())).await?;
        let subject = whole_subject(token.issuer(), token.subject());
        self.counter.limiter().verified(&mut self.passage, &subject, self.now).await?;
        let target = rules.target(&wanted)?;
        let limiter = self.counter.limiter();
        limiter.counted(&mut self.passage, Some(token.issuer()), Some(target.name()), self.now).await?;
        self.reviewed(&token, text.as_deref()).await?;
        let permit = self.decided(rules, token, target)?;
        if let Some(seen) = new {
            // Only after a permit: on a public issuer anybody has tokens, and could push out those that matter.
            self.counter.seen().remember(seen, permit.token());
        }
        let ends = self.acts_until(&permit).await?;
        let granted = permit.scopes().filter_map(ScopeToken::new).collect();
        let granted = granted_scope(granted, target, scope.as_ref())?;
        let as_asked = scope.is_some_and(|asked| asked.equals(&granted)) || granted.is_empty();
        let differs = (!as_asked).then(|| granted.clone());
        let (decision, policy_digest, usage) = (self.id, rules.policies.digest(), self.usage);
        let wish = Wish { scope: &granted, lifetime, decision, policy_digest, usage, ends };
        let draft = self.counter.minter().draft(permit, wish, self.now)?;
        // Room for the record first: nothing is burnt or minted that cannot be accounted for. From here on nobody waits, but
        // for the memory of single-use tokens where replicas share it: for a bounded time, and not at all while it is down,
        // so that those who hold room are few. Asked the other way round, a token could be burnt, on all replicas, and then
        // nothing be left to record that with. Whoever hangs up meanwhile leaves a record that says so.
        self.admit(target)?;
        let (token, granted) = self.counter.replay().admit_permit(draft, self.now).await?.issue()?;
        Ok((token, granted, differs))
    }

    /// The token, verified: by its issuer's keys, or because it was verified before and everything still holds. With it,
    /// where it is worth remembering, how it is found again.
    async fn verified(
        &mut self,
        rules: &Rules,
        token: SubjectToken,
        named: Option<IssuerName>,
    ) -> Result<(VerifiedToken, Option<SeenKey>), Stop> {
        let seen = SeenKey { digest: crate::jose::sha256(token.as_bytes()), declared: token.declared(), named };
        self.trail.claimed(None, None, seen.digest);
        let known = self.counter.seen().find(&seen, &rules.issuers, self.now);
        self.counter.tally().cache(known.is_some());
        if let Some(token) = known {
            self.trail.claimed(Some(token.trusted_issuer().url().as_str()), token.key_id(), seen.digest);
            self.trusts(token.issuer());
            self.verified_as(&token);
            return Ok((token, None));
        }
        let token = UntrustedToken::parse(token, seen.digest)?;
        let claimed = token.claimed_issuer()?;
        self.trail.claimed(Some(&claimed), token.key_id_hint(), seen.digest);
        let issuer = rules.issuers.find(&claimed, seen.named.as_ref())?;
        self.trusts(issuer.name());
        self.counter.worth_verifying(&mut self.passage, issuer, &token, self.now).await?;
        let signed = signed(issuer, token, self.now).await?;
        // Fresh keys may have taken seconds to come.
        self.now = self.counter.clock().now();
        let token = signed.check_claims(self.now)?;
        self.verified_as(&token);
        // A single-use token comes only once: to remember it would only push out one that comes again.
        let comes_again = token.trusted_issuer().replay() == ReplayRule::Reusable;
        Ok((token, comes_again.then_some(seen)))
    }

    /// Where the operator wants it, the cluster is asked whether the token's pod is still there. Also for a token that was
    /// verified before: that is what it is for.
    async fn reviewed(&mut self, token: &VerifiedToken, text: Option<&String>) -> Result<(), Stop> {
        let issuer = token.trusted_issuer();
        if let Some((review, text)) = issuer.token_review().zip(text) {
            review.check(text, token.subject(), issuer.audiences()).await?;
            self.now = self.counter.clock().now();
        }
        Ok(())
    }

    fn decided(&mut self, rules: &Rules, token: VerifiedToken, target: &Target) -> Result<Permit, Stop> {
        self.trail.asked(target.name().as_str());
        if let Some(namespace) = target.namespace() {
            self.trail.namespace(namespace.as_str());
        }
        match rules.policies.decide(token, target, self.now) {
            Ok(permit) => {
                self.trail.permitted(permit.rule(), permit.rule_digest(), permit.policies());
                self.trail.metadata(permit.metadata());
                self.trail.trace(permit.trace().clone());
                Ok(permit)
            }
            Err(denial) => {
                self.trail.trace(denial.trace().clone());
                Err(Stop::Denied(denial))
            }
        }
    }

    fn verified_as(&mut self, token: &VerifiedToken) {
        self.trail.subject(token.subject());
        self.claims = Some(token.claims_view());
    }

    pub(super) fn trusts(&mut self, issuer: &IssuerName) {
        self.trail.issuer(issuer);
        self.issuer = Some(issuer.clone());
    }

    pub(super) fn stop(mut self, stop: &Stop) -> Refused {
        let from = (self.issuer.as_ref(), self.claims.is_some());
        match self.counter.refused(&mut self.passage, from, stop, self.now) {
            Some(limited) => self.ended(&Stop::Limited(limited)),
            None => self.ended(stop),
        }
    }

    fn ended(mut self, stop: &Stop) -> Refused {
        self.note_claims();
        let (reason, detail, class) = (stop.code(), Some(stop.to_string()), stop.class());
        let failed = matches!(class, RefusedClass::Unavailable(_) | RefusedClass::Fault);
        self.counter.tally().stopped(self.issuer.as_ref(), failed, reason);
        let outcome = if failed { Outcome::Failed { reason, detail } } else { Outcome::Denied { reason, detail } };
        let took = self.took();
        match stop {
            Stop::Limited(limited) => self.counter.record_limited(self.trail, limited, self.now, took),
            _ => self.trail.close(outcome, took),
        }
        Refused { decision: self.id, class, budget: self.passage.tightest() }
    }

    fn note_claims(&mut self) {
        if let Some(claims) = &self.claims {
            self.trail.claims(claims.iter());
        }
    }

    pub(super) fn took(&self) -> Duration {
        let took = self.began.elapsed();
        self.counter.tally().took(took);
        took
    }
}

/// The signature, checked with the keys at hand; where those cannot have made it, once more with fresh keys, if the
/// issuer may be asked again by now.
async fn signed(issuer: &Arc<Issuer>, token: UntrustedToken, now: Timestamp) -> Result<SignedToken, Stop> {
    let cache = issuer.keys();
    let failure = match cache.current(now) {
        Err(_) => {
            cache.refresh(Reason::Missing, now).await;
            let current = cache.current(now)?;
            return token.check_signature(issuer, current.keys()).map_err(|failure| failure.refusal.into());
        }
        Ok(current) => match token.check_signature(issuer, current.keys()) {
            Ok(signed) => return Ok(signed),
            Err(failure) => {
                let reason = match failure.refusal {
                    Refusal::UnknownKey => Reason::UnknownKeyId(current.generation()),
                    Refusal::Signature => Reason::BadSignature(current.generation()),
                    other => return Err(other.into()),
                };
                (failure, reason)
            }
        },
    };
    let (failure, reason) = failure;
    if cache.refresh(reason, now).await != (Refresh::Fetched { changed: true }) {
        return Err(failure.refusal.into());
    }
    let current = cache.current(now)?;
    failure.token.check_signature(issuer, current.keys()).map_err(|failure| failure.refusal.into())
}

/// What is granted of the scope that was asked for. Words that the target does not know are ignored, as Google's clients
/// always send some; words that it knows narrow the grant; nothing left of them is an error.
fn granted_scope(granted: Scope, target: &Target, asked: Option<&Scope>) -> Result<Scope, Stop> {
    let Some(asked) = asked else { return Ok(granted) };
    let known: Vec<_> =
        asked.words().iter().filter(|word| target.scopes().any(|known| known == word.as_str())).collect();
    if known.is_empty() {
        return Ok(granted);
    }
    let narrowed: Scope = known.into_iter().filter(|word| granted.words().contains(word)).cloned().collect();
    if narrowed.is_empty() { Err(Stop::Scope) } else { Ok(narrowed) }
}
