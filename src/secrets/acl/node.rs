//! What a document says, whichever of the two languages it says it in: a tree that knows the place of everything. Decides
//! nothing.

use serde_json::Number;

/// A range of a text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: usize,
    pub(super) len: usize,
}

/// A value with its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// A value. Never nested deeper than [`NESTING`](super::limits::NESTING).
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Number(Number),
    Bool(bool),
    Null,
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A member of a map; a name may occur twice.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) span: Span,
    pub(super) value: Node,
    /// Whether it is an HCL block, which may be written again to say more, and not a setting.
    pub(super) block: bool,
}

/// Why a text is no tree.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// The byte where it shows.
    pub(super) at: usize,
    pub(super) message: String,
}

impl Value {
    /// What it is, in words.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Bool(_) => "a bool",
            Self::Null => "null",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}
