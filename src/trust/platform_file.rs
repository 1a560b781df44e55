//! The shape of a file under `platforms/`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clock::Span;
use crate::jose::Algorithm;

use super::audience::AudiencePattern;
use super::authority::Authority;
use super::claim::Claim;
use super::claim_path::ClaimPath;
use super::media_type::MediaTypes;
use super::schema::UnknownMembers;

/// A platform as its file writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlatformFile {
    pub(super) name: Box<str>,
    pub(super) title: Box<str>,
    pub(super) issuer: IssuerFile,
    #[serde(default)]
    pub(super) identify_by: IdentifyBy,
    #[serde(default)]
    pub(super) keys: DefaultKeys,
    pub(super) algorithms: Vec<Algorithm>,
    #[serde(default)]
    pub(super) types: MediaTypes,
    #[serde(default)]
    pub(super) closed_header: bool,
    #[serde(default)]
    pub(super) jwt_svid_keys: bool,
    #[serde(default)]
    pub(super) empty_set_means_revoked: bool,
    #[serde(default)]
    pub(super) refused_audiences: Vec<AudiencePattern>,
    pub(super) lifetime: Lifetime,
    pub(super) replay: ReplayRule,
    pub(super) subject: Box<str>,
    #[serde(default)]
    pub(super) required_claims: Vec<ClaimPath>,
    #[serde(default)]
    pub(super) refused_claims: Vec<RefusedClaim>,
    #[serde(default)]
    pub(super) unknown_claims: UnknownMembers,
    #[serde(default)]
    pub(super) claims: BTreeMap<Box<str>, Claim>,
    #[serde(default)]
    pub(super) authority: Authority,
    pub(super) examples: Vec<ExampleToken>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerFile {
    pub(super) pattern: Box<str>,
    pub(super) default: Option<Box<str>>,
    pub(super) examples: Vec<Box<str>>,
    #[serde(default)]
    pub(super) foreign: Vec<Box<str>>,
}

/// How long the platform's tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lifetime {
    pub(super) usual: Span,
    pub(super) longest: Span,
}

/// By what a token names its issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifyBy {
    /// By `iss`.
    #[default]
    Iss,
    /// By the trust domain of the SPIFFE id in `sub`: a JWT-SVID need not carry `iss`.
    SpiffeTrustDomain,
}

/// Where keys come from if the operator says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultKeys {
    /// From the issuer's discovery document.
    #[default]
    Discovery,
    /// From nowhere: the operator has to say it.
    Given,
}

/// Whether a token may be presented twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayRule {
    /// Once per target.
    SingleUse,
    /// As often as its holder likes until it expires: projected pod tokens are presented again by design.
    Reusable,
}

/// A claim whose presence alone refuses a token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedClaim {
    /// Which.
    pub claim: ClaimPath,
    /// Why, for the operator.
    pub because: Box<str>,
}

/// The claims of one token of the platform, as documentation and as a test of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleToken {
    /// What kind of token it is.
    pub name: Box<str>,
    /// Its claims.
    pub claims: Map<String, Value>,
}

impl fmt::Display for ReplayRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SingleUse => "single_use",
            Self::Reusable => "reusable",
        })
    }
}
