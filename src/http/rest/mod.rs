//! The REST surface: values of secrets for applications, in the shape of GitLab's API (`/api/v4`).
//!
//! Decides how a request is read and how an answer is said. Refuses to know why: every read is an access
//! ([`crate::exchange::Access`]), every token to log in with an exchange ([`crate::exchange::Walk`]), recorded like any
//! other. Whoever reads has a secrets token of ours; what is not there and what is not for the caller are one answer.
//!
//! ```text
//! RestRequest -> Place -> read (the engine) -> found -> value | metadata | list | bulk, or a Problem
//! ```

mod accept;
mod access_token;
pub(super) mod answer;
mod bulk;
mod etag;
mod found;
mod list;
mod metadata;
mod openapi;
pub(super) mod problem;
mod read;
pub(super) mod request;
mod value;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::{any, get, post};

use crate::audit::Surface;
use crate::exchange::{Counter, Source};
pub use openapi::document;
use problem::{Kind, Problem};
use request::Unread;

/// What the REST surface stands on.
#[derive(Clone)]
pub struct Rest {
    /// The engine.
    pub counter: Arc<Counter>,
}

/// The routes of the REST surface: at the root, for a proxy that takes our issuer's path off, and under that path, for one
/// that does not.
pub fn router(rest: Rest) -> Router {
    let path = rest.counter.issuer().path().to_owned();
    let mut router = endpoints();
    if !path.is_empty() {
        router = router.nest(&path, endpoints());
    }
    router.method_not_allowed_fallback(not_allowed).with_state(rest)
}

fn endpoints() -> Router<Rest> {
    let of = |router: Router<Rest>, kind: &str| {
        router
            .route(&format!("/api/v4/{kind}/{{id}}/secrets"), get(list::list))
            .route(&format!("/api/v4/{kind}/{{id}}/secrets/values"), get(metadata::metadata).post(bulk::values))
            .route(&format!("/api/v4/{kind}/{{id}}/secrets/{{name}}"), get(metadata::metadata))
            .route(&format!("/api/v4/{kind}/{{id}}/secrets/{{name}}/value"), get(value::value))
            .route(&format!("/api/v4/{kind}/{{id}}/secrets_manager/access_token"), post(access_token::access_token))
    };
    let router = of(of(Router::new(), "projects"), "groups");
    router.route("/api/v4/openapi.json", get(openapi)).route("/api/v4/{*path}", any(nowhere))
}

impl Rest {
    fn source(&self, peer: SocketAddr) -> Source {
        Source { surface: Surface::Rest, address: peer.ip() }
    }
}

/// The answer to a request that could not be read, which leaves a record as well.
fn refused(rest: &Rest, peer: SocketAddr, unread: Unread) -> Response<Body> {
    let Unread { code, problem } = unread;
    let detail = problem.detail.clone().unwrap_or_default();
    let decision = rest.counter.access(rest.source(peer)).malformed(code, detail);
    problem.response(decision)
}

async fn nowhere(State(rest): State<Rest>) -> Response<Body> {
    Problem::from(Kind::NoSuchResource).response(rest.counter.request_id())
}

async fn not_allowed(State(rest): State<Rest>) -> Response<Body> {
    Problem::from(Kind::MethodNotAllowed).response(rest.counter.request_id())
}

/// Describes this API.
async fn openapi() -> Response<Body> {
    answer::bare(StatusCode::OK, "application/json", openapi::text())
}
