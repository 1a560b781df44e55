//! `POST .../secrets/values`: several values at once. Each item is a read of its own, with its own decision and record: what
//! is refused of one is not seen in the others.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Response, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, Type};
use zeroize::Zeroizing;

use super::accept::Form;
use super::answer::{Decided, json};
use super::found::{self, Version};
use super::problem::{Kind, Problem, ProblemDetails};
use super::request::{Place, RestRequest, Unread};
use super::value::SecretValue;
use super::{Rest, etag, read, refused};
use crate::exchange::{Counter, Source, Tenant};
use crate::http::body;
use crate::jose;
use crate::secrets::{SecretPath, Verb};

/// The most names at once.
const MAX_NAMES: usize = 100;
/// How many are read at the same time: a store may be far away.
const AT_ONCE: usize = 8;
/// The most that the values of one answer have together, in bytes.
const MAX_VALUES: usize = 4 * 1024 * 1024;

/// Which values.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"names": ["DB_PASSWORD", "db/replica"]}))]
pub(super) struct Names {
    /// Names of secrets, each once. One that is no name is refused by itself.
    #[schema(schema_with = of_names)]
    names: Vec<String>,
}

fn of_names() -> Array {
    let name = Object::with_type(Type::String);
    ArrayBuilder::new().items(name).unique_items(true).min_items(Some(1)).max_items(Some(MAX_NAMES)).build()
}

/// What came of each.
#[derive(Serialize, ToSchema)]
pub(super) struct Values<'a> {
    /// In the order of the names that were asked for.
    values: Vec<Item<'a>>,
}

/// What came of one.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Item<'a> {
    /// A value.
    Read(ReadItem<'a>),
    /// None.
    Refused(RefusedItem<'a>),
}

/// A value.
#[derive(Serialize, ToSchema)]
struct ReadItem<'a> {
    /// 200.
    #[schema(minimum = 200, maximum = 200)]
    status: u16,
    /// The decision about this item.
    decision: String,
    /// As in the answer that has this value alone.
    etag: String,
    #[serde(flatten)]
    value: SecretValue<'a>,
}

/// A value that was not read.
#[derive(Serialize, ToSchema)]
struct RefusedItem<'a> {
    /// The status of the answer that would have this item alone.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The decision about this item.
    decision: String,
    /// The name, as it was asked for.
    name: &'a str,
    /// Why, as far as it is told.
    problem: ProblemDetails,
}

/// Reads several values at once.
///
/// The answer is 200 whatever came of the items; each has the status that it would have alone. Values beyond 4 MiB together
/// are left out with 413, to be read alone.
#[utoipa::path(
    post,
    path = "/api/v4/projects/{id}/secrets/values",
    operation_id = "readProjectSecretValues",
    tag = "projects",
    params(("id" = String, Path, min_length = 1, max_length = 255, pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", example = "123",
        description = "The number of the project or group, or its URL-encoded path (`acme%2Fweb`).")),
    request_body = Names,
    responses(
        (status = 200, description = "What came of each.", body = Values),
        (status = 408, description = "The body did not arrive in time.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`.", body = ProblemDetails,
            content_type = "application/problem+json")
    )
)]
pub(super) async fn values(
    State(rest): State<Rest>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let rules = rest.counter.rules();
    let asked = match RestRequest::read(&head, &rules, &[]) {
        Ok(asked) => asked,
        Err(unread) => return refused(&rest, peer, unread),
    };
    let names = match names(&head.headers, body).await {
        Ok(names) => names,
        Err(unread) => return refused(&rest, peer, unread),
    };
    let bulk = Bulk { counter: Arc::clone(&rest.counter), source: rest.source(peer), asked: Arc::new(asked) };
    let (decision, read) = match bulk.read(&names).await {
        Ok(read) => {
            // The last read has seen what all of them took.
            let budget = read.last().and_then(|(last, _)| last.budget);
            (Decided { id: rest.counter.request_id(), budget }, read)
        }
        Err((decision, problem)) => return problem.response(decision),
    };
    let tenant = bulk.asked.tenant.as_deref();
    let values = names.iter().zip(&read).map(|(name, read)| item(name, read, &bulk.asked, tenant)).collect();
    json(decision, &Values { values })
}

