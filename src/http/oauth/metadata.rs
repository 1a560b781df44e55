//! Who we are, to machines: RFC 8414 and OpenID Connect Discovery metadata, and our public keys.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use super::OAuth;
use crate::identity::IssuerUrl;
use crate::oauth::Grant;

/// How long our documents may be cached. Signing keys are published for that long before they sign
/// (`mint::KeySettings::publish_ahead`).
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// Both metadata documents are the same one.
pub(super) async fn document(State(oauth): State<OAuth>) -> Response<Body> {
    let counter = &oauth.counter;
    let mut algorithms: Vec<_> = counter.keys().keys().iter().map(|key| key.algorithm.name()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    public("application/json", Body::from(described(counter.issuer(), &algorithms).to_string()))
}

fn described(issuer: &IssuerUrl, algorithms: &[&str]) -> Value {
    let at = |path: &str| format!("{}{path}", issuer.as_str().trim_end_matches('/'));
    json!({
        "issuer": issuer.as_str(),
        "token_endpoint": at("/oauth2/token"),
        "jwks_uri": at("/oauth2/jwks"),
        "introspection_endpoint": at("/oauth2/introspect"),
        "revocation_endpoint": at("/oauth2/revoke"),
        "grant_types_supported": [Grant::TokenExchange.urn(), Grant::JwtBearer.urn()],
        "token_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    })
}

pub(super) async fn keys(State(oauth): State<OAuth>) -> Response<Body> {
    let counter = &oauth.counter;
    let mut response = public("application/jwk-set+json", Body::from(counter.public_jwks().to_string()));
    // Less than usual where other replicas may have keys that this one has not read yet.
    let seconds = counter.keys().max_age(counter.clock().now()).as_secs();
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={seconds}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

fn public(media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    response
}
