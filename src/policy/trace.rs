//! Which rules were tried, and how far each came.
//!
//! Decides nothing. Holds positions and names from policy files, never a claim: it goes into the audit record, and an
//! operator reads the rest from the file. Conditions are tried in order, and a rule is left at the first that does not
//! hold, so that "`held` conditions, then this" is the whole story of a rule.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The rules that were tried, in order; all but the last did not apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Trace {
    rules: Vec<Tried>,
}

/// One rule that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// Its name.
    pub rule: Arc<str>,
    /// How many conditions held, from the first.
    pub held: u16,
    /// What came then.
    #[serde(flatten)]
    pub end: End,
}

/// How the trial of one rule ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// All conditions held, and its grant is what was decided.
    Granted,
    /// A condition did not hold, by index from 0.
    Unmet {
        /// Which one.
        condition: u16,
    },
    /// An expression failed, or its value could not be used: the request is denied, whatever the next rule says.
    Failed {
        /// Which one.
        at: Part,
    },
}

/// An expression of a rule, by index from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// A `let` variable.
    Let(u16),
    /// A condition.
    Condition(u16),
    /// The `when` of an entry of `grant.policies`.
    When(u16),
    /// An entry of `grant.policies`.
    Policy(u16),
    /// An entry of `grant.metadata`.
    Metadata(u16),
    /// An answer of a role's program: the one of the question of that number, or the last one, after all questions.
    Answer(u16),
    /// The grant as a whole.
    Grant,
}

impl Trace {
    /// The rules that were tried, in order.
    #[must_use]
    pub fn rules(&self) -> &[Tried] {
        &self.rules
    }

    pub(super) fn push(&mut self, rule: &Arc<str>, held: u16, end: End) {
        self.rules.push(Tried { rule: Arc::clone(rule), held, end });
    }
}

impl Part {
    /// Reads what [`Display`](fmt::Display) wrote, such as `require[2]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "grant" {
            return Some(Self::Grant);
        }
        let (name, rest) = text.split_once('[')?;
        let (index, tail) = rest.split_once(']')?;
        let index: u16 = index.parse().ok()?;
        Some(match (name, tail) {
            ("let", "") => Self::Let(index),
            ("require", "") => Self::Condition(index),
            ("grant.policies", ".when") => Self::When(index),
            ("grant.policies", "") => Self::Policy(index),
            ("grant.metadata", "") => Self::Metadata(index),
            ("answer", "") => Self::Answer(index),
            _ => return None,
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Let(index) => write!(f, "let[{index}]"),
            Self::Condition(index) => write!(f, "require[{index}]"),
            Self::When(index) => write!(f, "grant.policies[{index}].when"),
            Self::Policy(index) => write!(f, "grant.policies[{index}]"),
            Self::Metadata(index) => write!(f, "grant.metadata[{index}]"),
            Self::Answer(index) => write!(f, "answer[{index}]"),
            Self::Grant => f.write_str("grant"),
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_reads_as_rules_with_positions() {
        let mut trace = Trace::default();
        trace.push(&Arc::from("first"), 1, End::Unmet { condition: 1 });
        trace.push(&Arc::from("second"), 2, End::Failed { at: Part::When(0) });
        assert_eq!(
            serde_json::to_value(&trace).unwrap(),
            serde_json::json!([
                {"rule": "first", "held": 1, "end": "unmet", "condition": 1},
                {"rule": "second", "held": 2, "end": "failed", "at": "grant.policies[0].when"},
            ])
        );
    }
}
