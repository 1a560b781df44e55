//! How a store's answer is told (OpenBao API, KV version 2 and 1).

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::envelope::{Envelope, Refusal, decided, done, json_response};
use crate::exchange::{Served, ServedAnswer};
use crate::secrets::{KvAnswer, SecretData, SecretMetadata, Shape, VersionMetadata, go_text};

/// How long a value of version 1 counts, in seconds, as OpenBao says: its longest lease.
const V1_LEASE: u64 = 2_764_800;

pub(super) fn response(served: Served) -> Result<Response<Body>, Refusal> {
    let Served { decision, answer, ignored, .. } = served;
    let (answer, shape) = match answer {
        ServedAnswer::Kv(answer, shape) => (answer, shape),
        ServedAnswer::Upstream(upstream) => {
            let status = StatusCode::from_u16(upstream.status).unwrap_or(StatusCode::BAD_GATEWAY);
            if upstream.body.is_empty() {
                let mut response = done(decision);
                *response.status_mut() = status;
                return Ok(response);
            }
            return Ok(decided(json_response(status, upstream.body.to_vec()), decision));
        }
    };
    let (status, data) = match answer {
        KvAnswer::Version { data: Some(data), .. } if shape == Shape::V1 => (StatusCode::OK, data.as_json().to_vec()),
        KvAnswer::Version { data: None, .. } if shape == Shape::V1 => {
            return Err(Refusal { decision: Some(decision), ..Refusal::not_there() });
        }
        KvAnswer::Version { data, metadata, custom_metadata } => {
            // A version that is deleted answers with 404 and with what is known of it: clients tell it from a missing one.
            let status = if data.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
            let metadata = version_metadata(&metadata, custom_metadata.as_ref());
            (status, version(data.as_ref(), &metadata, shape))
        }
        KvAnswer::Metadata(metadata) => (StatusCode::OK, secret_metadata(&metadata).to_string().into_bytes()),
        KvAnswer::Written { .. } if shape == Shape::V1 => return Ok(done(decision)),
        KvAnswer::Written { metadata, custom_metadata } => {
            (StatusCode::OK, version_metadata(&metadata, custom_metadata.as_ref()).to_string().into_bytes())
        }
        KvAnswer::Keys(keys) => (StatusCode::OK, json!({ "keys": keys }).to_string().into_bytes()),
        KvAnswer::Done => return Ok(done(decision)),
    };
    let mut envelope = Envelope::of(decision, &data);
    if shape == Shape::V1 {
        envelope.lease_duration = V1_LEASE;
    }
    if !ignored.is_empty() {
        envelope.warnings = vec![format!("Endpoint ignored these unrecognized parameters: [{}]", ignored.join(" "))];
    }
    Ok(envelope.response(status))
}

fn version(data: Option<&SecretData>, metadata: &Value, shape: Shape) -> Vec<u8> {
    let (name, value) = match (shape, data) {
        (Shape::Subkeys { depth }, Some(data)) => ("subkeys", subkeys(data, depth)),
        (Shape::Subkeys { .. }, None) => ("subkeys", b"null".to_vec()),
        (_, Some(data)) => ("data", data.as_json().to_vec()),
        (_, None) => ("data", b"null".to_vec()),
    };
    let mut text = Vec::with_capacity(value.len() + 256);
    text.extend_from_slice(format!(r#"{{"{name}":"#).as_bytes());
    text.extend_from_slice(&value);
    text.extend_from_slice(format!(r#","metadata":{metadata}}}"#).as_bytes());
    text
}

/// The names in a value, with nothing in place of what they name.
fn subkeys(data: &SecretData, depth: u32) -> Vec<u8> {
    let value: Map<String, Value> = serde_json::from_slice(data.as_json()).unwrap_or_default();
    let most = if depth == 0 { u32::MAX } else { depth };
    names(&value, most).to_string().into_bytes()
}

/// Recursion is bounded by the reader of the value.
fn names(value: &Map<String, Value>, depth: u32) -> Value {
    let inner = |value: &Value| match value {
        Value::Object(inner) if depth > 1 => names(inner, depth - 1),
        _ => Value::Null,
    };
    Value::Object(value.iter().map(|(name, value)| (name.clone(), inner(value))).collect())
}

fn version_metadata(metadata: &VersionMetadata, custom: Option<&BTreeMap<String, String>>) -> Value {
    json!({
        "created_time": metadata.created.to_string(),
        "custom_metadata": custom,
        "deletion_time": metadata.deletion.map_or_else(String::new, |moment| moment.to_string()),
        "destroyed": metadata.destroyed,
        "version": metadata.version,
    })
}

fn secret_metadata(metadata: &SecretMetadata) -> Value {
    let version = |version: &VersionMetadata| {
        let about = json!({
            "created_time": version.created.to_string(),
            "deletion_time": version.deletion.map_or_else(String::new, |moment| moment.to_string()),
            "destroyed": version.destroyed,
        });
        (version.version.to_string(), about)
    };
    json!({
        "cas_required": metadata.cas_required,
        "created_time": metadata.created.to_string(),
        "current_version": metadata.current_version,
        "custom_metadata": metadata.custom_metadata,
        "delete_version_after": go_text(metadata.delete_version_after),
        "max_versions": metadata.max_versions,
        "oldest_version": metadata.oldest_version,
        "updated_time": metadata.updated.to_string(),
        "versions": metadata.versions.iter().map(version).collect::<Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use zeroize::Zeroizing;

    #[rstest]
    #[case(0, r#"{"a":null,"b":{"c":{"d":null}},"l":null}"#)]
    #[case(1, r#"{"a":null,"b":null,"l":null}"#)]
    #[case(2, r#"{"a":null,"b":{"c":null},"l":null}"#)]
    fn subkeys_have_names_and_no_values(#[case] depth: u32, #[case] expected: &str) {
        let json = br#"{"a":"hunter2","b":{"c":{"d":1}},"l":[{"x":1}]}"#;
        let data = SecretData::new(Zeroizing::new(json.to_vec())).unwrap();
        assert_eq!(String::from_utf8(subkeys(&data, depth)).unwrap(), expected);
    }
}
