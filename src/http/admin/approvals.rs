//! What an account shall be able to do is approved, or refused, by another person than the one that asked.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;

use super::accounts::changed;
use super::call::Call;
use super::lookup::{OnAccount, Part, on_account};
use super::refusal::Refusal;
use super::{Admin, Ended, ended};
use crate::secrets::acl::Capability;

/// The revision that was looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    revision: u64,
}

pub(super) async fn approve(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(judged(&admin, peer, request, true).await)
}

pub(super) async fn refuse(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(judged(&admin, peer, request, false).await)
}

async fn judged(admin: &Admin, peer: SocketAddr, request: Request, approves: bool) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let action = if approves { "grant.approve" } else { "grant.refuse" };
    let OnAccount { permitted, account, accounts } =
        on_account(&call, who, action, Capability::Update, Part::Approvals).await?;
    let permitted = if approves { permitted.over(&account).await? } else { permitted };
    let revision = match call.body::<Seen>() {
        Ok(seen) => seen.revision,
        Err(problem) => return Err(Refusal::of(permitted, "body_malformed", problem)),
    };
    let (by, now) = (permitted.by(), permitted.now());
    let made = if approves {
        accounts.approve(account.id, revision, by, now).await
    } else {
        accounts.refuse(account.id, revision, by, now).await
    };
    changed(permitted, made, StatusCode::OK)
}
