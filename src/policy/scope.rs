//! The variables of one evaluation.
//!
//! Decides what a name stands for: `claims`, `now`, `issuer`, and the names that [`rewrite`](super::rewrite) made up. The
//! `let` variables are in the context, because their values borrow from it.

use std::sync::{Arc, OnceLock};

use cel::common::types::CelString;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::claims::Claims;
use super::language::{CLAIMS, ISSUER, Language, NOW};
use super::pattern::Pattern;
use super::rule::Rule;
use crate::clock::Timestamp;

/// What one rule can see of one token. Each claim is converted when it is first asked for, and once.
pub(super) struct Scope<'c> {
    table: &'c [(Arc<str>, Arc<str>)],
    patterns: &'c [Pattern],
    language: &'c Language,
    claims: Claims<'c>,
    issuer: CelString<'c>,
    now: Timestamp,
    moment: OnceLock<Option<Box<dyn Val>>>,
    converted: Vec<OnceLock<Option<Box<dyn Val + 'c>>>>,
}

impl<'c> Scope<'c> {
    pub(super) fn new(
        rule: &'c Rule,
        language: &'c Language,
        claims: Claims<'c>,
        issuer: &'c str,
        now: Timestamp,
    ) -> Self {
        Self::over(&rule.claims, &rule.patterns, language, claims, issuer, now)
    }

    /// The same for one expression: `table` names the variable of each claim, in order, and so do the patterns.
    pub(super) fn over(
        table: &'c [(Arc<str>, Arc<str>)],
        patterns: &'c [Pattern],
        language: &'c Language,
        claims: Claims<'c>,
        issuer: &'c str,
        now: Timestamp,
    ) -> Self {
        let converted = table.iter().map(|_| OnceLock::new()).collect();
        Self {
            table,
            patterns,
            language,
            claims,
            issuer: CelString::from(issuer),
            now,
            moment: OnceLock::new(),
            converted,
        }
    }

    fn claim(&self, variable: &str) -> Option<&(dyn Val + 'c)> {
        let at = self.table.binary_search_by(|(known, _)| known.as_ref().cmp(variable)).ok()?;
        let (_, name) = self.table.get(at)?;
        self.converted.get(at)?.get_or_init(|| self.claims.value(name)).as_deref()
    }

    fn pattern(&self, variable: &str) -> Option<&Pattern> {
        let at = self.patterns.binary_search_by(|known| known.name().cmp(variable)).ok()?;
        self.patterns.get(at)
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            CLAIMS => Some(CowVal::Borrowed(&self.claims)),
            ISSUER => Some(CowVal::Borrowed(&self.issuer)),
            NOW => {
                let moment = self.moment.get_or_init(|| self.language.moment(self.now));
                moment.as_deref().map(CowVal::Borrowed)
            }
            _ if variable.starts_with("@claims") => self.claim(variable).map(CowVal::Borrowed),
            _ if variable.starts_with('@') => self.pattern(variable).map(|pattern| CowVal::Borrowed(pattern)),
            _ => None,
        }
    }
}
