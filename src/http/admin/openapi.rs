//! The description of the administration (OpenAPI 3.1), from the endpoints that the router has.

use serde_json::{Map, Value, json};

use super::call::BASE;
use super::endpoint::{Endpoint, all};

/// The description, as it is served and committed (`schemas/openapi-admin.json`).
///
/// # Errors
/// An error of the writer's; there is none that a caller could cause.
pub fn document() -> Result<String, serde_json::Error> {
    let mut paths = Map::new();
    for endpoint in all() {
        let path = paths.entry([BASE, endpoint.path].concat()).or_insert_with(|| json!({}));
        if let Some(item) = path.as_object_mut() {
            item.insert(endpoint.method.to_owned(), operation(&endpoint));
        }
    }
    let api = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cambio administration",
            "version": "v1",
            "description": "For callers whose access documents allow it. Parameters and members that are not known are refused.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "headers": described_headers(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token for the target of the administration, or that of a service account in its namespace.",
                },
            },
        },
    });
    let mut text = serde_json::to_string_pretty(&api)?;
    text.push('\n');
    Ok(text)
}

fn operation(endpoint: &Endpoint) -> Value {
    let in_path = endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| parameter(name, "path"));
    let parameters: Vec<Value> = in_path.chain(endpoint.query.iter().map(|name| parameter(name, "query"))).collect();
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "security": [{"bearer": []}],
        "parameters": parameters,
        "responses": responses(endpoint),
    });
    if let Some(schema) = endpoint.body {
        // A rotation may say nothing.
        let required = schema != "Rotation";
        let content = json!({"required": required, "content": {"application/json": {"schema": of(schema)}}});
        put(&mut operation, "requestBody", content);
    }
    operation
}

fn responses(endpoint: &Endpoint) -> Value {
    let problem = |text: &str| {
        json!({
            "description": text,
            "headers": headers(),
            "content": {"application/problem+json": {"schema": of("ProblemDetails")}},
        })
    };
    let mut responses = json!({
        "400": problem("The request is malformed."),
        "401": problem("There is no token, or it is not good."),
        "403": problem("The token does not allow that."),
        "404": problem("It is not there."),
        "408": problem("The body did not arrive in time."),
        "409": problem("It is not in a state in which that can be done."),
        "413": problem("The body is too large."),
        "415": problem("The body is not `application/json`."),
        "429": problem("Too many requests."),
        "500": problem("A fault of cambio's own."),
        "503": problem("Not available."),
    });
    let (status, schema) = endpoint.answer;
    let mut good = json!({"description": "Done.", "headers": headers()});
    if let Some(schema) = schema {
        put(&mut good, "content", json!({"application/json": {"schema": of(schema)}}));
    }
    put(&mut responses, &status.to_string(), good);
    responses
}

/// What every answer has.
const HEADERS: [(&str, &str); 8] = [
    ("Cambio-Decision", "The id of the decision that this is."),
    ("Cache-Control", "`no-store`."),
    ("X-Content-Type-Options", "`nosniff`."),
    ("RateLimit-Limit", "Where there are limits: requests that the caller's tightest budget has room for."),
    ("RateLimit-Name", "Which budget that is."),
    ("RateLimit-Observed", "How many of them are taken, with this one."),
    ("RateLimit-Remaining", "How many may still come at once."),
    ("RateLimit-Reset", "When all are there again, in seconds since the Unix epoch."),
];

fn headers() -> Value {
    HEADERS
        .iter()
        .map(|(name, _)| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")})))
        .collect()
}

fn described_headers() -> Value {
    let text = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    HEADERS.iter().map(|(name, description)| ((*name).to_owned(), text(description))).collect()
}

fn of(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn parameter(name: &str, place: &str) -> Value {
    let description = match name {
        "account" => "The id, or namespace and name with `%2F` for slashes; `@root` is the root namespace.",
        "token" => "The id of a service account's token.",
        "namespace" => "Accounts of that namespace only; `@root` for the root.",
        "cursor" => "`next_cursor` of the page before.",
        "limit" => "The most of a page, 50 where nothing is said.",
        "revision" => "The revision that it was decided for.",
        "from" => "The first moment (RFC 3339), or day.",
        "to" => "The first moment that counts no more.",
        _ => "Equal to this, byte for byte.",
    };
    let schema = match name {
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 200}),
        "revision" => json!({"type": "integer", "minimum": 0}),
        _ => json!({"type": "string", "minLength": 1}),
    };
    json!({"name": name, "in": place, "required": place == "path", "description": description, "schema": schema})
}

