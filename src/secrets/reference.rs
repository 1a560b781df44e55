//! References to secrets, as they stand in an environment or a file: `k8s://namespace/secret/key`.
//!
//! Decides whether a whole value is one reference, and where that leads. Refuses whatever two readers could take for two
//! places, and to know any value. A value that begins like a reference and is none is an error: it is never handed on as if
//! it were the password itself.

use std::fmt;

use super::kubernetes::names::{SecretName, is_key, is_subdomain};
use super::path::SecretPath;

/// The longest reference, in bytes.
pub const MAX_REFERENCE_BYTES: usize = 2048;

/// What a value begins with, in any case, that is meant as a reference. The longer ones belong to vals, which has more of
/// them than we read.
const PREFIXES: [&str; 8] =
    ["k8s://", "bao://", "vault://", "ref+k8s://", "ref+vault://", "ref+bao://", "ref+openbao://", "secretref+"];

/// One value of one secret, by where it is.
///
/// | written | meant |
/// |---|---|
/// | `k8s://namespace/secret/key` | the Kubernetes Secret `namespace/secret` |
/// | `k8s://secret/key` | `secret` in the namespace that the server is configured with |
/// | `ref+k8s://v1/Secret/namespace/secret/key` | the first, as vals writes it |
/// | `bao://mount/path#/key`, `vault://mount/path#/key` | a KV secret |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    place: Place,
    field: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// A path within the mount of a Kubernetes store.
    Kubernetes(SecretPath),
    /// A mount and a path within it, at least two segments.
    Kv(SecretPath),
}

/// Where a reference leads on a server: what is read there, and which field of it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The mount, where the reference tells: then `GET /v1/<mount>/data/<path>` reads it.
    pub mount: Option<Box<str>>,
    /// The path within `mount`. Without one, the mount and the path within it: `GET /v1/sys/internal/ui/mounts/<path>`
    /// tells where the first ends, as the vault CLI asks.
    pub path: SecretPath,
    /// The field of the value.
    pub field: Box<str>,
}

/// Why a text is no reference. Never quotes it: a value that was put in the wrong place may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Longer than [`MAX_REFERENCE_BYTES`].
    #[error("a reference has at most 2048 bytes")]
    TooLong,
    /// No scheme of ours, or not in lower case.
    #[error(
        "a reference begins with `k8s://`, `ref+k8s://v1/Secret/`, `bao://` or `vault://`, in lower case and without \
         anything before it"
    )]
    Scheme,
    /// A character that no part of a reference has.
    #[error(
        "a reference has letters, digits, `-`, `.`, `_`, `~` and `/` only: no spaces, no `%` escapes, no `?`, no user, no port"
    )]
    Character,
    /// Not the parts of its kind.
    #[error("a reference to a Kubernetes Secret is `k8s://namespace/secret/key` or `k8s://secret/key`")]
    KubernetesParts,
    /// A name that is none in Kubernetes.
    #[error("the reference has a namespace, a Secret or a key whose name Kubernetes does not allow")]
    KubernetesName,
    /// Not the parts of its kind.
    #[error("a reference to a KV secret is `bao://mount/path#/key` or `vault://mount/path#/key`")]
    KvParts,
    /// An empty, `.` or `..` segment, or too long a path.
    #[error("the path of the reference has empty, `.` or `..` segments, or more than 1024 bytes")]
    KvPath,
}

