//! What an administrator asks for, step by step; the third use case of the engine. cambio protects itself as it protects
//! anything else: an administrator has a token for a target of the policies, or is a service account in that target's namespace,
//! and access documents say what it may do.
//!
//! Decides in this order: is the token good, is it for this counter's administration, is the action allowed at its path, can it
//! be recorded. Refuses to know what an action does: whoever carries it out holds a [`Permitted`], which ends as one record
//! with what was and what is.
//!
//! ```text
//! Administration --identify--> Administrator --permit--> Permitted --done | not_done--> one record
//! ```

mod permitted;

use std::sync::Arc;
use std::time::Instant;

pub use permitted::Permitted;

use serde_json::{Map, Value};

use super::bearer::{Bearer, NotGood};
use super::counter::Counter;
use super::outcome::Source;
use super::rules::Rules;
use crate::audit::{AuditUnavailable, Outcome, Trail};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, Namespace, TargetName};
use crate::limits::{Limited, Passage, State};
use crate::secrets::acl::Capability;

/// What the paths of all actions begin with, in access documents. No mount is there, so that nothing else is granted by it.
pub const ADMIN_PATHS: &str = "sys/cambio/";
/// How the root namespace is written in a path: as no namespace can be called.
pub const ROOT: &str = "@root";

/// An administrator's request that has begun: it has an id and a trail, and ends as exactly one record.
pub struct Administration<'a> {
    counter: &'a Counter,
    target: &'a TargetName,
    trail: Trail,
    passage: Passage,
    id: DecisionId,
    now: Timestamp,
    began: Instant,
}

/// Whoever has a good token for the administration. It may do nothing yet.
#[must_use = "nothing was allowed yet"]
pub struct Administrator<'a> {
    begun: Administration<'a>,
    bearer: Bearer,
    rules: Arc<Rules>,
}

/// What shall be done.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    /// A stable word for the record: `service_account.disable`.
    pub name: &'static str,
    /// To what, below [`ADMIN_PATHS`]: `service-accounts/group_1/ci`; a list ends in a slash.
    pub path: &'a str,
    /// What an access document has to grant there.
    pub needs: Capability,
    /// The body of a request that changes something, for documents that bind its members.
    pub body: &'a Map<String, Value>,
}

/// An action that is not allowed. The reason is in the audit record; the caller learns the class.
#[derive(Clone, Copy, Debug)]
pub struct NotPermitted {
    /// The decision's id.
    pub decision: DecisionId,
    /// The class.
    pub class: NotPermittedClass,
}

/// As much of a refusal as a caller may learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPermittedClass {
    /// The token is not good.
    Token,
    /// The token is good, and not for this.
    Forbidden,
    /// A budget is empty.
    TooMany(State),
    /// Nobody can tell at the moment, or nothing can be recorded.
    Unavailable,
}

/// Why an action is not allowed.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Limited(#[from] Limited),
    #[error(transparent)]
    Token(#[from] NotGood),
    #[error("the token is for another target than that of the administration")]
    Target,
    #[error("the service account is in another namespace than the target of the administration")]
    Namespace,
    #[error("the policies have no such target as the administration's")]
    NoTarget,
    #[error("{0}")]
    NotAllowed(String),
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
}

impl Counter {
    /// Begins an administrator's request, for an administration that `target` stands for. Whatever becomes of it, it leaves one
    /// record.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "measures latency; decides nothing")]
    pub fn administration<'a>(&'a self, target: &'a TargetName, source: Source) -> Administration<'a> {
        let now = self.clock().now();
        let id = self.decision_id(now);
        let trail = Trail::begin(self.journal(), id, now, source.surface, Some(source.address));
        let passage = Passage::from(source.address);
        Administration { counter: self, target, trail, passage, id, now, began: Instant::now() }
    }
}

impl<'a> Administration<'a> {
    /// Who asks.
    ///
    /// # Errors
    /// [`NotPermitted`], on record.
    pub async fn identify(mut self, token: &str) -> Result<Administrator<'a>, NotPermitted> {
        let bearer = match self.counter.bearer_within_budgets(&mut self.passage, token, self.now).await {
            Ok(Ok(bearer)) => bearer,
            Ok(Err(not_good)) => return Err(self.stopped(&not_good.into())),
            Err(limited) => return Err(self.stopped(&limited.into())),
        };
        self.trail.issuer(bearer.issuer());
        self.trail.subject(bearer.subject());
        self.trail.presented(bearer.token_id());
        self.trail.policies(bearer.policies());
        let rules = self.counter.rules();
        match is_for(&bearer, self.target, &rules) {
            Ok(()) => Ok(Administrator { begun: self, bearer, rules }),
            Err(stop) => Err(self.stopped(&stop)),
        }
    }

    /// Ends a request that its surface could not read: `code` is a stable word for the record.
    #[must_use]
    pub fn malformed(self, code: &'static str, detail: impl ToString) -> DecisionId {
        self.close(Outcome::Denied { reason: code, detail: Some(detail.to_string()) })
    }

    fn stopped(self, stop: &Stop) -> NotPermitted {
        let (reason, class, decision) = (stop.code(), stop.class(), self.id);
        let detail = Some(stop.to_string());
        let outcome = match class {
            NotPermittedClass::Unavailable => Outcome::Failed { reason, detail },
            _ => Outcome::Denied { reason, detail },
        };
        match stop {
            // A flood of refusals by a budget is told once in a while.
            Stop::Limited(limited) => {
                self.counter.record_limited(self.trail, limited, self.now, self.began.elapsed());
            }
            _ => drop(self.close(outcome)),
        }
        NotPermitted { decision, class }
    }

    fn close(self, outcome: Outcome<'_>) -> DecisionId {
        let took = self.began.elapsed();
        self.trail.close(outcome, took);
        self.id
    }
}

