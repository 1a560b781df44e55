//! Tokens of ours that are minted for whoever reads an OpenBao's secrets with the token of a service account: an OpenBao knows
//! our tokens and no others.
//!
//! Decides that one is used again as long as the account is the same, so that a login at the OpenBao is too, and that none is for
//! the administration: whoever runs an OpenBao could administer cambio with it. They stay here: no caller ever sees one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::bearer::AccountBearer;
use super::counter::Counter;
use super::rules::Rules;
use crate::clock::Timestamp;
use crate::identity::DecisionId;
use crate::jose::Sha256;
use crate::mint::{IssuedToken, MintError, Usage, Wish};
use crate::oauth::Scope;

/// How many are kept.
const KEPT: usize = 4096;
/// What must be left of one that is used again.
const LEFT: Duration = Duration::from_secs(60);

/// Those that were minted, by the account's standing and the token that was presented.
#[derive(Debug, Default)]
pub(super) struct UpstreamTokens(Mutex<HashMap<(Sha256, String), Arc<IssuedToken>>>);

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotMinted {
    #[error(
        "no target but the administration's has its secrets in the account's namespace, so there is no audience for it"
    )]
    NoTarget,
    #[error(transparent)]
    Mint(#[from] MintError),
}

impl UpstreamTokens {
    fn find(&self, key: &(Sha256, String), now: Timestamp) -> Option<Arc<IssuedToken>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|token| token.expires_at() > now.plus(LEFT)).cloned()
    }

    fn keep(&self, key: (Sha256, String), token: &Arc<IssuedToken>, now: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, token| token.expires_at() > now.plus(LEFT));
        }
        if kept.len() < KEPT {
            kept.insert(key, Arc::clone(token));
        }
    }
}

impl Counter {
    /// A token of ours for the service account that `bearer` acts as, for the default target or else the first one that has its
    /// secrets in the account's namespace; the administration's is none of them.
    pub(super) fn upstream_token(
        &self,
        rules: &Rules,
        bearer: AccountBearer,
        decision: DecisionId,
        now: Timestamp,
    ) -> Result<Arc<IssuedToken>, NotMinted> {
        let acting = bearer.acting;
        let key = (acting.digest(), acting.token_id().map_or_else(String::new, |id| id.to_string()));
        if let Some(token) = self.upstream_tokens().find(&key, now) {
            return Ok(token);
        }
        let default = rules.default_target.as_ref().and_then(|name| rules.policies.target(name.as_str()));
        let mut targets = default.into_iter().chain(rules.policies.targets());
        let target = targets
            .find(|target| target.namespace() == acting.namespace() && !self.is_for_administrators(target.name()))
            .ok_or(NotMinted::NoTarget)?;
        let wish = Wish {
            scope: &Scope::default(),
            lifetime: None,
            decision,
            policy_digest: rules.policies.digest(),
            usage: Usage::Access,
            ends: Some(acting.expires()),
        };
        let (token, _) = self.minter().draft_for_account(acting, target.name(), wish, now)?.issue()?;
        let token = Arc::new(token);
        self.upstream_tokens().keep(key, &token, now);
        Ok(token)
    }
}
