//! One request for a secret, step by step; the second use case of the engine.
//!
//! Decides in this order: is the token good, is the path in its namespace, which mount, is it allowed, can it be recorded.
//! A read that is refused and one of what is not there end alike, after the same work: whoever asks learns nothing about
//! access documents, and whoever operates finds the reason in the record.

mod stop;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bearer::Bearer;
use super::counter::Counter;
use super::naming::{Naming, joined};
use super::outcome::Source;
use super::rules::Rules;
use crate::audit::{Outcome, Trail};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, Namespace};
use crate::limits::{Passage, State};
use crate::secrets::openbao::{Caller, OpenBaoStore, Upstream, UpstreamAnswer, UpstreamError};
use crate::secrets::{ApiCall, Authorized, KvAnswer, KvCall, KvError, Mount, Shape, Store, Verb, pretend};
use stop::Stop;

/// A request for a secret that has begun: it has an id and a trail, and ends as exactly one record.
pub struct Access<'a> {
    counter: &'a Counter,
    trail: Trail,
    passage: Passage,
    id: DecisionId,
    now: Timestamp,
    began: Instant,
    /// What became of whoever asks, where that was asked before its body was read.
    early: Option<Result<(), Stop>>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The caller's secrets token, as it came.
    pub token: &'a str,
    /// The namespace that the request names beside its path, without slashes at its ends; empty for none.
    pub namespace: &'a str,
    /// How that is meant.
    pub naming: Naming,
    /// The path, decoded once: namespace, mount and the path in the mount. A namespace may be left out here and there:
    /// a token opens no other than its own.
    pub path: &'a str,
    /// What is to be done, its query and body; its `path` counts for nothing.
    pub call: ApiCall<'a>,
    /// The query as it came, for an upstream.
    pub query: &'a str,
}

/// A request that was served.
#[derive(Debug)]
pub struct Served {
    /// The decision's id.
    pub decision: DecisionId,
    /// The answer.
    pub answer: ServedAnswer,
    /// Members of the body that were ignored.
    pub ignored: Vec<String>,
    /// The budget that has the smallest part left; none where there are no limits.
    pub budget: Option<State>,
}

/// What a store answered.
#[derive(Debug)]
pub enum ServedAnswer {
    /// A store of ours.
    Kv(KvAnswer, Shape),
    /// An OpenBao, to the caller.
    Upstream(UpstreamAnswer),
}

/// A request that was not served. The reason is in the audit record; the caller learns the class.
#[derive(Debug)]
pub struct NotServed {
    /// The decision's id.
    pub decision: DecisionId,
    /// The class.
    pub class: NotServedClass,
    /// As [`Served::budget`].
    pub budget: Option<State>,
}

/// As much of a refusal as a caller may learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotServedClass {
    /// The token is not good.
    Token,
    /// A read of what is not there, or not for this caller.
    NotThere,
    /// A change that is not for this caller.
    Denied,
    /// The request can't be done, whoever asks.
    Request(String),
    /// There is no such path in the API.
    UnsupportedPath,
    /// The path does not do that.
    UnsupportedOperation,
    /// A budget is empty; it says which, and when to try again.
    TooMany(State),
    /// An upstream has had enough for now. Worth another try after that time.
    UpstreamBusy(Duration),
    /// The store can't answer now. Worth another try after that time.
    Unavailable(Duration),
    /// A fault of cambio's own, or of what is stored.
    Fault,
}

impl Counter {
    /// Begins a request for a secret. Whatever becomes of it, it leaves one record.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "measures latency; decides nothing")]
    pub fn access(&self, source: Source) -> Access<'_> {
        let now = self.clock().now();
        let id = self.decision_id(now);
        let trail = Trail::begin(self.journal(), id, now, source.surface, Some(source.address));
        let passage = Passage::from(source.address);
        Access { counter: self, trail, passage, id, now, began: Instant::now(), early: None }
    }
}

