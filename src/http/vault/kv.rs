//! Secrets: read, listed, written.

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use zeroize::Zeroizing;

use super::Vault;
use super::bodies::unread;
use super::envelope::{self, Refusal};
use super::request::VaultRequest;
use super::{inline, kv_answer};
use crate::audit::Surface;
use crate::exchange::{Ask, Naming, NotServed, NotServedClass, Source};
use crate::http::body;
use crate::secrets::{ApiCall, Verb};

pub(super) async fn answer(vault: &Vault, request: &VaultRequest, headers: &HeaderMap, body: Body) -> Response<Body> {
    match serve(vault, request, headers, body).await {
        Ok(response) => response,
        Err(refusal) => envelope::refused(&refusal),
    }
}

async fn serve(
    vault: &Vault,
    request: &VaultRequest,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let token = match &request.token {
        _ if inline::is_asked(headers) => inline::authenticate(vault, request, headers).await?,
        Some(token) => token.clone(),
        None => Zeroizing::new(String::new()),
    };
    if request.wrap.is_some() {
        return Err(Refusal::bad_request("only the answer to a login can be wrapped here"));
    }
    // A large body only for whoever has a token that is good, within its budgets: anybody can send one.
    let mut access = vault.counter.access(Source { surface: Surface::Vault, address: request.peer });
    let (writes, place) = (matches!(request.verb, Verb::Write | Verb::Patch), (&*request.named, &*request.path));
    let bytes = if writes && access.recognises(request.verb, place, &token).await {
        match body::read_value(body).await {
            Ok(bytes) => Zeroizing::new(bytes.to_vec()),
            Err(error) => {
                let refusal = unread(error);
                let decision = access.malformed("body_unreadable", refusal.errors.join("; "));
                return Err(Refusal { decision: Some(decision), ..refusal });
            }
        }
    } else {
        body::discard(body).await;
        Zeroizing::new(Vec::new())
    };
    let (version, depth) = (request.parameter("version"), request.parameter("depth"));
    let call = ApiCall {
        verb: request.verb,
        path: &request.path,
        version: version.as_deref(),
        depth: depth.as_deref(),
        body: &bytes,
    };
    let ask = Ask {
        token: &token,
        namespace: &request.named,
        naming: Naming::Loose,
        path: &request.path,
        call,
        query: &request.query,
    };
    let served = access.serve(ask).await.map_err(refusal)?;
    let budget = served.budget;
    let answered =
        kv_answer::response(served).map_err(|refusal| Refusal { budget: budget.map(Box::new), ..refusal })?;
    Ok(envelope::told(answered, budget))
}

fn refusal(not_served: NotServed) -> Refusal {
    let NotServed { decision, class, budget } = not_served;
    let refusal = match class {
        NotServedClass::Token | NotServedClass::Denied => Refusal::denied(),
        NotServedClass::NotThere => Refusal::not_there(),
        NotServedClass::Request(text) => Refusal::bad_request(text),
        NotServedClass::UnsupportedPath => Refusal::unsupported_path(),
        NotServedClass::UnsupportedOperation => Refusal::unsupported_operation(),
        NotServedClass::TooMany(state) => Refusal::too_many(state),
        NotServedClass::UpstreamBusy(wait) => {
            Refusal::later(StatusCode::TOO_MANY_REQUESTS, "request path is over its quota", wait.as_secs())
        }
        NotServedClass::Unavailable(wait) => Refusal::later(
            StatusCode::SERVICE_UNAVAILABLE,
            "the store is not available; try again later",
            wait.as_secs(),
        ),
        NotServedClass::Fault => {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("something went wrong here; decision {decision}"))
        }
    };
    Refusal { decision: Some(decision), budget: budget.map(Box::new), ..refusal }
}