impl Reference {
    /// Reads a whole text as one reference.
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(ReferenceError::TooLong);
        }
        if let Some(rest) = text.strip_prefix("k8s://") {
            Self::kubernetes(rest, false)
        } else if let Some(rest) = text.strip_prefix("ref+k8s://") {
            Self::kubernetes(rest.strip_prefix("v1/Secret/").ok_or(ReferenceError::Scheme)?, true)
        } else if let Some(rest) = text.strip_prefix("bao://").or_else(|| text.strip_prefix("vault://")) {
            Self::kv(rest)
        } else {
            Err(ReferenceError::Scheme)
        }
    }

    /// The reference that an environment value is; none where it is an ordinary value.
    ///
    /// # Errors
    /// [`ReferenceError`] for a value that [looks like](Self::looks_like) a reference and is none.
    pub fn of_value(value: &str) -> Result<Option<Self>, ReferenceError> {
        if Self::looks_like(value) { Self::parse(value).map(Some) } else { Ok(None) }
    }

    /// Whether whoever wrote this value meant a reference: it begins with one of the schemes, in any case and after any
    /// quotes, spaces or marks that nobody sees. Such a value that does not parse must not be used as it is.
    #[must_use]
    pub fn looks_like(value: &str) -> bool {
        let begins = value.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).as_bytes();
        PREFIXES
            .iter()
            .any(|prefix| begins.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix.as_bytes())))
    }

    /// Where it leads, if `kubernetes_mount` is the mount of the server's Kubernetes store.
    #[must_use]
    pub fn location(&self, kubernetes_mount: &str) -> Location {
        let (mount, path) = match &self.place {
            Place::Kubernetes(path) => (Some(Box::from(kubernetes_mount)), path),
            Place::Kv(path) => (None, path),
        };
        Location { mount, path: path.clone(), field: self.field.clone() }
    }

    /// Whether it leads to a Kubernetes Secret.
    #[must_use]
    pub fn is_kubernetes(&self) -> bool {
        matches!(self.place, Place::Kubernetes(_))
    }

    /// The key or field.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    fn kubernetes(rest: &str, whole: bool) -> Result<Self, ReferenceError> {
        if !rest.bytes().all(is_fit) {
            return Err(ReferenceError::Character);
        }
        let parts: Vec<&str> = rest.split('/').collect();
        let (path, key) = match (parts.as_slice(), whole) {
            (&[namespace, secret, key], _) => {
                let name = SecretName::new(namespace, secret).map_err(|_| ReferenceError::KubernetesName)?;
                (name.to_string(), key)
            }
            (&[secret, key], false) if is_subdomain(secret) => (secret.to_owned(), key),
            (&[_, _], false) => return Err(ReferenceError::KubernetesName),
            _ => return Err(ReferenceError::KubernetesParts),
        };
        if !is_key(key) {
            return Err(ReferenceError::KubernetesName);
        }
        let path = SecretPath::new(&path).map_err(|_| ReferenceError::KubernetesName)?;
        Ok(Self { place: Place::Kubernetes(path), field: Box::from(key) })
    }

    fn kv(rest: &str) -> Result<Self, ReferenceError> {
        let (path, field) = rest.split_once("#/").ok_or(ReferenceError::KvParts)?;
        if !path.bytes().chain(field.bytes()).all(is_fit) {
            return Err(ReferenceError::Character);
        }
        if !is_key(field) || !path.contains('/') {
            return Err(ReferenceError::KvParts);
        }
        let path = SecretPath::new(path).map_err(|_| ReferenceError::KvPath)?;
        Ok(Self { place: Place::Kv(path), field: Box::from(field) })
    }
}

/// No `%`: nothing is decoded, so nothing can be decoded twice. No `@` and no `:`, so that no part is a user or a port to
/// anybody. ASCII only: no letter looks like another.
fn is_fit(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~/".contains(&b)
}