impl Access<'_> {
    /// Whether whoever asks has a good token, within its budgets: before a large body is read, which anybody can send.
    pub async fn recognises(&mut self, verb: Verb, (namespace, path): (&str, &str), token: &str) -> bool {
        self.trail.secret(word(verb), &joined(namespace, path));
        let early = self.within_budgets(token).await.map(drop);
        self.early.insert(early).is_ok()
    }

    /// Serves what is asked, or not.
    ///
    /// # Errors
    /// [`NotServed`] says as much as the caller may learn.
    pub async fn serve(mut self, ask: Ask<'_>) -> Result<Served, NotServed> {
        let reads = matches!(ask.call.verb, Verb::Read | Verb::List | Verb::Scan);
        self.trail.secret(word(ask.call.verb), &joined(ask.namespace, ask.path));
        let bearer = match self.early.take() {
            None => self.within_budgets(ask.token).await,
            // A body may take its time: whose token was good when it began to come may have lost it since.
            Some(Ok(())) => {
                self.now = self.counter.clock().now();
                self.counter.bearer_on(&mut self.trail, ask.token).await.map_err(Stop::from)
            }
            Some(Err(stop)) => Err(stop),
        };
        let rules = self.counter.rules();
        let ended = match bearer {
            Ok(bearer) => self.steps(&rules, bearer, ask).await,
            Err(stop) => Err(stop),
        };
        let budget = self.passage.tightest();
        let took = self.began.elapsed();
        match ended {
            Ok((answer, ignored)) => {
                self.counter.tally().secret(word(ask.call.verb), "served");
                self.trail.close(Outcome::Served, took);
                Ok(Served { decision: self.id, answer, ignored, budget })
            }
            Err(stop) => {
                let (reason, detail, class) = (stop.code(), Some(stop.to_string()), stop.class(reads));
                let failed = matches!(class, NotServedClass::Unavailable(_) | NotServedClass::Fault);
                self.counter.tally().secret(word(ask.call.verb), if failed { "failed" } else { "denied" });
                let outcome =
                    if failed { Outcome::Failed { reason, detail } } else { Outcome::Denied { reason, detail } };
                match stop {
                    Stop::Limited(limited) => self.counter.record_limited(self.trail, &limited, self.now, took),
                    _ => self.trail.close(outcome, took),
                }
                Err(NotServed { decision: self.id, class, budget })
            }
        }
    }

    /// Ends a request that its surface could not read: `code` is a stable word for the record, `detail` says what is wrong,
    /// and quotes nothing of the request.
    #[must_use]
    pub fn malformed(mut self, code: &'static str, detail: impl ToString) -> DecisionId {
        let took = self.began.elapsed();
        // Whoever has a good token is charged as a subject.
        let good = matches!(self.early, Some(Ok(())));
        match if good { Ok(()) } else { self.counter.limiter().failed(&mut self.passage, None, self.now) } {
            Ok(()) => self.trail.close(Outcome::Denied { reason: code, detail: Some(detail.to_string()) }, took),
            // It is said to be malformed all the same, which costs nothing; a flood of it leaves few records.
            Err(limited) => self.counter.record_limited(self.trail, &limited, self.now, took),
        }
        self.id
    }

    async fn within_budgets(&mut self, token: &str) -> Result<Bearer, Stop> {
        let (passage, trail) = (&mut self.passage, &mut self.trail);
        Ok(self.counter.bearer_within_budgets(passage, trail, token, self.now).await??)
    }

    async fn steps(
        &mut self,
        rules: &Arc<Rules>,
        bearer: Bearer,
        ask: Ask<'_>,
    ) -> Result<(ServedAnswer, Vec<String>), Stop> {
        bearer.note(&mut self.trail);
        if let Bearer::Token(token) = &bearer {
            self.trail.asked(token.target().as_str());
        }
        let namespace = bearer.namespace();
        if let Some(namespace) = namespace {
            self.trail.namespace(namespace.as_str());
        }
        let path = ask.naming.path(namespace, ask.namespace, ask.path);
        let path = path.ok_or(if ask.naming == Naming::Unknown { Stop::Unknown } else { Stop::Namespace })?;
        let (mount, rest) = self.counter.mounts().find(namespace, &path).ok_or(Stop::NoMount)?;
        let call = ApiCall { path: rest, ..ask.call };
        let places = self.counter.places();
        if let Store::OpenBao(store) = &mount.store {
            // Room for the record first, here and below: nothing is read that cannot be accounted for. And a place before that,
            // so that a store which is slow does not have all the room there is.
            let _place = places.at(&mount.store).map_err(UpstreamError::from)?;
            self.trail.admit()?;
            let upstream =
                Upstream { verb: call.verb, mount: mount.path.as_str(), path: rest, query: ask.query, body: call.body };
            let answer = self.forwarded(rules, store, bearer, ask.token, upstream).await?;
            return Ok((ServedAnswer::Upstream(answer), vec![]));
        }
        let call_of_api = KvCall::read(mount.version, call)?;
        // Whether it is allowed or not: that there is none must not tell them apart.
        let _place = places.at(&mount.store).map_err(KvError::from)?;
        self.trail.secret(call_of_api.operation(), &joined(namespace.map_or("", Namespace::as_str), &path));
        let standing = self.counter.standing(&bearer).await?;
        let acl = standing.acl(rules);
        let allowed = match Authorized::check(&acl, mount, call_of_api, call.body, self.now) {
            Ok(allowed) => allowed,
            Err(refused) => {
                let (denied, call) = *refused;
                return Err(self.refused(mount, namespace, denied.to_string(), &call).await);
            }
        };
        self.trail.admit()?;
        let answer = allowed.run(mount, namespace, self.now).await?;
        let call = allowed.into_call();
        Ok((ServedAnswer::Kv(answer, call.shape), call.ignored))
    }

    /// An OpenBao is asked as the caller: with the caller's own token, or with one that is minted for its service account.
    async fn forwarded(
        &mut self,
        rules: &Rules,
        store: &OpenBaoStore,
        bearer: Bearer,
        token: &str,
        upstream: Upstream<'_>,
    ) -> Result<UpstreamAnswer, Stop> {
        let namespace = bearer.namespace().cloned();
        let namespace = namespace.as_ref();
        match bearer {
            // An OpenBao that had it could administer cambio with it.
            Bearer::Token(own) if self.counter.is_for_administrators(own.target()) => Err(Stop::Administrators),
            Bearer::Token(own) => {
                let caller = Caller { token, token_id: own.jti(), expires: own.expires_at(), namespace };
                Ok(store.forward(caller, upstream, self.now).await?)
            }
            Bearer::Account(account) => {
                let minted = self.counter.upstream_token(rules, account, self.id, self.now)?;
                let (token_id, expires) = (minted.jti(), minted.expires_at());
                let caller = Caller { token: minted.token(), token_id, expires, namespace };
                Ok(store.forward(caller, upstream, self.now).await?)
            }
        }
    }

    /// A refused read does the work of another.
    async fn refused(&mut self, mount: &Mount, namespace: Option<&Namespace>, denied: String, call: &KvCall) -> Stop {
        pretend(mount, namespace, call, self.now).await;
        Stop::NotAllowed(denied)
    }
}

/// What is asked, as a word for records and metrics, before it is known more exactly.
fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Read => "read",
        Verb::List => "list",
        Verb::Scan => "scan",
        Verb::Write => "write",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
    }
}
