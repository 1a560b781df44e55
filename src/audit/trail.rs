//! The facts of one exchange, collected along the walk.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::escape;
use super::facts::{
    ClaimDetail, End, Facts, Issued, MAX_DETAIL, MAX_ISSUER, MAX_KEY_ID, MAX_OBJECT, MAX_PATH, MAX_POLICIES,
    MAX_SUBJECT, MAX_TARGET, Surface, claims_json, cut, state_json,
};
use super::fault::AuditUnavailable;
use super::journal::{Journal, Slot};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName, PolicyName};
use crate::jose::Sha256;
use crate::mint::IssuedToken;

/// Becomes exactly one record (but for [`Self::leave_out`] and [`Self::only_if_closed`]): by [`Self::close`], or by being dropped,
/// which records `aborted` (a caller that hung up, a panic). Adding a fact takes a copy within its bound; nothing here waits
/// for a disk.
pub struct Trail {
    journal: Arc<Journal>,
    slot: Option<Slot>,
    facts: Option<Box<Facts>>,
    only_if_closed: bool,
}

/// How an exchange ended.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// A token was minted.
    Issued(&'a IssuedToken),
    /// A secret was read or changed.
    Served,
    /// An administrator's action was carried out.
    Done,
    /// A check or the policy said no.
    Denied {
        /// A stable code.
        reason: &'static str,
        /// For the operator.
        detail: Option<String>,
    },
    /// Something of ours, or upstream, did not work.
    Failed {
        /// A stable code.
        reason: &'static str,
        /// For the operator.
        detail: Option<String>,
    },
}

impl Trail {
    /// Begins the trail of an exchange at `now`.
    #[must_use]
    pub fn begin(
        journal: &Arc<Journal>,
        id: DecisionId,
        now: Timestamp,
        surface: Surface,
        remote: Option<IpAddr>,
    ) -> Self {
        Self {
            // None yet: thousands of requests whose bodies never come would hold all there is.
            slot: None,
            journal: Arc::clone(journal),
            facts: Some(Box::new(Facts::new(id, now, surface, remote))),
            only_if_closed: false,
        }
    }

    /// The trail of a call that is on record only where something came of it: dropped, it leaves nothing.
    #[must_use]
    pub fn only_if_closed(mut self) -> Self {
        self.only_if_closed = true;
        self
    }

    /// Hands the trail over to a task that may outlive its request. What stays here is the trail of nothing, until it comes back.
    #[must_use]
    pub fn lend(&mut self) -> Self {
        let (journal, only_if_closed) = (Arc::clone(&self.journal), self.only_if_closed);
        Self { journal, slot: self.slot.take(), facts: self.facts.take(), only_if_closed }
    }

    /// Whether it is worth going on: a sink that refuses records lets nothing be minted. Holds no room; asked early, it
    /// only spares work.
    ///
    /// # Errors
    /// [`AuditUnavailable`]: the disk refuses records, or the journal is shut down.
    pub fn worthwhile(&self) -> Result<(), AuditUnavailable> {
        self.journal.open_for_more()
    }

    /// Takes room for the record of this exchange; to be asked right before the token is admitted and minted, and not
    /// across a wait for a caller or an issuer, so that nothing is minted that cannot be accounted for. Always granted where the
    /// operator chose [`super::OnFailure::Drop`].
    ///
    /// # Errors
    /// [`AuditUnavailable`]: the disk refuses records, or too many wait for it.
    pub fn admit(&mut self) -> Result<(), AuditUnavailable> {
        if self.slot.is_none() {
            self.slot = self.journal.admit()?;
        }
        Ok(())
    }

    /// What was asked for, as the caller wrote it.
    pub fn asked(&mut self, target: &str) {
        self.note(|facts| facts.target = Some(cut(target, MAX_TARGET)));
    }

    /// What the token says of itself, unverified.
    pub fn claimed(&mut self, issuer: Option<&str>, key_id: Option<&str>, token: Sha256) {
        self.note(|facts| {
            facts.claimed_issuer = issuer.map(|issuer| cut(issuer, MAX_ISSUER));
            facts.key_id = key_id.map(|key_id| cut(key_id, MAX_KEY_ID));
            facts.token = Some(token);
        });
    }

    /// The trusted issuer that the token names.
    pub fn issuer(&mut self, issuer: &IssuerName) {
        self.note(|facts| facts.issuer = Some(issuer.clone()));
    }

    /// The verified subject.
    pub fn subject(&mut self, subject: &str) {
        self.note(|facts| facts.subject = Some(cut(subject, MAX_SUBJECT)));
    }

