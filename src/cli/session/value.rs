//! A secret's value as the server told it. Kept as the bytes that came: what is printed is what was written.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// A JSON object with named values. Prints as `[redacted]`, and is zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cli) struct SecretValue {
    json: Zeroizing<String>,
    /// The version, where the mount keeps versions.
    pub(in crate::cli) version: Option<u64>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

impl SecretValue {
    /// Reads the answer to a read; none where it is no such answer.
    pub(in crate::cli) fn read(body: &[u8], versioned: bool) -> Option<Self> {
        let Envelope { data } = serde_json::from_slice(body).ok()?;
        let (data, version) = if versioned {
            let Versioned { data, metadata } = serde_json::from_str(data.get()).ok()?;
            (data, Some(metadata.version))
        } else {
            (data, None)
        };
        let value = Self { json: Zeroizing::new(data.get().to_owned()), version };
        serde_json::from_str::<BTreeMap<String, &RawValue>>(&value.json).ok()?;
        Some(value)
    }

    /// The object as it was written.
    pub(in crate::cli) fn as_json(&self) -> &str {
        &self.json
    }

    /// One field as text: a string without its quotes, anything else as its JSON. `null` is no value.
    pub(in crate::cli) fn field(&self, name: &str) -> Option<Zeroizing<String>> {
        text(self.raw().get(name)?)
    }

    /// The value with this field alone.
    pub(in crate::cli) fn only(&self, name: &str) -> Option<Self> {
        let raw = self.raw();
        let (name, value) = (serde_json::to_string(name).ok()?, raw.get(name)?.get());
        Some(Self { json: Zeroizing::new(["{", &name, ":", value, "}"].concat()), version: self.version })
    }

    /// The names of the fields, in their order.
    pub(in crate::cli) fn names(&self) -> Vec<String> {
        self.raw().into_keys().collect()
    }

    fn raw(&self) -> BTreeMap<String, &RawValue> {
        serde_json::from_str(&self.json).unwrap_or_default()
    }
}

fn text(raw: &RawValue) -> Option<Zeroizing<String>> {
    match raw.get() {
        "null" => None,
        string if string.starts_with('"') => serde_json::from_str(string).ok().map(Zeroizing::new),
        other => Some(Zeroizing::new(other.to_owned())),
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const BODY: &str = r#"{"request_id":"1","lease_duration":0,"data":{"data":{"password":"hunter2\n\"é\u0000","port":5432,
        "ratio":1.0,"tls":true,"none":null,"more":{"a": [1]}},"metadata":{"version":3,"destroyed":false}}}"#;

    #[rstest]
    #[case("password", Some("hunter2\n\"é\0"))]
    #[case("port", Some("5432"))]
    #[case("ratio", Some("1.0"))]
    #[case("tls", Some("true"))]
    #[case("more", Some(r#"{"a": [1]}"#))]
    #[case("none", None)]
    #[case("Password", None)]
    fn a_field_is_the_text_that_was_written(#[case] name: &str, #[case] expected: Option<&str>) {
        let value = SecretValue::read(BODY.as_bytes(), true).unwrap();
        assert_eq!(value.field(name).as_deref().map(String::as_str), expected);
        assert_eq!(value.version, Some(3));
        assert!(!format!("{value:?}").contains("hunter2"));
    }

    #[test]
    fn one_field_is_taken_as_it_stands() {
        let value = SecretValue::read(BODY.as_bytes(), true).unwrap();
        assert_eq!(value.only("ratio").unwrap().as_json(), r#"{"ratio":1.0}"#);
        assert!(value.only("other").is_none());
    }

    #[test]
    fn a_mount_without_versions_has_the_value_one_level_higher() {
        let value = SecretValue::read(br#"{"data":{"a":"b"}}"#, false).unwrap();
        assert_eq!((value.as_json(), value.version, value.names()), (r#"{"a":"b"}"#, None, vec!["a".to_owned()]));
    }

    #[rstest]
    #[case("", true)]
    #[case("{}", true)]
    #[case(r#"{"data":{"a":"b"}}"#, true)]
    #[case(r#"{"data":{"data":null,"metadata":{"version":1}}}"#, true)]
    #[case(r#"{"data":{"data":["a"],"metadata":{"version":1}}}"#, true)]
    #[case(r#"{"data":"a"}"#, false)]
    #[case("<html>", false)]
    fn what_is_no_such_answer_is_no_value(#[case] body: &str, #[case] versioned: bool) {
        assert!(SecretValue::read(body.as_bytes(), versioned).is_none());
    }
}