/// Puts a member into an object.
fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn schemas() -> Value {
    let (text, moment, flag) = (json!({"type": "string"}), json!({"type": "string"}), json!({"type": "boolean"}));
    let number = json!({"type": "integer", "minimum": 0});
    let list = |of: Value| json!({"type": "array", "items": of});
    let page = |member: &str, of: Value| {
        let mut properties = json!({"next_cursor": {"type": ["string", "null"]}});
        put(&mut properties, member, list(of));
        json!({"type": "object", "required": [member], "properties": properties})
    };
    // Bodies take what they say and nothing else; answers may say more.
    let body = |required: &[&str], properties: Value| json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties});
    let answer = |required: &[&str], properties: Value| json!({"type": "object", "required": required, "properties": properties});
    let permission = body(&["secrets"], json!({"secrets": text, "access": {"enum": ["read", "list", "write"]}}));
    let token = json!({
        "id": text, "account_id": text, "family_id": text, "name": text, "expires_at": moment, "active": flag, "revoked": flag,
        "state": {"enum": ["active", "rotating", "rotated_out", "expired", "revoked"]},
    });
    let mut decisions = page("decisions", of("Decision"));
    if let Some(properties) = decisions.get_mut("properties") {
        put(properties, "complete", flag.clone());
    }
    let mut issued = token.clone();
    put(&mut issued, "token", text.clone());
    json!({
        "ProblemDetails": answer(&["type", "title", "status", "detail", "instance"],
            json!({"type": text, "title": text, "status": number, "detail": text, "instance": text})),
        "Permission": permission,
        "NewServiceAccount": body(&["name", "owner", "description", "expires_at"], json!({
            "namespace": text, "name": text, "owner": text, "description": text, "permissions": list(of("Permission")),
            "policies": list(text.clone()), "expires_at": moment,
        })),
        "ServiceAccountChange": body(&[], json!({
            "revision": number, "owner": text, "description": text, "permissions": list(of("Permission")),
            "policies": list(text.clone()), "expires_at": moment,
        })),
        "Seen": body(&["revision"], json!({"revision": number})),
        "ServiceAccount": answer(&["id", "name", "status", "revision"], json!({
            "id": text, "namespace": {"type": ["string", "null"]}, "name": text, "owner": text, "description": text,
            "status": {"enum": ["active", "pending", "disabled", "expired"]}, "permissions": list(of("Permission")),
            "policies": list(text.clone()), "expires_at": moment, "revision": number,
            "pending": {"type": ["object", "null"], "required": ["grants", "requested_by"], "properties": {
                "grants": {"type": "object", "required": ["permissions", "policies"], "properties": {
                    "permissions": list(of("Permission")), "policies": list(text.clone()),
                }},
                "requested_by": list(text.clone()),
            }},
            "approved_by": {"type": ["string", "null"]}, "tokens_revoked": number,
        })),
        "ServiceAccountPage": page("service_accounts", of("ServiceAccount")),
        "NewToken": body(&["name", "expires_at"], json!({"name": text, "expires_at": moment})),
        "Rotation": body(&[], json!({"expires_at": moment, "overlap": number})),
        "Token": answer(&["id", "state"], token),
        "IssuedToken": answer(&["id", "token"], issued),
        "RotatedToken": answer(&["id", "name", "revoked", "active", "expires_at", "token"], json!({
            "id": text, "name": text, "revoked": flag, "active": flag, "created_at": moment, "description": text,
            "scopes": list(text.clone()), "user_id": text, "last_used_at": {"type": "null"},
            "expires_at": {"type": "string", "format": "date"}, "ends_at": moment, "family_id": text, "token": text,
        })),
        "TokenPage": page("tokens", of("Token")),
        "TokenSearch": body(&[], json!({"token": text, "digest": text, "id": text, "revoke": flag})),
        "FoundToken": answer(&["token", "service_account"], json!({
            "token": of("Token"), "service_account": of("ServiceAccount"), "path": text,
            "revoked_now": {"type": ["integer", "null"]},
        })),
        "Bindings": page("bindings", json!({"type": "object"})),
        "Issuers": page("issuers", json!({"type": "object"})),
        "RefreshedIssuer": answer(&["changed", "issuer"], json!({"changed": flag, "issuer": {"type": "object"}})),
        "Targets": page("targets", json!({"type": "object"})),
        "Decision": answer(&["id", "chain", "seq", "record"],
            json!({"id": text, "chain": text, "seq": number, "record": {"type": "object"}})),
        "DecisionPage": decisions,
        "Revocation": body(&[], json!({"token": text, "jti": text, "expires_at": moment})),
        "Revoked": answer(&["revoked"], json!({"revoked": flag, "jti": text, "expires_at": moment})),
    })
}
