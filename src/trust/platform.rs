//! Platforms: the kinds of issuers, as data. Decides what a platform's tokens look like and which rules bind them;
//! refuses to know any single platform: everything that distinguishes one stands in its file under `platforms/`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::IssuerUrl;
use crate::jose::{Algorithm, Sha256, sha256};
use regex::Regex;

use super::audience::AudiencePattern;
use super::authority::Authority;
use super::claim::Presence;
use super::claim_path::ClaimPath;
use super::media_type::MediaTypes;
use super::platform_file::{DefaultKeys, ExampleToken, IdentifyBy, PlatformFile, RefusedClaim, ReplayRule};
use super::schema::{ClaimSchema, Lookup};

/// One kind of issuer.
#[derive(Clone, Debug)]
pub struct Platform {
    file: PlatformFile,
    pattern: Regex,
    schema: Arc<ClaimSchema>,
    digest: Sha256,
}

/// Why a platform file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Not YAML of the shape of a platform file; the text says where.
    #[error("{0}")]
    Shape(String),
    /// The issuer pattern is no regular expression.
    #[error("the issuer pattern is no regular expression: {0}")]
    Pattern(String),
    /// The file says something about a claim that its own schema does not have, or not so.
    #[error("{rule} names `{claim}`, which the file's own `claims` {fault}")]
    Claim {
        /// Which rule of the file.
        rule: &'static str,
        /// Which claim.
        claim: ClaimPath,
        /// What is wrong.
        fault: &'static str,
    },
    /// The default issuer is none.
    #[error("the default issuer is none: {0}")]
    DefaultIssuer(String),
    /// Another platform has that name.
    #[error("there is already a platform `{0}`; give yours another name")]
    NameTaken(Box<str>),
    /// A file cannot be read.
    #[error("`{path}` cannot be read: {fault}")]
    File {
        /// Which.
        path: String,
        /// Why.
        fault: String,
    },
}

impl Platform {
    /// Reads a platform file (YAML) and checks that its rules fit its own schema.
    ///
    /// # Errors
    /// [`PlatformError`] names the first fault.
    pub fn parse(yaml: &str) -> Result<Self, PlatformError> {
        let mut file: PlatformFile =
            serde_saphyr::from_str(yaml).map_err(|error| PlatformError::Shape(error.to_string()))?;
        // Anchored here and nowhere else: an unanchored issuer pattern was CVE-2026-22772 in Fulcio.
        let pattern = Regex::new(&format!("^(?:{})$", file.issuer.pattern))
            .map_err(|error| PlatformError::Pattern(error.to_string()))?;
        let schema = Arc::new(ClaimSchema::new(std::mem::take(&mut file.claims), file.unknown_claims));
        let platform = Self { file, pattern, schema, digest: sha256(yaml.as_bytes()) };
        platform.check_rules()?;
        Ok(platform)
    }

    fn check_rules(&self) -> Result<(), PlatformError> {
        for claim in &self.file.required_claims {
            let rule = "`required_claims`";
            match self.schema.lookup(claim) {
                Lookup::Claim(known) if known.presence() == Presence::Required => {}
                Lookup::Claim(_) => {
                    let fault = "do not mark as `presence: required`";
                    return Err(PlatformError::Claim { rule, claim: claim.clone(), fault });
                }
                _ => return Err(PlatformError::Claim { rule, claim: claim.clone(), fault: "do not have" }),
            }
        }
        for refused in &self.file.refused_claims {
            if !matches!(self.schema.lookup(&refused.claim), Lookup::Claim(_)) {
                let claim = refused.claim.clone();
                return Err(PlatformError::Claim { rule: "`refused_claims`", claim, fault: "do not have" });
            }
        }
        for claim in self.file.authority.claims() {
            if !matches!(self.schema.lookup(claim), Lookup::Claim(_)) {
                let claim = claim.clone();
                return Err(PlatformError::Claim { rule: "`authority`", claim, fault: "do not have" });
            }
        }
        for (_, claim) in self.schema.claims() {
            for id in claim.identified_by() {
                if !matches!(self.schema.lookup(id), Lookup::Claim(_)) {
                    let claim = id.clone();
                    return Err(PlatformError::Claim { rule: "`identified_by`", claim, fault: "do not have" });
                }
            }
        }
        if let Some(default) = &self.file.issuer.default {
            IssuerUrl::new(default).map_err(|error| PlatformError::DefaultIssuer(error.to_string()))?;
        }
        Ok(())
    }

