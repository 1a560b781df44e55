//! Where an access document stands in OpenBao's API, read from where its file stands below the policy directory.
//!
//! Decides namespace and name of a policy: `group_1/sys/policies/acl/pipelines/protected/global.hcl` is the policy
//! `pipelines/protected/global` of the namespace `group_1`. Refuses to look into the file.

use crate::identity::{Namespace, PolicyName};

/// What a file below the policy directory is, by its path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// One policy, of a namespace; none: the root namespace.
    One(Option<Namespace>, PolicyName),
    /// Policies of a namespace, each with its name.
    Many(Option<Namespace>),
    /// It is meant to be a document, but can't be one; why.
    Stray(String),
    /// It has nothing to do with access documents.
    Other,
}

/// The segments that OpenBao keeps from the names of namespaces.
const RESERVED: [&str; 6] = ["root", "sys", "audit", "auth", "cubbyhole", "identity"];

impl FileKind {
    /// What the file at `file`, relative to the policy directory and with `/`, is.
    pub(super) fn of(file: &str) -> Self {
        let hcl = file.ends_with(".hcl");
        match below_policies(file) {
            Some((namespace, rest)) => Self::within(namespace, rest),
            None if hcl => Self::Stray(PLACE.to_owned()),
            None => Self::Other,
        }
    }

    /// The file at `rest` below `<namespace>/sys/policies/`. Every file there counts: a document that is left out could be
    /// the one that denies.
    fn within(namespace: &str, rest: &str) -> Self {
        let stem = rest.strip_suffix(".hcl").or_else(|| rest.strip_suffix(".json"));
        let Some(name) = stem.and_then(|stem| stem.strip_prefix("acl")) else { return Self::Stray(PLACE.to_owned()) };
        let namespace = match namespace {
            "" => None,
            text => match Namespace::new(text) {
                Ok(namespace) if !text.split('/').any(|segment| RESERVED.contains(&segment)) => Some(namespace),
                Ok(_) => {
                    return Self::Stray(format!(
                        "a namespace has no segment that is one of `{}`",
                        RESERVED.join("`, `")
                    ));
                }
                Err(error) => return Self::Stray(format!("`{}` is no namespace: {error}", text.escape_debug())),
            },
        };
        match name.strip_prefix('/') {
            Some(name) => match policy_name(name) {
                Ok(name) => Self::One(namespace, name),
                Err(message) => Self::Stray(message),
            },
            None if name.is_empty() => Self::Many(namespace),
            None => Self::Stray(PLACE.to_owned()),
        }
    }
}

const PLACE: &str = "an access document stands at `<namespace>/sys/policies/acl/<policy>.hcl` or `.json`, or with others of \
                     its namespace in `<namespace>/sys/policies/acl.hcl` or `.json`";

/// Checks the name of a policy.
///
/// # Errors
/// What is wrong, for the operator.
pub(super) fn policy_name(name: &str) -> Result<PolicyName, String> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!(
            "policy names are lower-case, as OpenBao makes them: write `{}`, or `${{hex(\"..\")}}` for a name whose case counts",
            name.to_ascii_lowercase().escape_debug()
        ));
    }
    PolicyName::new(name).map_err(|error| format!("`{}` is no policy name: {error}", name.escape_debug()))
}

/// The namespace, and the rest below its `sys/policies/`. What stands below an `auth` belongs to a role.
fn below_policies(file: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    for segment in file.split('/') {
        let rest = file.get(at..)?;
        if segment == "auth" {
            return None;
        }
        if segment == "sys" {
            let namespace = file.get(..at)?.trim_end_matches('/');
            return rest.strip_prefix("sys/policies/").map(|rest| (namespace, rest));
        }
        at += segment.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn one(namespace: Option<&str>, name: &str) -> FileKind {
        FileKind::One(namespace.map(|name| Namespace::new(name).unwrap()), PolicyName::new(name).unwrap())
    }

    #[rstest]
    #[case("sys/policies/acl/default.hcl", one(None, "default"))]
    #[case(
        "group_1/group_2/sys/policies/acl/pipelines/protected/global.hcl",
        one(Some("group_1/group_2"), "pipelines/protected/global")
    )]
    #[case("ns/sys/policies/acl/users/direct/user_1.json", one(Some("ns"), "users/direct/user_1"))]
    #[case("ns/sys/policies/acl/auth/sys/policies/acl/x.hcl", one(Some("ns"), "auth/sys/policies/acl/x"))]
    #[case("ns/sys/policies/acl/acl.hcl", one(Some("ns"), "acl"))]
    #[case("sys/policies/acl.hcl", FileKind::Many(None))]
    #[case("ns/sys/policies/acl.json", FileKind::Many(Some(Namespace::new("ns").unwrap())))]
    #[case("ns/auth/jwt/cel/role/sys.json", FileKind::Other)]
    #[case("sys/health.json", FileKind::Other)]
    #[case("target.yaml", FileKind::Other)]
    #[case("schemas/policy.json", FileKind::Other)]
    fn a_document_is_where_its_file_is(#[case] file: &str, #[case] expected: FileKind) {
        assert_eq!(FileKind::of(file), expected);
    }

    #[rstest]
    #[case("policy.hcl", "an access document stands at")]
    #[case("ns/auth/jwt/x.hcl", "an access document stands at")]
    #[case("ns/sys/policies/acl/x.yaml", "an access document stands at")]
    #[case("ns/sys/policies/acl/x", "an access document stands at")]
    #[case("ns/sys/policies/acl-x.hcl", "an access document stands at")]
    #[case("ns/sys/policies/acls/x.hcl", "an access document stands at")]
    #[case("ns/sys/policies/rgp/x.hcl", "an access document stands at")]
    #[case("ns/identity/sys/policies/acl/x.hcl", "a namespace has no segment that is one of")]
    #[case("a b/sys/policies/acl/x.hcl", "`a b` is no namespace")]
    #[case("ns/sys/policies/acl/Env/X.hcl", "policy names are lower-case, as OpenBao makes them: write `env/x`")]
    #[case("ns/sys/policies/acl/.hcl", "`` is no policy name")]
    #[case("ns/sys/policies/acl/root.hcl", "`root` is no policy name: `root` cannot be granted")]
    #[case("ns/sys/policies/acl/a b.hcl", "`a b` is no policy name")]
    fn what_can_not_be_one_is_not_left_out_in_silence(#[case] file: &str, #[case] message: &str) {
        let FileKind::Stray(why) = FileKind::of(file) else { panic!("{file}") };
        assert!(why.starts_with(message), "{why}");
    }
}
