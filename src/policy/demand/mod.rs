//! What an expression demands of the claims, as far as it can be read off it.
//!
//! Decides nothing about a token. A condition becomes a [`Demand`]: atoms about single claims, joined by "all" and
//! "any". What can't be read is opaque, and says only which claims it mentions. A demand is never more than what the
//! condition asks for: where it is, something opaque stands beside it, so that "this implies that" is not said in error.
//!
//! For lints, and for whoever asks who can obtain a policy. Pure, bounded: a rule is read within
//! [`read::BUDGET`] nodes, `let` variables included as often as they are used; whatever is beyond it is opaque.

mod atom;
mod beginning;
mod compare;
mod formula;
mod imply;
mod quantify;
mod read;
mod slice;
mod term;
mod walk;

use crate::trust::ClaimPath;

pub(super) use imply::{implies, is_impossible};
pub(super) use read::Reader;
pub(super) use walk::mentions;

use super::pattern::PatternKind;
use super::trace::Part;

/// What has to hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Demand {
    /// Nothing.
    Always,
    /// What never does.
    Never,
    /// All of these.
    All(Vec<Demand>),
    /// One of these at least.
    Any(Vec<Demand>),
    /// This of one claim.
    Atom(Atom),
    /// Something else.
    Opaque(Opaque),
}

/// A test of one claim.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Atom {
    /// Of what.
    pub(super) of: Of,
    /// What was done to it before, e.g. `lowerAscii`; empty where nothing was.
    pub(super) via: String,
    /// Of the value itself, or of the elements of a list.
    pub(super) scope: Scope,
    /// The test.
    pub(super) test: Test,
    /// Whether it has to come out true.
    pub(super) holds: bool,
    /// What an absent claim does.
    pub(super) absent: Absent,
    /// Where it stands.
    pub(super) at: At,
}

/// Where a test stands: an expression of the rule, and two nodes of its syntax tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) part: Part,
    /// The test as a whole.
    pub(super) node: u64,
    /// The literal that it compares with, or the test as a whole.
    pub(super) literal: u64,
}

/// What is tested.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Of {
    /// A claim.
    Claim(ClaimPath),
    /// The variable `issuer`.
    Issuer,
}

/// Of the value itself, or of the elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Value,
    /// At least one element: `exists`, `in`.
    Some,
    /// Every element, and so true of none at all: `all`.
    Every,
}

/// What an absent claim does to a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// An error, which denies.
    Errs,
    /// It is met.
    Meets,
    /// It is not met.
    Fails,
}

/// A test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// It is there.
    Present,
    /// A list, map or text with something in it.
    NonEmpty,
    /// One of these values.
    Among(Vec<Literal>),
    Prefix(String),
    Suffix(String),
    Infix(String),
    Pattern(PatternKind, String),
    /// The same as another claim.
    Same(Of, String),
}

/// A value that an expression spells out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(String),
}

/// What can't be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Opaque {
    /// The same for the same expression.
    pub(super) key: u64,
    /// Whether it has to come out true.
    pub(super) holds: bool,
    /// The claims in it.
    pub(super) mentions: Vec<ClaimPath>,
    /// Whether it may say what a claim is: an order or a number of things does not, nor what something is not.
    pub(super) names: bool,
    /// The one segment of a claim's text that it says, where that is all it does.
    pub(super) segment: Option<Segment>,
    /// Where it stands.
    pub(super) at: At,
}

/// `claim.split(separator)[index] == text`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    pub(super) claim: ClaimPath,
    pub(super) separator: String,
    pub(super) index: usize,
    pub(super) text: String,
}

#[cfg(test)]
mod tests;
