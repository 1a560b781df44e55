//! Exchanges that service accounts are part of: an account's own token for one of ours, and a permit whose rule says that the
//! caller acts as an account.

use std::sync::Arc;

use super::{Stop, Walk, granted_scope};
use crate::clock::Timestamp;
use crate::exchange::budgets::whole_subject;
use crate::exchange::outcome::Presentation;
use crate::exchange::rules::Rules;
use crate::exchange::stop::TargetFault;
use crate::identity::{IssuerName, PolicyName};
use crate::mint::{Granted, IssuedToken, Wish};
use crate::oauth::{DeclaredType, Scope};
use crate::policy::Permit;

impl Walk<'_> {
    /// The token of a service account for one of ours. No rule is asked: whoever made the account has decided what it may do,
    /// and the token says no more than which account it is.
    pub(super) async fn of_account(
        &mut self,
        rules: &Arc<Rules>,
        presented: Presentation,
    ) -> Result<(IssuedToken, Granted, Option<Scope>), Stop> {
        let Presentation { subject_token, wanted, scope, lifetime, .. } = presented;
        // RFC 8693 section 3: it was made here and says nothing by itself, so it is an access token, and no JWT. The caller's
        // word selects the validator, and nothing is tried out.
        if subject_token.declared() != DeclaredType::AccessToken {
            return Err(Stop::Misdeclared);
        }
        let text = subject_token.into_text();
        self.counter.note_presented(&mut self.trail, &text);
        self.counter.worth_reading(&mut self.passage, &text, self.now).await?;
        let acting = self.counter.authenticated(&mut self.trail, &text).await;
        drop(text);
        self.now = self.counter.clock().now();
        let acting = acting?;
        self.counter.remember_token(&self.passage, &acting, self.now);
        let issuer = IssuerName::of_service_accounts();
        self.trusts(&issuer);
        let subject = acting.subject();
        self.trail.subject(&subject);
        self.trail.account(&acting.id().to_string());
        let subject = whole_subject(&issuer, &subject);
        let limiter = self.counter.limiter();
        limiter.verified(&mut self.passage, &subject, self.now).await?;
        let target = rules.target(&wanted)?;
        limiter.counted(&mut self.passage, Some(&issuer), Some(target.name()), self.now).await?;
        self.trail.asked(target.name().as_str());
        if target.namespace() != acting.namespace() {
            // As if it did not exist: else whoever has one account could list the targets of others.
            return Err(TargetFault::Unknown.into());
        }
        let rule = ["service-account/", acting.name().as_str()].concat();
        self.trail.permitted(&rule, acting.digest(), &acting.policies());
        let granted = granted_scope(Scope::default(), target, scope.as_ref())?;
        let wish = Wish {
            scope: &granted,
            lifetime,
            decision: self.id,
            policy_digest: rules.policies.digest(),
            usage: self.usage,
            ends: Some(acting.expires()),
        };
        let draft = self.counter.minter().draft_for_account(acting, target.name(), wish, self.now)?;
        self.admit(target)?;
        let (token, granted) = draft.issue()?;
        Ok((token, granted, None))
    }

    /// The end of the service account that a permit lets the caller act as; none where it names none.
    pub(super) async fn acts_until(&mut self, permit: &Permit) -> Result<Option<Timestamp>, Stop> {
        let mut ends = None;
        for name in permit.policies().iter().filter_map(PolicyName::account) {
            let acting = self.counter.acting(permit.namespace(), &name).await?;
            self.trail.account(&acting.id().to_string());
            ends = Some(ends.map_or(acting.expires(), |sooner: Timestamp| sooner.min(acting.expires())));
        }
        Ok(ends)
    }
}
