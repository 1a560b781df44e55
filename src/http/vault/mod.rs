//! The Vault and OpenBao surface: logins, reading and writing secrets, and what clients ask of a server besides (OpenBao
//! API, `/v1`).
//!
//! Decides how a request is read and how an answer is said. Refuses to know why: every login is an exchange
//! ([`crate::exchange::Walk`]), every secret an access ([`crate::exchange::Access`]), recorded like any other.

mod bodies;
mod capabilities;
mod envelope;
mod inline;
mod kv;
mod kv_answer;
mod login;
mod mounts;
mod request;
mod sys;
mod token;
mod token_answer;
mod wrapping;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::any;

use crate::exchange::Counter;
use envelope::Refusal;
use request::{Place, VaultRequest};
pub use wrapping::Wrappings;

/// What the Vault surface stands on.
#[derive(Clone)]
pub struct Vault {
    /// The engine.
    pub counter: Arc<Counter>,
    /// Answers that wait to be unwrapped.
    pub wrappings: Arc<Wrappings>,
}

/// The routes of the Vault surface.
pub fn router(vault: Vault) -> Router {
    Router::new().route("/v1/{*path}", any(answer)).with_state(vault)
}

async fn answer(
    State(vault): State<Vault>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let answered = match VaultRequest::read(&head, peer.ip(), &vault.counter) {
        Ok(request) => match request.place.clone() {
            Place::Login { .. } => login::login(&vault, &request, body).await,
            Place::Token(_) | Place::System(_) => call(&vault, &request, body).await,
            Place::Secret => return kv::answer(&vault, &request, &head.headers, body).await,
            Place::Nowhere => Err(Refusal::unsupported_path()),
        },
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| envelope::refused(&refusal))
}

/// A call that leaves no record, within the budgets of where it comes from. Whoever asks whether we are well is always told.
async fn call(vault: &Vault, request: &VaultRequest, body: Body) -> Result<Response<Body>, Refusal> {
    let place = request.place.clone();
    if let Place::System(path) = &place
        && matches!(path.as_str(), "health" | "seal-status")
    {
        return sys::about_us(vault, request, path);
    }
    let mut visit = vault.counter.visit(sys::source(request));
    let answered = match place {
        Place::Token(call) => token::answer(vault, &mut visit, request, call, body).await,
        Place::System(path) if path.starts_with("wrapping/") => {
            sys::wrapping(vault, &mut visit, request, &path, body).await
        }
        Place::System(path) => sys::answer(vault, &mut visit, request, &path, body).await,
        Place::Login { .. } | Place::Secret | Place::Nowhere => Err(Refusal::unsupported_path()),
    };
    match answered {
        Ok(response) => Ok(envelope::told(response, visit.budget())),
        Err(refusal) => {
            // No token at all, wrapped answers that are not there: what somebody does who tries. What is not in the API, or
            // not to be done there, costs nothing, and clients ask for it.
            if matches!(refusal.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN) {
                visit.failed().map_err(Refusal::too_many)?;
            }
            Err(Refusal { budget: visit.budget().map(Box::new), ..refusal })
        }
    }
}
