//! What a person writes for a secret: a mount and a path, or a reference. Decides where that leads; quotes no text that is
//! neither, since a value may have been put there by mistake.

use crate::cli::CliError;
use crate::secrets::SecretPath;
use crate::secrets::reference::{Location, Reference};

/// Where a secret is, and maybe which field of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    /// The mount and the path within it.
    pub(in crate::cli) path: SecretPath,
    /// The field, where a reference names one.
    pub(in crate::cli) field: Option<String>,
}

impl Place {
    /// Reads `mount/path`, or a reference.
    pub(in crate::cli) fn parse(text: &str, kubernetes_mount: &str) -> Result<Self, CliError> {
        if Reference::looks_like(text) {
            let reference = Reference::parse(text).map_err(CliError::new)?;
            return Self::of(&reference, kubernetes_mount);
        }
        if text.contains("://") {
            return Err(CliError::new(
                "a secret is `mount/path`, `k8s://namespace/secret/key` or `bao://mount/path#/key`; where cambio is goes to `--url`",
            ));
        }
        let path = SecretPath::new(text.trim_matches('/'));
        let path = path.map_err(|error| CliError::new(format!("a secret is `mount/path`: {error}")))?;
        Ok(Self { path, field: None })
    }

    /// Where a reference leads.
    pub(in crate::cli) fn of(reference: &Reference, kubernetes_mount: &str) -> Result<Self, CliError> {
        let Location { mount, path, field } = reference.location(kubernetes_mount);
        let path = match mount {
            Some(mount) => SecretPath::new(&format!("{}/{path}", mount.trim_matches('/'))).map_err(|error| {
                CliError::new(format!("`--kubernetes-mount` is the path of a mount, such as `kubernetes`: {error}"))
            })?,
            None => path,
        };
        Ok(Self { path, field: Some(field.into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("secret/app/db", "secret/app/db", None)]
    #[case("/secret/app/db/", "secret/app/db", None)]
    #[case("bao://secret/app/db#/password", "secret/app/db", Some("password"))]
    #[case("vault://secret/app/db#/password", "secret/app/db", Some("password"))]
    #[case("k8s://team-a/db/password", "cluster/team-a/db", Some("password"))]
    #[case("k8s://db/password", "cluster/db", Some("password"))]
    #[case("ref+k8s://v1/Secret/team-a/db/password", "cluster/team-a/db", Some("password"))]
    fn a_place_is_a_path_or_a_reference(#[case] text: &str, #[case] path: &str, #[case] field: Option<&str>) {
        let place = Place::parse(text, "cluster/").unwrap();
        assert_eq!((place.path.as_str(), place.field.as_deref()), (path, field));
    }

    #[rstest]
    #[case("")]
    #[case("secret/../hunter2")]
    #[case("secret/%2e%2e/hunter2")]
    #[case("https://cambio.example.com/v1/hunter2")]
    #[case("K8S://hunter2/db/password")]
    #[case("bao://hunter2/db")]
    #[case("postgres://app:hunter2@db/app")]
    fn what_is_neither_is_refused_and_not_quoted(#[case] text: &str) {
        let error = Place::parse(text, "kubernetes").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_mount_that_is_none_is_named() {
        let error = Place::parse("k8s://team-a/db/password", "..").unwrap_err().to_string();
        assert!(error.contains("--kubernetes-mount"), "{error}");
    }
}
