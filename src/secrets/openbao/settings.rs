//! What an operator says of an OpenBao, and what makes it usable.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::clock::Span;
use crate::identity::Namespace;
use crate::trust::is_reached_privately;

/// An OpenBao (or Vault) that keeps secrets, and that takes cambio's tokens at a JWT mount.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBaoSettings {
    /// The operator's name of it.
    pub name: String,
    /// Its base URL, e.g. `https://openbao.example.com:8200`. Plain `http` for this machine and for private networks.
    pub address: String,
    /// Allows plain `http` to anywhere: for tests, everybody in between reads tokens and values.
    #[serde(default)]
    pub insecure_http: bool,
    /// The only certificates (PEM) that it is verified by; else those of the machine. Read again when it changes.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The namespace that all of cambio's lie in; none: the root.
    #[serde(default)]
    pub namespace: Option<Namespace>,
    /// The path of the JWT mount, without `auth/`.
    #[serde(default = "cambio")]
    pub auth_mount: String,
    /// In which namespace that mount is.
    #[serde(default)]
    pub auth_namespace: AuthNamespace,
    /// The role of the mount.
    #[serde(default = "cambio")]
    pub role: String,
    /// Its kind.
    #[serde(default)]
    pub role_type: RoleType,
    /// How long one call may take, all its tries together; from 100 ms to one minute.
    #[serde(default = "five_seconds")]
    pub timeout: Span,
    /// How often a call that changes nothing is tried again; at most 5.
    #[serde(default = "two")]
    pub retries: u8,
    /// When it is no longer asked.
    #[serde(default)]
    pub breaker: BreakerSettings,
}

/// In which namespace callers log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthNamespace {
    /// In that of their secrets: each has a mount of its own, and its own policies.
    #[default]
    Same,
    /// In [`OpenBaoSettings::namespace`], or the root: one mount, whose policies are named `<namespace>:<policy>`.
    Root,
}

/// The kind of the role, and with it the path of a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleType {
    /// A CEL program: `auth/<mount>/cel/login`. What `cambio openbao setup` makes.
    #[default]
    Cel,
    /// A role with bound claims: `auth/<mount>/login`. What Vault has.
    Jwt,
}

/// When an OpenBao that does not answer is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerSettings {
    /// After that many failures one after the other; from 1 to 1000.
    pub failures: u32,
    /// For how long, before one request may try; from 100 ms to 10 minutes.
    pub pause: Span,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 5, pause: Span::from_secs(10) }
    }
}

/// Why there is no such OpenBao.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenBaoFault {
    /// No URL.
    #[error("`address` is no URL such as `https://openbao.example.com:8200`, without user, query and fragment")]
    Address,
    /// Plain HTTP to where others listen.
    #[error(
        "`address` must be https: tokens and values are readable on the way; http is for this machine and for private networks"
    )]
    PlainHttp,
    /// No name.
    #[error("`name` has 1 to 63 letters, digits, `-` and `_`")]
    Name,
    /// No path of a mount.
    #[error(
        "`auth_mount` has segments of letters, digits, `_`, `-` and `.` between single slashes, and no `auth/` in front"
    )]
    AuthMount,
    /// No name of a role.
    #[error("`role` has 1 to 128 lower-case letters, digits, `_`, `-` and `.`")]
    Role,
    /// A namespace that OpenBao can't have.
    #[error("`{0}` is no namespace of an OpenBao: {1}")]
    Namespace(String, &'static str),
    /// A number out of its range.
    #[error("`{0}` is {1}")]
    Range(&'static str, &'static str),
}

impl OpenBaoSettings {
    /// The same, its relative paths taken from `base`.
    #[must_use]
    pub fn below(mut self, base: &Path) -> Self {
        self.ca_file = self.ca_file.map(|file| base.join(file));
        self
    }

    /// Checks what the shape alone does not show.
    ///
    /// # Errors
    /// [`OpenBaoFault`] names the first fault.
    pub fn check(&self) -> Result<(), OpenBaoFault> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !(1..=63).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            return Err(OpenBaoFault::Name);
        }
        self.base()?;
        let segment = |text: &str| !matches!(text, "" | "." | "..") && text.bytes().all(|b| plain(b) || b == b'.');
        if self.auth_mount.len() > 128
            || !self.auth_mount.split('/').all(segment)
            || self.auth_mount.split('/').next() == Some("auth")
        {
            return Err(OpenBaoFault::AuthMount);
        }
        // OpenBao lower-cases the names of roles: one in upper case would be another than the one that is written.
        if self.role.len() > 128 || !segment(&self.role) || self.role.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(OpenBaoFault::Role);
        }
        if let Some(namespace) = &self.namespace {
            check_namespace(namespace)?;
        }
        let within = |span: Span, most: Duration| (Duration::from_millis(100)..=most).contains(&span.duration());
        if !within(self.timeout, Duration::from_secs(60)) {
            return Err(OpenBaoFault::Range("timeout", "from 100ms to 1m"));
        }
        if self.retries > 5 {
            return Err(OpenBaoFault::Range("retries", "at most 5"));
        }
        if !(1..=1000).contains(&self.breaker.failures) {
            return Err(OpenBaoFault::Range("breaker.failures", "from 1 to 1000"));
        }
        if !within(self.breaker.pause, Duration::from_secs(600)) {
            return Err(OpenBaoFault::Range("breaker.pause", "from 100ms to 10m"));
        }
        Ok(())
    }

    /// The base URL.
    pub(super) fn base(&self) -> Result<Url, OpenBaoFault> {
        let url = Url::parse(self.address.trim()).map_err(|_| OpenBaoFault::Address)?;
        let bare = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.host().is_some();
        match url.scheme() {
            "https" if bare => Ok(url),
            "http" if bare && (self.insecure_http || is_reached_privately(url.as_str())) => Ok(url),
            "http" if bare => Err(OpenBaoFault::PlainHttp),
            _ => Err(OpenBaoFault::Address),
        }
    }

    /// The namespace of OpenBao where cambio's `namespace` is: empty for the root.
    pub(super) fn whole(&self, namespace: Option<&Namespace>) -> Result<String, OpenBaoFault> {
        if let Some(namespace) = namespace {
            check_namespace(namespace)?;
        }
        let parts = [self.namespace.as_ref(), namespace];
        Ok(parts.into_iter().flatten().map(Namespace::as_str).collect::<Vec<_>>().join("/"))
    }

    /// The namespace of OpenBao where a caller of cambio's `namespace` logs in: empty for the root.
    pub(super) fn login_namespace(&self, namespace: Option<&Namespace>) -> Result<String, OpenBaoFault> {
        match self.auth_namespace {
            AuthNamespace::Same => self.whole(namespace),
            AuthNamespace::Root => self.whole(None),
        }
    }
}

