//! What an exchange is decided by. Decides which target a request means; refuses to know how rules are read.

use super::stop::TargetFault;
use crate::clock::Timestamp;
use crate::identity::TargetName;
use crate::policy::{PolicySet, Target};
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
    /// How many warnings the policies have that their files do not accept.
    pub warnings: usize,
}

/// The target of requests that name none does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("default_target: there is no target `{0}` among the policies")]
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
            None => Ok(Self { issuers, policies, default_target, loaded, warnings: 0 }),
        }
    }

    /// Whether both decide alike: the same files of policies, the very same issuers, the same default.
    #[must_use]
    pub fn are_those(&self, other: &Self) -> bool {
        self.policies.digest() == other.policies.digest()
            && self.default_target == other.default_target
            && self.issuers.are_those(&other.issuers)
    }

    /// How many rules there are in all targets.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.policies.targets().iter().map(|target| target.rules().len()).sum()
    }

    /// The one target that all of `asked` select, or the default where nothing was asked for.
    pub(super) fn target(&self, asked: &[String]) -> Result<&Target, TargetFault> {
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
