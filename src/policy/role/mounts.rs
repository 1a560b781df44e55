//! Which role a login means.
//!
//! Decides by namespace, mount and name, as OpenBao does: names in any case, and the mount's default where a login names
//! none. Refuses to know the roles themselves.

use std::collections::HashMap;

use super::documents::Documents;
use super::path::mount_path;
use crate::identity::Namespace;

/// The mounts of a set, by their paths, each with its default role.
#[derive(Debug, Default)]
pub(in crate::policy) struct Mounts(HashMap<Box<str>, Option<Box<str>>>);

/// Why a login has no role. The texts are OpenBao's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRole {
    /// No role of that mount is known.
    #[error("could not load configuration")]
    NoMount,
    /// The login names none, and the mount has no default.
    #[error("missing role")]
    Unnamed,
    /// The mount has none of that name.
    #[error("role {0:?} could not be found")]
    NotFound(Box<str>),
}

/// A role that a login means, whether or not there is one.
pub(in crate::policy) struct Meant {
    mount: String,
    role: String,
}

impl Mounts {
    /// Enters the mount of a role.
    pub(in crate::policy) fn add(&mut self, documents: &Documents) {
        let default = documents.config.default_role.as_deref().map(Box::from);
        self.0.insert(documents.path.mount_path().into(), default);
    }

    /// The role that a login means.
    pub(in crate::policy) fn resolve(
        &self,
        namespace: Option<&Namespace>,
        mount: &str,
        role: Option<&str>,
    ) -> Result<Meant, NoRole> {
        let mount = mount_path(namespace, mount);
        let default = self.0.get(mount.as_str()).ok_or(NoRole::NoMount)?;
        let role = role.filter(|role| !role.is_empty()).or(default.as_deref()).ok_or(NoRole::Unnamed)?;
        Ok(Meant { mount, role: role.to_lowercase() })
    }
}

impl Meant {
    /// The name of its target.
    pub(in crate::policy) fn target(&self) -> String {
        format!("{}/cel/role/{}", self.mount, self.role)
    }

    /// That there is none.
    pub(in crate::policy) fn not_found(&self) -> NoRole {
        NoRole::NotFound(Box::from(self.role.as_str()))
    }
}
