//! `POST /oauth2/introspect` (RFC 7662): whether one of our tokens is good, said to resource servers only.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::form::{self, bad};
use super::{OAuth, answer};
use crate::audit::Surface;
use crate::exchange::Source;
use crate::identity::IssuerUrl;
use crate::mint::OwnToken;
use crate::oauth::{ErrorCode, Parameters};

pub(super) async fn introspect(
    State(oauth): State<OAuth>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let bytes = match form::read(&head.headers, body).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let mut visit = oauth.counter.visit(Source { surface: Surface::OAuth, address: peer.ip() });
    let Ok(parameters) = Parameters::from_form(&bytes) else { return bad(&mut visit, "a parameter is repeated") };
    // Not by the token's worth: who proves to be a resource server is let in behind whatever address.
    let Some(client) = oauth.clients.authenticate(&head.headers, &parameters) else {
        let failed = visit.failed().map_err(answer::too_many);
        return failed.map_or_else(|refused| refused, |()| answer::told(unauthenticated(), visit.budget()));
    };
    if let Err(empty) = visit.proved().await {
        return answer::too_many(empty);
    }
    let Some(token) = parameters.value("token") else { return bad(&mut visit, "the parameter token is missing") };
    // Unknown, expired, revoked and "not for you" look the same (RFC 7662 section 2.2).
    let active = oauth.counter.introspect(token).await.filter(|token| client.may_see(token.target().as_str()));
    if active.is_none() && oauth.counter.is_blind() {
        let text = "the revocations of other replicas cannot be read; try again later";
        let mut response = answer::error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, text);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        return response;
    }
    let body = active.map_or_else(|| json!({"active": false}), |token| described(&token, oauth.counter.issuer()));
    answer::told(answer::json_response(StatusCode::OK, body.to_string()), visit.budget())
}

/// The members of RFC 7662 section 2.2, and what a resource server decides by.
fn described(token: &OwnToken, issuer: &IssuerUrl) -> Value {
    let mut body = json!({
        "active": true,
        "token_type": "Bearer",
        "iss": issuer.as_str(),
        "sub": token.subject(),
        "aud": token.target(),
        "exp": token.expires_at().as_secs(),
        "iat": token.issued_at().as_secs(),
        "jti": token.jti(),
        "client_id": token.client_id(),
        "policies": token.policies(),
        "rule": token.rule(),
    });
    if let Some(members) = body.as_object_mut() {
        if !token.scope().is_empty() {
            members.insert("scope".to_owned(), Value::from(token.scope()));
        }
        if let Some(namespace) = token.namespace() {
            members.insert("namespace".to_owned(), Value::from(namespace.as_str()));
        }
    }
    body
}

fn unauthenticated() -> Response<Body> {
    let mut response =
        answer::error(StatusCode::UNAUTHORIZED, ErrorCode::InvalidClient, "client authentication failed");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"cambio\""));
    response
}
