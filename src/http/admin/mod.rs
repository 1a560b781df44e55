//! The administration over HTTP (`/api/admin/v1`): service accounts and their tokens, what trusts whom, what was decided.
//!
//! Decides how a request is read and how an answer is said. Refuses to know who may do what: [`crate::exchange::Administration`]
//! does, by access documents, and records every action with what was and what is. Off where the configuration names no target.

mod accounts;
mod approvals;
mod call;
mod decisions;
mod endpoint;
mod finishing;
mod lookup;
mod openapi;
mod refusal;
mod revocations;
mod search;
mod self_rotation;
mod tokens;
mod trust;
mod uses;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::{any, get};
use serde_json::Value;

use self::refusal::Refusal;
use crate::audit::Decisions;
use crate::exchange::Counter;
use crate::http::rest::answer::{self, Decided};
use crate::http::rest::problem::{Kind, Problem};
use crate::identity::TargetName;
pub use openapi::document;
pub use self_rotation::{SelfRotation, router as self_rotation};

/// What the administration stands on.
#[derive(Clone)]
pub struct Admin {
    /// The engine.
    pub counter: Arc<Counter>,
    /// The target that a token of an administrator is for.
    pub target: TargetName,
    /// Decisions in the store, where they are kept.
    pub decisions: Option<Decisions>,
}

/// What comes of a request.
type Ended = Result<Response<Body>, Refusal>;

/// The routes of the administration: at the root, and under our issuer's path.
pub fn router(admin: Admin) -> Router {
    let path = admin.counter.issuer().path().to_owned();
    let mut router = endpoints();
    if !path.is_empty() {
        router = router.nest(&path, endpoints());
    }
    finishing::to_their_end(router.method_not_allowed_fallback(not_allowed)).with_state(admin)
}

fn endpoints() -> Router<Admin> {
    let mut router = Router::new();
    for endpoint in endpoint::all() {
        router = router.route(&[call::BASE, endpoint.path].concat(), endpoint.handler);
    }
    router
        .route(&[call::BASE, "/openapi.json"].concat(), get(openapi))
        .route(&[call::BASE, "/{*path}"].concat(), any(nowhere))
}

/// Describes this API; nothing of it is secret.
async fn openapi() -> Response<Body> {
    answer::bare(StatusCode::OK, "application/json", document().unwrap_or_default())
}

/// An answer with a body.
fn told(decision: impl Into<Decided>, status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = answer::json(decision, body);
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

/// An answer without one.
fn nothing(decision: impl Into<Decided>) -> Response<Body> {
    let mut response = answer::named(answer::bare(StatusCode::NO_CONTENT, "application/json", Vec::new()), decision);
    response.headers_mut().remove(axum::http::header::CONTENT_TYPE);
    response
}

fn ended(ended: Ended) -> Response<Body> {
    ended.unwrap_or_else(Refusal::response)
}

/// Whoever asks learns that there is nothing, and needs no token for it: the paths are in the documentation.
async fn nowhere(State(admin): State<Admin>, ConnectInfo(_): ConnectInfo<SocketAddr>, _: Request) -> Response<Body> {
    Problem::from(Kind::NoSuchResource).response(admin.counter.request_id())
}

async fn not_allowed(State(admin): State<Admin>) -> Response<Body> {
    Problem::from(Kind::MethodNotAllowed).response(admin.counter.request_id())
}
