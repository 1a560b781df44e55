//! Refusals as problem details (RFC 9457). Decides which status and which words a caller gets; refuses to say anything of
//! policies, claims or what is stored: the `instance` is the decision, under which the operator finds the reason.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Decided, bare, named};
use crate::exchange::{NotServed, NotServedClass};
use crate::http::body::BodyError;
use crate::identity::DecisionId;

/// The media type of problem details (RFC 9457 section 6.1).
pub(in crate::http) const PROBLEM_JSON: &str = "application/problem+json";

/// Problem details (RFC 9457 section 3.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "urn:cambio:problem:not-found",
    "title": "Not Found",
    "status": 404,
    "detail": "it is not there, or not for this caller",
    "instance": "urn:uuid:019ac0de-0000-7000-8000-000000000000"
}))]
pub(in crate::http) struct ProblemDetails {
    /// Names the kind of problem; does not change.
    #[serde(rename = "type")]
    #[schema(pattern = "^urn:cambio:problem:[a-z-]+$")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The status, as in the head of the response.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What to do about it, for a person.
    detail: String,
    /// The decision, as in `Cambio-Decision`: `cambio explain` knows the reason.
    #[schema(pattern = "^urn:uuid:[0-9a-f-]{36}$")]
    instance: String,
}

impl ProblemDetails {
    pub(in crate::http) fn status(&self) -> u16 {
        self.status
    }
}

/// What kind of problem it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Kind {
    /// Nobody could do that.
    BadRequest,
    /// No token was given.
    NoToken,
    /// The token is not good.
    BadToken,
    /// The token is good, and not for this.
    Forbidden,
    /// It is not there, or not for this caller.
    NotFound,
    /// There is no such resource in the API.
    NoSuchResource,
    /// The resource does not do that.
    MethodNotAllowed,
    /// What is there is not as the request wants it.
    Conflict,
    /// Not in a form that is accepted.
    NotAcceptable,
    /// The body did not arrive in time.
    Slow,
    /// Larger than may be.
    TooLarge,
    /// The body is in no form that is read.
    UnsupportedMediaType,
    /// Too many requests.
    TooMany(Duration),
    /// Something that cambio needs can't be reached.
    Unavailable(Duration),
    /// A fault of cambio's own.
    Fault,
}

/// A refusal before it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct Problem {
    pub(in crate::http) kind: Kind,
    /// In place of the kind's own words; names the shape of the request at most.
    pub(in crate::http) detail: Option<Cow<'static, str>>,
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Self { kind, detail: None }
    }
}

impl Problem {
    /// A request that can't be done, whoever asks.
    pub(in crate::http) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Kind::BadRequest, detail: Some(detail.into()) }
    }

    /// A body that was not read.
    pub(in crate::http) fn unread(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Kind::TooLarge.into(),
            BodyError::Slow => Kind::Slow.into(),
            BodyError::Broken => Self::bad_request("the body could not be read"),
            BodyError::Busy => Kind::Unavailable(Duration::from_secs(1)).into(),
        }
    }

    /// Of a request for a secret. A refusal and nothing being there are one problem, and so is what a store can't do.
    pub(in crate::http) fn of(not_served: NotServed, had_token: bool) -> Self {
        match not_served.class {
            NotServedClass::Token if !had_token => Kind::NoToken.into(),
            NotServedClass::Token => Kind::BadToken.into(),
            NotServedClass::NotThere
            | NotServedClass::Denied
            | NotServedClass::UnsupportedPath
            | NotServedClass::UnsupportedOperation => Kind::NotFound.into(),
            NotServedClass::Request(text) => Self::bad_request(text),
            NotServedClass::TooMany(state) => Kind::TooMany(state.retry_after).into(),
            NotServedClass::UpstreamBusy(wait) => Kind::TooMany(wait).into(),
            NotServedClass::Unavailable(wait) => Kind::Unavailable(wait).into(),
            NotServedClass::Fault => Kind::Fault.into(),
        }
    }

    /// As it is written.
    pub(in crate::http) fn details(&self, decision: DecisionId) -> ProblemDetails {
        let status = self.kind.status();
        ProblemDetails {
            kind: format!("urn:cambio:problem:{}", self.kind.name()),
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail.as_deref().unwrap_or(self.kind.words()).to_owned(),
            instance: format!("urn:uuid:{decision}"),
        }
    }

    /// The response.
    pub(in crate::http) fn response(&self, decision: impl Into<Decided>) -> Response<Body> {
        let decision = decision.into();
        let text = serde_json::to_vec(&self.details(decision.id)).unwrap_or_default();
        let mut response = named(bare(self.kind.status(), PROBLEM_JSON, text), decision);
        let headers = response.headers_mut();
        // RFC 6750 section 3: no code where there was no token.
        match self.kind {
            Kind::NoToken => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="cambio""#));
            }
            Kind::BadToken => {
                let challenge = HeaderValue::from_static(r#"Bearer realm="cambio", error="invalid_token""#);
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Kind::TooMany(wait) | Kind::Unavailable(wait) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            }
            _ => {}
        }
        response
    }
}

/// Rounded up, and at least one (RFC 9110 section 10.2.3).
fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::BadToken => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoSuchResource => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::NoToken => "no-token",
            Self::BadToken => "bad-token",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::NoSuchResource => "no-such-resource",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::NotAcceptable => "not-acceptable",
            Self::Slow => "slow",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::TooMany(_) => "too-many-requests",
            Self::Unavailable(_) => "unavailable",
            Self::Fault => "fault",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::BadRequest => "the request is malformed",
            Self::NoToken => "a token is needed: `Authorization: Bearer` or `PRIVATE-TOKEN`",
            Self::BadToken => "the token is not acceptable here",
            Self::Forbidden => "the token does not allow that",
            Self::NotFound => "it is not there, or not for this caller",
            Self::Conflict => "it is not in a state in which that can be done",
            Self::NoSuchResource => "there is nothing here",
            Self::MethodNotAllowed => "the method is not allowed here",
            Self::NotAcceptable => "the value can only be told as application/json",
            Self::Slow => "the body did not arrive in time",
            Self::TooLarge => "too large",
            Self::UnsupportedMediaType => "the body must be application/json",
            Self::TooMany(_) => "too many requests; try again later",
            Self::Unavailable(_) => "not available; try again later",
            Self::Fault => "something went wrong here",
        }
    }
}
