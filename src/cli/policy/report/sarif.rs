//! For code-scanning services: SARIF 2.1.0 (OASIS).
//!
//! What a file accepts is a result with a suppression, so that a service shows why. Columns are counted in UTF-16, which is
//! what SARIF takes for given (section 3.14.17) and services assume. Paths stay relative to where the command runs: in a
//! pipeline, that is the repository.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::pages;
use super::Report;
use crate::jose::sha256;
use crate::policy::{Code, Finding, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

impl Report {
    /// The log.
    pub(in crate::cli::policy) fn to_sarif(&self) -> Value {
        let codes: BTreeSet<Code> = self.findings.iter().map(|finding| finding.code).collect();
        let codes: Vec<Code> = codes.into_iter().collect();
        let rules: Vec<Value> = codes.iter().map(|code| rule(*code)).collect();
        let results: Vec<Value> = self.findings.iter().map(|finding| self.result(finding, &codes)).collect();
        let driver = json!({"name": "cambio", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules});
        json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": driver},
                "columnKind": "utf16CodeUnits",
                "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "where the command ran"}}},
                "invocations": [{"executionSuccessful": true}],
                "results": results,
            }],
        })
    }

    fn result(&self, finding: &Finding, codes: &[Code]) -> Value {
        let mut message = finding.message.clone();
        for more in [&finding.label, &finding.help].into_iter().flatten() {
            message.push('\n');
            message.push_str(more);
        }
        let path = self.path(finding);
        let mut place = json!({"artifactLocation": artifact(&path)});
        let mut meant = "";
        if let Some((text, spot)) = self.spot(finding) {
            meant = text.get(spot.range.clone()).unwrap_or_default();
            let region = json!({
                "startLine": spot.start.line, "startColumn": spot.start.unit,
                "endLine": spot.end.line, "endColumn": spot.end.unit,
                "snippet": {"text": meant},
            });
            if let Some(members) = place.as_object_mut() {
                members.insert("region".to_owned(), region);
            }
        }
        let mut location = json!({"physicalLocation": place});
        if let (Some(rule), Some(members)) = (&finding.rule, location.as_object_mut()) {
            let logical =
                json!([{"name": &**rule, "fullyQualifiedName": format!("{}/{rule}", finding.file), "kind": "member"}]);
            members.insert("logicalLocations".to_owned(), logical);
        }
        let mut result = json!({
            "ruleId": finding.code.id(),
            "level": level(finding.severity),
            "message": {"text": message},
            "locations": [location],
            // The same finding in a file whose lines moved.
            "partialFingerprints": {"cambio/v1": fingerprint(finding, meant)},
        });
        if let Some(members) = result.as_object_mut() {
            if let Some(index) = codes.iter().position(|code| *code == finding.code) {
                members.insert("ruleIndex".to_owned(), json!(index));
            }
            // Present and empty says "not suppressed"; absent would say "nobody knows" (section 3.27.23).
            let reasons = finding.accepted.iter();
            let suppressions: Vec<Value> =
                reasons.map(|because| json!({"kind": "inSource", "justification": because})).collect();
            members.insert("suppressions".to_owned(), Value::from(suppressions));
        }
        result
    }
}

fn rule(code: Code) -> Value {
    let page = pages::of(code).unwrap_or_default();
    json!({
        "id": code.id(),
        "name": code.name(),
        "shortDescription": {"text": code.title()},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": level(code.severity())},
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn artifact(path: &str) -> Value {
    let uri = uri(path);
    if path.starts_with('/') {
        json!({"uri": format!("file://{uri}")})
    } else {
        json!({"uri": uri, "uriBaseId": "%SRCROOT%"})
    }
}

/// A path as a URI reference (RFC 3986): what is not unreserved is written out, but for `/`.
pub(super) fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~') {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

fn fingerprint(finding: &Finding, meant: &str) -> String {
    let rule = finding.rule.as_deref().unwrap_or_default();
    let text = [finding.code.id(), &finding.file, rule, meant].join("\n");
    sha256(text.as_bytes()).to_string()
}
