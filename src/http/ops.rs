//! What the platform team asks: alive, ready, and the numbers. Served on a listener of its own.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;

/// Whether the server can do its work, and what is wrong where not everything is well.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Readiness {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// Each part's state, in words for the operator.
    pub checks: Vec<Check>,
}

/// The state of one part.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Check {
    /// The part.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong, or worth knowing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Where the answers come from; the composition root fills them in.
#[derive(Clone)]
pub struct Ops {
    /// Says whether the server is ready.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Writes the metrics in the OpenMetrics text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// The routes for the platform team.
pub fn router(ops: Ops) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(ops)
}

async fn readyz(State(ops): State<Ops>) -> Response<Body> {
    let readiness = (ops.readiness)();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_string(&readiness).unwrap_or_default();
    answer(status, "application/json", body)
}

async fn metrics(State(ops): State<Ops>) -> Response<Body> {
    answer(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", (ops.metrics)())
}

fn answer(status: StatusCode, media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
