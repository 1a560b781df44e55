//! Service accounts: made, listed, shown, changed, switched off and on, approved, removed.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, NOTHING, moment};
use super::lookup::{OnAccount, Part, namespace, on_account, page_after};
use super::refusal::Refusal;
use super::{Admin, Ended, ended, nothing, told};
use crate::accounts::{Account, AccountChange, Changed, Grants, NewAccount, Permission};
use crate::clock::Timestamp;
use crate::exchange::{Action, Permitted};
use crate::http::rest::problem::Problem;
use crate::identity::{AccountName, PolicyName};
use crate::secrets::acl::Capability;

/// Where the accounts of all namespaces are listed.
const ALL: &str = "service-accounts/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    #[serde(default)]
    namespace: String,
    name: AccountName,
    owner: String,
    description: String,
    #[serde(default)]
    permissions: Vec<Permission>,
    #[serde(default)]
    policies: Vec<PolicyName>,
    expires_at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    revision: Option<u64>,
    owner: Option<String>,
    description: Option<String>,
    permissions: Option<Vec<Permission>>,
    policies: Option<Vec<PolicyName>>,
    expires_at: Option<String>,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(listed(&admin, peer, request, "service_account.list", |_| true).await)
}

/// Accounts whose grants wait for approval.
pub(super) async fn pending(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(listed(&admin, peer, request, "grant.list", |account| account.wanted.is_some()).await)
}

async fn listed(
    admin: &Admin,
    peer: SocketAddr,
    request: Request,
    action: &'static str,
    wanted: impl Fn(&Account) -> bool,
) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &["namespace", "cursor", "limit"]).await?;
    let only = call.parameter("namespace").map(namespace).transpose();
    let path = match &only {
        Ok(Some(namespace)) => Part::Account.place(namespace.as_ref(), ""),
        _ => ALL.to_owned(),
    };
    let permitted = who.permit(Action { name: action, path: &path, needs: Capability::List, body: &NOTHING }).await?;
    let (only, after, limit) = match only.and_then(|only| Ok((page_after(&call, only.as_ref())?, call.limit()?, only)))
    {
        Ok((after, limit, only)) => (only, after, limit),
        Err(problem) => return Err(Refusal::of(permitted, "query_malformed", problem)),
    };
    let Some(accounts) = permitted.accounts() else { return Err(Refusal::off(permitted)) };
    let found = match &only {
        Some(namespace) => accounts.list(namespace.as_ref(), after.as_ref().map(|last| &last.name), limit).await,
        None => accounts.list_all(after.as_ref(), limit).await,
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return Err(Refusal::account(permitted, &error)),
    };
    // A full page may have a next one; a page of those that wait may have few, or none, and still a next one.
    let is_full = u32::try_from(found.len()).is_ok_and(|count| count >= limit);
    let next = found.last().filter(|_| is_full).map(|last| last.full_name().to_string());
    let now = permitted.now();
    let shown: Vec<Value> =
        found.iter().filter(|account| wanted(account)).map(|account| account.described(now)).collect();
    Ok(told(permitted.done(None, None), StatusCode::OK, &json!({"service_accounts": shown, "next_cursor": next})))
}

pub(super) async fn create(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(created(&admin, peer, request).await)
}

async fn created(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let new = call.body::<Create>().and_then(|new| {
        let expires = ends(&new.expires_at)?;
        Ok((namespace(&new.namespace)?, new, expires))
    });
    let path = new
        .as_ref()
        .map_or_else(|_| ALL.to_owned(), |(within, new, _)| Part::Account.place(within.as_ref(), new.name.as_str()));
    let action =
        Action { name: "service_account.create", path: &path, needs: Capability::Create, body: &call.members.0 };
    let mut permitted = who.permit(action).await?;
    let (within, new, expires) = match new {
        Ok(new) => new,
        Err(problem) => return Err(Refusal::of(permitted, "body_malformed", problem)),
    };
    permitted.about(within.as_ref());
    let permitted = permitted.with_documents(within.as_ref(), !new.policies.is_empty()).await?;
    let Some(accounts) = permitted.accounts() else { return Err(Refusal::off(permitted)) };
    // A namespace that nothing is in is a slip of the pen, and whoever made it up later would find an account there.
    if within.as_ref().is_some_and(|within| !permitted.counter().rules().has_namespace(within)) {
        let problem = Problem::bad_request("`namespace`: no target of the policies has it");
        return Err(Refusal::of(permitted, "namespace_unknown", problem));
    }
    let new = NewAccount {
        namespace: within,
        name: new.name,
        owner: new.owner,
        description: new.description,
        grants: Grants { permissions: new.permissions, policies: new.policies },
        expires,
    };
    let made = accounts.create(new, permitted.by(), permitted.now()).await;
    changed(permitted, made, StatusCode::CREATED)
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
    let on = on_account(&call, who, "service_account.read", Capability::Read, Part::Account).await?;
    let described = on.account.described(on.permitted.now());
    Ok(told(on.permitted.done(None, None), StatusCode::OK, &described))
}

