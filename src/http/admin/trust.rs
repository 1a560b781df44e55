//! What trusts whom: issuers with the state of their keys, targets, and rules that let a caller act as a service account.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::call::{Call, NOTHING};
use super::refusal::{RETRY_AFTER, Refusal};
use super::{Admin, Ended, ended, told};
use crate::clock::Timestamp;
use crate::exchange::{Action, Administrator, Permitted, Rules};
use crate::http::rest::problem::{Kind, Problem};
use crate::identity::{IssuerName, Namespace};
use crate::secrets::acl::Capability;
use crate::trust::{Issuer, Reason, Refresh};

pub(super) async fn issuers(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let all = |rules: &Rules, now| rules.issuers.iter().map(|issuer| issuer_state(issuer, now)).collect();
    ended(listed(&admin, peer, request, ("issuer.list", "issuers"), all).await)
}

pub(super) async fn targets(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let all = |rules: &Rules, _| {
        let target = |target: &crate::policy::Target| {
            json!({
                "name": target.name(),
                "aliases": target.aliases().collect::<Vec<_>>(),
                "namespace": target.namespace(),
                "description": target.description(),
                "file": target.file(),
                "rules": target.rules().iter().map(|rule| rule.name()).collect::<Vec<_>>(),
                "issuers": target.issuers().collect::<Vec<_>>(),
                "scopes": target.scopes().collect::<Vec<_>>(),
            })
        };
        rules.policies.targets().iter().map(target).collect()
    };
    ended(listed(&admin, peer, request, ("target.list", "targets"), all).await)
}

/// Rules that let a caller act as a service account.
pub(super) async fn bindings(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let all = |rules: &Rules, _| {
        let of_target = |target: &crate::policy::Target| {
            let (name, within, file) = (target.name().clone(), target.namespace().cloned(), target.file().to_owned());
            let issuers: Vec<IssuerName> = target.issuers().cloned().collect();
            let bound = target.rules().iter().filter_map(move |rule| {
                let account = rule.service_account()?;
                Some(json!({
                    "service_account": account,
                    "namespace": within.as_ref().map(Namespace::as_str),
                    "target": name,
                    "rule": rule.name(),
                    "issuers": issuers,
                    "file": file,
                    "line": rule.place().line,
                    "digest": rule.digest(),
                }))
            });
            bound.collect::<Vec<_>>()
        };
        rules.policies.targets().iter().flat_map(of_target).collect()
    };
    ended(listed(&admin, peer, request, ("binding.list", "bindings"), all).await)
}

/// A list of what the rules have; all of it, as the operator wrote it, and in its order.
async fn listed(
    admin: &Admin,
    peer: SocketAddr,
    request: Request,
    (action, what): (&'static str, &'static str),
    all: impl FnOnce(&Rules, Timestamp) -> Vec<Value>,
) -> Ended {
    let (_, who) = Call::read(admin, peer, request, &[]).await?;
    let path = format!("{what}/");
    let permitted = who.permit(Action { name: action, path: &path, needs: Capability::List, body: &NOTHING }).await?;
    let rules = permitted.counter().rules();
    let found = all(&rules, permitted.now());
    Ok(told(permitted.done(None, None), StatusCode::OK, &json!({what: found})))
}

pub(super) async fn refresh(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(refreshed(&admin, peer, request).await)
}

async fn refreshed(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let (permitted, name) = on_issuer(&call, who).await?;
    let rules = permitted.counter().rules();
    let Some(issuer) = IssuerName::new(&name).ok().and_then(|name| rules.issuers.named(&name)) else {
        let problem = Problem { kind: Kind::NotFound, detail: Some("there is no such issuer".into()) };
        return Err(Refusal::of(permitted, "issuer_unknown", problem));
    };
    let before = issuer_state(issuer, permitted.now());
    let outcome = issuer.keys().refresh(Reason::Due, permitted.now()).await;
    let after = issuer_state(issuer, permitted.now());
    match outcome {
        Refresh::Fetched { changed } => {
            let decision = permitted.done(Some(&before), Some(&after));
            Ok(told(decision, StatusCode::OK, &json!({"changed": changed, "issuer": after})))
        }
        Refresh::Failed(fault) => {
            let detail = format!("the keys from before stay: {fault}");
            let kind = Kind::Unavailable(RETRY_AFTER);
            Err(Refusal::of(permitted, "keys_not_fetched", Problem { kind, detail: Some(detail.into()) }))
        }
        Refresh::TooSoon { retry_after } => {
            let detail = "the last attempt was too short a time ago";
            let kind = Kind::TooMany(retry_after);
            Err(Refusal::of(permitted, "keys_fetched_lately", Problem { kind, detail: Some(detail.into()) }))
        }
    }
}

async fn on_issuer<'a>(call: &Call, who: Administrator<'a>) -> Result<(Permitted<'a>, String), Refusal> {
    let name = call.segment(1).to_owned();
    let path = format!("issuers/{name}");
    let action = Action { name: "issuer.refresh", path: &path, needs: Capability::Update, body: &call.members.0 };
    Ok((who.permit(action).await?, name))
}

/// An issuer and the state of its keys.
fn issuer_state(issuer: &Issuer, now: Timestamp) -> Value {
    let keys = issuer.keys().status();
    let moment = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
    json!({
        "name": issuer.name(),
        "issuer": issuer.url().as_str(),
        "platform": issuer.platform().name(),
        "usable": issuer.keys().current(now).is_ok(),
        "keys": {
            "source": keys.source,
            "count": keys.keys,
            "exposed": keys.exposed,
            "skipped": keys.skipped.len(),
            "digest": keys.digest,
            "fetched_at": moment(keys.fetched),
            "age_s": keys.fetched.map(|fetched| now.since(fetched).as_secs()),
            "fresh_until": moment(keys.fresh_until),
            "usable_until": moment(keys.usable_until),
            "last_attempt_at": moment(keys.last_attempt),
            "next_attempt_at": moment(keys.next_attempt),
            "last_error": keys.last_error.map(|fault| fault.to_string()),
            "consecutive_failures": keys.consecutive_failures,
            "fetches": keys.fetches,
            "failures": keys.failures,
        },
    })
}
