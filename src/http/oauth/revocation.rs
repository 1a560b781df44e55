//! `POST /oauth2/revoke` (RFC 7009): whoever holds one of our tokens may end it.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::token::media_type;
use super::{OAuth, answer};
use crate::http::body;
use crate::oauth::{ErrorCode, Parameters};

pub(super) async fn revoke(State(oauth): State<OAuth>, request: Request) -> Response<Body> {
    let bad = |text| answer::error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, text);
    let (head, body) = request.into_parts();
    if media_type(&head.headers) != Some("application/x-www-form-urlencoded") {
        return bad("the body must be application/x-www-form-urlencoded");
    }
    let Ok(bytes) = body::read(body).await else { return bad("the body could not be read") };
    let Ok(parameters) = Parameters::from_form(&bytes) else { return bad("a parameter is repeated") };
    let Some(token) = parameters.value("token") else { return bad("the parameter token is missing") };
    if parameters.value("token_type_hint") == Some("refresh_token") {
        let text = "there are no refresh tokens here";
        return answer::error(StatusCode::BAD_REQUEST, ErrorCode::UnsupportedTokenType, text);
    }
    // A token that is not ours, or no longer good, is as revoked as it can be (RFC 7009 section 2.2).
    match oauth.counter.revoke(token).await {
        Ok(()) => answer::json_response(StatusCode::OK, String::new()),
        Err(error) => {
            tracing::error!(%error, "a revocation was not recorded");
            let text = "the revocation could not be recorded; the token is still valid";
            let mut response = answer::error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, text);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}
