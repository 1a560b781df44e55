//! The variables of one evaluation.
//!
//! Decides what a name stands for: `claims`, `now`, `issuer` (in OpenBao's programs `operation` instead), and the names that
//! [`rewrite`](super::rewrite) made up. The `let` variables are in the context, because their values borrow from it.

use std::sync::{Arc, OnceLock};

use cel::common::types::CelString;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::claims::Claims;
use super::language::{CLAIMS, ISSUER, Language, NOW, OPERATION};
use super::pattern::Pattern;
use super::rule::Rule;
use crate::clock::Timestamp;

/// What a login does, in OpenBao's words; what it does besides (`alias-lookahead`) has no use here.
const LOGIN: &str = "update";

/// What one rule can see of one token. Each claim is converted when it is first asked for, and once.
pub(super) struct Scope<'c> {
    table: &'c [(Arc<str>, Arc<str>)],
    patterns: &'c [Pattern],
    language: &'c Language,
    claims: Claims<'c>,
    /// The name that only this dialect has, and its text.
    own: (&'static str, CelString<'c>),
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

    /// What the program of an OpenBao role can see.
    pub(super) fn of_program(rule: &'c Rule, language: &'c Language, claims: Claims<'c>, now: Timestamp) -> Self {
        let own = (OPERATION, CelString::from(LOGIN));
        Self::with(&rule.claims, &rule.patterns, language, claims.as_go(), own, now)
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
        Self::with(table, patterns, language, claims, (ISSUER, CelString::from(issuer)), now)
    }

    fn with(
        table: &'c [(Arc<str>, Arc<str>)],
        patterns: &'c [Pattern],
        language: &'c Language,
        claims: Claims<'c>,
        own: (&'static str, CelString<'c>),
        now: Timestamp,
    ) -> Self {
        let converted = table.iter().map(|_| OnceLock::new()).collect();
        Self { table, patterns, language, claims, own, now, moment: OnceLock::new(), converted }
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
            _ if variable == self.own.0 => Some(CowVal::Borrowed(&self.own.1)),
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
