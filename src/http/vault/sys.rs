//! What clients ask of the server itself (OpenBao API, `sys/`): is it well, what is mounted, what may I do.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::Vault;
use super::bodies::Members;
use super::envelope::{Envelope, Refusal, json_response};
use super::request::VaultRequest;
use super::{capabilities, mounts};
use crate::audit::Surface;
use crate::exchange::{Bearer, NotGood, Source, Standing, Visit};
use crate::secrets::Verb;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What whoever asks is told about this server.
pub(super) fn about_us(vault: &Vault, request: &VaultRequest, path: &str) -> Result<Response<Body>, Refusal> {
    match (path, request.verb) {
        ("health", Verb::Read) => Ok(health(vault)),
        (_, Verb::Read) => Ok(json_response(StatusCode::OK, seal_status().to_string().into_bytes())),
        _ => Err(Refusal::unsupported_operation()),
    }
}

pub(super) async fn answer(
    vault: &Vault,
    visit: &mut Visit<'_>,
    request: &VaultRequest,
    path: &str,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    match (path, request.verb) {
        ("internal/ui/mounts", Verb::Read) => {
            let token = bearer(visit, request).await?;
            let told = json!({ "auth": {}, "secret": mounts::all(vault, &token).await? });
            Ok(enveloped(vault, &told))
        }
        ("mounts", Verb::Read) => {
            let token = bearer(visit, request).await?;
            Ok(enveloped(vault, &Value::Object(mounts::all(vault, &token).await?)))
        }
        ("capabilities-self", Verb::Write) => {
            let token = bearer(visit, request).await?;
            let told = capabilities::of(vault, &token, Members::read(body).await?).await?;
            Ok(enveloped(vault, &told))
        }
        (path, Verb::Read) => {
            let mount = path.strip_prefix("internal/ui/mounts/").or_else(|| path.strip_prefix("mounts/"));
            let mount = mount.ok_or_else(Refusal::unsupported_path)?;
            let token = bearer(visit, request).await?;
            Ok(enveloped(vault, &mounts::one(vault, &token, mount).await?))
        }
        ("internal/ui/mounts" | "mounts" | "capabilities-self", _) => Err(Refusal::unsupported_operation()),
        _ => Err(Refusal::unsupported_path()),
    }
}

/// Answers that wait for whoever unwraps them: what stands for one is what opens it, and no token of ours.
pub(super) async fn wrapping(
    vault: &Vault,
    visit: &mut Visit<'_>,
    request: &VaultRequest,
    path: &str,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let unwraps = match (path, request.verb) {
        ("wrapping/unwrap", Verb::Write) => true,
        ("wrapping/lookup", Verb::Write | Verb::Read) => false,
        ("wrapping/unwrap" | "wrapping/lookup", _) => return Err(Refusal::unsupported_operation()),
        _ => return Err(Refusal::unsupported_path()),
    };
    let token = wrapping_token(request, body).await?;
    let told = vault.wrappings.lookup(&token, vault.counter.clock().now()).ok_or_else(no_such_wrapping)?;
    // Before it is taken out: an answer that is refused for want of room must still be there.
    visit.proved().await.map_err(Refusal::too_many)?;
    if !unwraps {
        return Ok(enveloped(vault, &told));
    }
    let answer = vault.wrappings.unwrap(&token, vault.counter.clock().now()).ok_or_else(no_such_wrapping)?;
    Ok(json_response(StatusCode::OK, answer.to_vec()))
}

/// Whoever bears the token of the request, if it is good and within its budgets.
pub(super) async fn bearer(visit: &mut Visit<'_>, request: &VaultRequest) -> Result<Bearer, Refusal> {
    let token = request.token.as_ref().ok_or_else(Refusal::denied)?;
    here(visit.bearer(token).await.map_err(Refusal::too_many)?.map_err(not_good)?, request)
}

/// The same of whoever ends that token.
pub(super) async fn who_ends(visit: &mut Visit<'_>, request: &VaultRequest) -> Result<Bearer, Refusal> {
    let token = request.token.as_ref().ok_or_else(Refusal::denied)?;
    here(visit.who_ends(token).await.map_err(Refusal::too_many)?.map_err(not_good)?, request)
}

/// A request that names a namespace means that one: another's token has no say there.
fn here(token: Bearer, request: &VaultRequest) -> Result<Bearer, Refusal> {
    match &request.namespace {
        Some(named) if token.namespace() != Some(named) => Err(Refusal::denied()),
        _ => Ok(token),
    }
}

/// Where a request comes from, for its record.
pub(super) fn source(request: &VaultRequest) -> Source {
    Source { surface: Surface::Vault, address: request.peer }
}

/// What that bearer may do at this moment.
pub(super) async fn standing<'b>(vault: &Vault, bearer: &'b Bearer) -> Result<Standing<'b>, Refusal> {
    vault.counter.standing(bearer).await.map_err(not_good)
}

fn not_good(why: NotGood) -> Refusal {
    if why.may_pass() {
        let text = "the token cannot be checked now; try again later";
        return Refusal::later(StatusCode::SERVICE_UNAVAILABLE, text, 5);
    }
    Refusal::denied()
}

pub(super) fn enveloped(vault: &Vault, data: &Value) -> Response<Body> {
    let text = data.to_string();
    Envelope::of(vault.counter.request_id(), text.as_bytes()).response(StatusCode::OK)
}

/// Well while records can be kept: see `/readyz`.
fn health(vault: &Vault) -> Response<Body> {
    let well = vault.counter.journal().healthy();
    let told = json!({
        "initialized": true,
        "sealed": !well,
        "standby": false,
        "performance_standby": false,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": vault.counter.clock().now().as_secs(),
        "version": VERSION,
        "cluster_name": "cambio",
        "cluster_id": "",
    });
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_response(status, told.to_string().into_bytes())
}

fn seal_status() -> Value {
    json!({
        "type": "shamir",
        "initialized": true,
        "sealed": false,
        "t": 1,
        "n": 1,
        "progress": 0,
        "nonce": "",
        "version": VERSION,
        "build_date": "",
        "migration": false,
        "cluster_name": "cambio",
        "cluster_id": "",
        "recovery_seal": false,
        "storage_type": "cambio",
    })
}

/// The token that holds an answer: in the body, or as the token of the request.
async fn wrapping_token(request: &VaultRequest, body: Body) -> Result<String, Refusal> {
    let given = Members::read(body).await?.text("token")?.filter(|token| !token.is_empty());
    let token = given.or_else(|| request.token.as_ref().map(|token| token.as_str().to_owned()));
    token.ok_or_else(|| Refusal::bad_request("missing token"))
}

fn no_such_wrapping() -> Refusal {
    Refusal::bad_request("wrapping token is not valid or does not exist")
}
