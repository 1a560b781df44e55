//! What is wrong with a policy file, or odd about it, and where.
//!
//! Decides how severe a finding is. Refuses to find anything: [`check`](super::check) does. A finding is for the operator
//! at a terminal, an editor or a pipeline, and quotes the file freely; it never holds a claim of a token.

use std::fmt;
use std::sync::Arc;

use super::code::Code;
use super::document::Place;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Odd, and likely a mistake: `check` fails unless the file accepts it with a reason. The set loads.
    Warning,
    /// Wrong: the set does not load.
    Error,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind, stable, with a page in the documentation.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// The file, relative to the policy directory.
    pub file: Arc<str>,
    /// The text that it is about, as narrow as it can be said; line 0 where it is about the whole file.
    pub place: Place,
    /// The rule, where it is about one.
    pub rule: Option<Arc<str>>,
    /// What is wrong, in a sentence without its place.
    pub message: String,
    /// A few words to stand under the underlined text.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Why the file accepts it, where it does.
    pub accepted: Option<String>,
}

impl Finding {
    /// A finding of the severity that its code usually has.
    pub(super) fn new(code: Code, file: &Arc<str>, place: Place, message: impl Into<String>) -> Self {
        let severity = code.severity();
        let file = Arc::clone(file);
        let message = message.into();
        Self { code, severity, file, place, rule: None, message, label: None, help: None, accepted: None }
    }

    /// About that rule.
    #[must_use]
    pub(super) fn in_rule(mut self, rule: &str) -> Self {
        self.rule = Some(Arc::from(rule));
        self
    }

    /// With a few words under the underlined text.
    #[must_use]
    pub(super) fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With what to do about it.
    #[must_use]
    pub(super) fn helped(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether it stands against the file: neither accepted nor merely told.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.accepted.is_none()
    }

    /// By file, then by place, then by code.
    pub(super) fn order(&self) -> (&str, u32, u32, Code) {
        (&self.file, self.place.line, self.place.column, self.code)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// `file:line:column: severity[code]: message`, on one line.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.place.line > 0 {
            write!(f, ":{}:{}", self.place.line, self.place.column)?;
        }
        write!(f, ": {}[{}]: {}", self.severity, self.code, self.message)
    }
}
