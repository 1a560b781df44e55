//! `POST .../secrets_manager/access_token`: the token of a platform for one to log in with, and all that a client needs for
//! the login, named as External Secrets Operator names it (GitLab API, 19.2; `VaultProvider` of `external-secrets.io/v1`).
//!
//! Decides nothing: it is the exchange of the target that the project or group has. Whoever is refused, and whoever names a
//! project that has none, gets one and the same answer.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Decided, bare, named};
use super::problem::{Kind, Problem};
use super::request::{RestRequest, Unread};
use super::{Rest, refused};
use crate::accounts::AccountToken;
use crate::exchange::{Exchanged, LOGIN_MOUNT, LOGIN_ROLE, Presentation, RefusedClass, Tenant, Wanted};
use crate::http::body;
use crate::identity::{IssuerName, Namespace};
use crate::oauth::{DeclaredType, SubjectToken};
use crate::secrets::openbao::LoginPlace;

/// A token to log in with.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "expires_at": "2026-11-27T10:10:00Z",
    "provider": {"vault": {
        "server": "https://cambio.example.com", "namespace": "group_100/project_123", "path": "secrets/kv", "version": "v2",
        "secrets_path": "explicit",
        "auth": {"jwt": {"path": "api_jwt/cel", "role": "all_api", "token": "eyJ..."}}
    }}
}))]
pub(super) struct AccessToken<'a> {
    /// When the token ends, and with it all that was made of it (RFC 3339).
    #[schema(format = DateTime)]
    expires_at: String,
    provider: Provider<'a>,
}

/// Where secrets come from.
#[derive(Serialize, ToSchema)]
struct Provider<'a> {
    vault: VaultProvider<'a>,
}

/// A server of the Vault API.
#[derive(Serialize, ToSchema)]
struct VaultProvider<'a> {
    /// Its base URL.
    server: &'a str,
    /// The namespace of the secrets; none is the root.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(required = false)]
    namespace: &'a str,
    /// The mount.
    path: &'a str,
    /// The version of its KV engine.
    version: &'static str,
    /// The folder of the secrets in the mount.
    secrets_path: &'a str,
    auth: Auth<'a>,
}

/// How to log in.
#[derive(Serialize, ToSchema)]
struct Auth<'a> {
    /// The namespace of the login, where it is another one; `root` is the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    namespace: Option<&'a str>,
    jwt: Jwt<'a>,
}

/// A login by a token.
#[derive(Serialize, ToSchema)]
struct Jwt<'a> {
    /// The path of the login, between `auth/` and `/login`.
    path: &'a str,
    /// The role.
    role: &'a str,
    /// The token: for this login, and for nothing else.
    token: &'a str,
}

/// Exchanges the token of a platform for one to log in with.
///
/// The bearer is the token of a trusted issuer, or that of a service account. The answer has what `vault` in a `SecretStore`
/// of External Secrets Operator has; the token goes into the `Secret` that its `secretRef` names.
#[utoipa::path(
    post,
    path = "/api/v4/projects/{id}/secrets_manager/access_token",
    operation_id = "createProjectSecretsAccessToken",
    tag = "projects",
    params(
        ("id" = String, Path, min_length = 1, max_length = 255,
            pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", example = "123",
            description = "The number of the project or group, or its URL-encoded path (`acme%2Fweb`)."),
        ("subject_issuer" = Option<String>, Query, pattern = "^[a-z0-9-]{1,63}$",
            description = "The operator's name of the token's issuer, where several share one issuer identifier.")
    ),
    responses((status = 201, description = "The token, and where to log in with it.", body = AccessToken))
)]
pub(super) async fn access_token(
    State(rest): State<Rest>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let rules = rest.counter.rules();
    let asked = RestRequest::read(&head, &rules, &["subject_issuer"]);
    let (asked, issuer) = match asked.and_then(|asked| Ok((issuer(&asked)?, asked))) {
        Ok((issuer, asked)) => (asked, issuer),
        Err(unread) => return refused(&rest, peer, unread),
    };
    if let Err(unread) = nothing(body).await {
        return refused(&rest, peer, unread);
    }
    let walk = rest.counter.begin(rest.source(peer));
    if asked.token.is_empty() {
        let refused = walk.malformed("no_token", "no token was given");
        let kind = match refused.class {
            RefusedClass::TooMany(state) => Kind::TooMany(state.retry_after),
            _ => Kind::NoToken,
        };
        return Problem::from(kind).response(Decided { id: refused.decision, budget: refused.budget });
    }
    let target = asked.tenant.as_ref().and_then(|tenant| Some((tenant, tenant.target.as_ref()?)));
    let presented = Presentation {
        subject_token: SubjectToken::new(&asked.token, declared(&asked.token)),
        wanted: target.map_or_else(
            || Wanted::Nothing(asked.asked.clone()),
            |(_, target)| Wanted::Targets(vec![target.as_str().to_owned()]),
        ),
        issuer,
        scope: None,
        lifetime: None,
    };
    match (walk.for_login().exchange(presented).await, target) {
        (Ok(exchanged), Some((tenant, _))) => created(&rest, &exchanged, tenant),
        (Ok(exchanged), None) => {
            Problem::from(Kind::Fault).response(Decided { id: exchanged.decision, budget: exchanged.budget })
        }
        (Err(refused), _) => {
            let kind = match refused.class {
                RefusedClass::Request => Kind::BadRequest,
                RefusedClass::Token | RefusedClass::Target | RefusedClass::Scope => Kind::BadToken,
                RefusedClass::TooMany(state) => Kind::TooMany(state.retry_after),
                RefusedClass::Unavailable(wait) => Kind::Unavailable(wait),
                RefusedClass::Fault => Kind::Fault,
            };
            Problem::from(kind).response(Decided { id: refused.decision, budget: refused.budget })
        }
    }
}

