//! What a store answered, whichever it is: our own, a cluster, or an OpenBao in its own words (OpenBao API, KV version 2).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::problem::{Kind, Problem};
use crate::exchange::ServedAnswer;
use crate::secrets::openbao::UpstreamAnswer;
use crate::secrets::{KvAnswer, SecretMetadata, VersionMetadata};

/// A version with its value.
pub(super) struct Version {
    /// From 1.
    pub(super) number: u64,
    /// When it was written, as the store says it.
    pub(super) created: String,
    /// One JSON object.
    pub(super) data: Zeroizing<String>,
}

/// What is known of a secret but its values.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "DB_PASSWORD", "current_version": 2, "oldest_version": 1,
    "created_at": "2026-11-27T10:00:00Z", "updated_at": "2026-11-27T11:00:00Z",
    "custom_metadata": {"owner": "team-a"},
    "versions": [{"version": 2, "created_at": "2026-11-27T11:00:00Z", "deleted_at": null, "destroyed": false}]
}))]
pub(super) struct Metadata {
    /// The name, as it was asked for.
    pub(super) name: String,
    /// The version that is read where none is named; 0 where there is none yet.
    pub(super) current_version: u64,
    /// The oldest version that is kept; 0 where there is none yet.
    pub(super) oldest_version: u64,
    /// When it was first written (RFC 3339).
    #[schema(format = DateTime)]
    pub(super) created_at: String,
    /// When it was written last (RFC 3339).
    #[schema(format = DateTime)]
    pub(super) updated_at: String,
    /// The operator's own words.
    pub(super) custom_metadata: BTreeMap<String, String>,
    /// The versions that are kept, oldest first.
    pub(super) versions: Vec<VersionEntry>,
}

/// What is known of a version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionEntry {
    /// From 1.
    #[schema(minimum = 1)]
    version: u64,
    /// When it was written (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was or will be deleted (RFC 3339).
    #[schema(required, format = DateTime)]
    deleted_at: Option<String>,
    /// Whether its value is gone for good.
    destroyed: bool,
}

/// Of an OpenBao: `data`.
#[derive(Deserialize)]
struct Enveloped<T> {
    data: Option<T>,
}

#[derive(Deserialize)]
struct UpstreamVersion<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: UpstreamVersionMetadata,
}

#[derive(Deserialize)]
struct UpstreamVersionMetadata {
    #[serde(default)]
    version: u64,
    created_time: String,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

#[derive(Deserialize)]
struct UpstreamMetadata {
    created_time: String,
    updated_time: String,
    current_version: u64,
    #[serde(default)]
    custom_metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    versions: HashMap<u64, UpstreamVersionMetadata>,
}

#[derive(Deserialize)]
struct UpstreamKeys {
    keys: Vec<String>,
}

/// The version that was read. One that is deleted is not there.
pub(super) fn version(answer: ServedAnswer) -> Result<Version, Problem> {
    match answer {
        ServedAnswer::Kv(KvAnswer::Version { data: Some(data), metadata, .. }, _) => Ok(Version {
            number: metadata.version,
            created: metadata.created.to_string(),
            data: Zeroizing::new(std::str::from_utf8(data.as_json()).map_err(|_| Kind::Fault)?.to_owned()),
        }),
        ServedAnswer::Kv(KvAnswer::Version { data: None, .. }, _) => Err(Kind::NotFound.into()),
        ServedAnswer::Kv(..) => Err(Kind::Fault.into()),
        ServedAnswer::Upstream(answer) => {
            let read: UpstreamVersion<'_> = told(&answer)?;
            let data = read.data.filter(|data| data.get().starts_with('{')).ok_or(Kind::NotFound)?;
            Ok(Version {
                number: read.metadata.version,
                created: read.metadata.created_time,
                data: Zeroizing::new(data.get().to_owned()),
            })
        }
    }
}

/// What is known of the secret `name`.
pub(super) fn metadata(answer: ServedAnswer, name: String) -> Result<Metadata, Problem> {
    match answer {
        ServedAnswer::Kv(KvAnswer::Metadata(metadata), _) => Ok(of_ours(*metadata, name)),
        ServedAnswer::Kv(..) => Err(Kind::Fault.into()),
        ServedAnswer::Upstream(answer) => {
            let read: UpstreamMetadata = told(&answer)?;
            let mut versions: Vec<VersionEntry> =
                read.versions.into_iter().map(|(version, about)| VersionEntry::of_theirs(version, about)).collect();
            versions.sort_by_key(|entry| entry.version);
            Ok(Metadata {
                name,
                current_version: read.current_version,
                oldest_version: versions.first().map_or(0, |oldest| oldest.version),
                created_at: read.created_time,
                updated_at: read.updated_time,
                custom_metadata: read.custom_metadata.unwrap_or_default(),
                versions,
            })
        }
    }
}

/// The names in a folder, in the order of their bytes; those of folders end in a slash.
pub(super) fn keys(answer: ServedAnswer) -> Result<Vec<String>, Problem> {
    let mut keys = match answer {
        ServedAnswer::Kv(KvAnswer::Keys(keys), _) => keys,
        ServedAnswer::Kv(..) => return Err(Kind::Fault.into()),
        ServedAnswer::Upstream(answer) => told::<UpstreamKeys>(&answer)?.keys,
    };
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// The member `field` of the object `data`, where it is a text, as JSON; the other members stay unread.
pub(super) fn text_field<'d>(data: &'d str, field: &str) -> Option<&'d RawValue> {
    let members: HashMap<Cow<'d, str>, &'d RawValue> = serde_json::from_str(data).ok()?;
    members.get(field).copied().filter(|raw| raw.get().starts_with('"'))
}

