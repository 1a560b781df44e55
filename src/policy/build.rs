//! From a policy file to a target.
//!
//! Decides whether every name, bound and expression of a file is in order, and reports all that are not, not only the
//! first. Refuses to know about other files, beyond sharing compiled expressions with them.

mod rule;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use self::rule::RuleBuilder;
use super::catalog::Catalog;
use super::check::locate::word;
use super::check::nearest;
use super::compile::Compiler;
use super::document::{Document, RuleDocument, place};
use super::limits::{ALIASES, RULES, STEPS, TEXT_BYTES};
use super::problem::{Faults, Problem};
use super::rule::{Rule, Target};
use crate::identity::IssuerName;

/// Builds targets, sharing what repeats between them.
pub(super) struct Builder<'i> {
    pub(super) compiler: Compiler,
    pub(super) catalog: &'i Catalog,
}

impl Builder<'_> {
    /// The target of `document`, or nothing where `faults` says why.
    pub(super) fn target(
        &mut self,
        document: &Document,
        text: &str,
        file: &Arc<str>,
        faults: &mut Faults,
    ) -> Option<Target> {
        let at = place(&document.target);
        faults.at_most(at, "aliases", document.aliases.len(), ALIASES);
        faults.at_most(at, "rules", document.rules.len(), RULES);
        if document.rules.is_empty() {
            faults.add(at, Problem::Missing("a target needs at least one rule"));
        }
        let description = document.description.as_ref();
        if let Some(text) = description.filter(|text| text.value.len() > TEXT_BYTES) {
            faults.add(place(text), Problem::TooLong { what: "a description", most: TEXT_BYTES });
        }
        let mut aliases = vec![];
        for alias in &document.aliases {
            if is_alias(&alias.value) {
                aliases.push(Box::from(alias.value.as_str()));
            } else {
                let kind = "a target: 1 to 512 bytes of visible ASCII";
                faults.add(place(alias), Problem::Name { name: alias.value.clone(), kind });
            }
        }
        let mut names = HashSet::new();
        let mut rules = vec![];
        let mut by_issuer: BTreeMap<IssuerName, Vec<u16>> = BTreeMap::new();
        for (index, rule) in (0_u16..).zip(document.rules.iter().take(RULES)) {
            if !names.insert(rule.name.value.as_str()) {
                let name = rule.name.value.clone();
                faults.add(place(&rule.name), Problem::Duplicate { kind: "a rule", name });
            }
            for issuer in self.issuers_of(rule, text, faults) {
                by_issuer.entry(issuer).or_default().push(index);
            }
            rules.extend(RuleBuilder { builder: &mut *self, document, text, rule, faults: &mut *faults }.build());
        }
        if !faults.is_empty() {
            return None;
        }
        affordable(&by_issuer, &rules, faults);
        let mut scopes: Vec<Arc<str>> = vec![];
        for word in rules.iter().filter_map(|rule| rule.terms.as_deref()).flat_map(|terms| terms.scopes.iter()) {
            if !scopes.contains(word) {
                scopes.push(Arc::clone(word));
            }
        }
        Some(Target {
            name: document.target.value.clone(),
            aliases: aliases.into(),
            namespace: document.namespace.as_ref().map(|namespace| namespace.value.clone()),
            description: description.map(|text| Box::from(text.value.as_str())),
            file: Arc::clone(file),
            rules: rules.into(),
            by_issuer: by_issuer.into_iter().map(|(issuer, indices)| (issuer, indices.into())).collect(),
            scopes: scopes.into(),
        })
    }

    /// The configured issuers that a rule names, each once.
    fn issuers_of(&self, rule: &RuleDocument, text: &str, faults: &mut Faults) -> BTreeSet<IssuerName> {
        let named = &rule.issuer;
        if named.value.0.is_empty() {
            faults.add(place(named), Problem::Missing("a rule needs at least one issuer"));
        }
        let mut found = BTreeSet::new();
        for issuer in &named.value.0 {
            // The configuration's own copy, so that ten thousand targets share one text.
            match self.catalog.name(issuer) {
                None => {
                    let names = || self.catalog.iter().map(|(name, _)| name.as_str());
                    let help = match nearest(issuer.as_str(), names()) {
                        Some(meant) => Some(format!("did you mean `{meant}`?")),
                        None if names().count() <= 8 && names().count() > 0 => {
                            Some(format!("configured are `{}`", names().collect::<Vec<_>>().join("`, `")))
                        }
                        None => None,
                    };
                    let at = word(text, place(named), issuer.as_str());
                    faults.add_advised(at, Problem::UnknownIssuer(issuer.clone()), help);
                }
                Some(known) if !found.insert(known.clone()) => {
                    let name = issuer.as_str().to_owned();
                    faults.add(place(named), Problem::Duplicate { kind: "in this list", name });
                }
                Some(_) => {}
            }
        }
        found
    }
}

/// One request tries all rules of its issuer in the worst case, so that they share one budget.
fn affordable(by_issuer: &BTreeMap<IssuerName, Vec<u16>>, rules: &[Rule], faults: &mut Faults) {
    for (issuer, indices) in by_issuer {
        let mut steps = 0_u64;
        for rule in indices.iter().filter_map(|index| rules.get(usize::from(*index))) {
            steps = steps.saturating_add(rule.steps);
            if steps > STEPS {
                let problem = Problem::TooCostly { rule: rule.name().to_owned(), issuer: issuer.clone(), steps };
                faults.add(rule.place, problem);
                break;
            }
        }
    }
}

fn is_alias(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
