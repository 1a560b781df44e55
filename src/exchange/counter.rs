//! The engine behind every surface: what an exchange stands on.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::outcome::Source;
use super::stop::TargetFault;
use super::tally::Tally;
use super::walk::Walk;
use crate::audit::Journal;
use crate::clock::{Clock, Timestamp};
use crate::identity::{DecisionId, IssuerUrl, TargetName};
use crate::jose;
use crate::mint::{KeyRing, Minter, OwnTokens};
use crate::policy::{PolicySet, Target};
use crate::replay::ReplayGuard;
use crate::state::Revocations;
use crate::trust::Issuers;
use crate::verify::VerifiedTokens;

/// What changes together when the operator changes it: an exchange finishes on the rules that it began with.
pub struct Rules {
    /// The trusted issuers.
    pub issuers: Issuers,
    /// The policies.
    pub policies: PolicySet,
    /// The target of a request that names none.
    pub default_target: Option<TargetName>,
}

/// The parts of a [`Counter`].
pub struct CounterParts {
    /// Issuers and policies.
    pub rules: Rules,
    /// Time.
    pub clock: Clock,
    /// Our signing keys.
    pub keys: Arc<KeyRing>,
    /// Our own issuer identifier.
    pub issuer: IssuerUrl,
    /// Remembers single-use tokens.
    pub replay: ReplayGuard,
    /// Remembers revoked tokens.
    pub revocations: Arc<Revocations>,
    /// Takes the records.
    pub journal: Arc<Journal>,
    /// Remembers verified tokens.
    pub seen: VerifiedTokens,
}

/// The engine.
pub struct Counter {
    rules: ArcSwap<Rules>,
    clock: Clock,
    keys: Arc<KeyRing>,
    minter: Minter,
    own: OwnTokens,
    issuer: IssuerUrl,
    replay: ReplayGuard,
    revocations: Arc<Revocations>,
    journal: Arc<Journal>,
    seen: VerifiedTokens,
    tally: Tally,
}

impl Counter {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: CounterParts) -> Self {
        let CounterParts { rules, clock, keys, issuer, replay, revocations, journal, seen } = parts;
        let minter = Minter::new(Arc::clone(&keys), issuer.as_str());
        let own = OwnTokens::new(Arc::clone(&keys), issuer.as_str());
        let tally = Tally::new(rules.issuers.iter().map(|issuer| issuer.name().clone()));
        let rules = ArcSwap::from_pointee(rules);
        Self { rules, clock, keys, minter, own, issuer, replay, revocations, journal, seen, tally }
    }

    /// Begins an exchange. Whatever becomes of it, it leaves one record.
    pub fn begin(&self, source: Source) -> Walk<'_> {
        Walk::begin(self, source)
    }

    /// Issuers and policies as they are now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Our own public keys, as a JWK Set.
    #[must_use]
    pub fn public_jwks(&self) -> Arc<str> {
        self.keys.public_jwks()
    }

    /// Our signing keys.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Our own issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> &IssuerUrl {
        &self.issuer
    }

    /// What was counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Where records go.
    #[must_use]
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Time, as the engine reads it.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What signs.
    #[must_use]
    pub fn minter(&self) -> &Minter {
        &self.minter
    }

    /// The tokens seen before.
    #[must_use]
    pub fn seen(&self) -> &VerifiedTokens {
        &self.seen
    }

    /// What remembers single-use tokens.
    #[must_use]
    pub fn replay(&self) -> &ReplayGuard {
        &self.replay
    }

    pub(super) fn own_tokens(&self) -> &OwnTokens {
        &self.own
    }

    pub(super) fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Without randomness the id is only unique, not unguessable; it is no secret, and a refusal must have one.
    pub(super) fn decision_id(&self, now: Timestamp) -> DecisionId {
        DecisionId::new(now, jose::random().unwrap_or_default())
    }
}

/// The target of requests that name none does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("default_target: there is no target `{0}` among the policies")]
pub struct NoSuchDefault(TargetName);

impl Rules {
    /// Puts rules together.
    ///
    /// # Errors
    /// [`NoSuchDefault`].
    pub fn new(
        issuers: Issuers,
        policies: PolicySet,
        default_target: Option<TargetName>,
    ) -> Result<Self, NoSuchDefault> {
        match default_target.as_ref().filter(|name| policies.target(name.as_str()).is_none()) {
            Some(unknown) => Err(NoSuchDefault(unknown.clone())),
            None => Ok(Self { issuers, policies, default_target }),
        }
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
