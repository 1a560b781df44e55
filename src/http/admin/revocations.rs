//! Tokens of ours end before their time, by the token or by its `jti`.

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
use crate::exchange::Action;
use crate::http::rest::problem::{Kind, Problem};
use crate::secrets::acl::Capability;

/// The longest `jti`, in bytes.
const MAX_JTI: usize = 256;

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
    let read = call.body::<Revoke>().and_then(|revoke| match revoke {
        Revoke { token: Some(token), jti: None, expires_at: None } => Ok((Some(token), None)),
        Revoke { token: None, jti: Some(jti), expires_at: Some(end) } if (1..=MAX_JTI).contains(&jti.len()) => {
            Ok((None, Some((jti, ends(&end)?))))
        }
        _ => Err(Problem::bad_request("`token` alone, or `jti` with `expires_at`")),
    });
    let counter = permitted.counter();
    let done = match read {
        Err(problem) => return Err(Refusal::of(permitted, "body_malformed", problem)),
        Ok((Some(token), _)) => {
            let known = counter.introspect(&token).await.map(|token| json!({"jti": token.jti(), "revoked": false}));
            let after = known.as_ref().map(|known| json!({"jti": known["jti"], "revoked": true}));
            counter.revoke(&token).await.map(|()| (known, after))
        }
        Ok((None, Some((jti, end)))) => {
            let after = json!({"jti": jti, "expires_at": end.to_string(), "revoked": true});
            counter.revoke_by_id(&jti, end).await.map(|()| (None, Some(after)))
        }
        Ok((None, None)) => return Err(Refusal::of(permitted, "body_malformed", Kind::BadRequest.into())),
    };
    match done {
        Ok((before, after)) => {
            let decision = permitted.done(before.as_ref(), after.as_ref());
            Ok(told(decision, StatusCode::OK, &after.unwrap_or_else(|| json!({"revoked": true}))))
        }
        Err(_) => Err(Refusal::of(permitted, "revocation_not_recorded", Kind::Unavailable(RETRY_AFTER).into())),
    }
}
