//! One claim of a platform: its type, who decides what it says, and for how long that means the same.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::claim_path::ClaimPath;
use super::claim_type::ClaimType;
use super::schema::{ClaimSchema, UnknownMembers};

/// One claim.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "ClaimFile")]
pub struct Claim {
    ty: ClaimType,
    nullable: bool,
    presence: Presence,
    kind: ClaimKind,
    values: Vec<Box<str>>,
    identified_by: Vec<ClaimPath>,
    members: Option<ClaimSchema>,
    doc: Box<str>,
}

/// Whether a claim is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// In every token of the platform: an expression needs no `has()` for it.
    Required,
    /// There or not, by version or by the caller's choice.
    #[default]
    Optional,
    /// There under a condition that the claim's text names, e.g. only for jobs with an environment.
    Conditional,
}

/// Who decides what a claim says, and for how long it means the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// Names one thing for ever: safe to bind to.
    ImmutableId,
    /// Names whatever bears the name today; a later bearer inherits what a rule grants to it.
    RecyclableName,
    /// Whoever asks for the token, or whoever may change the code that runs, chooses it: never proof of anything.
    CallerChosen,
    /// The platform decides, e.g. whether a ref is protected.
    PlatformSet,
    /// Of this one token or run: times, token ids, run numbers.
    TokenBound,
    /// A person or service, by whom the run was started; not what runs.
    Actor,
    /// Not to be shown or logged.
    Secret,
}

/// A claim as a platform file writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimFile {
    #[serde(rename = "type")]
    ty: ClaimType,
    #[serde(default)]
    nullable: bool,
    #[serde(default)]
    presence: Presence,
    kind: ClaimKind,
    #[serde(default)]
    values: Vec<Box<str>>,
    #[serde(default)]
    identified_by: Vec<ClaimPath>,
    members: Option<BTreeMap<Box<str>, Claim>>,
    #[serde(default)]
    unknown_members: UnknownMembers,
    #[serde(default)]
    doc: Box<str>,
}

impl From<ClaimFile> for Claim {
    fn from(file: ClaimFile) -> Self {
        let members = file.members.map(|claims| ClaimSchema::new(claims, file.unknown_members));
        Self {
            ty: file.ty,
            nullable: file.nullable,
            presence: file.presence,
            kind: file.kind,
            values: file.values,
            identified_by: file.identified_by,
            members,
            doc: file.doc,
        }
    }
}

impl Claim {
    /// Marks it as present in every token, and what stands on the way below it. `null` counts as absent.
    pub(super) fn require(&mut self, way: &mut dyn Iterator<Item = &str>) {
        (self.presence, self.nullable) = (Presence::Required, false);
        if let Some(members) = &mut self.members {
            members.require(way);
        }
    }

    /// Its type; for `null`, ask [`Self::is_nullable`].
    #[must_use]
    pub fn ty(&self) -> &ClaimType {
        &self.ty
    }

    /// Whether the platform also sends `null`.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// Whether it is always there.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.presence
    }

    /// Who decides what it says.
    #[must_use]
    pub fn kind(&self) -> ClaimKind {
        self.kind
    }

    /// Whether it, or a member of it, is not to be shown.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.kind == ClaimKind::Secret || self.members.as_ref().is_some_and(ClaimSchema::hides_any)
    }

    /// All values that it can have, where the platform documents them; empty where anything may come.
    #[must_use]
    pub fn values(&self) -> &[Box<str>] {
        &self.values
    }

    /// For a recyclable name: the immutable ids of the same thing, any of which makes a rule safe.
    #[must_use]
    pub fn identified_by(&self) -> &[ClaimPath] {
        &self.identified_by
    }

    /// The members of a map, or of each element of a list of maps, where they are documented.
    #[must_use]
    pub fn members(&self) -> Option<&ClaimSchema> {
        self.members.as_ref()
    }

    /// What it is, in a sentence.
    #[must_use]
    pub fn doc(&self) -> &str {
        &self.doc
    }
}
