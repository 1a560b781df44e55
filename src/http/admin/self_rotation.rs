//! `POST /api/v4/personal_access_tokens/self/rotate`: a service account's token takes a new one in its own place, as GitLab's
//! clients ask for it. There with or without an administration.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::post;
use zeroize::Zeroizing;

use super::finishing::to_their_end;
use super::refusal::problem_of;
use super::tokens::{Rotate, as_gitlab};
use super::told;
use crate::accounts::RotateWish;
use crate::audit::Surface;
use crate::exchange::{Counter, NotRotatedClass, Source};
use crate::http::body;
use crate::http::rest::problem::{Kind, Problem};
use crate::http::rest::request::{query, token};

/// GitLab's path.
const PATH: &str = "/api/v4/personal_access_tokens/self/rotate";

/// What self-rotation stands on.
#[derive(Clone)]
pub struct SelfRotation {
    /// The engine.
    pub counter: Arc<Counter>,
}

/// The route.
pub fn router(rotation: SelfRotation) -> Router {
    let path = rotation.counter.issuer().path().to_owned();
    let mut router = Router::new().route(PATH, post(rotate));
    if !path.is_empty() {
        router = router.route(&format!("{path}{PATH}"), post(rotate));
    }
    to_their_end(router).with_state(rotation)
}

async fn rotate(
    State(rotation): State<SelfRotation>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (head, sent) = request.into_parts();
    let source = Source { surface: Surface::Rest, address: peer.ip() };
    let malformed = |code, problem: Problem| {
        let detail = problem.detail.clone().unwrap_or_default();
        problem.response(rotation.counter.access(source).malformed(code, detail))
    };
    let presented = match token(&head.headers) {
        Ok(token) => token,
        Err(unread) => return malformed(unread.code, unread.problem),
    };
    let wish = match wish(head.uri.query().unwrap_or_default(), sent).await {
        Ok(wish) => wish,
        Err(problem) => return malformed("body_malformed", problem),
    };
    match rotation.counter.rotate_own(source, &presented, wish).await {
        Ok((decision, made)) => {
            let now = rotation.counter.clock().now();
            told(decision, StatusCode::OK, &as_gitlab(&made.new, now))
        }
        Err(refused) => {
            let problem = match refused.class {
                NotRotatedClass::Token if presented.is_empty() => Kind::NoToken.into(),
                NotRotatedClass::Token => Kind::BadToken.into(),
                NotRotatedClass::TooMany(state) => Kind::TooMany(state.retry_after).into(),
                NotRotatedClass::Unavailable => Kind::Unavailable(super::refusal::RETRY_AFTER).into(),
                NotRotatedClass::Account(error) => problem_of(&error),
            };
            problem.response(refused.recorded)
        }
    }
}

/// `expires_at` and `overlap` (seconds; ours), in the query or in a JSON body, as GitLab takes them.
async fn wish(text: &str, sent: Body) -> Result<RotateWish, Problem> {
    let asked = query(text, &["expires_at"]).map_err(|unread| unread.problem)?;
    let bytes = Zeroizing::new(body::read(sent).await.map_err(Problem::unread)?.to_vec());
    let mut rotate = match bytes.is_empty() {
        true => Rotate::default(),
        false => serde_json::from_slice(&bytes)
            .map_err(|_| Problem::bad_request("the body has `expires_at` and `overlap` at most"))?,
    };
    if let Some((_, expires)) = asked.into_iter().next() {
        rotate.expires_at = Some(expires);
    }
    rotate.wish()
}