    /// The verified claims; how much of them is kept is the journal's setting.
    pub fn claims<'a>(&mut self, claims: impl IntoIterator<Item = (&'a str, &'a Value)>) {
        let detail = self.journal.claim_detail();
        self.note(|facts| facts.claims = claims_json(detail, claims.into_iter()));
    }

    /// Whether the claims of an exchange that ended well are kept too: values are, for replaying decisions; names only
    /// help to see what was missing.
    #[must_use]
    pub fn keeps_claims_of_issued(&self) -> bool {
        self.journal.claim_detail() == ClaimDetail::Values
    }

    /// The policy set that decides.
    pub fn policy_set(&mut self, digest: Sha256) {
        self.note(|facts| facts.policy_set = Some(digest));
    }

    /// The rule that decided, and what it grants.
    pub fn permitted(&mut self, rule: &str, digest: Sha256, policies: &[PolicyName]) {
        self.note(|facts| {
            facts.rule = Some(cut(rule, MAX_TARGET));
            facts.rule_digest = Some(digest);
            facts.policies = policies.iter().take(MAX_POLICIES).cloned().collect();
        });
    }

    /// What the rule's `metadata` came to: names from the policy file, values from claims, each within its bound.
    pub fn metadata<'a>(&mut self, metadata: impl Iterator<Item = (&'a str, &'a str)>) {
        self.note(|facts| {
            facts.metadata = metadata.map(|(name, value)| (cut(name, MAX_TARGET), cut(value, MAX_SUBJECT))).collect();
        });
    }

    /// What is to be done to a secret (a word of ours), and which: its namespace, mount and path.
    pub fn secret(&mut self, operation: &'static str, path: &str) {
        self.note(|facts| {
            facts.operation = Some(operation);
            facts.path = Some(cut(path, MAX_PATH));
        });
    }

    /// The `jti` of the token that it is asked for with, and the decision by which that was issued; none for a service
    /// account's own token.
    pub fn presented(&mut self, token_id: &str, exchange: Option<DecisionId>) {
        self.note(|facts| {
            facts.presented = Some(cut(token_id, MAX_KEY_ID));
            facts.exchange = exchange;
        });
    }

    /// The policies of the token that it is asked for with.
    pub fn policies(&mut self, policies: &[PolicyName]) {
        self.note(|facts| facts.policies = policies.iter().take(MAX_POLICIES).cloned().collect());
    }

    /// Whose secrets the decision is about; the root's name is empty.
    pub fn namespace(&mut self, namespace: &str) {
        self.note(|facts| facts.namespace = Some(cut(namespace, MAX_TARGET)));
    }

    /// The service account that acts, or is acted for: its id.
    pub fn account(&mut self, account: &str) {
        self.note(|facts| facts.account = Some(cut(account, MAX_OBJECT)));
    }

    /// The family of that account's token.
    pub fn family(&mut self, family: &str) {
        self.note(|facts| facts.family = Some(cut(family, MAX_OBJECT)));
    }

    /// What an administrator is about to do (a stable word of ours such as `service_account.disable`), and to what: a kind
    /// and an id, such as `service_account/0199...`. To be said before it is tried, so that an attempt is on record.
    pub fn acts(&mut self, action: &'static str, object: &str) {
        self.note(|facts| {
            facts.action = Some(action);
            facts.object = Some(cut(object, MAX_OBJECT));
        });
    }

    /// What the thing was before the action, and what it is after it; none where it did not, or does not, exist. Copied at
    /// once, within 24 KiB each. Every reader of the record sees what is given here: no secret, no token, no hash of one.
    pub fn changed(&mut self, before: Option<&Value>, after: Option<&Value>) {
        self.note(|facts| {
            facts.before = before.and_then(state_json);
            facts.after = after.and_then(state_json);
        });
    }

    /// The conditions and what became of them. Serialised later, on the writer's thread.
    pub fn trace(&mut self, trace: impl Serialize + Send + 'static) {
        self.note(|facts| facts.trace = Some(Box::new(move |out| escape::write(out, &trace))));
    }

    /// Ends the trail; `latency` is that of the whole exchange.
    pub fn close(mut self, outcome: Outcome<'_>, latency: Duration) {
        let end = match outcome {
            Outcome::Issued(token) => {
                let issued = Issued {
                    token_id: Box::from(token.jti()),
                    expires: token.expires_at(),
                    lifetime: token.expires_in(),
                };
                End { outcome: "issued", reason: None, detail: None, issued: Some(issued), latency: None }
            }
            Outcome::Served => End { outcome: "served", reason: None, detail: None, issued: None, latency: None },
            Outcome::Done => End { outcome: "done", reason: None, detail: None, issued: None, latency: None },
            Outcome::Denied { reason, detail } => End::because("denied", reason, detail),
            Outcome::Failed { reason, detail } => End::because("failed", reason, detail),
        };
        self.end(End { latency: Some(latency), ..end });
    }

    /// Ends the trail without a record: of one more refusal by a limit, when the last that was recorded is only a moment ago.
    /// The next that is recorded says how many were not.
    pub fn leave_out(mut self) {
        self.facts = None;
    }

    /// The id of the decision.
    #[must_use]
    pub fn id(&self) -> Option<DecisionId> {
        self.facts.as_ref().map(|facts| facts.id)
    }

    fn note(&mut self, fact: impl FnOnce(&mut Facts)) {
        if let Some(facts) = &mut self.facts {
            fact(facts);
        }
    }

    fn end(&mut self, end: End) {
        if let Some(mut facts) = self.facts.take() {
            facts.end = end;
            self.journal.push(self.slot.take(), facts);
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if self.only_if_closed {
            return;
        }
        let reason = if std::thread::panicking() { "panicked" } else { "abandoned" };
        self.end(End::because("aborted", reason, None));
    }
}

impl End {
    fn because(outcome: &'static str, reason: &'static str, detail: Option<String>) -> Self {
        let detail = detail.map(|detail| cut(&detail, MAX_DETAIL));
        Self { outcome, reason: Some(reason), detail, issued: None, latency: None }
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trail({:?})", self.id())
    }
}