impl fmt::Display for Reference {
    /// In its canonical form: `k8s://...` or `bao://...`. Names of places are no secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Kubernetes(path) => write!(f, "k8s://{path}/{}", self.field),
            Place::Kv(path) => write!(f, "bao://{path}#/{}", self.field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("k8s://team-a/db/password", Some("cluster"), "team-a/db", "password", "k8s://team-a/db/password")]
    #[case("k8s://db/password", Some("cluster"), "db", "password", "k8s://db/password")]
    #[case("k8s://db.main/TLS_key.v1", Some("cluster"), "db.main", "TLS_key.v1", "k8s://db.main/TLS_key.v1")]
    #[case("k8s://a/b/.dockerconfigjson", Some("cluster"), "a/b", ".dockerconfigjson", "k8s://a/b/.dockerconfigjson")]
    #[case(
        "ref+k8s://v1/Secret/team-a/db/password",
        Some("cluster"),
        "team-a/db",
        "password",
        "k8s://team-a/db/password"
    )]
    #[case("bao://secret/app/db#/password", None, "secret/app/db", "password", "bao://secret/app/db#/password")]
    #[case("vault://secrets/kv/db#/p", None, "secrets/kv/db", "p", "bao://secrets/kv/db#/p")]
    fn a_reference_leads_to_one_field_of_one_secret(
        #[case] text: &str,
        #[case] mount: Option<&str>,
        #[case] path: &str,
        #[case] field: &str,
        #[case] canonical: &str,
    ) {
        let reference = Reference::parse(text).unwrap();
        let location = reference.location("cluster");
        assert_eq!(location.mount.as_deref(), mount);
        assert_eq!((location.path.as_str(), &*location.field), (path, field));
        assert_eq!(reference.to_string(), canonical);
        assert_eq!(Reference::of_value(text), Ok(Some(reference)));
    }

    #[rstest]
    #[case("", ReferenceError::Scheme)]
    #[case("hunter2", ReferenceError::Scheme)]
    #[case("K8S://team-a/db/password", ReferenceError::Scheme)]
    #[case("k8s:/team-a/db/password", ReferenceError::Scheme)]
    #[case(" k8s://team-a/db/password", ReferenceError::Scheme)]
    #[case("\"k8s://team-a/db/password\"", ReferenceError::Scheme)]
    #[case("ref+k8s://v1/ConfigMap/team-a/db/password", ReferenceError::Scheme)]
    #[case("ref+k8s://v1/secret/team-a/db/password", ReferenceError::Scheme)]
    #[case("ref+vault://secret/db#/password", ReferenceError::Scheme)]
    #[case("ref+k8s://v1/Secret/db/password", ReferenceError::KubernetesParts)]
    #[case("k8s://", ReferenceError::KubernetesParts)]
    #[case("k8s://db", ReferenceError::KubernetesParts)]
    #[case("k8s://a/b/c/d", ReferenceError::KubernetesParts)]
    #[case("k8s:///db/password", ReferenceError::KubernetesName)]
    #[case("k8s://team-a//password", ReferenceError::KubernetesName)]
    #[case("k8s://team-a/db/", ReferenceError::KubernetesName)]
    #[case("k8s://team-a/../password", ReferenceError::KubernetesName)]
    #[case("k8s://team-a/db/..", ReferenceError::KubernetesName)]
    #[case("k8s://Team-a/db/password", ReferenceError::KubernetesName)]
    #[case("k8s://team-a/DB/password", ReferenceError::KubernetesName)]
    #[case("k8s://team-a/db/password ", ReferenceError::Character)]
    #[case("k8s://team-a/db/password\n", ReferenceError::Character)]
    #[case("k8s://team-a/db%2fpassword", ReferenceError::Character)]
    #[case("k8s://team-a/db/%2e%2e", ReferenceError::Character)]
    #[case("k8s://user@team-a/db/password", ReferenceError::Character)]
    #[case("k8s://team-a:443/db/password", ReferenceError::Character)]
    #[case("k8s://team-a/db/password?inCluster", ReferenceError::Character)]
    #[case("k8s://team-a/db/password#x", ReferenceError::Character)]
    #[case("k8s://te\u{0430}m-a/db/password", ReferenceError::Character)] // Cyrillic `a`
    #[case("k8s://team-a\u{2215}db/password", ReferenceError::Character)] // division slash
    #[case("k8s://team-a/db/pass\u{200b}word", ReferenceError::Character)]
    #[case("k8s://team-a/db/a,k8s://team-a/db/b", ReferenceError::Character)]
    #[case("bao://secret/db", ReferenceError::KvParts)]
    #[case("bao://secret/db#password", ReferenceError::KvParts)]
    #[case("bao://secret/db#/", ReferenceError::KvParts)]
    #[case("bao://db#/password", ReferenceError::KvParts)]
    #[case("bao://secret/db#/a/b", ReferenceError::KvParts)]
    #[case("bao://secret/db#/a#/b", ReferenceError::Character)]
    #[case("bao://secret/db?version=1#/password", ReferenceError::Character)]
    #[case("bao://localhost:8200/db#/password", ReferenceError::Character)]
    #[case("bao://secret/a%2fb#/password", ReferenceError::Character)]
    #[case("bao://secret//db#/password", ReferenceError::KvPath)]
    #[case("bao://secret/../db#/password", ReferenceError::KvPath)]
    #[case("bao:///db#/password", ReferenceError::KvPath)]
    #[case("bao://secret/#/password", ReferenceError::KvPath)]
    fn what_is_not_exactly_one_is_refused(#[case] text: &str, #[case] error: ReferenceError) {
        assert_eq!(Reference::parse(text), Err(error));
    }

    #[rstest]
    #[case("hunter2")]
    #[case("")]
    #[case("https://vault://x")]
    #[case("postgres://app@db/app?password=k8s://team-a/db/password")] // a value is one reference, or none
    #[case("k8s:team-a")]
    #[case("vault")]
    #[case("日本k")]
    fn an_ordinary_value_stays_what_it_is(#[case] value: &str) {
        assert_eq!(Reference::of_value(value), Ok(None));
    }

    #[rstest]
    #[case("k8s://team-a")]
    #[case("k8s://team-a/db/password ")]
    #[case("  k8s://team-a/db/password")]
    #[case("'k8s://team-a/db/password'")]
    #[case("\u{feff}k8s://team-a/db/password")]
    #[case("K8s://team-a/db/password")]
    #[case("VAULT://secret/db#/password")]
    #[case("ref+k8s://v1/ConfigMap/team-a/db/password")]
    #[case("ref+openbao://secret/db#/password")]
    #[case("secretref+vault://secret/db#/password")]
    fn what_was_meant_as_a_reference_is_never_passed_on(#[case] value: &str) {
        assert!(Reference::of_value(value).is_err());
    }

    #[test]
    fn a_reference_has_a_longest_length() {
        let of = |length: usize| format!("bao://secret/{}#/k", "a".repeat(length));
        assert!(Reference::parse(&of(1000)).is_ok());
        assert_eq!(Reference::parse(&of(1025)), Err(ReferenceError::KvPath));
        assert_eq!(Reference::parse(&of(2048)), Err(ReferenceError::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_reads_back_from_its_canonical_form(
            text in r"(k8s://|ref\+k8s://v1/Secret/|bao://|vault://|K8S://)?[-a-zA-Z0-9./#%@:?~ é]{0,40}",
        ) {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert!(Reference::looks_like(&text));
                prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference.clone()));
                let path = reference.location("m").path;
                prop_assert!(path.as_str().split('/').all(|segment| !matches!(segment, "" | "." | "..")));
                prop_assert!(path.as_str().is_ascii() && !path.as_str().contains('%'));
            }
        }
    }
}
