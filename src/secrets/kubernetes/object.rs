//! A Secret as the API server tells it. Takes from it what is needed, and refuses what is about something else.
//!
//! Annotations are left behind: `kubectl apply` writes the values there (`kubectl.kubernetes.io/last-applied-configuration`).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::names::SecretName;
use crate::clock::Timestamp;
use crate::secrets::KvError;

/// A Secret.
pub(super) struct Object {
    /// Of this object: one that is made anew under its name has another.
    pub(super) uid: String,
    /// `resourceVersion`, which grows with every change; none where the server's is no number above 0.
    pub(super) version: Option<u64>,
    pub(super) created: Timestamp,
    /// Its `type`.
    pub(super) kind: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) values: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    kind: &'a str,
    metadata: Metadata,
    #[serde(default, rename = "type")]
    secret_type: String,
    // Borrowed: no copies of values are left behind.
    #[serde(default, borrow)]
    data: Option<BTreeMap<&'a str, &'a str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
    creation_timestamp: String,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl Object {
    /// Reads the answer to the question for `secret`. One that is being deleted is gone.
    pub(super) fn read(secret: &SecretName, json: &[u8]) -> Result<Self, KvError> {
        const ODD: KvError = KvError::Unavailable("the API server's answer is not the Secret that was asked for");
        let Wire { kind, metadata, secret_type, data } = serde_json::from_slice(json).map_err(|_| ODD)?;
        if kind != "Secret" || metadata.namespace != secret.namespace() || metadata.name != secret.name() {
            return Err(ODD);
        }
        if metadata.deletion_timestamp.is_some() {
            return Err(KvError::NotFound);
        }
        let decode = |(key, text): (&str, &str)| {
            let mut value = Zeroizing::new(Vec::with_capacity(text.len()));
            STANDARD.decode_vec(text, &mut value).map_err(|_| ODD)?;
            Ok((key.to_owned(), value))
        };
        Ok(Self {
            uid: metadata.uid,
            version: metadata.resource_version.parse().ok().filter(|version| *version > 0),
            created: Timestamp::parse(&metadata.creation_timestamp).ok_or(ODD)?,
            kind: secret_type,
            labels: metadata.labels.unwrap_or_default(),
            values: data.unwrap_or_default().into_iter().map(decode).collect::<Result<_, KvError>>()?,
        })
    }

    /// Whether its value is a credential of the cluster itself.
    pub(super) fn is_cluster_credential(&self) -> bool {
        matches!(&*self.kind, "kubernetes.io/service-account-token" | "bootstrap.kubernetes.io/token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GOOD: &str = r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"db","namespace":"team-a","uid":"u-1",
        "resourceVersion":"42","creationTimestamp":"2026-11-18T11:06:40Z","labels":{"cambio.dev/tenant":"a"},
        "annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"password\":\"aHVudGVyMg==\"}}"}},
        "data":{"password":"aHVudGVyMg==","blob":"//4="},"type":"Opaque"}"#;

    fn read(json: &str) -> Result<Object, KvError> {
        Object::read(&SecretName::new("team-a", "db").unwrap(), json.as_bytes())
    }

    #[test]
    fn a_secret_is_read() {
        let object = read(GOOD).unwrap();
        assert_eq!((object.version, object.created), (Some(42), Timestamp::from_secs(1_795_000_000)));
        assert_eq!(object.labels["cambio.dev/tenant"], "a");
        assert_eq!(object.values["password"].as_slice(), b"hunter2");
        assert_eq!(object.values["blob"].as_slice(), [0xff, 0xfe]);
        assert!(!object.is_cluster_credential());
    }

    #[rstest]
    #[case(r#""Secret""#, r#""SecretList""#)]
    #[case(r#""name":"db""#, r#""name":"other""#)]
    #[case(r#""team-a""#, r#""team-b""#)]
    #[case("2026-11-18T11:06:40Z", "yesterday")]
    #[case("aHVudGVyMg==\",", "not base64\",")]
    #[case(r#""uid":"u-1","#, "")]
    #[case(r#""type":"Opaque"}"#, "")]
    fn an_odd_answer_is_none(#[case] from: &str, #[case] to: &str) {
        let json = GOOD.replacen(from, to, 1);
        assert_ne!(json, GOOD);
        assert!(matches!(read(&json), Err(KvError::Unavailable(_))));
    }

    #[test]
    fn what_is_being_deleted_is_gone() {
        let json = GOOD.replace(r#""uid":"#, r#""deletionTimestamp":"2026-11-18T11:06:40Z","uid":"#);
        assert_eq!(read(&json).err(), Some(KvError::NotFound));
    }

    #[rstest]
    #[case(r#"{"password":"aHVudGVyMg==","blob":"//4="}"#, "null")]
    #[case(r#""data":{"password":"aHVudGVyMg==","blob":"//4="},"#, "")]
    fn a_secret_may_be_empty(#[case] from: &str, #[case] to: &str) {
        assert!(read(&GOOD.replace(from, to)).unwrap().values.is_empty());
    }

    #[rstest]
    #[case("abc")]
    #[case("0")]
    fn a_version_that_is_no_number_is_none(#[case] version: &str) {
        assert_eq!(read(&GOOD.replace("\"42\"", &format!("\"{version}\""))).unwrap().version, None);
    }
}