/// A caller here has no word for what its token is. That of a service account says so itself.
fn declared(token: &str) -> DeclaredType {
    if AccountToken::is_meant(token.as_bytes()) { DeclaredType::AccessToken } else { DeclaredType::Jwt }
}

fn issuer(asked: &RestRequest) -> Result<Option<IssuerName>, Unread> {
    let named = asked.parameter("subject_issuer").map(IssuerName::new).transpose();
    named.map_err(|_| Unread::new("query_malformed", "`subject_issuer` is no name of an issuer"))
}

/// There is no body. One that says something would be overlooked.
async fn nothing(body: Body) -> Result<(), Unread> {
    let unread = |error| Unread { code: "body_unreadable", problem: Problem::unread(error) };
    let bytes = body::read(body).await.map_err(unread)?;
    let empty = matches!(bytes.trim_ascii(), b"" | b"{}");
    if empty { Ok(()) } else { Err(Unread::new("body_malformed", "there is no body to this request")) }
}

/// The answer: the login is at the OpenBao that the operator has the target's callers read from, or here.
fn created(rest: &Rest, exchanged: &Exchanged, tenant: &Tenant) -> Response<Body> {
    let namespace = tenant.namespace.as_ref();
    let place = match rest.counter.direct(&exchanged.granted.target) {
        Some(openbao) => match openbao.login_place(namespace) {
            Ok(place) => place,
            Err(_) => {
                return Problem::from(Kind::Fault)
                    .response(Decided { id: exchanged.decision, budget: exchanged.budget });
            }
        },
        None => here(rest, namespace),
    };
    let login_namespace = Some(place.login_namespace.as_str()).filter(|login| *login != place.namespace);
    let answer = AccessToken {
        expires_at: exchanged.token.expires_at().to_string(),
        provider: Provider {
            vault: VaultProvider {
                server: &place.address,
                namespace: &place.namespace,
                path: tenant.mount.as_str(),
                version: "v2",
                secrets_path: tenant.folder.as_str().trim_end_matches('/'),
                auth: Auth {
                    namespace: login_namespace.map(|login| if login.is_empty() { "root" } else { login }),
                    jwt: Jwt { path: &place.path, role: &place.role, token: exchanged.token.token() },
                },
            },
        },
    };
    match serde_json::to_vec(&answer) {
        Ok(text) => named(
            bare(StatusCode::CREATED, "application/json", text),
            Decided { id: exchanged.decision, budget: exchanged.budget },
        ),
        Err(_) => Problem::from(Kind::Fault).response(Decided { id: exchanged.decision, budget: exchanged.budget }),
    }
}

fn here(rest: &Rest, namespace: Option<&Namespace>) -> LoginPlace {
    let namespace = namespace.map_or("", Namespace::as_str).to_owned();
    LoginPlace {
        address: rest.counter.issuer().as_str().trim_end_matches('/').to_owned(),
        login_namespace: namespace.clone(),
        namespace,
        path: format!("{LOGIN_MOUNT}/cel"),
        role: LOGIN_ROLE.to_owned(),
    }
}
