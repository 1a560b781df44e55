//! The claims that a platform's tokens carry, as data for whoever checks claims or expressions over them. Decides what is
//! documented; refuses to decide whether a token is accepted: that is `verify`, by the few rules that are binding.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::claim::Claim;
use super::claim_path::ClaimPath;

/// The claims of a platform, or the members of one claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimSchema {
    claims: BTreeMap<Box<str>, Claim>,
    unknown: UnknownMembers,
    refuses_below: bool,
}

/// What members that the schema does not name are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownMembers {
    /// Nothing odd: the platform lets people add claims.
    Allowed,
    /// Worth a finding.
    #[default]
    Reported,
    /// Reason to refuse the token: another kind of token, which the schema's rules were not written for.
    Refused,
}

/// What a schema knows about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// This claim.
    Claim(&'a Claim),
    /// Nothing, and that is in order: an open schema, or a map whose members nobody documents.
    Open,
    /// No such claim; the nearest name that exists, if one is near.
    Unknown {
        /// The name that may have been meant.
        meant: Option<&'a str>,
    },
}

impl ClaimSchema {
    pub(super) fn new(claims: BTreeMap<Box<str>, Claim>, unknown: UnknownMembers) -> Self {
        let members = || claims.values().filter_map(Claim::members);
        let refuses_below = members().any(|one| one.unknown == UnknownMembers::Refused || one.refuses_below);
        Self { claims, unknown, refuses_below }
    }

    /// The same with these claims, each instead of the one of its name if there is one; those of `required` are in every
    /// token, as without them a token is refused.
    pub(super) fn with(&self, claims: &BTreeMap<Box<str>, Claim>, required: &[ClaimPath]) -> Self {
        let mut all = self.claims.clone();
        all.extend(claims.iter().map(|(name, claim)| (name.clone(), claim.clone())));
        let mut schema = Self::new(all, self.unknown);
        required.iter().for_each(|path| schema.require(&mut path.names()));
        schema
    }

    /// Marks what stands on the way as present, as far as it is described.
    pub(super) fn require(&mut self, way: &mut dyn Iterator<Item = &str>) {
        if let Some(claim) = way.next().and_then(|name| self.claims.get_mut(name)) {
            claim.require(way);
        }
    }

    /// Whether an object somewhere below refuses members that it does not know.
    #[must_use]
    pub fn refuses_below(&self) -> bool {
        self.refuses_below
    }

    /// The claim of that name: by the exact name, else by the longest documented prefix (`repo_property_*`).
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Claim> {
        let prefixed = || {
            let fits = |pattern: &str| pattern.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix));
            self.claims.iter().filter(|(pattern, _)| fits(pattern)).max_by_key(|(p, _)| p.len()).map(|(_, claim)| claim)
        };
        self.claims.get(name).or_else(prefixed)
    }

    /// All documented claims by name; a name that ends with `*` stands for all with that prefix.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &Claim)> {
        self.claims.iter().map(|(name, claim)| (name.as_ref(), claim))
    }

    /// What members without documentation are.
    #[must_use]
    pub fn unknown_members(&self) -> UnknownMembers {
        self.unknown
    }

    /// What stands at the end of `path`.
    #[must_use]
    pub fn lookup(&self, path: &ClaimPath) -> Lookup<'_> {
        let mut schema = self;
        let mut found = Lookup::Open;
        for name in path.names() {
            match schema.claim(name) {
                Some(claim) => {
                    found = Lookup::Claim(claim);
                    match claim.members() {
                        Some(members) => schema = members,
                        None if claim.ty().admits(&Value::Object(Map::new())) => schema = &OPEN,
                        None => schema = &CLOSED,
                    }
                }
                None if schema.unknown == UnknownMembers::Allowed => return Lookup::Open,
                None => return Lookup::Unknown { meant: schema.nearest(name) },
            }
        }
        found
    }

    /// Whether the claim, or a member of it, is not to be shown.
    #[must_use]
    pub fn hides(&self, name: &str) -> bool {
        self.claim(name).is_some_and(Claim::is_hidden)
    }

    /// Whether any claim is not to be shown.
    #[must_use]
    pub fn hides_any(&self) -> bool {
        self.claims.values().any(Claim::is_hidden)
    }

    /// The documented name that is nearest to `name`, if a slip of the keyboard could explain it.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.claims.keys().map(AsRef::as_ref).filter(|known: &&str| !known.ends_with('*')))
    }
}

/// The name of `names` that is nearest to `name`, if a slip of the keyboard could explain it.
#[must_use]
pub fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    names
        .into_iter()
        .map(|known| (distance(name, known), known))
        .filter(|(d, _)| *d <= allowed)
        .min_by_key(|(d, _)| *d)
        .map(|(_, known)| known)
}

static OPEN: ClaimSchema =
    ClaimSchema { claims: BTreeMap::new(), unknown: UnknownMembers::Allowed, refuses_below: false };
static CLOSED: ClaimSchema =
    ClaimSchema { claims: BTreeMap::new(), unknown: UnknownMembers::Reported, refuses_below: false };

/// How many insertions, deletions, replacements and swaps of neighbours lead from one name to the other; case and
/// the choice between `-` and `_` cost nothing.
fn distance(from: &str, to: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        text.chars().take(64).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
    };
    let (from, to) = (fold(from), fold(to));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX / 2);
    let mut previous = None;
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut least = (at(&last, j) + usize::from(a != b)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = j > 0 && previous == Some(b) && to.get(j - 1) == Some(a);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        previous = Some(a);
        before = std::mem::replace(&mut last, row);
    }
    at(&last, to.len())
}
