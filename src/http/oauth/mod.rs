//! The OAuth surface: token endpoint, metadata, keys, introspection, revocation.

mod answer;
mod clients;
mod introspection;
mod metadata;
mod revocation;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

pub use clients::{Client, Clients};
pub use metadata::Metadata;

use crate::exchange::Counter;
use crate::oauth::ErrorCode;

/// What the OAuth surface stands on.
#[derive(Clone)]
pub struct OAuth {
    /// The engine.
    pub counter: Arc<Counter>,
    /// The two metadata documents, ready to send.
    pub metadata: Arc<Metadata>,
    /// Who may introspect.
    pub clients: Arc<Clients>,
}

/// The routes of the OAuth surface.
pub fn router(oauth: OAuth) -> Router {
    Router::new()
        .route("/oauth2/token", post(token::exchange))
        .route("/oauth2/introspect", post(introspection::introspect))
        .route("/oauth2/revoke", post(revocation::revoke))
        .route("/oauth2/jwks", get(metadata::keys))
        .route("/.well-known/openid-configuration", get(metadata::openid))
        .route("/.well-known/oauth-authorization-server", get(metadata::oauth))
        .route("/.well-known/oauth-authorization-server/{*path}", get(metadata::oauth))
        .method_not_allowed_fallback(|| async {
            answer::error(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidRequest, "the method is not allowed here")
        })
        .fallback(|| async { answer::error(StatusCode::NOT_FOUND, ErrorCode::InvalidRequest, "there is nothing here") })
        .with_state(oauth)
}
