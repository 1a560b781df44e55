//! The administration over HTTP (`/api/admin/v1`): service accounts and their tokens, what trusts whom, what was decided.
//!
//! Decides how a request is read and how an answer is said. Refuses to know who may do what: [`crate::exchange::Administration`]
//! does, by access documents, and records every action with what was and what is. Off where the configuration names no target.

mod accounts;
mod approvals;
mod call;
mod decisions;
mod lookup;
mod refusal;
mod revocations;
mod search;
mod self_rotation;
mod tokens;
mod trust;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::{any, get, post};
use serde_json::Value;

use self::refusal::Refusal;
use crate::audit::Decisions;
use crate::exchange::Counter;
use crate::http::rest::answer;
use crate::http::rest::problem::{Kind, Problem};
use crate::identity::{DecisionId, TargetName};
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
    router.method_not_allowed_fallback(not_allowed).with_state(admin)
}

fn endpoints() -> Router<Admin> {
    let at = |path: &str| format!("{}{path}", call::BASE);
    Router::new()
        .route(&at("/service-accounts"), get(accounts::list).post(accounts::create))
        .route(&at("/service-accounts/{account}"), get(accounts::show).patch(accounts::update).delete(accounts::delete))
        .route(&at("/service-accounts/{account}/disable"), post(accounts::disable))
        .route(&at("/service-accounts/{account}/enable"), post(accounts::enable))
        .route(&at("/service-accounts/{account}/approve"), post(approvals::approve))
        .route(&at("/service-accounts/{account}/refuse"), post(approvals::refuse))
        .route(&at("/service-accounts/{account}/tokens"), get(tokens::list).post(tokens::issue))
        .route(&at("/service-accounts/{account}/tokens/{token}"), get(tokens::show).delete(tokens::revoke))
        .route(&at("/service-accounts/{account}/tokens/{token}/rotate"), post(tokens::rotate))
        .route(&at("/tokens/search"), post(search::search))
        .route(&at("/grants"), get(accounts::pending))
        .route(&at("/bindings"), get(trust::bindings))
        .route(&at("/issuers"), get(trust::issuers))
        .route(&at("/issuers/{name}/refresh"), post(trust::refresh))
        .route(&at("/targets"), get(trust::targets))
        .route(&at("/decisions"), get(decisions::list))
        .route(&at("/decisions/{id}"), get(decisions::show))
        .route(&at("/revocations"), post(revocations::revoke))
        .route(&at("/{*path}"), any(nowhere))
}

/// An answer with a body.
fn told(decision: DecisionId, status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = answer::json(decision, body);
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

/// An answer without one.
fn nothing(decision: DecisionId) -> Response<Body> {
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
