//! The issuers that policies may name, with what is known of their tokens.
//!
//! Decides nothing. It is how the claim schemas of `trust` reach the checks of this module, without the issuers' keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::IssuerName;
use crate::trust::{ClaimSchema, Issuers, Platform, Platforms};

/// The issuers that a policy set may name.
#[derive(Clone, Debug, Default)]
pub struct Catalog(BTreeMap<IssuerName, IssuerFacts>);

/// What is known of one issuer.
#[derive(Clone, Debug, Default)]
pub struct IssuerFacts {
    /// Its platform; unknown where a policy directory is checked without a configuration.
    pub platform: Option<Arc<Platform>>,
    /// The claims of its tokens: those of the platform and those that the configuration adds.
    pub schema: Option<Arc<ClaimSchema>>,
    /// The exact `iss`.
    pub url: Option<String>,
    /// The longest `exp - iat` that is accepted of its tokens.
    pub max_token_lifetime: Option<Duration>,
}

impl Catalog {
    /// The issuers of a configuration.
    #[must_use]
    pub fn of(issuers: &Issuers) -> Self {
        let facts = |issuer: &crate::trust::Issuer| IssuerFacts {
            platform: Some(Arc::clone(issuer.platform())),
            schema: Some(Arc::clone(issuer.schema())),
            url: Some(issuer.url().as_str().to_owned()),
            max_token_lifetime: Some(issuer.max_token_lifetime()),
        };
        Self(issuers.iter().map(|issuer| (issuer.name().clone(), facts(issuer))).collect())
    }

    /// Issuers of which only the names are known: their claims can't be checked.
    #[must_use]
    pub fn of_names(names: impl IntoIterator<Item = IssuerName>) -> Self {
        Self(names.into_iter().map(|name| (name, IssuerFacts::default())).collect())
    }

    /// Adds an issuer of which this is known.
    pub fn insert(&mut self, name: IssuerName, facts: IssuerFacts) {
        self.0.insert(name, facts);
    }

    /// Adds an issuer of a platform, as a directory of policies without a configuration has it.
    pub fn add(&mut self, name: IssuerName, platform: Option<&Arc<Platform>>) {
        let facts = platform.map_or_else(IssuerFacts::default, |platform| IssuerFacts {
            platform: Some(Arc::clone(platform)),
            schema: Some(Arc::clone(platform.shared_schema())),
            url: None,
            max_token_lifetime: Some(platform.longest_lifetime()),
        });
        self.0.insert(name, facts);
    }

    /// Adds an issuer of the platform that has its name, or of none.
    pub fn add_guessing(&mut self, name: IssuerName, platforms: &Platforms) {
        let platform = platforms.find(name.as_str());
        self.add(name, platform);
    }

    /// What is known of the issuer of that name.
    #[must_use]
    pub fn find(&self, name: &IssuerName) -> Option<&IssuerFacts> {
        self.0.get(name)
    }

    /// The catalog's own copy of a name, so that ten thousand targets share one text.
    pub(super) fn name(&self, name: &IssuerName) -> Option<&IssuerName> {
        self.0.get_key_value(name).map(|(known, _)| known)
    }

    /// All issuers, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&IssuerName, &IssuerFacts)> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
