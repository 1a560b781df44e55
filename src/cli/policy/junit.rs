//! The outcome of cases as JUnit's XML, which every CI system reads.
//!
//! Decides how text of policy files becomes XML. One suite for each file; a file that is out of order is a suite with one
//! error, so that a pipeline that only counts failures does not take it for a success.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::policy::{CaseOutcome, Finding};

/// One case with the time that it took.
pub(super) type Timed<'a> = (&'a CaseOutcome, Duration);

/// One file.
#[derive(Default)]
struct Suite<'a> {
    cases: Vec<Timed<'a>>,
    errors: Vec<&'a Finding>,
}

/// The document.
pub(super) fn document(cases: &[Timed<'_>], errors: &[Finding]) -> String {
    let mut suites: BTreeMap<&str, Suite<'_>> = BTreeMap::new();
    for case in cases {
        suites.entry(&case.0.file).or_default().cases.push(*case);
    }
    for error in errors {
        suites.entry(&error.file).or_default().errors.push(error);
    }
    let failed = |cases: &[Timed<'_>]| cases.iter().filter(|(case, _)| case.failure.is_some()).count();
    let time = |cases: &[Timed<'_>]| seconds(cases.iter().map(|(_, took)| *took).sum());
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites name=\"cambio policy test\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}\">",
        cases.len() + errors.len(),
        failed(cases),
        errors.len(),
        time(cases)
    );
    for (file, suite) in &suites {
        let file = escaped(file);
        let _ = writeln!(
            text,
            "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}\">",
            suite.cases.len() + suite.errors.len(),
            failed(&suite.cases),
            suite.errors.len(),
            time(&suite.cases)
        );
        for (case, took) in &suite.cases {
            let name = escaped(&case.name);
            let _ = write!(
                text,
                "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{}\" time=\"{}\"",
                case.place.line,
                seconds(*took)
            );
            match &case.failure {
                None => text.push_str("/>\n"),
                Some(failure) => {
                    let (expected, got) = (escaped(&failure.expected), escaped(&failure.got));
                    let _ = writeln!(
                        text,
                        ">\n      <failure message=\"expected {expected}, got {got}\" type=\"case\">{file}:{}:{}\n\
                         expected: {expected}\ngot: {got}</failure>\n    </testcase>",
                        case.place.line, case.place.column
                    );
                }
            }
        }
        for error in &suite.errors {
            let _ = writeln!(
                text,
                "    <testcase classname=\"{file}\" name=\"loads: {code}\" file=\"{file}\" line=\"{}\" time=\"0\">\n      \
                 <error message=\"{}\" type=\"{code}\">{}</error>\n    </testcase>",
                error.place.line,
                escaped(&error.message),
                escaped(&error.to_string()),
                code = error.code.id()
            );
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn seconds(span: Duration) -> String {
    format!("{:.6}", span.as_secs_f64())
}

/// For an attribute or a text. XML 1.0 has no way to write most control characters; they become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::{CaseFailure, Place};

    #[test]
    fn text_of_a_policy_file_cannot_break_out_of_the_document() {
        let outcome = CaseOutcome {
            file: Arc::from("a&b.yaml"),
            place: Place { line: 3, column: 5, ..Place::default() },
            name: "a \"quoted\" <case/>\u{1b}[31m\n".to_owned(),
            permit: true,
            failure: Some(CaseFailure { expected: "permit of [\"x\"]".to_owned(), got: "]]> & 'y'".to_owned() }),
        };
        let text = document(&[(&outcome, Duration::from_micros(12))], &[]);
        let name = "name=\"a &quot;quoted&quot; &lt;case/&gt;\u{fffd}[31m&#10;\"";
        assert!(
            text.contains(name) && text.contains("classname=\"a&amp;b.yaml\"") && text.contains("line=\"3\""),
            "{text}"
        );
        assert!(
            text.contains("message=\"expected permit of [&quot;x&quot;], got ]]&gt; &amp; &apos;y&apos;\""),
            "{text}"
        );
        assert!(text.contains("tests=\"1\" failures=\"1\" errors=\"0\" time=\"0.000012\""), "{text}");
        assert!(!text.contains('\u{1b}') && text.matches('<').count() == text.matches('>').count(), "{text}");
    }
}
