//! The OAuth surface: token endpoint, metadata, keys, introspection, revocation.

mod answer;
mod clients;
mod form;
mod introspection;
mod metadata;
mod revocation;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

use crate::exchange::Counter;
use crate::oauth::ErrorCode;
pub use clients::{Client, Clients};

/// What the OAuth surface stands on.
#[derive(Clone)]
pub struct OAuth {
    /// The engine.
    pub counter: Arc<Counter>,
    /// Who may introspect.
    pub clients: Arc<Clients>,
}

/// The routes of the OAuth surface: at the root, for a proxy that takes our issuer's path off, and under that path, for
/// one that does not.
pub fn router(oauth: OAuth) -> Router {
    let path = oauth.counter.issuer().path().to_owned();
    let mut router = endpoints().route("/.well-known/oauth-authorization-server", get(metadata::document));
    if !path.is_empty() {
        // RFC 8414 section 3.1: the well-known part goes between the host and the path.
        let well_known = format!("/.well-known/oauth-authorization-server{path}");
        router = router.nest(&path, endpoints()).route(&well_known, get(metadata::document));
    }
    router
        .method_not_allowed_fallback(|| async {
            answer::error(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidRequest, "the method is not allowed here")
        })
        .fallback(|| async { answer::error(StatusCode::NOT_FOUND, ErrorCode::InvalidRequest, "there is nothing here") })
        .with_state(oauth)
}

fn endpoints() -> Router<OAuth> {
    Router::new()
        .route("/oauth2/token", post(token::exchange))
        .route("/oauth2/introspect", post(introspection::introspect))
        .route("/oauth2/revoke", post(revocation::revoke))
        .route("/oauth2/jwks", get(metadata::keys))
        .route("/.well-known/openid-configuration", get(metadata::document))
}
