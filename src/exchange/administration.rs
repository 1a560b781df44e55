//! What an administrator asks for, step by step; the third use case of the engine. cambio protects itself as it protects
//! anything else: an administrator has a token for a target of the policies, or is a service account in that target's namespace,
//! and access documents say what it may do.
//!
//! Decides in this order: is the token good, is it for this counter's administration; once the body is there, all of that again,
//! is the action allowed at its path, can it be recorded. Refuses to know what an action does: whoever carries it out holds a [`Permitted`], which ends as one record
//! with what was and what is.
//!
//! ```text
//! Administration --identify--> Administrator --permit--> Permitted --done | not_done--> one record
//! ```

mod asked;
mod permitted;
mod stop;

use std::sync::Arc;
use std::time::Instant;

pub use permitted::Permitted;

use serde_json::{Map, Value};

use zeroize::Zeroizing;

use super::bearer::Bearer;
use super::counter::Counter;
use super::outcome::{Recorded, Source};
use super::rules::Rules;
use crate::audit::{Outcome, Trail};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, Namespace, TargetName};
use crate::limits::{Passage, State};
use crate::secrets::acl::Capability;
use asked::{Asked, is_for};
use stop::Stop;

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
    token: Zeroizing<String>,
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
    /// The decision, and how the caller's budgets stand.
    pub recorded: Recorded,
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
    /// Who asks: before a body is read, which anybody can send.
    ///
    /// # Errors
    /// [`NotPermitted`], on record.
    pub async fn identify(mut self, token: &str) -> Result<Administrator<'a>, NotPermitted> {
        let (passage, trail) = (&mut self.passage, &mut self.trail);
        let bearer = match self.counter.bearer_within_budgets(passage, trail, token, self.now).await {
            Ok(Ok(bearer)) => bearer,
            Ok(Err(not_good)) => return Err(self.stopped(&not_good.into())),
            Err(limited) => return Err(self.stopped(&limited.into())),
        };
        bearer.note(&mut self.trail);
        let rules = self.counter.rules();
        match is_for(&bearer, self.target, &rules) {
            Ok(()) => Ok(Administrator { begun: self, token: Zeroizing::new(token.to_owned()), bearer, rules }),
            Err(stop) => Err(self.stopped(&stop)),
        }
    }

    /// Ends a request that its surface could not read: `code` is a stable word for the record. It is charged as a failure, as
    /// nobody has shown a good token yet.
    #[must_use]
    pub fn malformed(mut self, code: &'static str, detail: impl ToString) -> Recorded {
        match self.counter.limiter().failed(&mut self.passage, None, self.now) {
            Ok(()) => self.close(Outcome::Denied { reason: code, detail: Some(detail.to_string()) }),
            // It is said to be malformed all the same, which costs nothing; a flood of it leaves few records.
            Err(limited) => {
                let recorded = self.recorded();
                self.counter.record_limited(self.trail, &limited, self.now, self.began.elapsed());
                recorded
            }
        }
    }

    fn stopped(self, stop: &Stop) -> NotPermitted {
        let (reason, class, recorded) = (stop.code(), stop.class(), self.recorded());
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
        NotPermitted { recorded, class }
    }

    fn close(self, outcome: Outcome<'_>) -> Recorded {
        let (took, recorded) = (self.began.elapsed(), self.recorded());
        self.trail.close(outcome, took);
        recorded
    }

    fn recorded(&self) -> Recorded {
        Recorded { decision: self.id, budget: self.passage.tightest() }
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

    /// Whether its access documents allow `action`, and there is room for its record. Who asks was found out before the body
    /// came, which may have taken its time: what its token is good for now is what counts.
    ///
    /// # Errors
    /// [`NotPermitted`], on record.
    pub async fn permit(mut self, action: Action<'_>) -> Result<Permitted<'a>, NotPermitted> {
        let path = [ADMIN_PATHS, action.path].concat();
        self.begun.trail.acts(action.name, action.path);
        match self.allowed(&path, action).await {
            Ok(()) => Ok(Permitted { admin: self, path }),
            Err(stop) => Err(self.begun.stopped(&stop)),
        }
    }

    async fn allowed(&mut self, path: &str, action: Action<'_>) -> Result<(), Stop> {
        let begun = &mut self.begun;
        begun.now = begun.counter.clock().now();
        self.bearer = begun.counter.bearer_on(&mut begun.trail, &self.token).await?;
        self.rules = begun.counter.rules();
        is_for(&self.bearer, begun.target, &self.rules)?;
        self.asked(path, action.needs, action.body).allows().await?;
        // Room for the record first: nothing is done that cannot be accounted for.
        Ok(self.begun.trail.admit()?)
    }

    /// Ends a request whose body could not be read. It was charged to the subject.
    #[must_use]
    pub fn malformed(self, code: &'static str, detail: impl ToString) -> Recorded {
        self.begun.close(Outcome::Denied { reason: code, detail: Some(detail.to_string()) })
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
