//! The value of a secret: a JSON object, kept as the bytes that were written.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The largest value, in bytes of JSON.
pub const MAX_DATA_BYTES: usize = 1024 * 1024;

/// A secret's value: one JSON object in the bytes that its writer sent. Prints as `[redacted]`, and is zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretData(Zeroizing<Vec<u8>>);

/// Why bytes are no value. Never quotes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadData {
    /// Larger than [`MAX_DATA_BYTES`].
    #[error("a secret has at most 1 MiB")]
    TooLarge,
    /// No JSON object.
    #[error("a secret is a JSON object")]
    NotAnObject,
}

impl SecretData {
    /// Takes bytes that are one JSON object.
    ///
    /// # Errors
    /// [`BadData`].
    pub fn new(json: Zeroizing<Vec<u8>>) -> Result<Self, BadData> {
        if json.len() > MAX_DATA_BYTES {
            return Err(BadData::TooLarge);
        }
        let object: Result<Map<String, Value>, _> = serde_json::from_slice(&json);
        drop(object.map_err(|_| BadData::NotAnObject)?);
        Ok(Self(json))
    }

    /// Takes bytes that were a [`SecretData`] before, and came back from where they are authenticated.
    #[must_use]
    pub(crate) fn trusted(json: Zeroizing<Vec<u8>>) -> Self {
        Self(json)
    }

    /// The object, as JSON.
    #[must_use]
    pub fn as_json(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretData([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(json: &str) -> Result<SecretData, BadData> {
        SecretData::new(Zeroizing::new(json.as_bytes().to_vec()))
    }

    #[test]
    fn a_value_is_one_object_and_never_prints() {
        let value = data(r#"{"password": "hunter2"}"#).unwrap();
        assert_eq!(value.as_json(), br#"{"password": "hunter2"}"#);
        assert!(!format!("{value:?}").contains("hunter2"));
        for other in ["", "[]", "1", "{", "{} {}", "null"] {
            assert_eq!(data(other), Err(BadData::NotAnObject), "{other}");
        }
    }

    #[test]
    fn a_value_has_a_largest_size() {
        let of = |size: usize| data(&format!(r#"{{"a":"{}"}}"#, "x".repeat(size - 8)));
        assert!(of(MAX_DATA_BYTES).is_ok());
        assert_eq!(of(MAX_DATA_BYTES + 1), Err(BadData::TooLarge));
    }
}
