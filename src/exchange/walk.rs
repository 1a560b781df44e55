//! One exchange, step by step; each step consumes the value of the step before.

use std::sync::Arc;
use std::time::Instant;

use super::counter::{Counter, Rules};
use super::outcome::{Exchanged, Presentation, Refused, Source};
use super::stop::Stop;
use crate::audit::{Outcome, Trail};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName};
use crate::mint::{IssuedToken, Wish};
use crate::oauth::{Scope, ScopeToken, SubjectToken};
use crate::policy::{Permit, Target};
use crate::trust::{Issuer, RefreshReason};
use crate::verify::{Refusal, SeenKey, SignedToken, UntrustedToken, VerifiedToken};

/// An exchange that has begun: it has an id and a trail, and ends as exactly one record, whatever happens to it.
pub struct Walk<'a> {
    counter: &'a Counter,
    trail: Trail,
    id: DecisionId,
    now: Timestamp,
    began: Instant,
}

impl<'a> Walk<'a> {
    #[allow(clippy::disallowed_methods, reason = "measures latency; decides nothing")]
    pub(super) fn begin(counter: &'a Counter, source: Source) -> Self {
        let now = counter.clock().now();
        let id = counter.decision_id(now);
        let trail = Trail::begin(id, now, source.surface, source.address);
        Self { counter, trail, id, now, began: Instant::now() }
    }

    /// The exchange: parse, trust, verify, decide, admit, mint, record.
    ///
    /// # Errors
    /// [`Refused`] says as much as the caller may learn.
    pub async fn exchange(mut self, presented: Presentation) -> Result<Exchanged, Refused> {
        let rules = self.counter.rules();
        match self.steps(&rules, presented).await {
            Ok((token, scope)) => {
                self.counter.tally().allowed(token.issuer());
                let decision = self.id;
                self.close(Outcome::Allowed);
                Ok(Exchanged { decision, token, scope })
            }
            Err(stop) => Err(self.stop(&stop)),
        }
    }

    /// Ends the walk of a request that its surface could not read; `code` is a stable word for the audit record.
    #[must_use]
    pub fn malformed(self, code: &'static str) -> Refused {
        self.stop(&Stop::Malformed(code))
    }

    async fn steps(
        &mut self,
        rules: &Arc<Rules>,
        presented: Presentation,
    ) -> Result<(IssuedToken, Option<Scope>), Stop> {
        let Presentation { subject_token, targets, issuer, scope, lifetime } = presented;
        self.trail.requested(&targets);
        self.counter.journal().admit().map_err(|error| Stop::Audit(error.to_string()))?;
        let token = self.verified(rules, subject_token, issuer).await?;
        let target = rules.target(&targets)?;
        let permit = self.decided(rules, token, target)?;
        let granted = granted_scope(&permit, target, scope.as_ref())?;
        let differs = scope.is_some_and(|asked| !asked.equals(&granted)).then(|| granted.clone());
        let admitted = self.counter.replay().admit(permit, self.now)?;
        let wish = Wish { scope: granted, lifetime, decision: self.id, policy_digest: rules.policies.digest() };
        let issued = self.counter.minter().mint(admitted, wish, self.now)?;
        self.trail.issued(issued.jti(), issued.expires_at(), issued.digest());
        Ok((issued, differs))
    }

    /// The token, verified: by its issuer's keys, or because it was verified before and everything still holds.
    async fn verified(
        &mut self,
        rules: &Rules,
        token: SubjectToken,
        named: Option<IssuerName>,
    ) -> Result<VerifiedToken, Stop> {
        let seen = SeenKey { digest: crate::jose::sha256(token.as_bytes()), declared: token.declared(), named };
        self.trail.presented(seen.digest);
        let known = self.counter.seen().find(&seen, &rules.issuers, self.now);
        self.counter.tally().cache(known.is_some());
        if let Some(token) = known {
            self.trail.verified(&token, true);
            return Ok(token);
        }
        let token = UntrustedToken::parse(token, seen.digest)?;
        let claimed = token.claimed_issuer()?;
        self.trail.claims(&claimed, token.key_id_hint());
        let issuer = rules.issuers.find(&claimed, seen.named.as_ref())?;
        self.trail.trusts(issuer.name());
        let token = self.signed(issuer, token).await?.check_claims(self.now)?;
        self.trail.verified(&token, false);
        if token.trusted_issuer().replay().is_reusable() {
            // A single-use token comes only once: to remember it would only push out one that comes again.
            self.counter.seen().remember(seen, &token);
        }
        Ok(token)
    }

    /// The signature, checked with the keys at hand; where those can not have made it, once more with fresh keys, if the
    /// issuer may be asked again by now.
    async fn signed(&self, issuer: &Arc<Issuer>, token: UntrustedToken) -> Result<SignedToken, Stop> {
        let keys = issuer.keys();
        let (token, reason, refusal) = match keys.current(self.now) {
            Err(_) => (token, RefreshReason::NoKeys, None),
            Ok(current) => match token.check_signature(issuer, current.set()) {
                Ok(signed) => return Ok(signed),
                Err(failure) => match failure.refusal {
                    Refusal::UnknownKey => (failure.token, RefreshReason::UnknownKey, Some(failure.refusal)),
                    Refusal::Signature => (failure.token, RefreshReason::BadSignature, Some(failure.refusal)),
                    other => return Err(other.into()),
                },
            },
        };
        let fresh = keys.refresh(reason, self.now).await;
        match refusal {
            Some(refusal) if !fresh.is_new() => return Err(refusal.into()),
            _ => {}
        }
        let current = keys.current(self.now)?;
        token.check_signature(issuer, current.set()).map_err(|failure| failure.refusal.into())
    }

    fn decided(&mut self, rules: &Rules, token: VerifiedToken, target: &Target) -> Result<Permit, Stop> {
        self.trail.target(target.name());
        match rules.policies.decide(token, target, self.now) {
            Ok(permit) => {
                self.trail.permitted(&permit);
                Ok(permit)
            }
            Err(denial) => {
                self.trail.denied(denial.trace());
                Err(Stop::Denied(denial))
            }
        }
    }

    fn stop(mut self, stop: &Stop) -> Refused {
        let code = stop.code();
        self.counter.tally().denied(self.trail.issuer(), code);
        self.trail.reason(code, stop.to_string());
        let decision = self.id;
        self.close(Outcome::Denied);
        Refused { decision, class: stop.class() }
    }

    fn close(self, outcome: Outcome) {
        let took = self.began.elapsed();
        self.counter.tally().took(took);
        let record = self.trail.close(outcome, self.counter.rules().policies.digest(), took);
        self.counter.journal().record(record);
    }
}

/// What is granted of the scope that was asked for. Words that the target does not know are ignored, as Google's clients
/// always send some; words that it knows narrow the grant; nothing left of them is an error.
fn granted_scope(permit: &Permit, target: &Target, asked: Option<&Scope>) -> Result<Scope, Stop> {
    let granted: Scope = permit.scopes().filter_map(ScopeToken::new).collect();
    let Some(asked) = asked else { return Ok(granted) };
    let known: Vec<_> = asked.words().iter().filter(|word| target.knows_scope(word.as_str())).collect();
    if known.is_empty() {
        return Ok(granted);
    }
    let narrowed: Scope = known.into_iter().filter(|word| granted.words().contains(word)).cloned().collect();
    if narrowed.is_empty() { Err(Stop::Scope) } else { Ok(narrowed) }
}
