//! All trusted issuers. Decides which one a token claims to be from; refuses to guess: one of two clusters with the same
//! issuer string has to be named.

use std::collections::HashMap;
use std::sync::Arc;

use crate::identity::IssuerName;

use super::fetch::Fetcher;
use super::issuer::{Issuer, IssuerFault};
use super::platforms::Platforms;
use super::settings::IssuerSettings;

/// The trusted issuers, found in constant time by what a token claims.
#[derive(Debug, Default)]
pub struct Issuers {
    all: Vec<Arc<Issuer>>,
    by_name: HashMap<IssuerName, usize>,
    by_claim: HashMap<Box<str>, Vec<usize>>,
    reviewed: bool,
}

/// Why no issuer was found. Never quotes the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// No issuer has that identifier, or that name.
    #[error("the token's issuer is not trusted here")]
    UnknownIssuer,
    /// Several have that identifier, and the request names none of them.
    #[error("several issuers have that identifier; the request has to name one")]
    Ambiguous,
    /// The issuer that the request names has another identifier.
    #[error("the token is not from the issuer that the request names")]
    NameMismatch,
}

impl Issuers {
    /// Puts issuers together. Two may share an identifier, none a name.
    ///
    /// # Errors
    /// One [`IssuerFault`] for each name that occurs again.
    pub fn new(issuers: Vec<Issuer>) -> Result<Self, Vec<IssuerFault>> {
        let mut together = Self::default();
        let mut faults = Vec::new();
        for issuer in issuers {
            let place = together.all.len();
            if together.by_name.insert(issuer.name().clone(), place).is_some() {
                let name = issuer.name().clone();
                faults.push(IssuerFault::new(name, "the name occurs twice; give each issuer a name of its own"));
            }
            together.by_claim.entry(Box::from(issuer.url().as_str())).or_default().push(place);
            together.reviewed |= issuer.token_review().is_some();
            together.all.push(Arc::new(issuer));
        }
        if faults.is_empty() { Ok(together) } else { Err(faults) }
    }

    /// Checks all that the operator wrote under `issuers:`.
    ///
    /// # Errors
    /// Every fault of every issuer, each with what to do about it.
    pub fn from_settings(
        settings: Vec<IssuerSettings>,
        platforms: &Platforms,
        fetcher: &Fetcher,
    ) -> Result<Self, Vec<IssuerFault>> {
        let mut issuers = Vec::with_capacity(settings.len());
        let mut faults = Vec::new();
        let mut names: HashMap<IssuerName, ()> = HashMap::new();
        for one in settings {
            if names.insert(one.name.clone(), ()).is_some() {
                let name = one.name.clone();
                faults.push(IssuerFault::new(name, "the name occurs twice; give each issuer a name of its own"));
            }
            match Issuer::new(one, platforms, fetcher) {
                Ok(issuer) => issuers.push(issuer),
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Self::new(issuers) } else { Err(faults) }
    }

    /// After a reload: an issuer that is written as before stays the same one, with the keys that it holds. One that is
    /// written otherwise fetches its keys anew, as whoever wrote it may have meant other keys; only its counts go on.
    #[must_use]
    pub fn keeping(mut self, before: &Self) -> Self {
        for issuer in &mut self.all {
            match before.named(issuer.name()) {
                Some(old) if old.is_written_as(issuer) => *issuer = Arc::clone(old),
                Some(old) => issuer.keys().count_on(old.keys()),
                None => {}
            }
        }
        self
    }

    /// Whether both are the very same issuers, in the same order: not only written alike.
    #[must_use]
    pub fn are_those(&self, other: &Self) -> bool {
        self.all.len() == other.all.len() && self.all.iter().zip(&other.all).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// The issuer that a token claims: `claimed` is its exact `iss`, or `spiffe://` and the trust domain of its `sub`;
    /// `named` is the issuer's name if the request gives one. Byte for byte, with no network call.
    ///
    /// # Errors
    /// [`Untrusted`].
    pub fn find(&self, claimed: &str, named: Option<&IssuerName>) -> Result<&Arc<Issuer>, Untrusted> {
        if let Some(name) = named {
            let issuer = self.named(name).ok_or(Untrusted::UnknownIssuer)?;
            return if issuer.url().as_str() == claimed { Ok(issuer) } else { Err(Untrusted::NameMismatch) };
        }
        match self.by_claim.get(claimed).map(Vec::as_slice) {
            Some([one]) => self.all.get(*one).ok_or(Untrusted::UnknownIssuer),
            Some([_, _, ..]) => Err(Untrusted::Ambiguous),
            Some([]) | None => Err(Untrusted::UnknownIssuer),
        }
    }

    /// The issuer of that name.
    #[must_use]
    pub fn named(&self, name: &IssuerName) -> Option<&Arc<Issuer>> {
        self.by_name.get(name).and_then(|place| self.all.get(*place))
    }

    /// All of them, in the operator's order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.all.iter()
    }

    /// Whether any asks its cluster about tokens ([`Issuer::token_review`]).
    #[must_use]
    pub fn are_reviewed(&self) -> bool {
        self.reviewed
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
