//! `GET .../secrets/:name`: what is known of a secret but its values.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Response;

use super::answer::json;
use super::found::{self, Metadata};
use super::request::RestRequest;
use super::{Rest, read, refused};
use crate::secrets::Verb;

/// Tells what is known of a secret: its versions and the operator's own words, no value.
#[utoipa::path(
    get,
    path = "/api/v4/projects/{id}/secrets/{name}",
    operation_id = "readProjectSecret",
    tag = "projects",
    params(
        ("id" = String, Path, min_length = 1, max_length = 255, pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", example = "123",
            description = "The number of the project or group, or its URL-encoded path (`acme%2Fweb`)."),
        ("name" = String, Path, min_length = 1, max_length = 255, pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$", example = "DB_PASSWORD",
            description = "The name of the secret; a slash in it is written `%2F`.")
    ),
    responses((status = 200, description = "What is known.", body = Metadata))
)]
pub(super) async fn metadata(
    State(rest): State<Rest>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (head, _) = request.into_parts();
    let rules = rest.counter.rules();
    let asked = RestRequest::read(&head, &rules, &[]).and_then(|asked| Ok((asked.name()?.as_str().to_owned(), asked)));
    let (name, asked) = match asked {
        Ok(asked) => asked,
        Err(unread) => return refused(&rest, peer, unread),
    };
    let place = asked.place("metadata", &name);
    let (decision, answer) = read::read(&rest.counter, rest.source(peer), &asked.token, Verb::Read, &place, None).await;
    match answer.and_then(|answer| found::metadata(answer, name)) {
        Ok(metadata) => json(decision, &metadata),
        Err(problem) => problem.response(decision),
    }
}
