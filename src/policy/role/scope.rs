//! The variables of one evaluation of a program.
//!
//! Decides what a name stands for: `claims`, `now`, `operation`, and the names that the rewriting made up. The program's
//! own variables are in the context, because their values borrow from it.

use std::sync::OnceLock;

use cel::common::types::CelString;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde_json::{Map, Value};

use super::claims::RoleClaims;
use crate::clock::Timestamp;
use crate::policy::language::{CLAIMS, Language, NOW, OPERATION};
use crate::policy::pattern::Pattern;
use crate::policy::rule::Rule;

/// What a login does, in OpenBao's words; what it does besides (`alias-lookahead`) has no use here.
const LOGIN: &str = "update";

/// What one program can see of one token. Each claim is converted when it is first asked for, and once.
pub(in crate::policy) struct Scope<'c> {
    rule: &'c Rule,
    language: &'c Language,
    claims: RoleClaims<'c>,
    operation: CelString<'static>,
    now: Timestamp,
    moment: OnceLock<Option<Box<dyn Val>>>,
    converted: Vec<OnceLock<Option<Box<dyn Val + 'c>>>>,
}

impl<'c> Scope<'c> {
    pub(in crate::policy) fn new(
        rule: &'c Rule,
        language: &'c Language,
        claims: &'c Map<String, Value>,
        now: Timestamp,
    ) -> Self {
        let converted = rule.claims.iter().map(|_| OnceLock::new()).collect();
        let (claims, operation) = (RoleClaims(claims), CelString::from(LOGIN));
        Self { rule, language, claims, operation, now, moment: OnceLock::new(), converted }
    }

    fn claim(&self, variable: &str) -> Option<&(dyn Val + 'c)> {
        let at = self.rule.claims.binary_search_by(|(known, _)| known.as_ref().cmp(variable)).ok()?;
        let (_, name) = self.rule.claims.get(at)?;
        self.converted.get(at)?.get_or_init(|| self.claims.value(name)).as_deref()
    }

    fn pattern(&self, variable: &str) -> Option<&Pattern> {
        let at = self.rule.patterns.binary_search_by(|known| known.name().cmp(variable)).ok()?;
        self.rule.patterns.get(at)
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            CLAIMS => Some(CowVal::Borrowed(&self.claims)),
            OPERATION => Some(CowVal::Borrowed(&self.operation)),
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
