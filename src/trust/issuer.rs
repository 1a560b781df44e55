//! One trusted issuer, validated. Decides which tokens could be its own, and by which rules; refuses to look at a token:
//! that is `verify`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::{IssuerName, IssuerUrl};
use crate::jose::{Algorithm, KeyRules};

use super::claim_path::ClaimPath;
use super::fetch::Fetcher;
use super::issuer_checks::Checks;
use super::keys::KeyCache;
use super::media_type::MediaTypes;
use super::platform::Platform;
use super::platform_file::{IdentifyBy, ReplayRule};
use super::platforms::Platforms;
use super::schema::ClaimSchema;
use super::settings::{AudienceRule, IssuerSettings, KeysSettings};
use super::token_review::TokenReview;

/// A trusted issuer. Holds its own keys: no other issuer's are ever tried for its tokens (RFC 8725 section 3.8).
#[derive(Debug)]
pub struct Issuer {
    settings: IssuerSettings,
    platform: Arc<Platform>,
    url: IssuerUrl,
    algorithms: Vec<Algorithm>,
    required_claims: Vec<ClaimPath>,
    schema: Arc<ClaimSchema>,
    keys: KeyCache,
    review: Option<TokenReview>,
}

/// What is wrong with an issuer's settings, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("issuer `{issuer}`: {fault}")]
pub struct IssuerFault {
    issuer: IssuerName,
    fault: String,
}

impl IssuerFault {
    pub(super) fn new(issuer: IssuerName, fault: impl fmt::Display) -> Self {
        Self { issuer, fault: fault.to_string() }
    }

    /// Whose settings they are.
    #[must_use]
    pub fn issuer(&self) -> &IssuerName {
        &self.issuer
    }

    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &str {
        &self.fault
    }
}