pub(super) async fn update(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(updated(&admin, peer, request).await)
}

async fn updated(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let on = on_account(&call, who, "service_account.update", Capability::Update, Part::Account).await?;
    let OnAccount { permitted, account, accounts } = on;
    let permitted = permitted.over(&account).await?;
    let change = call.body::<Change>().and_then(|change| {
        let expires = change.expires_at.as_deref().map(ends).transpose()?;
        Ok((change, expires))
    });
    let (change, expires) = match change {
        Ok(change) => change,
        Err(problem) => return Err(Refusal::of(permitted, "body_malformed", problem)),
    };
    let gives_documents = change.policies.as_ref().is_some_and(|policies| !policies.is_empty());
    let permitted = permitted.with_documents(account.namespace.as_ref(), gives_documents).await?;
    // What is not said stays as it is, or as it was asked for and waits.
    let standing = account.wanted.as_ref().map_or(&account.granted, |wanted| &wanted.grants).clone();
    let grants = (change.permissions.is_some() || change.policies.is_some()).then(|| Grants {
        permissions: change.permissions.unwrap_or(standing.permissions),
        policies: change.policies.unwrap_or(standing.policies),
    });
    // Made from what was read, and allowed for it: whoever changed it meanwhile is not written over.
    let revision = change.revision.or(Some(account.revision));
    let change = AccountChange {
        revision,
        owner: change.owner,
        description: change.description,
        grants,
        expires,
        disabled: None,
    };
    let made = accounts.update(account.id, change, permitted.by(), permitted.now()).await;
    changed(permitted, made, StatusCode::OK)
}

pub(super) async fn disable(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(switched(&admin, peer, request, true).await)
}

pub(super) async fn enable(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(switched(&admin, peer, request, false).await)
}

async fn switched(admin: &Admin, peer: SocketAddr, request: Request, off: bool) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &[]).await?;
    let action = if off { "service_account.disable" } else { "service_account.enable" };
    let OnAccount { permitted, account, accounts } =
        on_account(&call, who, action, Capability::Update, Part::Account).await?;
    // To take power away takes no more than to change the account.
    let permitted = if off { permitted } else { permitted.over(&account).await? };
    // Switched on is what was looked at: it may have more power by now than whoever does that may give.
    let revision = (!off).then_some(account.revision);
    let change = AccountChange { disabled: Some(off), revision, ..AccountChange::default() };
    let made = accounts.update(account.id, change, permitted.by(), permitted.now()).await;
    changed(permitted, made, StatusCode::OK)
}

pub(super) async fn delete(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(deleted(&admin, peer, request).await)
}

async fn deleted(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &["revision"]).await?;
    let on = on_account(&call, who, "service_account.delete", Capability::Delete, Part::Account).await?;
    let OnAccount { permitted, account, accounts } = on;
    let revision = match call.number("revision") {
        Ok(revision) => revision,
        Err(problem) => return Err(Refusal::of(permitted, "query_malformed", problem)),
    };
    changed(permitted, accounts.delete(account.id, revision).await, StatusCode::NO_CONTENT)
}

/// Puts a change on record, and tells what is now.
#[allow(clippy::result_large_err, reason = "as the answer of every endpoint")]
pub(super) fn changed(
    permitted: Permitted<'_>,
    made: Result<Changed, crate::accounts::AccountError>,
    status: StatusCode,
) -> Ended {
    let now = permitted.now();
    match made {
        Ok(change) => {
            let [before, after] = change.described(now);
            let decision = permitted.done(before.as_ref(), after.as_ref());
            Ok(match after {
                Some(after) => told(decision, status, &after),
                None => nothing(decision),
            })
        }
        Err(error) => Err(Refusal::account(permitted, &error)),
    }
}

/// The end of something, of a body.
pub(super) fn ends(text: &str) -> Result<Timestamp, Problem> {
    moment(text).ok_or_else(|| Problem::bad_request("`expires_at` is no moment (RFC 3339) and no day"))
}