impl<'a> Administrator<'a> {
    /// Who it is, as it is kept beside what it changes: the subject with the issuer's name before it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.bearer.subject()
    }

    /// Time, as the request reads it.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.begun.now
    }

    /// The engine.
    #[must_use]
    pub const fn counter(&self) -> &'a Counter {
        self.begun.counter
    }

    /// Whether its access documents allow `action`, and there is room for its record.
    ///
    /// # Errors
    /// [`NotPermitted`], on record.
    pub async fn permit(mut self, action: Action<'_>) -> Result<Permitted<'a>, NotPermitted> {
        let path = [ADMIN_PATHS, action.path].concat();
        self.begun.trail.acts(action.name, action.path);
        let allowed = match self.asked(&path, action.needs, action.body).allows().await {
            // Room for the record first: nothing is done that cannot be accounted for.
            Ok(()) => self.begun.trail.admit().map_err(Stop::from),
            Err(stop) => Err(stop),
        };
        match allowed {
            Ok(()) => Ok(Permitted { admin: self, path }),
            Err(stop) => Err(self.begun.stopped(&stop)),
        }
    }

    /// Ends a request whose object could not be read.
    #[must_use]
    pub fn malformed(self, code: &'static str, detail: impl ToString) -> DecisionId {
        self.begun.malformed(code, detail)
    }

    fn asked<'q>(&'q self, path: &'q str, needs: Capability, body: &'q Map<String, Value>) -> Asked<'q> {
        let (counter, now) = (self.begun.counter, self.begun.now);
        Asked { counter, bearer: &self.bearer, rules: &self.rules, path, needs, body, now }
    }

    /// The namespace that administrators are in.
    fn own_namespace(&self) -> Option<&Namespace> {
        self.bearer.namespace()
    }
}

/// A question to the access documents.
struct Asked<'q> {
    counter: &'q Counter,
    bearer: &'q Bearer,
    rules: &'q Rules,
    path: &'q str,
    needs: Capability,
    body: &'q Map<String, Value>,
    now: Timestamp,
}

impl Asked<'_> {
    async fn allows(self) -> Result<(), Stop> {
        let standing = self.counter.standing(self.bearer).await?;
        let acl = standing.acl(self.rules);
        let granted = acl.check(self.path, self.needs, self.now);
        let granted = granted.map_err(|denied| Stop::NotAllowed(denied.to_string()))?;
        granted.parameters(self.body).map_err(|denied| Stop::NotAllowed(denied.to_string()))
    }
}

/// Whether the bearer's token is for the administration: one of ours for its target, or a service account's own in the target's
/// namespace. A token that was minted for another target opens nothing here, whatever policies it has.
fn is_for(bearer: &Bearer, target: &TargetName, rules: &Rules) -> Result<(), Stop> {
    let target = rules.policies.target(target.as_str()).ok_or(Stop::NoTarget)?;
    match bearer {
        Bearer::Token(token) if token.target() == target.name() => Ok(()),
        Bearer::Token(_) => Err(Stop::Target),
        Bearer::Account(_) if bearer.namespace() == target.namespace() => Ok(()),
        Bearer::Account(_) => Err(Stop::Namespace),
    }
}

impl Stop {
    /// A stable name of the reason.
    fn code(&self) -> &'static str {
        match self {
            Self::Limited(limited) => limited.reason(),
            Self::Token(not_good) => not_good.code(),
            Self::Target => "admin_target",
            Self::Namespace => "admin_namespace",
            Self::NoTarget => "admin_target_missing",
            Self::NotAllowed(_) => "acl_denied",
            Self::Audit(_) => "audit_unavailable",
        }
    }

    /// What the caller learns.
    fn class(&self) -> NotPermittedClass {
        match self {
            Self::Limited(limited) => NotPermittedClass::TooMany(limited.state),
            Self::Token(not_good) if not_good.may_pass() => NotPermittedClass::Unavailable,
            Self::Token(_) => NotPermittedClass::Token,
            Self::Target | Self::Namespace | Self::NotAllowed(_) => NotPermittedClass::Forbidden,
            Self::NoTarget | Self::Audit(_) => NotPermittedClass::Unavailable,
        }
    }
}
