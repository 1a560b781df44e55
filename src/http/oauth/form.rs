//! Reading a form for the endpoints that are no exchange.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode, header};

use super::answer;
use crate::exchange::Visit;
use crate::http::body;
use crate::oauth::ErrorCode;

/// The media type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Whether the body's media type is that one: parameters and case do not count (RFC 9110 section 8.3.1).
pub(super) fn is_media_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
}

/// The bytes of a form, or the answer that says why there are none.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Response<Body>> {
    if !is_media_type(headers, FORM) {
        return Err(malformed("the body must be application/x-www-form-urlencoded"));
    }
    body::read(body).await.map_err(answer::unread_form)
}

/// A request that is no good, which is charged as a failure.
pub(super) fn bad(visit: &mut Visit<'_>, text: &str) -> Response<Body> {
    match visit.failed() {
        Ok(()) => answer::told(malformed(text), visit.budget()),
        Err(empty) => answer::too_many(empty),
    }
}

fn malformed(text: &str) -> Response<Body> {
    answer::error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, text)
}
