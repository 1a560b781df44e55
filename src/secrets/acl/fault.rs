//! What is wrong with access documents, or odd about them: every fault of every document, with its place. Decides nothing.
//! These texts are for the operator at the terminal, and quote the documents freely.

use std::fmt;
use std::sync::Arc;

use super::node::Span;
use crate::policy::{LoadError, Place, Problem};

/// All faults of one load, in the order of files and lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclErrors(Vec<LoadError>);

impl AclErrors {
    /// The faults in order; none of them, no errors.
    pub(super) fn of(mut faults: Vec<LoadError>) -> Result<(), Self> {
        let place = |fault: &LoadError| fault.place.unwrap_or_default();
        faults.sort_by(|a, b| (&a.file, place(a).offset).cmp(&(&b.file, place(b).offset)));
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }

    /// The faults, in order.
    #[must_use]
    pub fn errors(&self) -> &[LoadError] {
        &self.0
    }
}

impl fmt::Display for AclErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for AclErrors {}

/// Something odd, and likely a mistake; the documents load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclWarning {
    /// The file, relative to the policy directory.
    pub file: Arc<str>,
    /// Where in the file.
    pub place: Place,
    /// What is odd, in a sentence without its place.
    pub message: String,
}

/// `file:line:column: warning: message`, on one line.
impl fmt::Display for AclWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: warning: {}", self.file, self.place.line, self.place.column, self.message)
    }
}

/// What is found in one document, while it is read.
pub(super) struct Findings<'t> {
    file: Arc<str>,
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    pub(super) faults: Vec<LoadError>,
    pub(super) warnings: Vec<AclWarning>,
}

impl<'t> Findings<'t> {
    pub(super) fn of(file: &Arc<str>, text: &'t str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file: Arc::clone(file), text, lines, faults: vec![], warnings: vec![] }
    }

    /// Something wrong with the shape.
    pub(super) fn shape(&mut self, span: Span, message: impl Into<String>) {
        self.fault(span, Problem::Shape(message.into()), None);
    }

    /// Something wrong, with what to do about it.
    pub(super) fn advised(&mut self, span: Span, message: impl Into<String>, help: &str) {
        self.fault(span, Problem::Shape(message.into()), Some(help));
    }

    pub(super) fn fault(&mut self, span: Span, problem: Problem, help: Option<&str>) {
        let place = Some(self.place(span));
        self.faults.push(LoadError { file: Arc::clone(&self.file), place, problem, help: help.map(str::to_owned) });
    }

    pub(super) fn warn(&mut self, span: Span, message: impl Into<String>) {
        let warning = AclWarning { file: Arc::clone(&self.file), place: self.place(span), message: message.into() };
        self.warnings.push(warning);
    }

    /// Lines and columns of a range of the text.
    pub(super) fn place(&self, span: Span) -> Place {
        let line = self.lines.partition_point(|start| *start <= span.at);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default();
        let column = self.text.get(start..span.at).unwrap_or_default().chars().count() + 1;
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place { line: small(line), column: small(column), offset: small(span.at), len: small(span.len) }
    }
}

/// A fault of a whole file.
pub(super) fn of_file(file: &str, problem: Problem, help: Option<&str>) -> LoadError {
    LoadError { file: Arc::from(file), place: None, problem, help: help.map(str::to_owned) }
}
