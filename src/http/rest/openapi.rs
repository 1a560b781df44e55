//! The description of the API (OpenAPI 3.1), from the handlers themselves. What every operation has in common is written
//! here once: who may call, what a refusal looks like, which headers every answer has.

use std::sync::LazyLock;

use axum::body::Bytes;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, Object, OpenApi, Ref, RefOr, Response, ResponseBuilder, Type};
use utoipa::{Modify, OpenApi as _};

use super::problem::{PROBLEM_JSON, ProblemDetails};
use super::{access_token, bulk, list, metadata, value};

/// Names of headers that answers have.
const DECISION: &str = "Cambio-Decision";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "cambio",
        version = "v4",
        description = "Values of secrets, for callers that bring a secrets token of cambio's.\n\nWhat is not there and what is \
                       not for the caller are one answer, 404. Parameters that are not known are refused.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/")),
    paths(list::list, metadata::metadata, value::value, bulk::values, access_token::access_token),
    components(schemas(ProblemDetails)),
    tags((name = "projects", description = "Secrets of a project."), (name = "groups", description = "Secrets of a group.")),
    modifiers(&Common)
)]
struct Api;

/// The description, as it is served and committed (`schemas/openapi.json`).
///
/// # Errors
/// An error of the writer's; there is none that a caller could cause.
pub fn document() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&Api::openapi())?;
    text.push('\n');
    Ok(text)
}

/// The same, made once.
pub(super) fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().unwrap_or_default()));
    TEXT.clone()
}

/// What all operations have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, api: &mut OpenApi) {
        for (path, item) in &mut api.paths.paths {
            let reads = !path.ends_with("/access_token");
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                complete(operation, reads);
            }
        }
        // Groups are as projects.
        let groups: Vec<(String, PathItem)> =
            api.paths.paths.iter().map(|(path, item)| of_groups(path, item)).collect();
        api.paths.paths.extend(groups);
        let components = api.components.get_or_insert_default();
        components.add_security_scheme(
            "bearer",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .description(Some("A secrets token of an exchange, or the token of a service account."))
                    .build(),
            ),
        );
        let private = ApiKeyValue::with_description("PRIVATE-TOKEN", "The same, as GitLab's clients send it.");
        for (name, private) in [("subject_token", false), ("private_subject_token", true)] {
            let description = "The token of a platform whose issuer is trusted, or that of a service account.";
            let scheme = if private {
                SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("PRIVATE-TOKEN", description)))
            } else {
                let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description));
                SecurityScheme::Http(http.build())
            };
            components.add_security_scheme(name, scheme);
        }
        components.add_security_scheme("private_token", SecurityScheme::ApiKey(ApiKey::Header(private)));
    }
}

/// Completes an operation, which reads secrets or exchanges a token for one.
fn complete(operation: &mut Operation, reads: bool) {
    let schemes = if reads { ["bearer", "private_token"] } else { ["subject_token", "private_subject_token"] };
    let own = schemes.map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
    operation.security = Some(own.to_vec());
    let responses = &mut operation.responses.responses;
    for (status, description, header) in [
        ("400", "The request is malformed; nobody could do that.", None),
        (
            "401",
            "There is no token, or it is not acceptable.",
            Some(("WWW-Authenticate", "How to bring one (RFC 6750).")),
        ),
        ("404", "It is not there, or not for this caller.", None),
        ("429", "Too many requests.", Some(("Retry-After", "When to try again, in seconds."))),
        ("500", "A fault of cambio's own.", None),
        ("503", "Not available.", Some(("Retry-After", "When to try again, in seconds."))),
    ] {
        // Whoever exchanges a token and names a place that is not there is told what one with a bad token is.
        if !reads && status == "404" {
            continue;
        }
        let problem = problem(description, header);
        responses.entry(status.to_owned()).or_insert(RefOr::T(problem));
    }
    // Of the connection's own, before there is a request.
    let too_long = ResponseBuilder::new().description("The head of the request is too large.").build();
    for response in responses.values_mut() {
        if let RefOr::T(response) = response {
            every(response);
        }
    }
    responses.insert("431".to_owned(), RefOr::T(too_long));
}

fn problem(description: &str, header: Option<(&str, &str)>) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("ProblemDetails"));
    let mut response =
        ResponseBuilder::new().description(description).content(PROBLEM_JSON, Content::new(Some(schema))).build();
    if let Some((name, description)) = header {
        add_header(&mut response, name, description);
    }
    response
}

/// What every answer has.
fn every(response: &mut Response) {
    add_header(response, DECISION, "The id of the decision that this is.");
    add_header(response, "Cache-Control", "`no-store`.");
    add_header(response, "X-Content-Type-Options", "`nosniff`.");
    add_header(
        response,
        "RateLimit-Limit",
        "Where there are limits: requests that the caller's tightest budget has room for.",
    );
    add_header(response, "RateLimit-Name", "Which budget that is.");
    add_header(response, "RateLimit-Observed", "How many of them are taken, with this one.");
    add_header(response, "RateLimit-Remaining", "How many may still come at once.");
    add_header(response, "RateLimit-Reset", "When all are there again, in seconds since the Unix epoch.");
}

fn add_header(response: &mut Response, name: &str, description: &str) {
    let header =
        HeaderBuilder::new().schema(Some(Object::with_type(Type::String))).description(Some(description)).build();
    response.headers.insert(name.to_owned(), header.into());
}

fn of_groups(path: &str, item: &PathItem) -> (String, PathItem) {
    let mut item = item.clone();
    for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
        operation.tags = Some(vec!["groups".to_owned()]);
        operation.operation_id = operation.operation_id.as_ref().map(|id| id.replace("Project", "Group"));
    }
    (path.replace("/projects/", "/groups/"), item)
}