/// OpenBao has names that no namespace can have. One of them, sent on, would be read as the beginning of another path: the
/// namespace `a/sys` and a path `mounts` are the system's list of mounts in `a`.
fn check_namespace(namespace: &Namespace) -> Result<(), OpenBaoFault> {
    let reserved = ["root", "sys", "audit", "auth", "cubbyhole", "identity"];
    if namespace.as_str().split('/').any(|segment| reserved.contains(&segment)) {
        let why = "no segment is `root`, `sys`, `audit`, `auth`, `cubbyhole` or `identity`";
        return Err(OpenBaoFault::Namespace(namespace.to_string(), why));
    }
    Ok(())
}

fn cambio() -> String {
    "cambio".to_owned()
}

fn five_seconds() -> Span {
    Span::from_secs(5)
}

fn two() -> u8 {
    2
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings(yaml: &str) -> OpenBaoSettings {
        serde_saphyr::from_str(&format!("name: bao\n{yaml}")).unwrap()
    }

    #[test]
    fn a_name_and_an_address_are_enough() {
        let settings = settings("address: https://openbao.example.com");
        assert_eq!(settings.check(), Ok(()));
        assert_eq!((settings.auth_mount.as_str(), settings.role.as_str(), settings.retries), ("cambio", "cambio", 2));
        assert_eq!((settings.auth_namespace, settings.role_type), (AuthNamespace::Same, RoleType::Cel));
        assert_eq!(settings.timeout, Span::from_secs(5));
    }

    #[rstest]
    #[case("address: http://127.0.0.1:8200")]
    #[case("address: http://openbao:8200")]
    #[case("address: http://bao.example.com\ninsecure_http: true")]
    #[case("address: https://bao.example.com/behind/a/proxy")]
    #[case(
        "address: https://b\nauth_mount: a/b.c\nnamespace: team/x\ntimeout: 100ms\nbreaker: {failures: 1, pause: 1s}"
    )]
    fn a_usable_one_is_taken(#[case] yaml: &str) {
        assert_eq!(settings(yaml).check(), Ok(()));
    }

    #[rstest]
    #[case("address: http://bao.example.com", "must be https")]
    #[case("address: http://8.8.8.8:8200", "must be https")]
    #[case("address: bao.example.com", "no URL")]
    #[case("address: ftp://bao.example.com", "no URL")]
    #[case("address: https://me:secret@bao.example.com", "no URL")]
    #[case("address: https://bao.example.com?a=b", "no URL")]
    #[case("address: https://b\nauth_mount: auth/cambio", "auth_mount")]
    #[case("address: https://b\nauth_mount: /cambio", "auth_mount")]
    #[case("address: https://b\nauth_mount: a/../b", "auth_mount")]
    #[case("address: https://b\nrole: Cambio", "role")]
    #[case("address: https://b\nrole: a/b", "role")]
    #[case("address: https://b\nnamespace: a/sys", "no segment")]
    #[case("address: https://b\ntimeout: 2m", "timeout")]
    #[case("address: https://b\nretries: 6", "retries")]
    #[case("address: https://b\nbreaker: {failures: 0}", "breaker.failures")]
    #[case("address: https://b\nbreaker: {pause: 1h}", "breaker.pause")]
    fn one_that_is_not_is_refused_with_its_reason(#[case] yaml: &str, #[case] said: &str) {
        let fault = settings(yaml).check().unwrap_err().to_string();
        assert!(fault.contains(said), "{fault}");
    }

    #[test]
    fn a_key_that_is_misspelt_is_refused() {
        assert!(serde_saphyr::from_str::<OpenBaoSettings>("name: a\naddress: https://b\nadress: x").is_err());
    }

    #[rstest]
    #[case("", None, "", "")]
    #[case("", Some("a/b"), "a/b", "a/b")]
    #[case("namespace: team", Some("a/b"), "team/a/b", "team/a/b")]
    #[case("namespace: team", None, "team", "team")]
    #[case("namespace: team\nauth_namespace: root", Some("a"), "team/a", "team")]
    #[case("auth_namespace: root", Some("a"), "a", "")]
    fn a_namespace_lies_below_the_one_that_is_configured(
        #[case] yaml: &str,
        #[case] namespace: Option<&str>,
        #[case] whole: &str,
        #[case] login: &str,
    ) {
        let settings = settings(&format!("address: https://b\n{yaml}"));
        let namespace = namespace.map(|namespace| Namespace::new(namespace).unwrap());
        assert_eq!(settings.whole(namespace.as_ref()).unwrap(), whole);
        assert_eq!(settings.login_namespace(namespace.as_ref()).unwrap(), login);
    }
}
