//! What became of an OpenBao role's program: which question decided, and what was answered to it.
//!
//! Decides how a role's trace is worded: its `held` counts the questions that were answered with no, and its condition is
//! the question whose answer denied.

use serde_json::Value;

use crate::audit::Record;
use crate::policy::{Part, Rule};

/// Whether a role decided. Its target is its path in OpenBao's API.
pub(super) fn is_one(record: &Record) -> bool {
    record.target.as_deref().is_some_and(|target| target.contains("/cel/role/"))
}

/// How far the program came, in words.
pub(super) fn trial(tried: &Value) -> String {
    let name = tried.get("rule").and_then(Value::as_str).unwrap_or("?");
    let asked = tried.get("held").and_then(Value::as_u64).unwrap_or(0);
    let no = match asked {
        0 => String::new(),
        1 => "question 0 was answered with no; ".to_owned(),
        more => format!("questions 0 to {} were answered with no; ", more - 1),
    };
    match tried.get("end").and_then(Value::as_str) {
        Some("granted") => format!("{name}: {no}answer {asked} grants"),
        Some("unmet") => format!("{name}: {no}answer {asked} does not grant"),
        Some("failed") => match tried.get("at").and_then(Value::as_str).and_then(Part::parse) {
            None | Some(Part::Grant) => format!("{name}: the program was not asked, or ended early; that denies"),
            Some(part) => format!("{name}: {no}{} failed; that denies", self::name(part)),
        },
        _ => tried.to_string(),
    }
}

/// The expressions that decided, where the trace ends at `part`: a question together with its answer; the last answer
/// stands after all questions.
pub(super) fn decisive(part: Part, rule: &Rule) -> Vec<Part> {
    match part {
        Part::Condition(index) if usize::from(index) < rule.questions().unwrap_or(0) => {
            vec![part, Part::Answer(index)]
        }
        Part::Condition(index) => vec![Part::Answer(index)],
        Part::Grant => vec![],
        other => vec![other],
    }
}

/// What a role's expression is called.
pub(super) fn name(part: Part) -> String {
    match part {
        Part::Let(index) => format!("variable {index}"),
        Part::Condition(index) => format!("question {index}"),
        Part::Answer(index) => format!("answer {index}"),
        other => other.to_string(),
    }
}
