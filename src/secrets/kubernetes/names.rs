//! The names of Kubernetes objects, by its own rules (`k8s.io/apimachinery/pkg/util/validation`), so that nothing that is put
//! into the path of a request can be anything but one segment of it.

use std::fmt;

use serde::Deserialize;

/// The longest name of an object, and the longest key in a Secret, in bytes.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// A Secret in a namespace, written `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretName {
    namespace: Box<str>,
    name: Box<str>,
}

/// A text is not the name of a Secret. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a Secret is written `namespace/name`, both in lower-case letters, digits and `-`, in the name also `.`")]
pub struct NotASecretName;

impl SecretName {
    /// Checks both parts: a DNS-1123 label and a DNS-1123 subdomain (RFC 1123 section 2.1).
    ///
    /// # Errors
    /// [`NotASecretName`].
    pub fn new(namespace: &str, name: &str) -> Result<Self, NotASecretName> {
        if !is_label(namespace) || !is_subdomain(name) {
            return Err(NotASecretName);
        }
        Ok(Self { namespace: Box::from(namespace), name: Box::from(name) })
    }

    /// Reads `namespace/name`.
    ///
    /// # Errors
    /// [`NotASecretName`].
    pub fn parse(text: &str) -> Result<Self, NotASecretName> {
        let (namespace, name) = text.split_once('/').ok_or(NotASecretName)?;
        Self::new(namespace, name)
    }

    /// The Kubernetes namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name within it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl TryFrom<String> for SecretName {
    type Error = NotASecretName;

    fn try_from(text: String) -> Result<Self, NotASecretName> {
        Self::parse(&text)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A DNS-1123 label: the name of a namespace.
pub(in crate::secrets) fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL_BYTES && is_dns_label(text)
}

/// A DNS-1123 subdomain: the name of a Secret or a service account. As in Kubernetes, only the whole has a longest length.
pub(in crate::secrets) fn is_subdomain(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES && text.split('.').all(is_dns_label)
}

/// A key in a Secret's data (`IsConfigMapKey`). Whatever begins with two dots is none: volumes keep their links there.
pub(in crate::secrets) fn is_key(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && text != "."
        && !text.starts_with("..")
}

/// The value of a label (`IsValidLabelValue`), but not the empty one.
pub(super) fn is_label_value(text: &str) -> bool {
    text.len() <= MAX_LABEL_BYTES
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// The name of a label (`IsQualifiedName`): a subdomain, a slash and a name, or the name alone.
pub(super) fn is_label_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_label_value(name),
        None => is_label_value(text),
    }
}

fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("team-a/db")]
    #[case("0/a.b-c.d0")]
    fn a_secret_has_a_namespace_and_a_name(#[case] text: &str) {
        assert_eq!(SecretName::parse(text).unwrap().to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("db")]
    #[case("/db")]
    #[case("team-a/")]
    #[case("team-a/db/x")]
    #[case("Team-a/db")]
    #[case("team.a/db")] // a namespace is a label
    #[case("team-a/-db")]
    #[case("team-a/db-")]
    #[case("team-a/a..b")]
    #[case("team-a/.")]
    #[case("team-a/..")]
    #[case("team-a/db%2fx")]
    #[case("team-a/db?x")]
    #[case("team-a/d\u{0431}")] // looks like a `b`
    #[case("team-a/d b")]
    #[case("team-a/db\n")]
    fn what_is_not_one_is_refused(#[case] text: &str) {
        assert_eq!(SecretName::parse(text), Err(NotASecretName));
    }

    #[test]
    fn names_have_a_longest_length() {
        assert!(SecretName::new(&"n".repeat(63), &"s".repeat(253)).is_ok());
        assert!(SecretName::new(&"n".repeat(64), "s").is_err());
        assert!(SecretName::new("n", &"s".repeat(254)).is_err());
        assert!(is_key(&"k".repeat(253)) && !is_key(&"k".repeat(254)));
    }

    #[rstest]
    #[case("password", true)]
    #[case("TLS_key.v1-x", true)]
    #[case(".dockerconfigjson", true)]
    #[case("", false)]
    #[case(".", false)]
    #[case("..", false)]
    #[case("..data", false)]
    #[case("a/b", false)]
    #[case("a b", false)]
    #[case("ä", false)]
    fn a_key_is_one_of_kubernetes(#[case] text: &str, #[case] good: bool) {
        assert_eq!(is_key(text), good);
    }

    #[rstest]
    #[case("cambio.dev/tenant", true)]
    #[case("tenant", true)]
    #[case("Tenant_1", true)]
    #[case("", false)]
    #[case("/tenant", false)]
    #[case("cambio.dev/", false)]
    #[case("a/b/c", false)]
    #[case("Cambio.dev/tenant", false)]
    fn a_label_has_a_qualified_name(#[case] text: &str, #[case] good: bool) {
        assert_eq!(is_label_name(text), good);
    }
}
