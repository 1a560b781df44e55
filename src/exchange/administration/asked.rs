//! Whether somebody is an administrator, and what the access documents say of an action.

use serde_json::{Map, Value};

use super::stop::Stop;
use crate::clock::Timestamp;
use crate::exchange::bearer::Bearer;
use crate::exchange::counter::Counter;
use crate::exchange::rules::Rules;
use crate::identity::TargetName;
use crate::secrets::acl::Capability;

/// Whether the bearer's token is for the administration: one of ours for its target, or a service account's own in the target's
/// namespace. A token that was minted for another target opens nothing here, whatever policies it has.
pub(super) fn is_for(bearer: &Bearer, target: &TargetName, rules: &Rules) -> Result<(), Stop> {
    let target = rules.policies.target(target.as_str()).ok_or(Stop::NoTarget)?;
    match bearer {
        Bearer::Token(token) if token.target() == target.name() => Ok(()),
        Bearer::Token(_) => Err(Stop::Target),
        Bearer::Account(_) if bearer.namespace() == target.namespace() => Ok(()),
        Bearer::Account(_) => Err(Stop::Namespace),
    }
}

/// A question to the access documents.
pub(super) struct Asked<'q> {
    pub(super) counter: &'q Counter,
    pub(super) bearer: &'q Bearer,
    pub(super) rules: &'q Rules,
    pub(super) path: &'q str,
    pub(super) needs: Capability,
    pub(super) body: &'q Map<String, Value>,
    pub(super) now: Timestamp,
}

impl Asked<'_> {
    pub(super) async fn allows(self) -> Result<(), Stop> {
        let standing = self.counter.standing(self.bearer).await?;
        let acl = standing.acl(self.rules);
        let granted = acl.check(self.path, self.needs, self.now);
        let granted = granted.map_err(|denied| Stop::NotAllowed(denied.to_string()))?;
        granted.parameters(self.body).map_err(|denied| Stop::NotAllowed(denied.to_string()))
    }
}
