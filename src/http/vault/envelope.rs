//! Answers of the Vault surface: every member of the envelope, whatever the strictest client wants to find, and never kept
//! by anybody.

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::exchange::RefusedClass;
use crate::http::budget;
use crate::identity::DecisionId;
use crate::limits::State;

/// The response header that names the decision.
const DECISION: HeaderName = HeaderName::from_static("cambio-decision");

/// An answer before it has its envelope.
pub(super) struct Envelope<'a> {
    /// Names the request.
    pub(super) request: DecisionId,
    /// JSON.
    pub(super) data: &'a [u8],
    /// Of a login.
    pub(super) auth: Option<Value>,
    /// In place of everything, for whoever unwraps it.
    pub(super) wrap_info: Option<Value>,
    /// What the caller should know besides.
    pub(super) warnings: Vec<String>,
    /// In seconds.
    pub(super) lease_duration: u64,
}

impl<'a> Envelope<'a> {
    /// Of an answer with that data.
    pub(super) fn of(request: DecisionId, data: &'a [u8]) -> Self {
        Self { request, data, auth: None, wrap_info: None, warnings: vec![], lease_duration: 0 }
    }

    /// The text. `data` is taken as it is: a value is not parsed once more.
    pub(super) fn text(&self) -> Vec<u8> {
        let or_null = |value: &Option<Value>| value.as_ref().map_or_else(|| "null".to_owned(), Value::to_string);
        let warnings = if self.warnings.is_empty() { Value::Null } else { json!(self.warnings) };
        let (request, lease) = (self.request, self.lease_duration);
        let mut text = Vec::with_capacity(self.data.len() + 512);
        text.extend_from_slice(
            format!(r#"{{"request_id":"{request}","lease_id":"","renewable":false,"lease_duration":{lease},"data":"#)
                .as_bytes(),
        );
        text.extend_from_slice(self.data);
        text.extend_from_slice(br#","wrap_info":"#);
        text.extend_from_slice(or_null(&self.wrap_info).as_bytes());
        text.extend_from_slice(format!(r#","warnings":{warnings},"auth":"#).as_bytes());
        text.extend_from_slice(or_null(&self.auth).as_bytes());
        text.push(b'}');
        text
    }

    /// The response.
    pub(super) fn response(&self, status: StatusCode) -> Response<Body> {
        decided(json_response(status, self.text()), self.request)
    }
}

/// A request that is not answered with what it asked for.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The status.
    pub(super) status: StatusCode,
    /// Constant texts, or such as name only the shape of the request; none at all for what is not there.
    pub(super) errors: Vec<String>,
    /// When to try again, in seconds.
    pub(super) retry_after: Option<u64>,
    /// The decision, where there is one.
    pub(super) decision: Option<DecisionId>,
    /// Whether it was the authentication in headers that failed (`X-Vault-Inline-Auth-Failed`).
    pub(super) inline: bool,
    /// How the caller's budget stands.
    pub(super) budget: Option<Box<State>>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, errors: vec![error.into()], retry_after: None, decision: None, inline: false, budget: None }
    }

    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(super) fn denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission denied")
    }

    pub(super) fn not_there() -> Self {
        Self { errors: vec![], ..Self::new(StatusCode::NOT_FOUND, "") }
    }

    pub(super) fn unsupported_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unsupported path")
    }

    pub(super) fn unsupported_operation() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "unsupported operation")
    }

    pub(super) fn later(status: StatusCode, error: &str, seconds: u64) -> Self {
        Self { retry_after: Some(seconds.max(1)), ..Self::new(status, error) }
    }

    /// Of a request for which there is no room in a budget (OpenBao's words of its quotas).
    pub(super) fn too_many(state: State) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "request path is over its quota; try again later");
        Self { budget: Some(Box::new(state)), ..refusal }
    }

    /// Of an exchange: a refused login is a bad request in this protocol, and never a fault of the server's (OpenBao API,
    /// `auth/jwt/login`). The text names the decision, since clients show nothing else.
    pub(super) fn of_login(class: RefusedClass, decision: DecisionId) -> Self {
        let text = |text: &str| format!("{text}; decision {decision}");
        let refusal = match class {
            RefusedClass::Request => Self::bad_request(text("the login is malformed")),
            RefusedClass::Token => Self::bad_request(text("the token is not acceptable")),
            RefusedClass::Target => Self::bad_request(text("the role is not available")),
            RefusedClass::Scope => Self::bad_request(text("the scope is not available")),
            RefusedClass::TooMany(state) => Self::too_many(state),
            RefusedClass::Unavailable(wait) => {
                Self::later(StatusCode::SERVICE_UNAVAILABLE, &text("try again later"), wait.as_secs())
            }
            RefusedClass::Fault => Self::new(StatusCode::INTERNAL_SERVER_ERROR, text("something went wrong here")),
        };
        Self { decision: Some(decision), ..refusal }
    }
}

/// The response of a refusal.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = json_response(refusal.status, json!({ "errors": refusal.errors }).to_string().into_bytes());
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.inline {
        let failed = HeaderName::from_static("x-vault-inline-auth-failed");
        response.headers_mut().insert(failed, HeaderValue::from_static("true"));
    }
    budget::tell(&mut response, refusal.budget.as_deref().copied());
    match refusal.decision {
        Some(decision) => decided(response, decision),
        None => response,
    }
}

/// A response that tells how the caller's budget stands.
pub(super) fn told(mut response: Response<Body>, state: Option<State>) -> Response<Body> {
    budget::tell(&mut response, state);
    response
}

/// A response that names its decision.
pub(super) fn decided(mut response: Response<Body>, id: DecisionId) -> Response<Body> {
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(DECISION, value);
    }
    response
}

/// A JSON answer that nobody may keep.
pub(super) fn json_response(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer that says nothing but that it is done.
pub(super) fn done(id: DecisionId) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    decided(response, id)
}