/// `data` of an OpenBao's answer. What it refuses to this caller is not there: the caller is not told more than by a store of
/// ours.
fn told<'a, T: Deserialize<'a>>(answer: &'a UpstreamAnswer) -> Result<T, Problem> {
    match answer.status {
        200..=299 => {}
        403 | 404 => return Err(Kind::NotFound.into()),
        400 | 405 | 412 => return Err(Problem::bad_request("the store can't do that")),
        _ => return Err(Kind::Unavailable(Duration::from_secs(5)).into()),
    }
    let read: Enveloped<T> = serde_json::from_slice(&answer.body).map_err(|_| Kind::Fault)?;
    read.data.ok_or(Kind::NotFound.into())
}

fn of_ours(metadata: SecretMetadata, name: String) -> Metadata {
    Metadata {
        name,
        current_version: metadata.current_version,
        // What a store says of it is 0 until the first version is dropped.
        oldest_version: metadata.versions.first().map_or(0, |oldest| oldest.version),
        created_at: metadata.created.to_string(),
        updated_at: metadata.updated.to_string(),
        custom_metadata: metadata.custom_metadata.unwrap_or_default(),
        versions: metadata.versions.iter().map(VersionEntry::of_ours).collect(),
    }
}

impl VersionEntry {
    fn of_ours(about: &VersionMetadata) -> Self {
        Self {
            version: about.version,
            created_at: about.created.to_string(),
            deleted_at: about.deletion.map(|moment| moment.to_string()),
            destroyed: about.destroyed,
        }
    }

    fn of_theirs(version: u64, about: UpstreamVersionMetadata) -> Self {
        Self {
            version,
            created_at: about.created_time,
            deleted_at: Some(about.deletion_time).filter(|moment| !moment.is_empty()),
            destroyed: about.destroyed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn theirs(status: u16, body: &str) -> ServedAnswer {
        ServedAnswer::Upstream(UpstreamAnswer { status, body: Zeroizing::new(body.as_bytes().to_vec()) })
    }

    const VERSION: &str = r#"{"data":{"data":{"value":"hunter2"},"metadata":{"created_time":"2026-11-27T10:00:00.1Z","custom_metadata":null,"deletion_time":"","destroyed":false,"version":3}}}"#;

    #[test]
    fn a_version_of_an_openbao_is_read() {
        let version = version(theirs(200, VERSION)).ok().unwrap();
        assert_eq!((version.number, &*version.created), (3, "2026-11-27T10:00:00.1Z"));
        assert_eq!(version.data.as_str(), r#"{"value":"hunter2"}"#);
    }

    #[rstest]
    #[case(403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#, Kind::NotFound)]
    #[case(404, r#"{"errors":[]}"#, Kind::NotFound)]
    #[case(404, &VERSION.replace(r#"{"value":"hunter2"}"#, "null"), Kind::NotFound)]
    #[case(200, &VERSION.replace(r#"{"value":"hunter2"}"#, "null"), Kind::NotFound)]
    #[case(200, "{}", Kind::NotFound)]
    #[case(200, "<html>", Kind::Fault)]
    #[case(400, r#"{"errors":["hunter2"]}"#, Kind::BadRequest)]
    #[case(302, "", Kind::Unavailable(Duration::from_secs(5)))]
    fn what_an_openbao_does_not_tell_is_a_problem(#[case] status: u16, #[case] body: &str, #[case] kind: Kind) {
        let problem = version(theirs(status, body)).err().unwrap();
        assert_eq!(problem.kind, kind);
        assert!(!format!("{problem:?}").contains("hunter2"));
    }

    #[test]
    fn what_an_openbao_knows_of_a_secret_is_read_in_the_order_of_versions() {
        let body = r#"{"data":{"cas_required":false,"created_time":"a","current_version":10,"custom_metadata":{"k":"v"},"delete_version_after":"0s","max_versions":0,"oldest_version":2,"updated_time":"b","versions":{"10":{"created_time":"c","deletion_time":"","destroyed":false},"2":{"created_time":"a","deletion_time":"d","destroyed":true}}}}"#;
        let read = metadata(theirs(200, body), "n".to_owned()).unwrap();
        assert_eq!(
            (read.current_version, read.oldest_version, &*read.created_at, &*read.updated_at),
            (10, 2, "a", "b")
        );
        let versions: Vec<_> = read.versions.iter().map(|one| (one.version, one.deleted_at.as_deref())).collect();
        assert_eq!(versions, [(2, Some("d")), (10, None)]);
    }

    #[test]
    fn names_are_in_the_order_of_their_bytes() {
        let keys = keys(theirs(200, r#"{"data":{"keys":["b","a/","B","a/"]}}"#)).unwrap();
        assert_eq!(keys, ["B", "a/", "b"]);
    }

    #[rstest]
    #[case(r#"{"value":"a\u00e9"}"#, Some(r#""a\u00e9""#))]
    #[case(r#"{"v\u0061lue":"a"}"#, Some(r#""a""#))]
    #[case(r#"{"value":1}"#, None)]
    #[case(r#"{"value":null}"#, None)]
    #[case(r#"{"value":{"value":"a"}}"#, None)]
    #[case(r#"{"other":"a"}"#, None)]
    fn a_field_is_told_where_it_is_a_text(#[case] data: &str, #[case] expected: Option<&str>) {
        assert_eq!(text_field(data, "value").map(RawValue::get), expected);
    }
}
