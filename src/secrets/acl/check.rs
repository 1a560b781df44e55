//! What a token's policies say about a path.
//!
//! Decides the one rule that counts, and what it grants: the exact path first, then the pattern of the highest priority; the
//! same path in several policies adds up; `deny` beats everything in its rule; without a rule, nothing. Refuses to know what
//! lies at the path.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::capability::{Capabilities, Capability};
use super::parameters::{self, ParameterDenied, ParameterRules};
use super::pattern::Pattern;
use super::policy::Policy;
use super::rule::{Rule, Wrapping};
use crate::clock::Timestamp;

/// The policies of a token that have a document.
#[derive(Debug)]
pub struct Acl<'a> {
    pub(super) policies: Vec<&'a Policy>,
}

/// A path is open for a capability. Only [`Acl::check`] makes one, so that whoever holds it was checked.
///
/// ```compile_fail
/// fn forge() -> cambio::secrets::acl::Granted<'static> {
///     cambio::secrets::acl::Granted { ..Default::default() }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a grant may bind the request's parameters"]
pub struct Granted<'a> {
    capability: Capability,
    pattern: &'a Arc<str>,
    policy: &'a Arc<str>,
    parameters: Vec<&'a ParameterRules>,
}

/// Why a path is not open. For the operator, never for the caller, whom it would tell what there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No policy of the token has a document in the namespace.
    #[error("none of the token's policies has an access document in the namespace")]
    NoPolicy,
    /// No rule is for that path.
    #[error("no rule of the token's policies matches the path")]
    NoRule,
    /// A rule denies it.
    #[error("`{pattern}` in policy `{policy}` denies it")]
    Denied {
        /// The path as it is written.
        pattern: Arc<str>,
        /// The policy; the first, where several do.
        policy: Arc<str>,
    },
    /// The rule that counts does not grant it.
    #[error("`{pattern}`, in policy `{policy}`, does not grant `{capability}`")]
    Missing {
        /// What was asked for.
        capability: Capability,
        /// The path as it is written.
        pattern: Arc<str>,
        /// The policy; the first, where several have the path.
        policy: Arc<str>,
    },
    /// The only rules for it have expired.
    #[error("`{pattern}` in policy `{policy}` has expired")]
    Expired {
        /// The path as it is written.
        pattern: Arc<str>,
        /// The policy; the first, where several have the path.
        policy: Arc<str>,
    },
    /// The rule wants answers wrapped (`min_wrapping_ttl`, `max_wrapping_ttl`), and this one would not be, or not for so long.
    #[error("`{pattern}` in policy `{policy}` wants the answer wrapped, and for another time than was asked for")]
    Wrapping {
        /// The path as it is written.
        pattern: Arc<str>,
        /// The policy; the first, where several have the path.
        policy: Arc<str>,
    },
}

impl<'a> Acl<'a> {
    pub(super) const fn new(policies: Vec<&'a Policy>) -> Self {
        Self { policies }
    }

