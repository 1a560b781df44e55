//! An action that is allowed, until it is done or said not to be.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Administrator, NotPermitted};
use crate::accounts::{Account, Accounts, TokenInfo};
use crate::audit::Outcome;
use crate::clock::Timestamp;
use crate::exchange::{Counter, Recorded};
use crate::identity::Namespace;
use crate::secrets::acl::Capability;

/// An action that is allowed, and on record whatever becomes of it. Only [`Administrator::permit`] makes one.
///
/// ```compile_fail
/// fn forge(one: cambio::exchange::Administrator<'_>) -> cambio::exchange::Permitted<'_> {
///     cambio::exchange::Permitted { admin: one }
/// }
/// ```
#[must_use = "an action that is allowed is to be done, or said not to be"]
pub struct Permitted<'a> {
    pub(super) admin: Administrator<'a>,
    pub(super) path: String,
}

impl<'a> Permitted<'a> {
    /// The same for an account's sake: whoever gives power to an account that has access documents in the administrators' own
    /// namespace could make an administrator of it, and itself more than it is. That takes `sudo` at the same path.
    ///
    /// # Errors
    /// [`NotPermitted`], on record.
    pub async fn over(self, account: &Account) -> Result<Self, NotPermitted> {
        let has_documents = !account.granted.policies.is_empty()
            || account.wanted.as_ref().is_some_and(|wanted| !wanted.grants.policies.is_empty());
        self.with_documents(account.namespace.as_ref(), has_documents).await
    }

    /// The same for an account in that namespace that shall have access documents, or not.
    ///
    /// # Errors
    /// [`NotPermitted`], on record.
    pub async fn with_documents(self, namespace: Option<&Namespace>, has: bool) -> Result<Self, NotPermitted> {
        if !has || namespace != self.admin.own_namespace() {
            return Ok(self);
        }
        match self.admin.asked(&self.path, Capability::Sudo, &Map::new()).allows().await {
            Ok(()) => Ok(self),
            Err(stop) => Err(self.admin.begun.stopped(&stop)),
        }
    }

    /// Who it is, as it is kept beside what it changes.
    #[must_use]
    pub fn by(&self) -> &str {
        self.admin.name()
    }

    /// Time, as the request reads it.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.admin.now()
    }

    /// The engine.
    #[must_use]
    pub const fn counter(&self) -> &'a Counter {
        self.admin.counter()
    }

    /// Service accounts, where there are any.
    #[must_use]
    pub fn accounts(&self) -> Option<&'a Arc<Accounts>> {
        self.admin.counter().accounts()
    }

    /// Says whose secrets it is about.
    pub fn about(&mut self, namespace: Option<&Namespace>) {
        self.admin.begun.trail.namespace(namespace.map_or("", Namespace::as_str));
    }

    /// Says which token of an account is to end, and with it perhaps its family.
    pub fn ends(&mut self, token: &TokenInfo) {
        self.admin.begun.trail.account(&token.account.to_string());
        self.admin.begun.trail.family(&token.family.to_string());
    }

    /// Says what was, and what is: no token, and no digest of one.
    #[must_use]
    pub fn done(mut self, before: Option<&Value>, after: Option<&Value>) -> Recorded {
        if before.is_some() || after.is_some() {
            self.admin.begun.trail.changed(before, after);
        }
        self.admin.begun.close(Outcome::Done)
    }

    /// Says that nothing was changed, and why: `failed` where that is nobody's fault but ours.
    #[must_use]
    pub fn not_done(self, reason: &'static str, detail: impl ToString, failed: bool) -> Recorded {
        let detail = Some(detail.to_string());
        let outcome = if failed { Outcome::Failed { reason, detail } } else { Outcome::Denied { reason, detail } };
        self.admin.begun.close(outcome)
    }
}
