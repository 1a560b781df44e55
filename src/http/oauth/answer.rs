//! Answers of the OAuth surface: JSON, never cached, in the shapes of RFC 6749 sections 5.1 and 5.2.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::exchange::{Exchanged, Refused, RefusedClass};
use crate::http::body::BodyError;
use crate::http::budget;
use crate::identity::DecisionId;
use crate::limits::State;
use crate::oauth::{ErrorCode, Grant, IssuedTokenType};

/// The response header that names the decision.
const DECISION: HeaderName = HeaderName::from_static("cambio-decision");

/// What is said where a budget is empty. There is no registered code for it: of those that there are, this is the one that tells a
/// client to come again later (RFC 6749 section 4.1.2.1), and clients know it from our 503.
const TOO_MANY: (StatusCode, ErrorCode, &str) =
    (StatusCode::TOO_MANY_REQUESTS, ErrorCode::TemporarilyUnavailable, "too many requests; try again later");

/// A token response (RFC 8693 section 2.2.1). Written by hand into one buffer: this is the hot path, and every field is
/// of an alphabet that needs no escaping.
pub(super) fn exchanged(outcome: &Exchanged, issued_token_type: IssuedTokenType) -> Response<Body> {
    let (token, expires_in) = (outcome.bearer(), outcome.expires_in().as_secs());
    // The token of an OpenBao is no JWT.
    let issued_token_type = if outcome.direct.is_some() { IssuedTokenType::AccessToken } else { issued_token_type };
    let mut body = String::with_capacity(token.len() + 256);
    body.push_str(r#"{"access_token":""#);
    body.push_str(token);
    body.push_str(r#"","issued_token_type":""#);
    body.push_str(issued_token_type.urn());
    body.push_str(r#"","token_type":"Bearer","expires_in":"#);
    body.push_str(&expires_in.to_string());
    if let Some(scope) = &outcome.scope {
        body.push_str(r#","scope":"#);
        body.push_str(&serde_json::Value::from(scope.to_string()).to_string());
    }
    body.push('}');
    let mut response = json_response(StatusCode::OK, body);
    name_decision(&mut response, outcome.decision);
    budget::tell(&mut response, outcome.budget);
    response
}

/// A refusal: the code of the grant, a constant text, and the decision's id, under which the operator finds the reason.
pub(super) fn refused(outcome: &Refused, grant: Grant, description: Option<&'static str>) -> Response<Body> {
    let (status, code, text) = match outcome.class {
        RefusedClass::Request => (StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, "the request is malformed"),
        RefusedClass::Token => (StatusCode::BAD_REQUEST, grant.token_refused(), "the token is not acceptable"),
        RefusedClass::Target => (StatusCode::BAD_REQUEST, ErrorCode::InvalidTarget, "the target is not available"),
        RefusedClass::Scope => (StatusCode::BAD_REQUEST, ErrorCode::InvalidScope, "the scope is not available"),
        RefusedClass::TooMany(_) => TOO_MANY,
        RefusedClass::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, "try again later")
        }
        RefusedClass::Fault => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ServerError, "something went wrong here"),
    };
    coded(status, code, description.unwrap_or(text), outcome)
}

/// A refusal of a request that never became one: its own code and text.
pub(super) fn malformed(code: ErrorCode, text: &str, outcome: &Refused) -> Response<Body> {
    coded(StatusCode::BAD_REQUEST, code, text, outcome)
}

/// A body that was not read, of a request that has a decision.
pub(super) fn unread(error: BodyError, outcome: &Refused) -> Response<Body> {
    let (status, code, text) = of_body(error);
    wait_if_busy(status, coded(status, code, text, outcome))
}

/// A body that was not read, of another request.
pub(super) fn unread_form(error: BodyError) -> Response<Body> {
    let (status, code, text) = of_body(error);
    wait_if_busy(status, self::error(status, code, text))
}

/// What is said of a body that was not read.
pub(super) fn of_body(error: BodyError) -> (StatusCode, ErrorCode, &'static str) {
    let (status, text) = match error {
        BodyError::Busy => {
            let text = "too many requests are waited for; try again later";
            return (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, text);
        }
        BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 32 KiB"),
        BodyError::Slow => (StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
        BodyError::Broken => (StatusCode::BAD_REQUEST, "the body could not be read"),
    };
    (status, ErrorCode::InvalidRequest, text)
}

fn wait_if_busy(status: StatusCode, mut response: Response<Body>) -> Response<Body> {
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn coded(status: StatusCode, code: ErrorCode, text: &str, outcome: &Refused) -> Response<Body> {
    let id = outcome.decision;
    // Of garbage, when there was too much of it, nothing more is said.
    let too_many = matches!(outcome.class, RefusedClass::TooMany(_));
    let (status, code, text) = if too_many { TOO_MANY } else { (status, code, text) };
    let body = json!({"error": code.as_str(), "error_description": text, "decision_id": id.to_string()});
    let mut response = json_response(status, body.to_string());
    name_decision(&mut response, id);
    if let RefusedClass::Unavailable(wait) = outcome.class {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    budget::tell(&mut response, outcome.budget);
    response
}

/// The answer where there is no room in a budget, outside an exchange.
pub(super) fn too_many(state: State) -> Response<Body> {
    let (status, code, text) = TOO_MANY;
    told(error(status, code, text), Some(state))
}

/// An answer that tells how the caller's budget stands.
pub(super) fn told(mut response: Response<Body>, state: Option<State>) -> Response<Body> {
    budget::tell(&mut response, state);
    response
}

/// An error outside an exchange.
pub(super) fn error(status: StatusCode, code: ErrorCode, text: &str) -> Response<Body> {
    json_response(status, json!({"error": code.as_str(), "error_description": text}).to_string())
}

/// A JSON answer that nobody may keep.
pub(super) fn json_response(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

fn name_decision(response: &mut Response<Body>, id: DecisionId) {
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(DECISION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_there_was_no_place_for_may_be_sent_again_soon() {
        let decision = DecisionId::new(crate::clock::Timestamp::from_secs(1_795_000_000), [7; 10]);
        let response = unread(BodyError::Busy, &Refused { decision, class: RefusedClass::Request, budget: None });
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(response.headers()[DECISION], decision.to_string().as_str());
    }
}
