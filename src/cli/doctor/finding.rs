//! One thing that was looked at, and how it was found.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Ok,
    /// Works, and will not for ever, or not as safely as it could.
    Warning,
    Wrong,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) level: Level,
    part: String,
    text: String,
    fix: String,
}

impl Finding {
    pub(super) fn ok(part: &str, text: impl fmt::Display) -> Self {
        Self { level: Level::Ok, part: part.to_owned(), text: text.to_string(), fix: String::new() }
    }

    pub(super) fn warning(part: &str, text: impl fmt::Display, fix: impl fmt::Display) -> Self {
        Self { level: Level::Warning, part: part.to_owned(), text: text.to_string(), fix: fix.to_string() }
    }

    pub(super) fn wrong(part: &str, text: impl fmt::Display, fix: impl fmt::Display) -> Self {
        Self { level: Level::Wrong, part: part.to_owned(), text: text.to_string(), fix: fix.to_string() }
    }
}

/// A line for each, and what to do beneath.
pub(super) fn told(findings: &[Finding]) -> String {
    let mut text = String::new();
    let width = findings.iter().map(|finding| finding.part.chars().count()).max().unwrap_or(0).min(30);
    for finding in findings {
        let mark = match finding.level {
            Level::Ok => "ok   ",
            Level::Warning => "warn ",
            Level::Wrong => "WRONG",
        };
        let indent = format!("\n{:1$}", "", width + 9);
        let _ = writeln!(text, "{mark}  {:width$}  {}", finding.part, finding.text.trim_end().replace('\n', &indent));
        if !finding.fix.is_empty() {
            let _ = writeln!(text, "{:1$}{2}", "", width + 9, finding.fix.replace('\n', &indent));
        }
    }
    text
}

pub(super) fn to_json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Wrong => "wrong",
        };
        let fix = (!finding.fix.is_empty()).then_some(&finding.fix);
        json!({"part": finding.part, "level": level, "text": finding.text, "fix": fix})
    };
    let all: Vec<Value> = findings.iter().map(one).collect();
    json!({"ok": findings.iter().all(|finding| finding.level != Level::Wrong), "findings": all})
}
