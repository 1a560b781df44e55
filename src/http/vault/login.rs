//! Logins: an exchange, in the words of OpenBao's JWT and Kubernetes methods.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::Vault;
use super::bodies::Members;
use super::envelope::{self, Envelope, Refusal};
use super::request::{Place, VaultRequest};
use crate::audit::Surface;
use crate::exchange::{
    Counter, Exchanged, LoginRole, Presentation, Refused, RefusedClass, Session, Source, Walk, Wanted,
};
use crate::identity::{Namespace, PolicyName};
use crate::oauth::{DeclaredType, SubjectToken};
use crate::secrets::Verb;

/// `POST|PUT auth/<mount>/login`, `auth/<mount>/cel/login`.
pub(super) async fn login(vault: &Vault, request: &VaultRequest, body: Body) -> Result<Response<Body>, Refusal> {
    let Place::Login { mount, cel } = &request.place else { return Err(Refusal::unsupported_path()) };
    if request.verb != Verb::Write {
        return Err(Refusal::unsupported_operation());
    }
    let walk = vault.counter.begin(Source { surface: Surface::Vault, address: request.peer });
    let asked = Asked { namespace: request.namespace.clone(), mount: mount.clone(), cel: *cel };
    let members = match Members::read(body).await {
        Ok(members) => members,
        Err(refusal) => return Err(malformed(walk, "body_unreadable", refusal)),
    };
    let logged_in = log_in(vault, walk, asked, members).await?;
    let (decision, budget, auth) = match &logged_in {
        LoggedIn::Exchanged(exchanged) => (exchanged.decision, exchanged.budget, auth(&vault.counter, exchanged).await),
        LoggedIn::Session(session) => (session.decision, session.budget, session_auth(&vault.counter, session).await),
    };
    let mut envelope = Envelope::of(decision, b"null");
    envelope.auth = Some(auth);
    let Some(span) = request.wrap else { return Ok(envelope::told(envelope.response(StatusCode::OK), budget)) };
    let wrapped = vault.wrappings.wrap(envelope.text(), &request.path, span, vault.counter.clock().now());
    let info = wrapped.ok_or_else(|| {
        Refusal::later(StatusCode::SERVICE_UNAVAILABLE, "too many answers wait to be unwrapped; try again later", 5)
    })?;
    envelope.auth = None;
    envelope.wrap_info = Some(info);
    Ok(envelope::told(envelope.response(StatusCode::OK), budget))
}

/// Where a login is made.
pub(super) struct Asked {
    pub(super) namespace: Option<Namespace>,
    pub(super) mount: String,
    pub(super) cel: bool,
}

/// What a login came to.
pub(super) enum LoggedIn {
    /// The token of a platform was exchanged.
    Exchanged(Box<Exchanged>),
    /// A token of ours became another.
    Session(Box<Session>),
}

impl LoggedIn {
    /// The secrets token.
    pub(super) fn token(&self) -> &str {
        match self {
            Self::Exchanged(exchanged) => exchanged.token.token(),
            Self::Session(session) => session.token.token(),
        }
    }
}

/// The login with `members`: `role`, `jwt`.
pub(super) async fn log_in(
    vault: &Vault,
    walk: Walk<'_>,
    asked: Asked,
    mut members: Members,
) -> Result<LoggedIn, Refusal> {
    let (role, subject_token) = match role_and_token(&mut members) {
        Ok(read) => read,
        Err(refusal) => return Err(malformed(walk, "login_malformed", refusal)),
    };
    let Asked { namespace, mount, cel } = asked;
    let role = LoginRole { namespace, mount, cel, role };
    let logged_in = if vault.counter.claims_to_be_for_login(&subject_token) {
        walk.open_session(subject_token, role).await.map(|session| LoggedIn::Session(Box::new(session)))
    } else {
        let wanted = Wanted::Role(role);
        let presented = Presentation { subject_token, wanted, issuer: None, scope: None, lifetime: None };
        walk.exchange(presented).await.map(|exchanged| LoggedIn::Exchanged(Box::new(exchanged)))
    };
    let told = |refused: Refused| Refusal {
        budget: refused.budget.map(Box::new),
        ..Refusal::of_login(refused.class, refused.decision)
    };
    logged_in.map_err(told)
}

fn role_and_token(members: &mut Members) -> Result<(Option<String>, SubjectToken), Refusal> {
    let role = members.text("role")?.map(|role| role.trim().to_owned());
    if role.as_deref().is_some_and(|role| role.contains(char::is_control)) {
        return Err(Refusal::bad_request("`role` must not have control characters"));
    }
    let jwt = Zeroizing::new(members.text("jwt")?.unwrap_or_default());
    if jwt.trim().is_empty() {
        return Err(Refusal::bad_request("missing token"));
    }
    Ok((role, SubjectToken::new(jwt.trim(), DeclaredType::Jwt)))
}

fn malformed(walk: Walk<'_>, code: &'static str, refusal: Refusal) -> Refusal {
    let refused = walk.malformed(code, refusal.errors.join("; "));
    let refusal = match refused.class {
        RefusedClass::TooMany(state) => Refusal::too_many(state),
        _ => refusal,
    };
    Refusal { decision: Some(refused.decision), budget: refused.budget.map(Box::new), ..refusal }
}

/// The `auth` of a login's answer: every member that any client looks for.
async fn auth(counter: &Counter, exchanged: &Exchanged) -> Value {
    let (token, granted) = (&exchanged.token, &exchanged.granted);
    let revocable = granted.grant.revocable();
    if let Some(login) = &exchanged.direct {
        return login.auth.clone();
    }
    let own = if revocable { counter.introspect(token.token()).await } else { None };
    let accessor = own.and_then(|own| counter.accessor(&own)).unwrap_or_default();
    let mut metadata: Map<String, Value> =
        granted.grant.metadata().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    metadata.entry("role").or_insert_with(|| Value::from(granted.target.as_str()));
    let (policies, lease) = (granted.grant.policies(), exchanged.expires_in());
    told(exchanged.bearer(), &accessor, policies, metadata, lease, revocable)
}

async fn session_auth(counter: &Counter, session: &Session) -> Value {
    let login = session.login.token();
    let own = if login.revocable() { counter.introspect(session.token.token()).await } else { None };
    let accessor = own.and_then(|own| counter.accessor(&own)).unwrap_or_default();
    let metadata = Map::from_iter([("role".to_owned(), Value::from(login.target().as_str()))]);
    let lease = session.token.expires_in();
    told(session.token.token(), &accessor, login.policies(), metadata, lease, login.revocable())
}

fn told(
    token: &str,
    accessor: &str,
    policies: &[PolicyName],
    metadata: Map<String, Value>,
    lease: Duration,
    revocable: bool,
) -> Value {
    json!({
        "client_token": token,
        "accessor": accessor,
        "policies": policies,
        "token_policies": policies,
        "identity_policies": null,
        "metadata": metadata,
        "lease_duration": lease.as_secs(),
        "renewable": false,
        "entity_id": "",
        "token_type": if revocable { "service" } else { "batch" },
        "orphan": true,
        "mfa_requirement": null,
        "num_uses": 0,
    })
}
