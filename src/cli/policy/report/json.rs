//! For a program. The shape is stable: members are added, never changed.
//!
//! ```text
//! {"ok": bool, "errors": n, "warnings": n, "accepted": n, "findings": [{
//!   "code": "P0305", "name": "recyclable-name", "severity": "warning", "file": "policies/shop.yaml", "rule": "deploy" | null,
//!   "message": "..", "label": ".." | null, "help": ".." | null, "accepted": "because .." | null, "page": "docs/findings/P0305.md",
//!   "span": {"line": 1, "column": 1, "end_line": 1, "end_column": 5, "offset": 0, "len": 4} | null
//! }], "rules": [{"target": "..", "rule": "..", "file": "..", "steps": n}], "most_steps": n}
//! ```
//!
//! Lines and columns count from 1, columns in characters; `offset` and `len` are bytes; the end is behind the last
//! character. `span` is null where a finding is about a whole file. Accepted findings are among `findings`. `rules` is
//! empty where a file has errors: then no rule runs.

use serde_json::{Value, json};

use super::Report;
use crate::policy::{Finding, Severity};

impl Report {
    /// The members that are about findings.
    pub(in crate::cli::policy) fn to_json(&self) -> serde_json::Map<String, Value> {
        let findings: Vec<Value> = self.findings.iter().map(|finding| self.one(finding)).collect();
        let mut document = serde_json::Map::new();
        document.insert("errors".to_owned(), json!(self.counting(Severity::Error)));
        document.insert("warnings".to_owned(), json!(self.counting(Severity::Warning)));
        document.insert("accepted".to_owned(), json!(self.accepted()));
        document.insert("findings".to_owned(), Value::from(findings));
        document
    }

    fn one(&self, finding: &Finding) -> Value {
        let span = self.spot(finding).map(|(_, spot)| {
            json!({
                "line": spot.start.line, "column": spot.start.column,
                "end_line": spot.end.line, "end_column": spot.end.column,
                "offset": spot.range.start, "len": spot.range.len(),
            })
        });
        json!({
            "code": finding.code.id(), "name": finding.code.name(), "severity": finding.severity.to_string(),
            "file": self.path(finding), "rule": finding.rule.as_deref(), "message": finding.message, "label": finding.label,
            "help": finding.help, "accepted": finding.accepted, "page": finding.code.page(), "span": span,
        })
    }
}
