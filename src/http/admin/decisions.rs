//! What was decided: by filter and page, and one by its id.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::call::{Call, NOTHING};
use super::refusal::{RETRY_AFTER, Refusal};
use super::uses::{Sought, uses};
use super::{Admin, Ended, ended, told};
use crate::audit::{Cursor, Decision, DecisionFilter, Decisions};
use crate::exchange::{Action, Permitted, Rules};
use crate::http::rest::problem::{Kind, Problem};
use crate::identity::{DecisionId, IssuerName};
use crate::secrets::acl::Capability;

pub(super) const KNOWN: [&str; 10] =
    ["outcome", "issuer", "subject", "target", "reason", "from", "to", "cursor", "limit", "token"];

pub(super) async fn list(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    ended(listed(&admin, peer, request).await)
}

async fn listed(admin: &Admin, peer: SocketAddr, request: Request) -> Ended {
    let (call, who) = Call::read(admin, peer, request, &KNOWN).await?;
    let action = Action { name: "decision.list", path: "decisions/", needs: Capability::List, body: &NOTHING };
    let permitted = who.permit(action).await?;
    let (filter, after, limit) = match asked(&call) {
        Ok(asked) => asked,
        Err(problem) => return Err(Refusal::of(permitted, "query_malformed", problem)),
    };
    let decisions = match kept(admin) {
        Ok(decisions) => decisions,
        Err(problem) => return Err(Refusal::of(permitted, "decisions_not_kept", problem)),
    };
    if let Some(token) = call.parameter("token") {
        return uses(permitted, decisions, Sought { filter, after, limit }, token).await;
    }
    match decisions.page(&filter, after, limit).await {
        Ok(page) => {
            let rules = permitted.counter().rules();
            let found: Vec<Value> = page.decisions.iter().map(|one| told_of(one, &rules)).collect();
            let next = page.next.map(|next| next.to_string());
            Ok(told(permitted.done(None, None), StatusCode::OK, &json!({"decisions": found, "next_cursor": next})))
        }
        Err(_) => Err(unreachable(permitted)),
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
    let path = format!("decisions/{}", call.segment(1));
    let action = Action { name: "decision.read", path: &path, needs: Capability::Read, body: &NOTHING };
    let permitted = who.permit(action).await?;
    let missing = || Problem { kind: Kind::NotFound, detail: Some("no such decision is kept in the store".into()) };
    let Some(id) = DecisionId::parse(call.segment(1)) else {
        return Err(Refusal::of(permitted, "decision_unknown", missing()));
    };
    let decisions = match kept(admin) {
        Ok(decisions) => decisions,
        Err(problem) => return Err(Refusal::of(permitted, "decisions_not_kept", problem)),
    };
    match decisions.find(id).await {
        Ok(Some(found)) => {
            let body = told_of(&found, &permitted.counter().rules());
            Ok(told(permitted.done(None, None), StatusCode::OK, &body))
        }
        Ok(None) => Err(Refusal::of(permitted, "decision_unknown", missing())),
        Err(_) => Err(unreachable(permitted)),
    }
}

fn kept(admin: &Admin) -> Result<&Decisions, Problem> {
    let detail = "decisions are not kept in a store here: the journal has them";
    admin.decisions.as_ref().ok_or(Problem { kind: Kind::NotFound, detail: Some(detail.into()) })
}

pub(super) fn unreachable(permitted: Permitted<'_>) -> Refusal {
    Refusal::of(permitted, "store_unavailable", Kind::Unavailable(RETRY_AFTER).into())
}

fn asked(call: &Call) -> Result<(DecisionFilter, Option<Cursor>, u32), Problem> {
    let text = |name| call.parameter(name).map(str::to_owned);
    let filter = DecisionFilter {
        outcome: text("outcome"),
        issuer: text("issuer"),
        subject: text("subject"),
        target: text("target"),
        reason: text("reason"),
        since: call.moment("from")?,
        until: call.moment("to")?,
    };
    let cursor =
        call.parameter("cursor").map(|text| Cursor::parse(text).ok_or(Problem::bad_request("`cursor` is none")));
    Ok((filter, cursor.transpose()?, call.limit()?))
}

/// A decision, without the values of claims that the platform calls secret.
pub(super) fn told_of(decision: &Decision, rules: &Rules) -> Value {
    let mut record = decision.record.clone();
    let issuer = record.issuer.as_deref().and_then(|name| IssuerName::new(name).ok());
    let issuer = issuer.and_then(|name| rules.issuers.named(&name));
    if let Some(Value::Object(claims)) = &mut record.claims {
        // Of an issuer that is gone nobody knows which are secret.
        for (_, value) in claims.iter_mut().filter(|(name, _)| issuer.is_none_or(|one| one.schema().hides(name))) {
            *value = Value::from("[hidden]");
        }
    }
    json!({
        "id": decision.id,
        "chain": decision.chain,
        "seq": decision.seq,
        "record": record,
    })
}
