//! What an id of the REST API means: the place in the stores of a project or a group (GitLab API, `:id`).
//!
//! Decides by the operator's list and nothing else: an id that is not in it means no place. Refuses ids that could mean two.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::identity::{Namespace, TargetName};
use crate::policy::PolicySet;
use crate::secrets::{FolderPath, MountPath};

/// Whose secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TenantKind {
    /// `/projects/:id`.
    Project,
    /// `/groups/:id`.
    Group,
}

/// A project or a group: where its secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Which of the two.
    pub kind: TenantKind,
    /// Its number.
    pub id: Option<u64>,
    /// Its path, e.g. `acme/web`; case counts.
    pub path: Option<Box<str>>,
    /// The namespace of its secrets; none is the root. A caller's token has to open this one.
    pub namespace: Option<Namespace>,
    /// The mount, of KV version 2.
    pub mount: MountPath,
    /// The folder in the mount that its secrets are in.
    pub folder: FolderPath,
    /// The member of a secret that is its value.
    pub field: Box<str>,
    /// The target that `secrets_manager/access_token` exchanges tokens for; none where it does not.
    pub target: Option<TargetName>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    by_id: HashMap<(TenantKind, u64), Arc<Tenant>>,
    by_path: HashMap<(TenantKind, Box<str>), Arc<Tenant>>,
}

/// Why a list is no good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantFault {
    /// Nothing to find it by.
    #[error("it has neither `id` nor `path`")]
    Nameless,
    /// The same number or path twice.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// A path that is none, or looks like a number.
    #[error("`{0}` is no path of a project or group")]
    Path(Box<str>),
}

/// The target of a project or group does not exist, or has its secrets elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rest: {tenant}: there is no target `{target}` with its secrets in this namespace")]
pub struct NoSuchTarget {
    tenant: String,
    target: TargetName,
}

impl Tenants {
    /// Adds one.
    ///
    /// # Errors
    /// [`TenantFault`].
    pub fn insert(&mut self, tenant: Tenant) -> Result<(), TenantFault> {
        let tenant = Arc::new(tenant);
        if tenant.id.is_none() && tenant.path.is_none() {
            return Err(TenantFault::Nameless);
        }
        if let Some(path) = &tenant.path {
            // A number is never looked up as a path.
            if !Self::is_id(path) || number(path).is_some() {
                return Err(TenantFault::Path(path.clone()));
            }
            if self.by_path.insert((tenant.kind, path.clone()), Arc::clone(&tenant)).is_some() {
                return Err(TenantFault::Twice(path.to_string()));
            }
        }
        if let Some(id) = tenant.id
            && self.by_id.insert((tenant.kind, id), Arc::clone(&tenant)).is_some()
        {
            return Err(TenantFault::Twice(id.to_string()));
        }
        Ok(())
    }

    /// Whether `text` could be an id: segments of letters, digits, `_`, `-` and `.` between single slashes, none of them
    /// beginning with `-` or `.`; 1 to 255 bytes.
    #[must_use]
    pub fn is_id(text: &str) -> bool {
        let fits = |segment: &str| {
            segment.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        text.len() <= 255 && text.split('/').all(fits)
    }

    /// The one that `id` means, a number or a path, decoded.
    #[must_use]
    pub fn find(&self, kind: TenantKind, id: &str) -> Option<&Arc<Tenant>> {
        match number(id) {
            Some(number) => self.by_id.get(&(kind, number)),
            None => self.by_path.get(&(kind, Box::from(id))),
        }
    }

    /// Whether the target of each is there, and for its namespace.
    pub(super) fn check(&self, policies: &PolicySet) -> Result<(), NoSuchTarget> {
        for tenant in self.by_id.values().chain(self.by_path.values()) {
            let Some(target) = &tenant.target else { continue };
            let found = policies.target(target.as_str()).filter(|found| found.name() == target);
            if found.is_none_or(|found| found.namespace() != tenant.namespace.as_ref()) {
                return Err(NoSuchTarget { tenant: tenant.to_string(), target: target.clone() });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.id) {
            (Some(path), _) => write!(f, "{} `{path}`", self.kind),
            (None, id) => write!(f, "{} {}", self.kind, id.unwrap_or_default()),
        }
    }
}

impl fmt::Display for TenantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Project => "project",
            Self::Group => "group",
        })
    }
}

/// A number, written in the one way that there is to write it.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !(text.starts_with('0') && text.len() > 1);
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn tenant(kind: TenantKind, id: Option<u64>, path: Option<&str>) -> Tenant {
        Tenant {
            kind,
            id,
            path: path.map(Box::from),
            namespace: None,
            mount: MountPath::new("secret").unwrap(),
            folder: FolderPath::new("").unwrap(),
            field: Box::from("value"),
            target: None,
        }
    }

    fn tenants() -> Tenants {
        let mut tenants = Tenants::default();
        tenants.insert(tenant(TenantKind::Project, Some(7), Some("acme/web"))).unwrap();
        tenants.insert(tenant(TenantKind::Project, None, Some("acme/7"))).unwrap();
        tenants.insert(tenant(TenantKind::Group, Some(8), Some("acme"))).unwrap();
        tenants
    }

    #[rstest]
    #[case(TenantKind::Project, "7", Some("acme/web"))]
    #[case(TenantKind::Project, "acme/web", Some("acme/web"))]
    #[case(TenantKind::Project, "acme/7", Some("acme/7"))]
    #[case(TenantKind::Group, "8", Some("acme"))]
    #[case(TenantKind::Group, "acme", Some("acme"))]
    #[case(TenantKind::Group, "7", None)]
    #[case(TenantKind::Project, "8", None)]
    #[case(TenantKind::Project, "acme", None)]
    #[case(TenantKind::Project, "07", None)]
    #[case(TenantKind::Project, "+7", None)]
    #[case(TenantKind::Project, "-7", None)]
    #[case(TenantKind::Project, "7 ", None)]
    #[case(TenantKind::Project, "", None)]
    #[case(TenantKind::Project, "18446744073709551623", None)]
    #[case(TenantKind::Project, "Acme/Web", None)]
    #[case(TenantKind::Project, "acme/web/", None)]
    fn an_id_means_one_place_or_none(#[case] kind: TenantKind, #[case] id: &str, #[case] path: Option<&str>) {
        assert_eq!(tenants().find(kind, id).and_then(|tenant| tenant.path.as_deref()), path);
    }

    #[rstest]
    #[case(None, None, TenantFault::Nameless)]
    #[case(Some(7), None, TenantFault::Twice("7".to_owned()))]
    #[case(None, Some("acme/web"), TenantFault::Twice("acme/web".to_owned()))]
    #[case(None, Some("9"), TenantFault::Path(Box::from("9")))]
    #[case(None, Some("acme//web"), TenantFault::Path(Box::from("acme//web")))]
    #[case(None, Some("../web"), TenantFault::Path(Box::from("../web")))]
    fn a_list_in_which_an_id_means_two_places_or_none_is_refused(
        #[case] id: Option<u64>,
        #[case] path: Option<&str>,
        #[case] fault: TenantFault,
    ) {
        assert_eq!(tenants().insert(tenant(TenantKind::Project, id, path)), Err(fault));
    }
}
