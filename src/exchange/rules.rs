//! What an exchange is decided by. Decides which target a request means; refuses to know how rules are read.

use std::collections::HashSet;

use super::logins::LoginMounts;
use super::outcome::Wanted;
use super::stop::TargetFault;
use super::tenants::{NoSuchTarget, Tenants};
use crate::clock::Timestamp;
use crate::identity::{IssuerName, Namespace, TargetName};
use crate::policy::{PolicySet, Target};
use crate::secrets::acl::AclDocuments;
use crate::trust::Issuers;

/// What changes together when the operator changes it: an exchange finishes on the rules that it began with.
pub struct Rules {
    /// The trusted issuers.
    pub issuers: Issuers,
    /// The policies.
    pub policies: PolicySet,
    /// The target of a request that names none.
    pub default_target: Option<TargetName>,
    /// When they were read.
    pub loaded: Timestamp,
    /// What the policies of a token allow.
    pub acl: AclDocuments,
    /// The mounts of Vault logins.
    pub logins: LoginMounts,
    /// The projects and groups of the REST API.
    pub tenants: Tenants,
    /// How many warnings the policies have that their files do not accept.
    pub warnings: usize,
    namespaces: HashSet<Namespace>,
}

/// The target of requests that name none does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no target `{0}` among the policies, though the configuration names it as a default")]
pub struct NoSuchDefault(TargetName);

impl Rules {
    /// Puts rules together that were read at `loaded`.
    ///
    /// # Errors
    /// [`NoSuchDefault`].
    pub fn new(
        issuers: Issuers,
        policies: PolicySet,
        default_target: Option<TargetName>,
        loaded: Timestamp,
    ) -> Result<Self, NoSuchDefault> {
        match default_target.as_ref().filter(|name| policies.target(name.as_str()).is_none()) {
            Some(unknown) => Err(NoSuchDefault(unknown.clone())),
            None => {
                let (acl, logins) = (AclDocuments::empty(), LoginMounts::default());
                let namespaces = policies.targets().iter().filter_map(|target| target.namespace().cloned()).collect();
                let tenants = Tenants::default();
                Ok(Self { issuers, policies, default_target, loaded, acl, logins, tenants, warnings: 0, namespaces })
            }
        }
    }

    /// The same with these mounts of Vault logins.
    ///
    /// # Errors
    /// [`NoSuchDefault`] where one's default role is no target.
    pub fn with_logins(self, logins: LoginMounts) -> Result<Self, NoSuchDefault> {
        let is_unknown = |name: &&TargetName| self.policies.target(name.as_str()).is_none();
        let unknown = logins.iter().filter_map(|mount| mount.default_role.as_ref()).find(is_unknown).cloned();
        match unknown {
            Some(unknown) => Err(NoSuchDefault(unknown)),
            None => Ok(Self { logins, ..self }),
        }
    }

    /// The same with these projects and groups.
    ///
    /// # Errors
    /// [`NoSuchTarget`] where the target of one does not exist, or has its secrets elsewhere.
    pub fn with_tenants(self, tenants: Tenants) -> Result<Self, NoSuchTarget> {
        tenants.check(&self.policies)?;
        Ok(Self { tenants, ..self })
    }

    /// The same with these access documents.
    #[must_use]
    pub fn with_acl(self, acl: AclDocuments) -> Self {
        Self { acl, ..self }
    }

    /// Whether a target has its secrets in that namespace.
    #[must_use]
    pub fn has_namespace(&self, namespace: &Namespace) -> bool {
        self.namespaces.contains(namespace)
    }

    /// Whether both decide alike: the same files of policies, the very same issuers, the same default.
    #[must_use]
    pub fn are_those(&self, other: &Self) -> bool {
        self.policies.digest() == other.policies.digest()
            && self.acl.digest() == other.acl.digest()
            && self.default_target == other.default_target
            && self.logins == other.logins
            && self.tenants == other.tenants
            && self.issuers.are_those(&other.issuers)
    }

    /// How many rules there are in all targets.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.policies.targets().iter().map(|target| target.rules().len()).sum()
    }

    /// The one target that is wanted.
    pub(super) fn target(&self, wanted: &Wanted) -> Result<&Target, TargetFault> {
        match wanted {
            Wanted::Targets(asked) => self.named(asked),
            Wanted::Nothing(_) => Err(TargetFault::Unknown),
            Wanted::Role(asked) => self.logins.target(&self.policies, asked, self.default_target.as_ref()),
        }
    }

    /// The issuer that the way of asking stands for.
    pub(super) fn issuer(&self, wanted: &Wanted) -> Option<&IssuerName> {
        match wanted {
            Wanted::Targets(_) | Wanted::Nothing(_) => None,
            Wanted::Role(asked) => self.logins.of(asked)?.issuer.as_ref(),
        }
    }

    /// The one target that all of `asked` select, or the default where nothing was asked for.
    fn named(&self, asked: &[String]) -> Result<&Target, TargetFault> {
        let mut names = asked
            .iter()
            .map(String::as_str)
            .chain(self.default_target.as_ref().map(TargetName::as_str).filter(|_| asked.is_empty()));
        let first = names.next().ok_or(TargetFault::Missing)?;
        let target = self.policies.target(first).ok_or(TargetFault::Unknown)?;
        let same = |name: &str| self.policies.target(name).is_some_and(|other| other.name() == target.name());
        if names.all(same) { Ok(target) } else { Err(TargetFault::Several) }
    }
}
