//! `GET .../secrets/:name/value`: one value, current or of a version, as JSON or as it is.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::accept::Form;
use super::answer::{Decided, bare, json, named, put};
use super::found::{self, Version};
use super::problem::{Kind, Problem};
use super::request::{RestRequest, Unread, number};
use super::{Rest, etag, read, refused};
use crate::exchange::Tenant;
use crate::secrets::Verb;

/// A value and its version.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "name": "DB_PASSWORD", "version": 3, "created_at": "2026-11-27T10:00:00Z", "value": "correct horse"
}))]
pub(super) struct SecretValue<'a> {
    /// The name, as it was asked for.
    pub(super) name: &'a str,
    /// The version.
    #[schema(minimum = 1)]
    pub(super) version: u64,
    /// When the version was written (RFC 3339).
    #[schema(format = DateTime)]
    pub(super) created_at: &'a str,
    /// The value, where the secret has the configured member and that is a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(super) value: Option<&'a RawValue>,
    /// All members of the secret, where it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    pub(super) data: Option<&'a RawValue>,
}

impl<'a> SecretValue<'a> {
    /// What is told of a version, by the member that is its value.
    pub(super) fn of(name: &'a str, version: &'a Version, field: &str) -> Self {
        let value = found::text_field(&version.data, field);
        let data = if value.is_none() { serde_json::from_str(&version.data).ok() } else { None };
        Self { name, version: version.number, created_at: &version.created, value, data }
    }
}

/// Reads the value of a secret.
///
/// The value is the configured member of the secret, where that is a text; `Accept: text/plain` and
/// `application/octet-stream` get it as it is. A secret that is not there, one that is deleted and one that is not for this
/// caller are one answer.
#[utoipa::path(
    get,
    path = "/api/v4/projects/{id}/secrets/{name}/value",
    operation_id = "readProjectSecretValue",
    tag = "projects",
    params(
        ("id" = String, Path, min_length = 1, max_length = 255, pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", example = "123",
            description = "The number of the project or group, or its URL-encoded path (`acme%2Fweb`)."),
        ("name" = String, Path, min_length = 1, max_length = 255, pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$", example = "DB_PASSWORD",
            description = "The name of the secret; a slash in it is written `%2F`."),
        ("version" = Option<u64>, Query, minimum = 0, maximum = 999_999_999_999_999_u64, example = 1,
            description = "A version; 0 or none: the current one."),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags of values that the caller has.")
    ),
    responses(
        (status = 200, description = "The value.", content(
            (SecretValue = "application/json"),
            (String = "text/plain; charset=utf-8", example = json!("correct horse")),
            (Vec<u8> = "application/octet-stream")
        ), headers(
            ("ETag" = String, description = "Names this version in this form; not made of the value."),
            ("Vary" = String, description = "`Accept`.")
        )),
        (status = 304, description = "The caller has that version.", headers(
            ("ETag" = String, description = "The version that the caller has.")
        )),
        (status = 406, description = "Not in a form that the caller accepts.", body = super::problem::ProblemDetails,
            content_type = "application/problem+json")
    )
)]
pub(super) async fn value(
    State(rest): State<Rest>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (head, _) = request.into_parts();
    let rules = rest.counter.rules();
    let asked = RestRequest::read(&head, &rules, &["version"]).and_then(|asked| Asked::read(asked, &head.headers));
    let Asked { request, name, version, form } = match asked {
        Ok(asked) => asked,
        Err(unread) => return refused(&rest, peer, unread),
    };
    let place = request.place("data", &name);
    let (decision, answer) =
        read::read(&rest.counter, rest.source(peer), &request.token, Verb::Read, &place, version.as_deref()).await;
    let version = match answer.and_then(found::version) {
        Ok(version) => version,
        Err(problem) => return problem.response(decision),
    };
    // Whoever is not allowed has been refused by now: a tag is never compared for anybody else.
    let Some(tenant) = &request.tenant else { return Problem::from(Kind::NotFound).response(decision) };
    let tag = etag::of(&place, tenant, &version, form);
    let mut response = if etag::is_known(&head.headers, &tag) {
        not_modified(decision)
    } else {
        told(decision, &name, tenant, &version, form)
    };
    if response.status() != StatusCode::NOT_ACCEPTABLE {
        put(&mut response, "etag", tag);
    }
    put(&mut response, "vary", "Accept");
    response
}

/// A request for a value that was read.
struct Asked {
    request: RestRequest,
    name: String,
    version: Option<String>,
    form: Form,
}

impl Asked {
    fn read(request: RestRequest, headers: &axum::http::HeaderMap) -> Result<Self, Unread> {
        let name = request.name()?.as_str().to_owned();
        let version = request.parameter("version").map(|text| {
            number(text)
                .map(|number| number.to_string())
                .ok_or(Unread::new("query_malformed", "`version` is a number of at most 15 digits"))
        });
        let form =
            Form::of(headers).ok_or(Unread { code: "form_not_acceptable", problem: Kind::NotAcceptable.into() })?;
        Ok(Self { name, version: version.transpose()?, form, request })
    }
}

fn told(decision: Decided, name: &str, tenant: &Tenant, version: &Version, form: Form) -> Response<Body> {
    let value = SecretValue::of(name, version, &tenant.field);
    if form == Form::Json {
        return json(decision, &value);
    }
    match value.value.map(|raw| serde_json::from_str::<String>(raw.get()).map(Zeroizing::new)) {
        Some(Ok(text)) => named(bare(StatusCode::OK, form.media_type(), text.as_bytes().to_vec()), decision),
        Some(Err(_)) => Problem::from(Kind::Fault).response(decision),
        None => Problem::from(Kind::NotAcceptable).response(decision),
    }
}

fn not_modified(decision: Decided) -> Response<Body> {
    let mut response = named(bare(StatusCode::NOT_MODIFIED, "application/json", ""), decision);
    response.headers_mut().remove(axum::http::header::CONTENT_TYPE);
    response
}
