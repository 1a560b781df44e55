//! What every answer of the REST surface has: it names its decision, nobody keeps it, and nobody takes it for another type.

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::problem::{Kind, Problem};
use crate::exchange::Recorded;
use crate::http::budget;
use crate::identity::DecisionId;
use crate::limits::State;

/// The response header that names the decision.
const DECISION: HeaderName = HeaderName::from_static("cambio-decision");

/// What came of a request for every answer to tell: its decision, and how the caller's budget stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Decided {
    pub(in crate::http) id: DecisionId,
    pub(in crate::http) budget: Option<State>,
}

impl From<DecisionId> for Decided {
    /// Of a request that no budget was asked about.
    fn from(id: DecisionId) -> Self {
        Self { id, budget: None }
    }
}

impl From<Recorded> for Decided {
    fn from(Recorded { decision: id, budget }: Recorded) -> Self {
        Self { id, budget }
    }
}

/// JSON.
pub(in crate::http) fn json(decision: impl Into<Decided>, value: &impl Serialize) -> Response<Body> {
    let decision = decision.into();
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

/// The last step of every answer that has a decision: what every answer says besides.
pub(in crate::http) fn named(mut response: Response<Body>, decision: impl Into<Decided>) -> Response<Body> {
    let Decided { id, budget } = decision.into();
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(DECISION, value);
    }
    budget::tell(&mut response, budget);
    response
}

/// Puts a header into an answer; one that can't be is left out.
pub(in crate::http) fn put(response: &mut Response<Body>, name: &'static str, value: impl ToString) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
