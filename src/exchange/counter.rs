//! The engine behind every surface: what an exchange stands on.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::outcome::Source;
use super::places::Places;
use super::reloads::Reloads;
use super::rules::Rules;
use super::tally::Tally;
use super::upstream_tokens::UpstreamTokens;
use super::walk::Walk;
use crate::accounts::Accounts;
use crate::audit::Journal;
use crate::clock::{Clock, Timestamp};
use crate::identity::{DecisionId, IssuerName, IssuerUrl, TargetName};
use crate::jose;
use crate::limits::Limiter;
use crate::mint::{KeyRing, Minter, OwnTokens};
use crate::replay::ReplayGuard;
use crate::secrets::Mounts;
use crate::secrets::openbao::OpenBaoStore;
use crate::state::Revocations;
use crate::state::counters::Counters;
use crate::verify::VerifiedTokens;

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
    /// Where secrets live.
    pub mounts: Mounts,
    /// The OpenBao whose token an exchange for a target returns, in place of ours.
    pub direct: HashMap<TargetName, Arc<OpenBaoStore>>,
    /// The counters that replicas share, if they do.
    pub counters: Option<Arc<Counters>>,
    /// Who may ask how often.
    pub limiter: Limiter,
    /// Service accounts, where there are any.
    pub accounts: Option<Arc<Accounts>>,
    /// The target of administrators' tokens; none where the administration is off.
    pub admin_target: Option<TargetName>,
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
    mounts: Mounts,
    direct: HashMap<TargetName, Arc<OpenBaoStore>>,
    counters: Option<Arc<Counters>>,
    limiter: Limiter,
    accounts: Option<Arc<Accounts>>,
    admin_target: Option<TargetName>,
    upstream_tokens: UpstreamTokens,
    places: Places,
    tally: Tally,
    reloads: Reloads,
}

impl Counter {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: CounterParts) -> Self {
        let CounterParts {
            rules,
            clock,
            keys,
            issuer,
            replay,
            revocations,
            journal,
            seen,
            mounts,
            direct,
            counters,
            limiter,
            accounts,
            admin_target,
        } = parts;
        let minter = Minter::new(Arc::clone(&keys), issuer.as_str());
        let own = OwnTokens::new(Arc::clone(&keys), issuer.as_str());
        let own_accounts = accounts.is_some().then(IssuerName::of_service_accounts);
        let tally = Tally::new(rules.issuers.iter().map(|issuer| issuer.name().clone()).chain(own_accounts));
        let reloads = Reloads::new(rules.loaded);
        let rules = ArcSwap::from_pointee(rules);
        let places = Places::new(&mounts, &direct, journal.capacity());
        Self {
            rules,
            clock,
            keys,
            minter,
            own,
            issuer,
            replay,
            revocations,
            journal,
            seen,
            mounts,
            direct,
            counters,
            limiter,
            accounts,
            admin_target,
            upstream_tokens: UpstreamTokens::default(),
            places,
            tally,
            reloads,
        }
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

    /// Takes up other rules, all at once, and gives the former ones back. Exchanges that have begun finish on those.
    ///
    /// An issuer that is as it was should be the same one ([`Issuers::keeping`](crate::trust::Issuers::keeping)): of any
    /// other, no token that was verified before is good without being verified again.
    pub fn take_up(&self, rules: Rules) -> Arc<Rules> {
        let own_accounts = self.accounts.is_some().then(IssuerName::of_service_accounts);
        self.tally.follow(rules.issuers.iter().map(|issuer| issuer.name()).chain(&own_accounts));
        self.rules.swap(Arc::new(rules))
    }

    /// How rules were taken up, or were not.
    #[must_use]
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
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

    /// Service accounts, where there are any.
    #[must_use]
    pub fn accounts(&self) -> Option<&Arc<Accounts>> {
        self.accounts.as_ref()
    }

    /// Whether a token for `target` is an administrator's: it goes to nobody but us.
    pub(super) fn is_for_administrators(&self, target: &TargetName) -> bool {
        self.admin_target.as_ref() == Some(target)
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    pub(super) fn upstream_tokens(&self) -> &UpstreamTokens {
        &self.upstream_tokens
    }

    /// The counters that replicas share, if they do.
    #[must_use]
    pub fn counters(&self) -> Option<&Arc<Counters>> {
        self.counters.as_ref()
    }

    /// Where secrets live.
    #[must_use]
    pub fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// Who may ask how often.
    #[must_use]
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// A name for a request that decides nothing.
    #[must_use]
    pub fn request_id(&self) -> DecisionId {
        self.decision_id(self.clock.now())
    }

    /// The OpenBao whose token an exchange for `target` returns.
    #[must_use]
    pub fn direct(&self, target: &TargetName) -> Option<&Arc<OpenBaoStore>> {
        self.direct.get(target)
    }

    pub(super) fn own_tokens(&self) -> &OwnTokens {
        &self.own
    }

    /// The tokens of ours that were revoked.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Without randomness the id is only unique, not unguessable; it is no secret, and a refusal must have one.
    pub(super) fn decision_id(&self, now: Timestamp) -> DecisionId {
        DecisionId::new(now, jose::random().unwrap_or_default())
    }
}
