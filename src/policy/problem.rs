//! What is wrong with a policy directory: every fault of every file, with its place.
//!
//! Decides nothing. These texts are for the operator at the terminal, and quote the files freely.

mod faults;
mod told;

use std::fmt;
use std::sync::Arc;

use super::cases::CaseFailure;
use super::code::Code;
use super::compile::CompileError;
use super::document::Place;
use super::finding::Finding;
use super::limits::{FILE_BYTES, STEPS};
use super::trace::Part;
use crate::identity::IssuerName;

pub(super) use faults::Faults;

/// All faults of one load, in the order of files and lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadErrors(pub(super) Vec<LoadError>);

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The file, relative to the policy directory.
    pub file: Arc<str>,
    /// Where in the file, as far as it is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub problem: Problem,
    /// What to do about it, where that takes more than the problem knows.
    pub help: Option<String>,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file or directory can't be read.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// A file larger than its bound.
    #[error("the file has more than {FILE_BYTES} bytes")]
    TooLarge,
    /// Not the shape of a policy file.
    #[error("{0}")]
    Shape(String),
    /// More of something than is allowed.
    #[error("more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        most: usize,
    },
    /// Nothing where something is needed.
    #[error("{0}")]
    Missing(&'static str),
    /// A name outside its grammar.
    #[error("`{name}` is no name of {kind}")]
    Name {
        /// The name.
        name: String,
        /// What it should name, and how.
        kind: &'static str,
    },
    /// A text longer than its bound.
    #[error("{what} has more than {most} bytes")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// How many bytes are allowed.
        most: usize,
    },
    /// The same name twice where it has to be unique.
    #[error("there is already {kind} `{name}`")]
    Duplicate {
        /// What it names.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A target or an alias that another file has.
    #[error("`{name}` already asks for the target of {file}")]
    TakenTarget {
        /// The name or alias.
        name: String,
        /// The file that has it.
        file: Arc<str>,
    },
    /// An issuer that the configuration does not have.
    #[error("no issuer `{0}` is configured")]
    UnknownIssuer(IssuerName),
    /// A mount of an OpenBao role whose issuer the configuration does not have.
    #[error("no issuer with the url `{0}` is configured")]
    UnknownMountIssuer(String),
    /// A mount whose issuer's URL several configured issuers share.
    #[error(
        "several issuers have the url `{url}` ({issuers}), and a role can't say which of them it is for: its mount's keys are not read here"
    )]
    SharedMountIssuer {
        /// The URL.
        url: String,
        /// Their names.
        issuers: String,
    },
    /// A message literal of a role's program that OpenBao does not have so.
    #[error("role `{rule}`, {part}: {message}")]
    Message {
        /// The role.
        rule: String,
        /// Which of its expressions.
        part: Part,
        /// What is wrong.
        message: String,
    },
    /// A ttl outside its bounds.
    #[error("a ttl lies between 60 s and 24 h")]
    Ttl,
    /// An expression that may not run.
    #[error("rule `{rule}`, {part}: {error}")]
    Expression {
        /// The rule.
        rule: String,
        /// Which of its expressions.
        part: Part,
        /// Why.
        error: CompileError,
    },
    /// Rules that could take too long together.
    #[error(
        "rule `{rule}`: with the rules before it, one request from `{issuer}` could take {steps} steps, at most {STEPS} are allowed"
    )]
    TooCostly {
        /// The rule that crosses the bound.
        rule: String,
        /// For whose tokens.
        issuer: IssuerName,
        /// How many steps.
        steps: u64,
    },
    /// A role's program that could take too long.
    #[error("the program could take {steps} steps, at most {} are allowed", super::limits::ROLE_STEPS)]
    TooCostlyRole {
        /// How many steps.
        steps: u64,
    },
    /// A case that is not well formed.
    #[error("case `{case}`: {reason}")]
    Case {
        /// The case.
        case: String,
        /// Why.
        reason: String,
    },
    /// A case that came out otherwise.
    #[error("case `{case}`: {failure}")]
    CaseFailed {
        /// The case.
        case: String,
        /// What was expected, and what came.
        failure: CaseFailure,
    },
    /// What a check found.
    #[error("{code}: {message}")]
    Found {
        /// Which kind.
        code: Code,
        /// What is wrong.
        message: String,
    },
    /// The machinery failed.
    #[error("{0}")]
    Internal(String),
}

impl Problem {
    /// The kind of finding that it is.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreadable(_) => Code::Unreadable,
            Self::Shape(_) | Self::Missing(_) | Self::Ttl => Code::Shape,
            Self::TooLarge | Self::TooMany { .. } | Self::TooLong { .. } => Code::Limit,
            Self::Name { .. } => Code::Name,
            Self::Duplicate { .. } | Self::TakenTarget { .. } => Code::Duplicate,
            Self::UnknownIssuer(_) | Self::UnknownMountIssuer(_) | Self::SharedMountIssuer { .. } => {
                Code::UnknownIssuer
            }
            Self::Message { .. } => Code::WrongMessage,
            Self::Expression { error, .. } => error.code(),
            Self::TooCostly { .. } | Self::TooCostlyRole { .. } => Code::TooCostly,
            Self::Case { .. } => Code::Case,
            Self::CaseFailed { .. } => Code::CaseFailed,
            Self::Found { code, .. } => *code,
            Self::Internal(_) => Code::Internal,
        }
    }
}

impl LoadErrors {
    /// The faults, in order.
    #[must_use]
    pub fn errors(&self) -> &[LoadError] {
        &self.0
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}

impl LoadError {
    /// As a finding.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let message = match &self.problem {
            Problem::Found { message, .. } => message.clone(),
            other => other.to_string(),
        };
        let finding = Finding::new(self.problem.code(), &self.file, self.place.unwrap_or_default(), message);
        let rule = match &self.problem {
            Problem::Expression { rule, .. } | Problem::TooCostly { rule, .. } => Some(Arc::from(rule.as_str())),
            _ => None,
        };
        let label = self.problem.label().map(str::to_owned);
        let help = self.help.clone().or_else(|| self.problem.help().map(str::to_owned));
        Finding { rule, label, help, ..finding }
    }

    /// By file, then by place.
    pub(super) fn order(&self) -> (&str, u32, u32) {
        let place = self.place.unwrap_or_default();
        (&self.file, place.line, place.column)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = self.place.filter(|place| place.line > 0) {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for LoadError {}