    /// Whether a capability is granted for a path of the API: without the namespace and without a slash before it, e.g.
    /// `secret/data/app/db`; a folder that is listed ends in a slash. For an answer that is not wrapped.
    ///
    /// A list tries its path with the slash first, then without it (OpenBao since 2.6.0; before, a `deny` on `folder/*` was
    /// stepped over: CVE-2026-63131).
    ///
    /// # Errors
    /// [`Denied`] says to the operator why.
    pub fn check(&self, path: &str, capability: Capability, now: Timestamp) -> Result<Granted<'a>, Denied> {
        self.check_wrapped(path, capability, now, None)
    }

    /// The same, for an answer that is wrapped for that long.
    ///
    /// # Errors
    /// [`Denied`] says to the operator why.
    pub fn check_wrapped(
        &self,
        path: &str,
        capability: Capability,
        now: Timestamp,
        wrapped_for: Option<Duration>,
    ) -> Result<Granted<'a>, Denied> {
        let Some(found) = self.find(path, capability.lists(), Some(now)) else {
            return Err(self.unmatched(path, capability));
        };
        let (pattern, policy) = (found.pattern, found.policy);
        if let Some(policy) = found.denied_by {
            return Err(Denied::Denied { pattern: Arc::clone(pattern), policy: Arc::clone(policy) });
        }
        if !found.capabilities.contains(capability) {
            return Err(Denied::Missing { capability, pattern: Arc::clone(pattern), policy: Arc::clone(policy) });
        }
        if !found.wrapping.allows(wrapped_for) {
            return Err(Denied::Wrapping { pattern: Arc::clone(pattern), policy: Arc::clone(policy) });
        }
        Ok(Granted { capability, pattern, policy, parameters: found.parameters })
    }

    /// What `sys/capabilities-self` answers for a path: the capabilities by name, or `deny` alone.
    #[must_use]
    pub fn capabilities(&self, path: &str, now: Timestamp) -> Vec<Capability> {
        // OpenBao asks as a list does, whatever the path.
        match self.find(path, true, Some(now)) {
            Some(found) if found.grants() => found.capabilities.iter().collect(),
            _ => vec![Capability::Deny],
        }
    }

    /// Whether some rule could grant something at or below `prefix`, e.g. `secret/`: then its mount may be shown
    /// (`sys/internal/ui/mounts`). Never no where anything is granted; may say yes where rules below it deny all that is there.
    #[must_use]
    pub fn sees_any_below(&self, prefix: &str, now: Timestamp) -> bool {
        let now = Some(now);
        // This pattern matches everything below, so that no lower one ever counts there.
        let cover = self.best(prefix, now, Pattern::is_open);
        let higher = |pattern: &&Pattern| cover.as_ref().is_none_or(|(cover, _)| *pattern > *cover);
        self.find(prefix, true, now).is_some_and(|found| found.grants())
            || cover.as_ref().is_some_and(|(_, found)| found.grants())
            || self.policies.iter().any(|policy| {
                let mut paths = policy.paths_below(prefix);
                let mut patterns = policy.patterns_below(prefix).filter(higher);
                paths.any(|path| self.exact(path, now).is_some_and(|found| found.grants()))
                    || patterns.any(|pattern| self.whole(pattern, policy, now).grants())
            })
    }

    fn find(&self, path: &str, lists: bool, now: Option<Timestamp>) -> Option<Found<'a>> {
        let path = path.trim_start_matches('/');
        let bare = path.strip_suffix('/').filter(|_| lists);
        self.exact(path, now)
            .or_else(|| self.exact(bare?, now))
            .or_else(|| self.best(path, now, |_| true).map(|(_, found)| found))
            .or_else(|| self.best(bare?, now, |_| true).map(|(_, found)| found))
    }

    /// What all policies say about exactly that path.
    fn exact(&self, path: &str, now: Option<Timestamp>) -> Option<Found<'a>> {
        let mut found: Option<Found<'a>> = None;
        for policy in &self.policies {
            if let Some((path, rules)) = policy.exact(path, now) {
                found.get_or_insert_with(|| Found::new(path, policy)).add(policy, rules, now);
            }
        }
        found
    }

    /// What all policies say about the pattern that counts for the path; among those that `wanted` wants.
    fn best(
        &self,
        path: &str,
        now: Option<Timestamp>,
        wanted: impl Fn(&Pattern) -> bool,
    ) -> Option<(&'a Pattern, Found<'a>)> {
        let mut best: Option<(&'a Pattern, Found<'a>)> = None;
        for policy in &self.policies {
            let Some((pattern, rules)) = policy.best(path, now, &wanted) else { continue };
            match &mut best {
                Some((higher, _)) if *higher > pattern => {}
                Some((same, found)) if *same == pattern => found.add(policy, rules, now),
                lower => {
                    let (_, found) = lower.insert((pattern, Found::new(pattern.text(), policy)));
                    found.add(policy, rules, now);
                }
            }
        }
        best
    }

    /// What all policies say about that pattern of one of them.
    fn whole(&self, pattern: &'a Pattern, of: &'a Policy, now: Option<Timestamp>) -> Found<'a> {
        let mut found = Found::new(pattern.text(), of);
        self.policies.iter().for_each(|policy| found.add(policy, policy.rules_of(pattern), now));
        found
    }

    /// Why no rule counts.
    fn unmatched(&self, path: &str, capability: Capability) -> Denied {
        if self.policies.is_empty() {
            return Denied::NoPolicy;
        }
        match self.find(path, capability.lists(), None) {
            Some(old) => Denied::Expired { pattern: Arc::clone(old.pattern), policy: Arc::clone(old.policy) },
            None => Denied::NoRule,
        }
    }
}

impl Granted<'_> {
    /// What was granted.
    #[must_use]
    pub const fn capability(&self) -> Capability {
        self.capability
    }

    /// The path or pattern of the rule that granted it, as it is written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.pattern
    }

    /// The policy that the rule is in; the first, where several have it.
    #[must_use]
    pub fn policy(&self) -> &str {
        self.policy
    }

    /// Whether the rules let a request have these top-level members: for writes and patches its body, for reads its query, as
    /// OpenBao has it. To be asked before anything is done.
    ///
    /// # Errors
    /// [`ParameterDenied`] says to the operator which rule is not kept.
    pub fn parameters(&self, body: &Map<String, Value>) -> Result<(), ParameterDenied> {
        parameters::check(&self.parameters, body)
    }

    /// Whether the rules bind parameters at all; if not, a request's members need not be known.
    #[must_use]
    pub fn binds_parameters(&self) -> bool {
        !self.parameters.is_empty()
    }
}

/// What several policies say about one path or pattern, together.
struct Found<'a> {
    pattern: &'a Arc<str>,
    policy: &'a Arc<str>,
    capabilities: Capabilities,
    denied_by: Option<&'a Arc<str>>,
    wrapping: Wrapping,
    /// Allocates only where there are any.
    parameters: Vec<&'a ParameterRules>,
}

impl<'a> Found<'a> {
    fn new(pattern: &'a Arc<str>, policy: &'a Policy) -> Self {
        let (capabilities, wrapping) = (Capabilities::default(), Wrapping::default());
        Self { pattern, policy: &policy.name, capabilities, denied_by: None, wrapping, parameters: vec![] }
    }

    fn grants(&self) -> bool {
        self.denied_by.is_none() && !self.capabilities.is_empty()
    }

    fn add(&mut self, policy: &'a Policy, rules: &'a [Rule], now: Option<Timestamp>) {
        for rule in rules.iter().filter(|rule| now.is_none_or(|now| rule.counts(now))) {
            if rule.denies() {
                self.denied_by.get_or_insert(&policy.name);
            }
            self.capabilities = self.capabilities.and(rule.capabilities);
            self.wrapping = self.wrapping.and(rule.wrapping);
            self.parameters.extend(rule.parameters.as_deref());
        }
    }
}
