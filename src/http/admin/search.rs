//! A token that was found somewhere: whose it is, and its whole family revoked. Whoever has the text of a token has no need to
//! know whose it is, and nor has this: an administrator finds it by its text, its digest in the audit, or its id.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::call::Call;
use super::lookup::Part;
use super::refusal::Refusal;
use super::{Admin, Ended, ended, told};
use crate::accounts::{AccountError, AccountTokenId, TokenInfo};
use crate::exchange::Action;
use crate::http::rest::problem::{Kind, Problem};
use crate::secrets::acl::Capability;

/// One of the three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    #[serde(default, deserialize_with = "super::call::secret")]
    token: Option<Zeroizing<String>>,
    digest: Option<String>,
    id: Option<String>,
    #[serde(default)]
    revoke: bool,
}

pub(super) async fn search(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(searched(&admin, peer, request).await)
}

async fn searched(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let search = call.body::<Search>();
    let revokes = search.as_ref().is_ok_and(|search| search.revoke);
    let (name, needs) =
        if revokes { ("token.revoke_leaked", Capability::Update) } else { ("token.search", Capability::Read) };
    // Documents bind members of other requests; those of this one hold a token, which no rule is about.
    let permitted = who.permit(Action { name, path: "tokens/search", needs, body: &super::call::NOTHING }).await?;
    let Some(accounts) = permitted.accounts() else { return Err(Refusal::off(permitted)) };
    let found = match search {
        Ok(Search { token: Some(text), digest: None, id: None, .. }) => accounts.identify(&text).await,
        Ok(Search { token: None, digest: Some(digest), id: None, .. }) => accounts.identify_digest(&digest).await,
        Ok(Search { token: None, digest: None, id: Some(id), .. }) => match AccountTokenId::parse(&id) {
            Some(id) => accounts.identify_id(id).await,
            None => Ok(None),
        },
        Ok(_) => {
            let problem = Problem::bad_request("one of `token`, `digest` and `id` is searched for");
            return Err(Refusal::of(permitted, "body_malformed", problem));
        }
        Err(problem) => return Err(Refusal::of(permitted, "body_malformed", problem)),
    };
    let (token, account) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Err(Refusal::account(permitted, &AccountError::NotFound("token"))),
        Err(AccountError::NotGood(fault)) => {
            let problem = Problem { kind: Kind::BadRequest, detail: Some(fault.to_string().into()) };
            return Err(Refusal::of(permitted, fault.code(), problem));
        }
        Err(error) => return Err(Refusal::account(permitted, &error)),
    };
    let mut permitted = permitted;
    permitted.about(account.namespace.as_ref());
    let now = permitted.now();
    let family = |token: &TokenInfo, revoked: Option<u64>| {
        json!({
            "token": token.described(now),
            "service_account": account.described(now),
            "path": Part::Account.place(account.namespace.as_ref(), account.name.as_str()),
            "revoked_now": revoked,
        })
    };
    if !revokes {
        let body = family(&token, None);
        return Ok(told(permitted.done(None, None), StatusCode::OK, &body));
    }
    permitted.ends(&token);
    match accounts.revoke_family(&token, now).await {
        Ok((after, count)) => {
            let body = family(&after, Some(count));
            let (before, after) = (token.described(now), after.described(now));
            Ok(told(permitted.done(Some(&before), Some(&after)), StatusCode::OK, &body))
        }
        Err(error) => Err(Refusal::account(permitted, &error)),
    }
}
