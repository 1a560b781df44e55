//! Calls about tokens (OpenBao API, `auth/token`): one's own, and others by an accessor where the access documents allow it.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use zeroize::Zeroizing;

use super::Vault;
use super::bodies::Members;
use super::envelope::{Refusal, done};
use super::request::VaultRequest;
use super::sys::{bearer, enveloped, source, standing, who_ends};
use super::token_answer::{by_accessor, by_token};
use crate::exchange::{Bearer, Visit};
use crate::mint::AccessorClaims;
use crate::secrets::Verb;
use crate::secrets::acl::Capability;

pub(super) async fn answer(
    vault: &Vault,
    visit: &mut Visit<'_>,
    request: &VaultRequest,
    call: String,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let writes = request.verb == Verb::Write;
    match call.as_str() {
        "lookup-self" if writes || request.verb == Verb::Read => {
            let token = bearer(visit, request).await?;
            Ok(told(vault, &token, secret(request)))
        }
        "renew-self" | "renew" | "renew-accessor" if writes => {
            bearer(visit, request).await?;
            Err(Refusal::bad_request("lease is not renewable"))
        }
        "revoke-self" if writes => {
            who_ends(visit, request).await?;
            revoked(vault, request, None, secret(request)).await
        }
        "lookup" if writes || request.verb == Verb::Read => {
            let caller = bearer(visit, request).await?;
            let given = given_token(vault, request, &caller, &call, body).await?;
            let token = vault
                .counter
                .bearer(source(request), &given)
                .await
                .ok()
                .filter(|token| token.namespace() == caller.namespace());
            let token = token.ok_or_else(bad_token)?;
            Ok(told(vault, &token, &given))
        }
        "revoke" if writes => {
            let caller = bearer(visit, request).await?;
            let given = given_token(vault, request, &caller, &call, body).await?;
            let token = vault
                .counter
                .bearer(source(request), &given)
                .await
                .ok()
                .filter(|token| token.namespace() == caller.namespace());
            token.ok_or_else(bad_token)?;
            let by = (*given != secret(request)).then_some(&caller);
            revoked(vault, request, by, &given).await
        }
        "lookup-accessor" if writes => {
            let (_, claims, accessor) = accessor(vault, visit, request, &call, body).await?;
            Ok(enveloped(vault, &by_accessor(&claims, &accessor, vault.counter.clock().now())))
        }
        "revoke-accessor" if writes => {
            let (caller, claims, _) = accessor(vault, visit, request, &call, body).await?;
            let revoked = vault.counter.revoke_named(source(request), &caller, &claims).await;
            revoked.map_err(|_| not_recorded())?;
            Ok(done(vault.counter.request_id()))
        }
        "lookup-self" | "renew-self" | "renew" | "renew-accessor" | "revoke-self" | "lookup" | "revoke"
        | "lookup-accessor" | "revoke-accessor" => Err(Refusal::unsupported_operation()),
        _ => Err(Refusal::unsupported_path()),
    }
}

fn told(vault: &Vault, token: &Bearer, secret: &str) -> Response<Body> {
    let own = token.token().filter(|token| token.revocable());
    let accessor = own.and_then(|token| vault.counter.accessor(token)).unwrap_or_default();
    enveloped(vault, &by_token(token, secret, &accessor, vault.counter.clock().now()))
}

fn secret(request: &VaultRequest) -> &str {
    request.token.as_ref().map_or("", |token| token.as_str())
}

fn bad_token() -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "bad token")
}

fn not_recorded() -> Refusal {
    Refusal::later(StatusCode::SERVICE_UNAVAILABLE, "the revocation could not be recorded; try again later", 5)
}

/// Ends a token, for its holder or for whoever may end others' tokens.
async fn revoked(
    vault: &Vault,
    request: &VaultRequest,
    by: Option<&Bearer>,
    token: &str,
) -> Result<Response<Body>, Refusal> {
    vault.counter.revoke(source(request), by, token).await.map_err(|_| not_recorded())?;
    Ok(done(vault.counter.request_id()))
}

/// Whether the caller's documents let it concern itself with others' tokens: `update` on `auth/token/<call>`.
async fn allowed(vault: &Vault, caller: &Bearer, call: &str) -> Result<(), Refusal> {
    let (rules, standing) = (vault.counter.rules(), standing(vault, caller).await?);
    let acl = standing.acl(&rules);
    let path = format!("auth/token/{call}");
    acl.check(&path, Capability::Update, vault.counter.clock().now()).map(drop).map_err(|_| Refusal::denied())
}

/// The token in the body; one's own may always be named.
async fn given_token(
    vault: &Vault,
    request: &VaultRequest,
    caller: &Bearer,
    call: &str,
    body: Body,
) -> Result<Zeroizing<String>, Refusal> {
    let given = Zeroizing::new(Members::read(body).await?.text("token")?.unwrap_or_default());
    if given.is_empty() || *given == secret(request) {
        return Ok(Zeroizing::new(secret(request).to_owned()));
    }
    allowed(vault, caller, call).await?;
    Ok(given)
}

/// The accessor in the body, of a token in the caller's namespace.
async fn accessor(
    vault: &Vault,
    visit: &mut Visit<'_>,
    request: &VaultRequest,
    call: &str,
    body: Body,
) -> Result<(Bearer, AccessorClaims, String), Refusal> {
    let caller = bearer(visit, request).await?;
    let given = Members::read(body).await?.text("accessor")?.unwrap_or_default();
    allowed(vault, &caller, call).await?;
    let known = vault.counter.token_of(&given).filter(|claims| claims.namespace() == caller.namespace());
    let known = known.ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "invalid accessor"))?;
    Ok((caller, known, given))
}
