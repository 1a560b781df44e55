//! Where a role stands in OpenBao's API, read from where its file stands below the policy directory.
//!
//! Decides namespace, mount and name of a role: `group_1/auth/pipeline_jwt/cel/role/all.json` is the role `all` of the
//! mount `pipeline_jwt` in the namespace `group_1`. Refuses to look into the file.

use std::fmt;

use crate::identity::{NameError, Namespace, TargetName};

/// A role's place in the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolePath {
    pub(in crate::policy) namespace: Option<Namespace>,
    pub(in crate::policy) mount: Box<str>,
    pub(in crate::policy) role: Box<str>,
}

/// What a JSON file below the policy directory is, by its path.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::policy) enum JsonFile {
    /// A role of the CEL kind.
    Role,
    /// The `config` of a mount.
    Config,
    /// It stands below an `auth` but is neither.
    Stray,
    /// It has nothing to do with roles.
    Other,
}

impl RolePath {
    /// Reads `namespace/auth/mount/cel/role/name.json`; `roles` for `role` is what OpenBao's documentation writes.
    ///
    /// OpenBao lower-cases the role that a login names, so a name is lower-cased here.
    ///
    /// # Errors
    /// What a namespace or a target may not be called.
    pub(in crate::policy) fn of(file: &str) -> Result<Self, NameError> {
        let (namespace, mount, role) = parts(file).ok_or(NameError::Segment)?;
        let namespace = (!namespace.is_empty()).then(|| Namespace::new(namespace)).transpose()?;
        let path = Self { namespace, mount: mount.into(), role: role.to_ascii_lowercase().into() };
        path.target().map(|_| path)
    }

    /// The role's target: its path in the API, spelt with `role`.
    ///
    /// # Errors
    /// [`NameError`] where a part has characters that targets don't have.
    pub(in crate::policy) fn target(&self) -> Result<TargetName, NameError> {
        TargetName::new(&self.to_string())
    }

    /// The path of the mount.
    pub(in crate::policy) fn mount_path(&self) -> String {
        mount_path(self.namespace.as_ref(), &self.mount)
    }

    /// Where the role's secrets live; none in the root namespace.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// The mount, e.g. `pipeline_jwt`.
    #[must_use]
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// The role, in lower case.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }
}

/// `namespace/auth/mount/cel/role/name`.
impl fmt::Display for RolePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/cel/role/{}", self.mount_path(), self.role)
    }
}

/// The path of a mount in the API: `namespace/auth/mount`.
pub(in crate::policy) fn mount_path(namespace: Option<&Namespace>, mount: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/auth/{mount}"),
        None => format!("auth/{mount}"),
    }
}

/// What a file with that path is.
pub(in crate::policy) fn kind(file: &str) -> JsonFile {
    if !file.ends_with(".json") {
        return JsonFile::Other;
    }
    if parts(file).is_some() {
        return JsonFile::Role;
    }
    // No namespace can be called `auth`, so the first one ends the namespace.
    match below_auth(file) {
        Some((_, rest)) if rest.strip_suffix("/config.json").is_some_and(|mount| !mount.is_empty()) => JsonFile::Config,
        Some(_) => JsonFile::Stray,
        None => JsonFile::Other,
    }
}

/// The mount's configuration of a role's file.
pub(in crate::policy) fn config_of(file: &str) -> Option<String> {
    let (namespace, mount, _) = parts(file)?;
    let auth = if namespace.is_empty() { "auth".to_owned() } else { format!("{namespace}/auth") };
    Some(format!("{auth}/{mount}/config.json"))
}

/// The cases of a role's file.
pub(in crate::policy) fn cases_of(file: &str) -> Option<String> {
    file.strip_suffix(".json").map(|stem| format!("{stem}.cases.yaml"))
}

fn below_auth(file: &str) -> Option<(&str, &str)> {
    match file.strip_prefix("auth/") {
        Some(rest) => Some(("", rest)),
        // An access document, below `sys`, may have such a segment in its policy's name.
        None => file.split_once("/auth/").filter(|(namespace, _)| !namespace.split('/').any(|part| part == "sys")),
    }
}

/// Namespace, mount and role; the namespace may be empty.
fn parts(file: &str) -> Option<(&str, &str, &str)> {
    let (namespace, rest) = below_auth(file.strip_suffix(".json")?)?;
    let (rest, role) = rest.rsplit_once('/')?;
    let mount = rest.strip_suffix("/cel/role").or_else(|| rest.strip_suffix("/cel/roles"))?;
    (!mount.is_empty() && !role.is_empty()).then_some((namespace, mount, role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("group_100/group_200/auth/pipeline_jwt/cel/role/all_pipelines.json")]
    #[case("group_100/group_200/auth/pipeline_jwt/cel/roles/All_Pipelines.json")]
    fn a_role_is_where_its_file_is(#[case] file: &str) {
        let path = RolePath::of(file).unwrap();
        assert_eq!(path.namespace().unwrap().as_str(), "group_100/group_200");
        assert_eq!((path.mount(), path.role()), ("pipeline_jwt", "all_pipelines"));
        assert_eq!(path.to_string(), "group_100/group_200/auth/pipeline_jwt/cel/role/all_pipelines");
        assert_eq!(config_of(file).unwrap(), "group_100/group_200/auth/pipeline_jwt/config.json");
    }

    #[test]
    fn the_root_namespace_has_no_name() {
        let path = RolePath::of("auth/a/b/cel/role/r.json").unwrap();
        assert_eq!((path.namespace(), path.mount(), path.role()), (None, "a/b", "r"));
        assert_eq!(config_of("auth/a/b/cel/role/r.json").unwrap(), "auth/a/b/config.json");
    }

    #[rstest]
    #[case("auth/jwt/cel/role/r.json", JsonFile::Role)]
    #[case("auth/jwt/config.json", JsonFile::Config)]
    #[case("ns/auth/jwt/config.json", JsonFile::Config)]
    #[case("auth/config.json", JsonFile::Stray)]
    #[case("auth/jwt/role/r.json", JsonFile::Stray)]
    #[case("auth/jwt/cel/r.json", JsonFile::Stray)]
    #[case("schema/policy.json", JsonFile::Other)]
    #[case("config.json", JsonFile::Other)]
    #[case("ns/sys/policies/acl/auth/x.json", JsonFile::Other)]
    #[case("auth/jwt/cel/role/r.yaml", JsonFile::Other)]
    fn a_json_file_is_what_its_path_says(#[case] file: &str, #[case] expected: JsonFile) {
        assert_eq!(kind(file), expected);
    }

    #[rstest]
    #[case("a b/auth/jwt/cel/role/r.json")]
    #[case("ns/auth/jwt/cel/role/r é.json")]
    #[case("auth/jwt//cel/role/r.json")]
    fn a_path_that_is_no_target_is_refused(#[case] file: &str) {
        assert!(RolePath::of(file).is_err(), "{file}");
    }
}