    /// Its name, as an issuer's `platform` says it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.file.title
    }

    /// Whether `issuer` looks like one of this platform's. A help for operators, never a reason to trust.
    #[must_use]
    pub fn recognises(&self, issuer: &str) -> bool {
        self.pattern.is_match(issuer)
    }

    /// The pattern that [`Self::recognises`] goes by, without its anchors.
    #[must_use]
    pub fn issuer_pattern(&self) -> &str {
        &self.file.issuer.pattern
    }

    /// The issuer of the platform's public service, where there is exactly one.
    #[must_use]
    pub fn default_issuer(&self) -> Option<&str> {
        self.file.issuer.default.as_deref()
    }

    /// Issuers that the platform has, as examples.
    pub fn example_issuers(&self) -> impl Iterator<Item = &str> {
        self.file.issuer.examples.iter().map(AsRef::as_ref)
    }

    /// Look-alikes that must not be taken for the platform's issuers.
    pub fn foreign_issuers(&self) -> impl Iterator<Item = &str> {
        self.file.issuer.foreign.iter().map(AsRef::as_ref)
    }

    /// By what its tokens name their issuer.
    #[must_use]
    pub fn identify_by(&self) -> IdentifyBy {
        self.file.identify_by
    }

    /// Where keys come from if the operator says nothing.
    #[must_use]
    pub fn default_keys(&self) -> DefaultKeys {
        self.file.keys
    }

    /// The algorithms that its keys have.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.file.algorithms
    }

    /// The values of the header's `typ` that its tokens have.
    #[must_use]
    pub fn types(&self) -> &MediaTypes {
        &self.file.types
    }

    /// Whether the header may have only `alg`, `kid` and `typ` (JWT-SVID section 2).
    #[must_use]
    pub fn has_closed_header(&self) -> bool {
        self.file.closed_header
    }

    /// Whether `use: jwt-svid` marks its keys.
    #[must_use]
    pub fn has_jwt_svid_keys(&self) -> bool {
        self.file.jwt_svid_keys
    }

    /// Whether publishing no key revokes all (SPIFFE); elsewhere an empty set is an accident.
    #[must_use]
    pub fn empty_set_means_revoked(&self) -> bool {
        self.file.empty_set_means_revoked
    }

    /// Audiences of tokens that were issued for the platform's own API, or for somebody else by default.
    #[must_use]
    pub fn refused_audiences(&self) -> &[AudiencePattern] {
        &self.file.refused_audiences
    }

    /// How long its tokens usually live.
    #[must_use]
    pub fn usual_lifetime(&self) -> Duration {
        self.file.lifetime.usual.duration()
    }

    /// What its claims are worth as authority.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.file.authority
    }

    /// The longest `exp - iat` that is accepted if the operator says nothing.
    #[must_use]
    pub fn longest_lifetime(&self) -> Duration {
        self.file.lifetime.longest.duration()
    }

    /// Whether a token may be presented twice if the operator says nothing.
    #[must_use]
    pub fn replay(&self) -> ReplayRule {
        self.file.replay
    }

    /// What `sub` looks like and who chooses it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.file.subject
    }

    /// Claims without which a token is refused.
    #[must_use]
    pub fn required_claims(&self) -> &[ClaimPath] {
        &self.file.required_claims
    }

    /// Claims with which a token is refused.
    #[must_use]
    pub fn refused_claims(&self) -> &[RefusedClaim] {
        &self.file.refused_claims
    }

    /// The claims that its tokens carry.
    #[must_use]
    pub fn schema(&self) -> &ClaimSchema {
        &self.schema
    }

    /// The same, to be held by each of its issuers.
    pub(crate) fn shared_schema(&self) -> &Arc<ClaimSchema> {
        &self.schema
    }

    /// SHA-256 of its file.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Tokens of the platform.
    #[must_use]
    pub fn examples(&self) -> &[ExampleToken] {
        &self.file.examples
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.title())
    }
}
