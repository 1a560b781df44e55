//! One test of one claim: what it admits, and whether it says what the claim is.

use super::beginning::beginnings;
use super::{Absent, Atom, Literal, Of, Scope, Test};
use crate::policy::pattern::Pattern;
use crate::trust::ClaimPath;

impl Atom {
    /// Whether it is about that claim, or the elements of that claim.
    pub(in crate::policy) fn is_about(&self, path: &ClaimPath) -> bool {
        matches!(&self.of, Of::Claim(own) if own == path)
    }

    /// The claim.
    pub(in crate::policy) fn claim(&self) -> Option<&ClaimPath> {
        match &self.of {
            Of::Claim(path) => Some(path),
            Of::Issuer => None,
        }
    }

    /// Whether it says what the claim is, not only what it is not, or that it is there.
    pub(in crate::policy) fn pins(&self) -> bool {
        self.holds
            && self.scope != Scope::Every
            && self.absent != Absent::Meets
            && !matches!(self.test, Test::Present | Test::NonEmpty | Test::Same(..))
            && self.test != Test::Among(vec![Literal::Text(String::new())])
    }

    /// The text that each value it admits begins with, as far as that can be said; of several values, each.
    pub(in crate::policy) fn beginnings(&self) -> Vec<String> {
        match &self.test {
            Test::Among(values) => values
                .iter()
                .map(|value| match value {
                    Literal::Text(text) => text.clone(),
                    Literal::Null => String::new(),
                    other => other.to_string(),
                })
                .collect(),
            Test::Prefix(text) => vec![text.clone()],
            Test::Pattern(kind, text) => beginnings(*kind, text),
            // Whatever the other claim is: it is compared as a whole.
            Test::Same(..) => vec!["?".to_owned()],
            Test::Present | Test::NonEmpty | Test::Suffix(_) | Test::Infix(_) => vec![String::new()],
        }
    }

    /// Whether it is about the same thing in the same way.
    pub(in crate::policy) fn same_subject(&self, other: &Self) -> bool {
        self.of == other.of && self.via == other.via && self.scope == other.scope
    }

    /// Whether the claim may have that value; nothing where that can't be said.
    pub(in crate::policy) fn admits(&self, value: &Literal) -> Option<bool> {
        self.test.admits(value).map(|met| met == self.holds)
    }

    /// Whether it can hold only of a token that has the claim.
    pub(in crate::policy) fn needs_presence(&self) -> bool {
        match self.test {
            Test::Present => self.holds,
            _ => self.absent != Absent::Meets && self.scope != Scope::Every,
        }
    }
}

impl Test {
    /// Whether that value passes; nothing where that can't be said.
    pub(in crate::policy) fn admits(&self, value: &Literal) -> Option<bool> {
        let text = match value {
            Literal::Text(text) => Some(text.as_str()),
            _ => None,
        };
        match self {
            Self::Present => Some(true),
            Self::NonEmpty => text.map(|text| !text.is_empty()),
            Self::Among(values) if values.contains(value) => Some(true),
            // `1 == 1u` holds in CEL; `1 == "1"` does not.
            Self::Among(values) => {
                let number = |value: &Literal| matches!(value, Literal::Int(_) | Literal::Uint(_));
                (!number(value) || !values.iter().any(number)).then_some(false)
            }
            Self::Prefix(prefix) => text.map(|text| text.starts_with(prefix.as_str())),
            Self::Suffix(suffix) => text.map(|text| text.ends_with(suffix.as_str())),
            Self::Infix(infix) => text.map(|text| text.contains(infix.as_str())),
            Self::Pattern(kind, pattern) => Pattern::new(*kind, pattern).ok()?.matches(text?),
            Self::Same(..) => None,
        }
    }
}

impl std::fmt::Display for Literal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}u"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}
