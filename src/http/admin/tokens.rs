//! The tokens of a service account: made and shown once, listed, rotated, revoked.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::ends;
use super::call::Call;
use super::lookup::{OnAccount, Part, on_account};
use super::refusal::Refusal;
use super::{Admin, Ended, ended, nothing, told};
use crate::accounts::{AccountError, AccountTokenId, IssuedAccountToken, NewAccountToken, RotateWish, TokenInfo};
use crate::clock::Timestamp;
use crate::exchange::{Administrator, Permitted, Recorded};
use crate::http::rest::problem::Problem;
use crate::secrets::acl::Capability;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Issue {
    name: String,
    expires_at: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rotate {
    pub(super) expires_at: Option<String>,
    /// Seconds.
    overlap: Option<u64>,
}

impl Rotate {
    pub(super) fn wish(&self) -> Result<RotateWish, Problem> {
        let expires = self.expires_at.as_deref().map(ends).transpose()?;
        Ok(RotateWish { expires, overlap: self.overlap.map(Duration::from_secs) })
    }
}

pub(super) async fn list(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(listed(&admin, peer, request).await)
}

async fn listed(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &["cursor", "limit"]).await?;
    let OnAccount { permitted, account, accounts } =
        on_account(&call, who, "token.list", Capability::List, Part::Tokens).await?;
    let after = call
        .parameter("cursor")
        .map(|text| AccountTokenId::parse(text).ok_or_else(|| Problem::bad_request("`cursor` is the id of a token")));
    let (after, limit) = match after.transpose().and_then(|after| Ok((after, call.limit()?))) {
        Ok(read) => read,
        Err(problem) => return Err(Refusal::of(permitted, "query_malformed", problem)),
    };
    let found = match accounts.tokens(account.id, after, limit).await {
        Ok(found) => found,
        Err(error) => return Err(Refusal::account(permitted, &error)),
    };
    let is_full = u32::try_from(found.len()).is_ok_and(|count| count >= limit);
    let next = found.last().filter(|_| is_full).map(|last| last.id);
    let now = permitted.now();
    let tokens: Vec<Value> = found.iter().map(|token| token.described(now)).collect();
    Ok(told(permitted.done(None, None), StatusCode::OK, &json!({"tokens": tokens, "next_cursor": next})))
}

pub(super) async fn issue(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(issued(&admin, peer, request).await)
}

async fn issued(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let OnAccount { permitted, account, accounts } =
        on_account(&call, who, "token.issue", Capability::Create, Part::Tokens).await?;
    let permitted = permitted.over(&account).await?;
    let new = call.body::<Issue>().and_then(|new| Ok((ends(&new.expires_at)?, new.name)));
    let new = match new {
        Ok((expires, name)) => NewAccountToken { name, expires },
        Err(problem) => return Err(Refusal::of(permitted, "body_malformed", problem)),
    };
    let now = permitted.now();
    match accounts.issue_as_seen(&account, new, permitted.by(), now).await {
        Ok(made) => {
            let described = made.info.described(now);
            let body = with_text(described.clone(), &made);
            Ok(told(permitted.done(None, Some(&described)), StatusCode::CREATED, &body))
        }
        Err(error) => Err(Refusal::account(permitted, &error)),
    }
}

/// A token of the account, and that there is one.
struct OnToken<'a> {
    on: OnAccount<'a>,
    token: TokenInfo,
}

async fn on_token<'a>(
    call: &Call,
    who: Administrator<'a>,
    action: &'static str,
    needs: Capability,
) -> Result<OnToken<'a>, Refusal> {
    let named = call.segment(3);
    let on = on_account(call, who, action, needs, Part::Tokens).await?;
    let missing = AccountError::NotFound("token");
    let found = match AccountTokenId::parse(named) {
        Some(id) => on.accounts.token(id).await,
        None => Err(AccountError::NotFound("token")),
    };
    match found {
        Ok(token) if token.account == on.account.id => Ok(OnToken { on, token }),
        // One of another account is as good as none.
        Ok(_) => Err(Refusal::account(on.permitted, &missing)),
        Err(error) => Err(Refusal::account(on.permitted, &error)),
    }
}

pub(super) async fn show(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(shown(&admin, peer, request).await)
}

async fn shown(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let OnToken { on, token } = on_token(&call, who, "token.read", Capability::Read).await?;
    let described = token.described(on.permitted.now());
    Ok(told(on.permitted.done(None, None), StatusCode::OK, &described))
}

pub(super) async fn revoke(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(revoked(&admin, peer, request).await)
}

async fn revoked(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let OnToken { mut on, token } = on_token(&call, who, "token.revoke", Capability::Delete).await?;
    on.permitted.ends(&token);
    let now = on.permitted.now();
    match on.accounts.revoke(token.id, now).await {
        Ok((before, after)) => {
            Ok(nothing(on.permitted.done(Some(&before.described(now)), Some(&after.described(now)))))
        }
        Err(error) => Err(Refusal::account(on.permitted, &error)),
    }
}

pub(super) async fn rotate(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(rotated(&admin, peer, request).await)
}

async fn rotated(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let OnToken { on, token } = on_token(&call, who, "token.rotate", Capability::Update).await?;
    let OnAccount { permitted, account, accounts } = on;
    let permitted = permitted.over(&account).await?;
    let wish = match call.body::<Rotate>().and_then(|rotate| rotate.wish()) {
        Ok(wish) => wish,
        Err(problem) => return Err(Refusal::of(permitted, "body_malformed", problem)),
    };
    let now = permitted.now();
    match accounts.rotate(token.id, wish, permitted.by(), now).await {
        Ok(made) => {
            Ok(told(rotation_on_record(permitted, &token, &made.old, now), StatusCode::OK, &as_gitlab(&made.new, now)))
        }
        Err(error) => Err(Refusal::account(permitted, &error)),
    }
}

fn rotation_on_record(permitted: Permitted<'_>, before: &TokenInfo, after: &TokenInfo, now: Timestamp) -> Recorded {
    permitted.done(Some(&before.described(now)), Some(&after.described(now)))
}

/// What is known about a new token, and the token: here, and never again.
fn with_text(mut described: Value, made: &IssuedAccountToken) -> Value {
    if let Some(members) = described.as_object_mut() {
        members.insert("token".to_owned(), made.token.text().into());
    }
    described
}

/// A new token as GitLab answers a rotation (personal access tokens API): `expires_at` is a day there, of which its clients are
/// sure to be able to read no more; the moment stands beside it.
pub(super) fn as_gitlab(made: &IssuedAccountToken, now: Timestamp) -> Value {
    let IssuedAccountToken { info, account, .. } = made;
    let scopes = account.granted.permissions.iter().map(|one| {
        let access = serde_json::to_value(one.access).unwrap_or_default();
        format!("{}:{}", access.as_str().unwrap_or_default(), one.secrets)
    });
    let ends = info.expires.to_string();
    json!({
        "id": info.id,
        "name": info.name,
        "revoked": false,
        "created_at": info.created.to_string(),
        "description": account.description,
        "scopes": scopes.collect::<Vec<_>>(),
        "user_id": account.id,
        "last_used_at": null,
        "active": info.expires > now,
        "expires_at": ends.split('T').next().unwrap_or_default(),
        "ends_at": ends,
        "family_id": info.family,
        "token": made.token.text(),
    })
}