impl Issuer {
    /// Checks what the operator wrote. Touches neither network nor files: an issuer may be down when cambio starts.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn new(settings: IssuerSettings, platforms: &Platforms, fetcher: &Fetcher) -> Result<Self, Vec<IssuerFault>> {
        let mut checks = Checks::new(&settings);
        let platform = checks.platform(platforms);
        let url = platform.as_deref().and_then(|platform| checks.url(platform));
        checks.audiences(platform.as_deref(), url.as_ref());
        checks.bounds();
        let schema = platform.as_deref().map(|platform| checks.schema(platform)).unwrap_or_default();
        let algorithms = settings.algorithms.clone();
        let algorithms =
            algorithms.or_else(|| platform.as_ref().map(|one| one.algorithms().to_vec())).unwrap_or_default();
        let rules = KeyRules {
            algorithms: algorithms.clone(),
            jwt_svid: platform.as_ref().is_some_and(|platform| platform.has_jwt_svid_keys()),
        };
        let keys = match (&platform, &url) {
            (Some(platform), Some(url)) => checks.keys(platform, url, rules, fetcher),
            _ => None,
        };
        let review = checks.review(fetcher);
        let faults = checks.into_faults();
        match (platform, url, keys) {
            (Some(platform), Some(url), Some(keys)) if faults.is_empty() => {
                let required_claims =
                    platform.required_claims().iter().chain(&settings.required_claims).cloned().collect();
                Ok(Self { settings, platform, url, algorithms, required_claims, schema, keys, review })
            }
            _ => Err(faults),
        }
    }

    /// The operator's name of it.
    #[must_use]
    pub fn name(&self) -> &IssuerName {
        &self.settings.name
    }

    /// What kind of issuer it is.
    #[must_use]
    pub fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    /// The exact `iss` of its tokens, or `spiffe://<trust domain>`.
    #[must_use]
    pub fn url(&self) -> &IssuerUrl {
        &self.url
    }

    /// For SPIFFE: the trust domain that the `sub` of its tokens is in. Then `iss` is not looked at.
    #[must_use]
    pub fn trust_domain(&self) -> Option<&str> {
        match self.platform.identify_by() {
            IdentifyBy::SpiffeTrustDomain => self.url.as_str().strip_prefix("spiffe://"),
            IdentifyBy::Iss => None,
        }
    }

    /// The audiences that its tokens for cambio have: one or more.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.settings.audiences
    }

    /// Whether a token may have further audiences.
    #[must_use]
    pub fn audience_rule(&self) -> AudienceRule {
        self.settings.audience_rule
    }

    /// Whether a token with this audience is meant for the platform's own API, or for somebody else by default, and is
    /// refused even if it has one of ours too.
    #[must_use]
    pub fn refuses_audience(&self, audience: &str) -> bool {
        let ours = self.settings.audiences.iter().any(|one| one == audience);
        !ours && self.platform.refused_audiences().iter().any(|pattern| pattern.matches(audience, &self.url))
    }

    /// The algorithms that its tokens may have.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// The values of the header's `typ` that its tokens may have.
    #[must_use]
    pub fn types(&self) -> &MediaTypes {
        self.settings.types.as_ref().unwrap_or_else(|| self.platform.types())
    }

    /// By how much its clock may differ. At most 5 minutes.
    #[must_use]
    pub fn leeway(&self) -> Duration {
        self.settings.leeway.duration()
    }

    /// Whether its tokens may be presented again.
    #[must_use]
    pub fn replay(&self) -> ReplayRule {
        self.settings.replay.unwrap_or_else(|| self.platform.replay())
    }

    /// The longest `exp - iat` that is accepted.
    #[must_use]
    pub fn max_token_lifetime(&self) -> Duration {
        self.settings.max_token_lifetime.map_or_else(|| self.platform.longest_lifetime(), |span| span.duration())
    }

    /// The longest lifetime of what is issued for its tokens, if the operator bounds it.
    #[must_use]
    pub fn max_issued_ttl(&self) -> Option<Duration> {
        self.settings.max_issued_ttl.map(|span| span.duration())
    }

    /// Claims without which a token is refused: the platform's and the operator's.
    #[must_use]
    pub fn required_claims(&self) -> &[ClaimPath] {
        &self.required_claims
    }

    /// The claims that its tokens carry, as its platform and the operator describe them. Documentation, and what
    /// expressions are checked by; what binds a token is [`Self::required_claims`] and the platform's rules.
    #[must_use]
    pub fn schema(&self) -> &Arc<ClaimSchema> {
        &self.schema
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &KeyCache {
        &self.keys
    }

    /// The cluster that is asked about every token of its own, where the operator says so.
    #[must_use]
    pub fn token_review(&self) -> Option<&TokenReview> {
        self.review.as_ref()
    }

    /// Settings that are allowed and that an operator should know to be risky, one sentence each.
    #[must_use]
    pub fn smells(&self) -> Vec<String> {
        let settings = &self.settings;
        let fixed = matches!(settings.keys, Some(KeysSettings::Inline(_) | KeysSettings::File(_)));
        let smells = [
            (settings.insecure_http, "`insecure_http`: whoever sits between the issuer and here chooses its keys"),
            (
                settings.audience_rule == AudienceRule::Any,
                "`audience_rule: any`: every other audience of a token can replay it here",
            ),
            (
                settings.accept_platform_audience,
                "`accept_platform_audience`: tokens for the platform's own API are accepted",
            ),
            (fixed && *self.platform.name() == *"eks", "fixed keys: EKS rotates its keys every week"),
            (
                settings.replay == Some(ReplayRule::Reusable) && self.platform.replay() == ReplayRule::SingleUse,
                "`replay: reusable`: the platform's tokens are meant to be used once",
            ),
            (
                settings.leeway.duration() > Duration::from_secs(120),
                "`leeway` beyond 2 minutes: expired tokens live on for that long",
            ),
        ];
        smells.into_iter().filter(|(smelly, _)| *smelly).map(|(_, text)| text.to_owned()).collect()
    }

    /// Whether `other` was made from the same settings, on the same platform.
    pub(super) fn is_written_as(&self, other: &Self) -> bool {
        self.settings == other.settings && self.platform.digest() == other.platform.digest()
    }
}
