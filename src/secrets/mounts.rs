//! Which store answers for a path in a namespace. Decides by the operator's list of mounts; refuses lists in which a path
//! could belong to two.

use std::fmt;
use std::sync::Arc;

use super::KvVersion;
use super::kubernetes::KubernetesStore;
use super::local::LocalStore;
use super::openbao::OpenBaoStore;
use crate::identity::Namespace;

/// All mounts.
#[derive(Debug, Default)]
pub struct Mounts(Vec<Mount>);

/// One mount.
#[derive(Debug)]
pub struct Mount {
    /// Its path within its namespace.
    pub path: MountPath,
    /// Where it is.
    pub reach: Reach,
    /// The version of the KV engine that it speaks.
    pub version: KvVersion,
    /// Where its values live.
    pub store: Store,
}

/// The namespaces that a mount is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every one, the root included, but those that have a mount of that path of their own.
    Every,
    /// This one; none is the root.
    Only(Option<Namespace>),
}

/// Where values live.
#[derive(Clone, Debug)]
pub enum Store {
    /// In cambio's own database.
    Local(Arc<LocalStore>),
    /// In an OpenBao, which is asked as the caller.
    OpenBao(Arc<OpenBaoStore>),
    /// In the Secrets of a cluster.
    Kubernetes(Arc<KubernetesStore>),
}

/// The path of a mount: segments of letters, digits, `_`, `-` and `.` between single slashes, at most 128 bytes, and not one
/// that the API keeps for itself (`auth`, `sys`, `identity`, `cubbyhole`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MountPath(Box<str>);

/// Why there is no such mount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountFault {
    /// The path.
    #[error(
        "a mount's path has segments of letters, digits, `_`, `-` and `.` between single slashes, at most 128 bytes"
    )]
    Path,
    /// The path belongs to the API.
    #[error("`{0}` belongs to the API; no mount can begin with it")]
    Reserved(Box<str>),
    /// Two mounts.
    #[error("the mounts `{0}` and `{1}` overlap in one namespace")]
    Overlap(MountPath, MountPath),
}

impl MountPath {
    /// Checks `text`; slashes at its ends are left out.
    ///
    /// # Errors
    /// [`MountFault`].
    pub fn new(text: &str) -> Result<Self, MountFault> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let fits = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        if text.len() > 128 || !text.split('/').all(fits) {
            return Err(MountFault::Path);
        }
        let first = text.split('/').next().unwrap_or_default();
        if ["auth", "sys", "identity", "cubbyhole"].contains(&first) {
            return Err(MountFault::Reserved(Box::from(first)));
        }
        Ok(Self(Box::from(text)))
    }

    /// The path, without slashes at its ends.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the mount in `path`: empty for the mount itself; none for a path elsewhere.
    #[must_use]
    pub fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(&*self.0)?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.rest(&other.0).is_some() || other.rest(&self.0).is_some()
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mounts {
    /// These mounts.
    ///
    /// # Errors
    /// [`MountFault::Overlap`] where two of one reach overlap.
    pub fn new(mounts: Vec<Mount>) -> Result<Self, MountFault> {
        check_apart(mounts.iter().map(|mount| (&mount.path, &mount.reach)))?;
        Ok(Self(mounts))
    }

    /// The mount that `path` lies in, seen from `namespace`, and the path within it. A mount of that very namespace goes
    /// before one of every namespace.
    #[must_use]
    pub fn find<'p>(&self, namespace: Option<&Namespace>, path: &'p str) -> Option<(&Mount, &'p str)> {
        let in_reach = |reach: &Reach, own: bool| match reach {
            Reach::Only(only) => own && only.as_ref() == namespace,
            Reach::Every => !own,
        };
        [true, false].into_iter().find_map(|own| {
            self.0
                .iter()
                .filter(|mount| in_reach(&mount.reach, own))
                .find_map(|mount| Some((mount, mount.path.rest(path)?)))
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }
}

/// Checks that no path belongs to two mounts.
///
/// # Errors
/// [`MountFault::Overlap`].
pub fn check_apart<'m>(mounts: impl Iterator<Item = (&'m MountPath, &'m Reach)>) -> Result<(), MountFault> {
    let mut seen: Vec<(&MountPath, &Reach)> = vec![];
    for (path, reach) in mounts {
        if let Some((other, _)) = seen.iter().find(|(other, its)| *its == reach && other.overlaps(path)) {
            return Err(MountFault::Overlap((*other).clone(), path.clone()));
        }
        seen.push((path, reach));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("secret", "secret", Some(""))]
    #[case("secret", "secret/data/a", Some("data/a"))]
    #[case("secrets/kv", "secrets/kv/data/a", Some("data/a"))]
    #[case("secret", "secrets/data/a", None)]
    #[case("secret", "other/secret/data/a", None)]
    #[case("secret", "Secret/data/a", None)]
    fn a_path_lies_in_a_mount_by_whole_segments(#[case] mount: &str, #[case] path: &str, #[case] rest: Option<&str>) {
        assert_eq!(MountPath::new(mount).unwrap().rest(path), rest);
    }

    #[rstest]
    #[case("")]
    #[case("/")]
    #[case("a//b")]
    #[case("a/../b")]
    #[case("a b")]
    #[case("é")]
    #[case("sys")]
    #[case("auth/x")]
    fn what_cannot_be_a_mount_is_refused(#[case] path: &str) {
        assert!(MountPath::new(path).is_err());
    }

    #[rstest]
    #[case("a", Reach::Every, "b", Reach::Every, true)]
    #[case("a", Reach::Every, "a", Reach::Every, false)]
    #[case("a", Reach::Every, "a/b", Reach::Every, false)]
    #[case("a/b", Reach::Every, "a", Reach::Every, false)]
    #[case("a", Reach::Every, "a", Reach::Only(None), true)]
    #[case("a", Reach::Only(None), "a", Reach::Only(None), false)]
    #[case("a", Reach::Every, "ab", Reach::Every, true)]
    fn no_path_belongs_to_two_mounts(
        #[case] one: &str,
        #[case] its: Reach,
        #[case] other: &str,
        #[case] others: Reach,
        #[case] good: bool,
    ) {
        let (one, other) = (MountPath::new(one).unwrap(), MountPath::new(other).unwrap());
        assert_eq!(check_apart([(&one, &its), (&other, &others)].into_iter()).is_ok(), good);
    }
}
