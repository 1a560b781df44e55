//! What every answer of the REST surface has: it names its decision, nobody keeps it, and nobody takes it for another type.

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::problem::{Kind, Problem};
use crate::identity::DecisionId;

/// The response header that names the decision.
const DECISION: HeaderName = HeaderName::from_static("cambio-decision");

/// JSON.
pub(in crate::http) fn json(decision: DecisionId, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(text) => named(bare(StatusCode::OK, "application/json", text), decision),
        Err(_) => Problem::from(Kind::Fault).response(decision),
    }
}

/// An answer without the decision's name; `media_type` is one of ours.
pub(in crate::http) fn bare(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A value is whatever its writer wrote: no browser is to find a page in it.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The last step of every answer that has a decision. What every answer says besides, such as limits, belongs here.
pub(in crate::http) fn named(mut response: Response<Body>, decision: DecisionId) -> Response<Body> {
    if let Ok(value) = HeaderValue::try_from(decision.to_string()) {
        response.headers_mut().insert(DECISION, value);
    }
    response
}

/// Puts a header into an answer; one that can't be is left out.
pub(in crate::http) fn put(response: &mut Response<Body>, name: &'static str, value: impl ToString) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
