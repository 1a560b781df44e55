//! `POST /oauth2/revoke` (RFC 7009): whoever holds one of our tokens may end it.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::form::{self, bad};
use super::{OAuth, answer};
use crate::audit::Surface;
use crate::exchange::Source;
use crate::oauth::{ErrorCode, Parameters};

pub(super) async fn revoke(
    State(oauth): State<OAuth>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let bytes = match form::read(&head.headers, body).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let source = Source { surface: Surface::OAuth, address: peer.ip() };
    let mut visit = oauth.counter.visit(source);
    let Ok(parameters) = Parameters::from_form(&bytes) else { return bad(&mut visit, "a parameter is repeated") };
    let Some(token) = parameters.value("token") else { return bad(&mut visit, "the parameter token is missing") };
    // `token_type_hint` may be wrong and changes nothing (RFC 7009 section 2.1).
    // What is no token of ours is charged as a failure, whatever is answered: nobody finds tokens here by trying.
    if let Err(empty) = visit.who_ends(token).await {
        return answer::too_many(empty);
    }
    // A token that is not ours, or no longer good, is as revoked as it can be (RFC 7009 section 2.2).
    match oauth.counter.revoke(source, None, token).await {
        Ok(_) => answer::told(answer::json_response(StatusCode::OK, String::new()), visit.budget()),
        Err(error) => {
            tracing::error!(%error, "a revocation was not recorded");
            let text = "the revocation could not be recorded; the token is still valid";
            let mut response = answer::error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, text);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}
