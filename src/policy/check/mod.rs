//! What can be known about a policy file before anybody's token comes.
//!
//! Decides which findings a file has: [`types`] checks every expression against the claims that the platform documents,
//! [`lints`] looks for habits that let people in. Refuses to decide what a token is granted.

mod accept;
pub(super) mod blame;
mod lints;
pub(super) mod locate;
pub(super) mod shape;
pub(super) mod spans;
mod types;
pub(super) mod written;

use std::sync::Arc;

pub(super) use self::types::{Type, expressions};

use self::written::Parses;
use super::catalog::Catalog;
use super::document::Document;
use super::finding::Finding;
use super::rule::Target;

/// A policy file that built, with all that a check may look at.
pub(super) struct Subject<'a> {
    /// Its name, relative to the policy directory.
    pub(super) file: &'a Arc<str>,
    /// Its text, for places inside of expressions.
    pub(super) text: &'a str,
    /// As it is written.
    pub(super) document: &'a Document,
    /// As it is evaluated.
    pub(super) target: &'a Target,
    /// The issuers and their claims.
    pub(super) catalog: &'a Catalog,
    /// The trees of expressions that are already parsed.
    pub(super) parses: &'a Parses,
}

/// All findings of a file, in the order of their places; what the file accepts is marked.
///
/// Runs on a thread with [`COMPILER_STACK`](super::limits::COMPILER_STACK).
pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = types::check(subject);
    findings.extend(lints::check(subject));
    accept::mark(subject, &mut findings);
    findings.sort_by(|a, b| a.order().cmp(&b.order()));
    findings
}

/// The name that is nearest to `name`, if a slip of the keyboard could explain it.
pub(super) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    crate::trust::nearest(name, names)
}
