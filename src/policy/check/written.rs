//! The expressions of a file as they are written, each parsed once and not yet rewritten: what checks walk.
//!
//! Decides nothing. A tree here still says `claims.x` where the author did, and its ids lead to places.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use cel::parser::Expression;

use super::Subject;
use super::locate::locate;
use crate::policy::code::Code;
use crate::policy::compile::parse;
use crate::policy::document::{Place, PolicyItem, RuleDocument, place};
use crate::policy::finding::Finding;
use crate::policy::trace::Part;

/// One expression where it stands.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Written<'a> {
    /// Its rule.
    pub(in crate::policy) rule: &'a RuleDocument,
    /// Which of the rule's expressions.
    pub(in crate::policy) part: Part,
    /// Its text, as YAML reads it.
    pub(in crate::policy) source: &'a str,
    /// The whole text in the file.
    pub(in crate::policy) place: Place,
}

/// Trees by their text. Files of one set differ in a few words, so that a batch of them shares one of these.
#[derive(Debug, Default)]
pub(in crate::policy) struct Parses(Mutex<HashMap<Box<str>, Arc<Expression>>>);

impl Parses {
    /// The tree of `source`, as the parser returns it; nothing where it is no CEL.
    pub(in crate::policy) fn of(&self, source: &str) -> Option<Arc<Expression>> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = known().get(source) {
            return Some(Arc::clone(tree));
        }
        let tree = Arc::new(parse(source).ok()?);
        known().insert(source.into(), Arc::clone(&tree));
        Some(tree)
    }
}

impl<'a> Subject<'a> {
    /// All expressions of a rule: variables, conditions, then for each entry of `policies` its `when` and its name, then
    /// metadata.
    pub(in crate::policy) fn expressions(&self, rule: &'a RuleDocument) -> Vec<Written<'a>> {
        let mut found = vec![];
        let mut add = |part, source: &'a str, place| found.push(Written { rule, part, source, place });
        for (index, (_, source)) in (0..).zip(&rule.lets.0) {
            add(Part::Let(index), &source.value, place(source));
        }
        for (index, condition) in (0..).zip(&rule.require) {
            add(Part::Condition(index), &condition.that.value, place(&condition.that));
        }
        for (index, item) in (0..).zip(&rule.grant.policies) {
            match &item.value {
                PolicyItem::Always(source) => add(Part::Policy(index), source, place(item)),
                // Nobody wrote it.
                PolicyItem::Account { .. } => {}
                PolicyItem::When { when, policy } => {
                    add(Part::When(index), &when.value, place(when));
                    add(Part::Policy(index), &policy.value, place(policy));
                }
            }
        }
        for (index, (_, source)) in (0..).zip(&rule.grant.metadata.0) {
            add(Part::Metadata(index), &source.value, place(source));
        }
        found
    }

    /// The tree of an expression, with the ids that [`Spans`](super::spans::Spans) knows. Judged when the file was built,
    /// so that it may be walked recursively.
    pub(in crate::policy) fn parsed(&self, written: &Written<'_>) -> Option<Arc<Expression>> {
        self.parses.of(written.source)
    }

    /// The place in the file of a range of an expression's text.
    pub(in crate::policy) fn place(&self, written: &Written<'_>, range: Range<usize>) -> Place {
        locate(self.text, written.place, written.source, range)
    }

    /// A finding about a range of an expression's text.
    pub(in crate::policy) fn finding(
        &self,
        code: Code,
        written: &Written<'_>,
        range: Range<usize>,
        message: impl Into<String>,
    ) -> Finding {
        Finding::new(code, self.file, self.place(written, range), message).in_rule(&written.rule.name.value)
    }
}
