//! One policy, so that the rules for a path are found without a walk through all of them.
//!
//! Decides which of its patterns counts for a path. Refuses to know other policies, and what is asked for.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::pattern::Pattern;
use super::rule::Rule;
use crate::clock::Timestamp;
use crate::identity::PolicyName;

/// A policy of a namespace.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: Arc<str>,
    exact: HashMap<Arc<str>, Box<[Rule]>>,
    /// The exact paths, sorted.
    paths: Box<[Arc<str>]>,
    /// Sorted by their text.
    heads: Box<[Head]>,
}

/// All patterns that begin with the same text before their first wildcard.
#[derive(Debug)]
struct Head {
    text: Box<str>,
    /// The longest other head that this one begins with. A path begins with this head's text only if it does with that one's.
    parent: Option<usize>,
    /// From the highest priority to the lowest.
    patterns: Box<[(Pattern, Box<[Rule]>)]>,
}

impl Policy {
    pub(super) fn new(name: &PolicyName, rules: Vec<(Pattern, Rule)>) -> Self {
        let mut exact: BTreeMap<Arc<str>, Vec<Rule>> = BTreeMap::new();
        let mut heads: BTreeMap<Box<str>, BTreeMap<Pattern, Vec<Rule>>> = BTreeMap::new();
        for (pattern, rule) in rules {
            match pattern.head() {
                None => exact.entry(Arc::clone(pattern.text())).or_default().push(rule),
                Some(head) => heads.entry(Box::from(head)).or_default().entry(pattern).or_default().push(rule),
            }
        }
        Self {
            name: Arc::from(name.as_str()),
            paths: exact.keys().cloned().collect(),
            exact: exact.into_iter().map(|(path, rules)| (path, rules.into_boxed_slice())).collect(),
            heads: linked(heads),
        }
    }

    /// The rules for exactly that path, if any of them counts at `now`; `None` for whenever.
    pub(super) fn exact(&self, path: &str, now: Option<Timestamp>) -> Option<(&Arc<str>, &[Rule])> {
        let (path, rules) = self.exact.get_key_value(path)?;
        any_counts(rules, now).then_some((path, rules))
    }

    /// The pattern that counts for a path, with its rules; among those that `wanted` wants.
    pub(super) fn best(
        &self,
        path: &str,
        now: Option<Timestamp>,
        wanted: impl Fn(&Pattern) -> bool,
    ) -> Option<(&Pattern, &[Rule])> {
        // A longer head is a wildcard that comes later, so the first that is found has the highest priority.
        let matching = self.heads_of(path).flat_map(|head| &head.patterns);
        let counts = |(pattern, rules): &&(Pattern, Box<[Rule]>)| any_counts(rules, now) && pattern.matches(path);
        let mut found = matching.filter(|(pattern, _)| wanted(pattern)).filter(counts);
        found.next().map(|(pattern, rules)| (pattern, rules.as_ref()))
    }

    /// The rules for exactly that pattern.
    pub(super) fn rules_of(&self, pattern: &Pattern) -> &[Rule] {
        let head = pattern.head().and_then(|head| {
            let at = self.heads.binary_search_by(|other| other.text.as_ref().cmp(head)).ok()?;
            self.heads.get(at)
        });
        let same = head.and_then(|head| head.patterns.iter().find(|(other, _)| other == pattern));
        same.map_or(&[], |(_, rules)| rules)
    }

    /// Its exact paths that begin with `prefix`.
    pub(super) fn paths_below<'p>(&'p self, prefix: &str) -> impl Iterator<Item = &'p Arc<str>> {
        let start = self.paths.partition_point(|path| path.as_ref() < prefix);
        let rest = self.paths.get((Bound::Included(start), Bound::Unbounded)).unwrap_or_default();
        rest.iter().take_while(move |path| path.starts_with(prefix))
    }

    /// Its patterns that stand for a path that begins with `prefix`, or may.
    pub(super) fn patterns_below<'p>(&'p self, prefix: &str) -> impl Iterator<Item = &'p Pattern> {
        let start = self.heads.partition_point(|head| head.text.as_ref() < prefix);
        let rest = self.heads.get((Bound::Included(start), Bound::Unbounded)).unwrap_or_default();
        let below = rest.iter().take_while(move |head| head.text.starts_with(prefix));
        let shorter = self.heads_of(prefix).filter(move |head| head.text.len() < prefix.len());
        let patterns = below.chain(shorter).flat_map(|head| &head.patterns).map(|(pattern, _)| pattern);
        patterns.filter(move |pattern| pattern.reaches_below(prefix))
    }

    /// The heads that a path begins with, from the longest to the shortest.
    ///
    /// All heads that sort between a head that the path begins with and the path begin with that head too: so the last
    /// head before the path leads to all of them.
    fn heads_of(&self, path: &str) -> impl Iterator<Item = &Head> {
        let after = self.heads.partition_point(|head| head.text.as_ref() <= path);
        let next = |head: &&Head| head.parent.and_then(|parent| self.heads.get(parent));
        let last = after.checked_sub(1).and_then(|last| self.heads.get(last));
        std::iter::successors(last, next).filter(move |head| path.starts_with(head.text.as_ref()))
    }
}

fn any_counts(rules: &[Rule], now: Option<Timestamp>) -> bool {
    now.is_none_or(|now| rules.iter().any(|rule| rule.counts(now)))
}

/// The heads with what leads from each to the next.
fn linked(heads: BTreeMap<Box<str>, BTreeMap<Pattern, Vec<Rule>>>) -> Box<[Head]> {
    let mut linked: Vec<Head> = Vec::with_capacity(heads.len());
    let mut open: Vec<usize> = vec![];
    for (text, patterns) in heads {
        let begins = |at: &usize| linked.get(*at).is_some_and(|head| text.starts_with(head.text.as_ref()));
        while open.last().is_some_and(|last| !begins(last)) {
            open.pop();
        }
        let parent = open.last().copied();
        open.push(linked.len());
        let patterns = patterns.into_iter().rev().map(|(pattern, rules)| (pattern, rules.into_boxed_slice())).collect();
        linked.push(Head { text, parent, patterns });
    }
    linked.into_boxed_slice()
}