/// What came of a read.
type Outcome = (Decided, Result<Version, Problem>);

/// The reads of one request.
struct Bulk {
    counter: Arc<Counter>,
    source: Source,
    asked: Arc<RestRequest>,
}

impl Bulk {
    /// Reads all of `names`, in their order; or says why nobody who has that token reads any. The first goes alone: a token
    /// that is not good is found out once.
    async fn read(&self, names: &[String]) -> Result<Vec<Outcome>, (Decided, Problem)> {
        let mut read: Vec<Outcome> = Vec::with_capacity(names.len());
        let mut size = 0_usize;
        let (first, others) = names.split_at(1.min(names.len()));
        for chunk in std::iter::once(first).chain(others.chunks(AT_ONCE)) {
            for (decision, outcome) in self.at_once(chunk).await {
                let outcome = outcome.and_then(|version| {
                    size = size.saturating_add(version.data.len());
                    let fits = size <= MAX_VALUES;
                    if fits { Ok(version) } else { Err(Kind::TooLarge.into()) }
                });
                match outcome {
                    Err(problem) if matches!(problem.kind, Kind::NoToken | Kind::BadToken) => {
                        return Err((decision, problem));
                    }
                    outcome => read.push((decision, outcome)),
                }
            }
        }
        Ok(read)
    }

    async fn at_once(&self, names: &[String]) -> Vec<Outcome> {
        let mut reads = JoinSet::new();
        for (index, name) in names.iter().enumerate() {
            let (counter, source, asked) = (Arc::clone(&self.counter), self.source, Arc::clone(&self.asked));
            let name = name.clone();
            reads.spawn(async move { (index, one(&counter, source, &asked, &name).await) });
        }
        let mut read = reads.join_all().await;
        read.sort_by_key(|(index, _)| *index);
        read.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

async fn one(counter: &Counter, source: Source, asked: &RestRequest, name: &str) -> Outcome {
    if let Err(fault) = SecretPath::new(name) {
        let decision = counter.access(source).malformed("name_malformed", fault);
        return (decision.into(), Err(Problem::bad_request(fault.to_string())));
    }
    let place = asked.place("data", name);
    let (decision, answer) = read::read(counter, source, &asked.token, Verb::Read, &place, None).await;
    (decision, answer.and_then(found::version))
}

fn item<'a>(name: &'a str, (decision, read): &'a Outcome, asked: &RestRequest, tenant: Option<&Tenant>) -> Item<'a> {
    let refused = |problem: &Problem| {
        let problem = problem.details(decision.id);
        Item::Refused(RefusedItem { status: problem.status(), decision: decision.id.to_string(), name, problem })
    };
    match (read, tenant) {
        (Ok(version), Some(tenant)) => {
            let place: Place = asked.place("data", name);
            Item::Read(ReadItem {
                status: 200,
                decision: decision.id.to_string(),
                etag: etag::of(&place, tenant, version, Form::Json),
                value: SecretValue::of(name, version, &tenant.field),
            })
        }
        (Ok(_), None) => refused(&Kind::NotFound.into()),
        (Err(problem), _) => refused(problem),
    }
}

/// The names that the body has.
async fn names(headers: &HeaderMap, body: Body) -> Result<Vec<String>, Unread> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        body::discard(body).await;
        return Err(Unread { code: "content_type", problem: Kind::UnsupportedMediaType.into() });
    }
    let unread = |error| Unread { code: "body_unreadable", problem: Problem::unread(error) };
    let bytes = Zeroizing::new(body::read(body).await.map_err(unread)?.to_vec());
    let malformed = || Unread::new("body_malformed", "the body is `{\"names\": [...]}`, 1 to 100 names, each once");
    let members = jose::parse_object(&bytes).map_err(|_| malformed())?;
    let Names { names } = serde_json::from_value(Value::Object(members)).map_err(|_| malformed())?;
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == names.len() && (1..=MAX_NAMES).contains(&names.len()) { Ok(names) } else { Err(malformed()) }
}
