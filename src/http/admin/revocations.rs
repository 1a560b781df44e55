//! Tokens end before their time: those of ours by the token or by its `jti`, those of service accounts by the token.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::accounts::ends;
use super::call::{Call, NOTHING};
use super::refusal::{RETRY_AFTER, Refusal};
use super::{Admin, Ended, ended, told};
use crate::accounts::{AccountError, AccountToken};
use crate::clock::Timestamp;
use crate::exchange::{Action, Permitted, RevokeError};
use crate::http::rest::problem::{Kind, Problem};
use crate::secrets::acl::Capability;
use crate::state::RevocationError;

/// A token, or its `jti` with its end: until then it is remembered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    #[serde(default, deserialize_with = "super::call::secret")]
    token: Option<Zeroizing<String>>,
    jti: Option<String>,
    expires_at: Option<String>,
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
    let action = Action { name: "revocation.create", path: "revocations", needs: Capability::Create, body: &NOTHING };
    let permitted = who.permit(action).await?;
    match call.body::<Revoke>() {
        Ok(Revoke { token: Some(token), jti: None, expires_at: None }) if AccountToken::is_meant(token.as_bytes()) => {
            of_account(permitted, &token).await
        }
        Ok(Revoke { token: Some(token), jti: None, expires_at: None }) => match permitted.counter().ours(&token) {
            Some((jti, end)) => by_id(permitted, &jti, end).await,
            // What is not ours, or over, is as revoked as it can be.
            None => Ok(told(permitted.done(None, None), StatusCode::OK, &json!({"revoked": true}))),
        },
        Ok(Revoke { token: None, jti: Some(jti), expires_at: Some(end) }) => match ends(&end) {
            Ok(end) => by_id(permitted, &jti, end).await,
            Err(problem) => Err(Refusal::of(permitted, "body_malformed", problem)),
        },
        Ok(_) => {
            let problem = Problem::bad_request("`token` alone, or `jti` with `expires_at`");
            Err(Refusal::of(permitted, "body_malformed", problem))
        }
        Err(problem) => Err(Refusal::of(permitted, "body_malformed", problem)),
    }
}

async fn by_id(permitted: Permitted<'_>, jti: &str, end: Timestamp) -> Ended {
    let (counter, now) = (permitted.counter(), permitted.now());
    let known = !counter.is_blind() && counter.revocations().is_revoked(jti, now);
    let state = |revoked: bool| json!({"jti": jti, "expires_at": end.to_string(), "revoked": revoked});
    match counter.revoke_by_id(jti, end).await {
        Ok(()) => {
            let after = state(true);
            Ok(told(permitted.done(Some(&state(known)), Some(&after)), StatusCode::OK, &after))
        }
        Err(RevokeError::NotKept(RevocationError::Foreign)) => {
            let problem =
                Problem::bad_request("`jti` is none that cambio gives: 1 to 128 letters, digits, `-` and `_`");
            Err(Refusal::of(permitted, "body_malformed", problem))
        }
        Err(_) => Err(Refusal::of(permitted, "revocation_not_recorded", Kind::Unavailable(RETRY_AFTER).into())),
    }
}

/// The token of a service account: found by its text, whatever became of it, so that the record says which it was.
async fn of_account(mut permitted: Permitted<'_>, text: &str) -> Ended {
    let Some(accounts) = permitted.accounts() else { return Err(Refusal::off(permitted)) };
    let (token, account) = match accounts.identify(text).await {
        Ok(Some(found)) => found,
        Ok(None) => return Err(Refusal::account(permitted, &AccountError::NotFound("token"))),
        Err(AccountError::NotGood(fault)) => {
            let problem = Problem { kind: Kind::BadRequest, detail: Some(fault.to_string().into()) };
            return Err(Refusal::of(permitted, fault.code(), problem));
        }
        Err(error) => return Err(Refusal::account(permitted, &error)),
    };
    permitted.about(account.namespace.as_ref());
    permitted.ends(&token);
    let now = permitted.now();
    match accounts.revoke(token.id, now).await {
        Ok((before, after)) => {
            let (before, after) = (before.described(now), after.described(now));
            Ok(told(permitted.done(Some(&before), Some(&after)), StatusCode::OK, &after))
        }
        Err(error) => Err(Refusal::account(permitted, &error)),
    }
}
