//! The `rest` section: which place in the stores a project or a group of the REST API is.

use serde::Deserialize;

use super::problem::Problem;
use super::secrets::SecretsSettings;
use crate::exchange::{Tenant, TenantKind, Tenants};
use crate::identity::{Namespace, TargetName};
use crate::secrets::{FolderPath, KvVersion, MountPath, Reach};

/// What the operator writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RestFile {
    /// The mount of those that name none.
    mount: String,
    /// The folder of those that name none.
    folder: String,
    /// The member that is the value, of those that name none.
    field: String,
    projects: Vec<TenantFile>,
    groups: Vec<TenantFile>,
}

/// A project or a group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantFile {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    namespace: Option<Namespace>,
    #[serde(default)]
    mount: Option<String>,
    #[serde(default)]
    folder: Option<String>,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    target: Option<TargetName>,
}

impl Default for RestFile {
    fn default() -> Self {
        Self {
            mount: "secret".to_owned(),
            folder: String::new(),
            field: "value".to_owned(),
            projects: vec![],
            groups: vec![],
        }
    }
}

impl RestFile {
    /// The projects and groups, each checked against the mounts that there are.
    pub(super) fn checked(self, secrets: &SecretsSettings, problems: &mut Vec<Problem>) -> Tenants {
        let Self { mount, folder, field, projects, groups } = self;
        let mut tenants = Tenants::default();
        for (kind, list, files) in [(TenantKind::Project, "projects", projects), (TenantKind::Group, "groups", groups)]
        {
            for (index, file) in files.into_iter().enumerate() {
                let name = file.path.clone().or(file.id.map(|id| id.to_string())).unwrap_or(index.to_string());
                let place = format!("rest.{list}.{name}");
                let file = TenantFile {
                    mount: file.mount.or_else(|| Some(mount.clone())),
                    folder: file.folder.or_else(|| Some(folder.clone())),
                    field: file.field.or_else(|| Some(field.clone())),
                    ..file
                };
                let Some(tenant) = file.checked(kind, &place, secrets, problems) else { continue };
                if let Err(fault) = tenants.insert(tenant) {
                    problems.push(Problem::new(&place, fault, "give each project and group its own `id` and `path`"));
                }
            }
        }
        tenants
    }
}

impl TenantFile {
    fn checked(
        self,
        kind: TenantKind,
        place: &str,
        secrets: &SecretsSettings,
        problems: &mut Vec<Problem>,
    ) -> Option<Tenant> {
        let mut said = |fault: String, fix: &str| problems.push(Problem::new(place, fault, fix));
        let mount =
            MountPath::new(&self.mount.unwrap_or_default()).map_err(|fault| said(fault.to_string(), "")).ok()?;
        let folder = FolderPath::new(self.folder.unwrap_or_default().trim_end_matches('/'));
        let folder = folder.map_err(|fault| said(format!("`folder`: {fault}"), "write e.g. `explicit`")).ok()?;
        let field = self.field.unwrap_or_default();
        if field.is_empty() || field.len() > 255 || field.chars().any(char::is_control) {
            said("`field` has 1 to 255 bytes and no control characters".to_owned(), "write e.g. `value`");
            return None;
        }
        let here = |reach: &Reach| match reach {
            Reach::Every => true,
            Reach::Only(namespace) => *namespace == self.namespace,
        };
        let mut found: Vec<_> = secrets.mounts.iter().filter(|one| one.path == mount && here(&one.reach)).collect();
        // One of the very namespace goes before one of every namespace.
        found.sort_by_key(|one| one.reach == Reach::Every);
        if found.first().is_none_or(|one| one.version != KvVersion::V2) {
            let fault = format!("there is no mount `{mount}` of version 2 in its namespace");
            said(fault, "name one of `secrets.mounts`");
            return None;
        }
        Some(Tenant {
            kind,
            id: self.id,
            path: self.path.map(String::into_boxed_str),
            namespace: self.namespace,
            mount,
            folder,
            field: field.into_boxed_str(),
            target: self.target,
        })
    }
}
