//! Types: every expression against the claims that the platforms of its issuers document.
//!
//! Decides whether an expression can fail for any token that is as its platform says: a claim that does not exist or may
//! be absent, an operator or a function that has no meaning for what it is given, a comparison that never holds. Refuses
//! to guess what it can't know: where a value is `dyn`, nothing is said.
//!
//! ```text
//! ty        what a value can be            table   the types of functions and operators
//! facts     what is known at a place       walk    one expression, with calls, macros and equal
//! order     the expressions of a rule      tell    the words
//! ```

mod calls;
mod equal;
mod facts;
mod literal;
mod macros;
mod optionals;
mod order;
mod signatures;
mod table;
mod tell;
mod ty;
mod walk;

use std::collections::HashMap;
use std::sync::Arc;

use cel::parser::Expression;

pub(in crate::policy) use self::tell::Issue;
pub(in crate::policy) use self::ty::Type;

use self::order::{Found, Order};
use self::tell::Clause;
use self::walk::Names;
use super::Subject;
use crate::policy::code::Code;
use crate::policy::compile::parse;
use crate::policy::document::RuleDocument;
use crate::policy::finding::Finding;
use crate::policy::guard;
use crate::policy::language::{ISSUER, NOW};
use crate::policy::trace::Part;
use crate::trust::ClaimSchema;

/// The findings of all expressions of a file.
pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    subject.document.rules.iter().flat_map(|rule| of_rule(subject, rule)).collect()
}

/// What is known of an issuer's claims; issuers of one platform share it.
type Known<'a> = Option<&'a Arc<ClaimSchema>>;

fn of_rule(subject: &Subject<'_>, rule: &RuleDocument) -> Vec<Finding> {
    let written = subject.expressions(rule);
    let Some(trees) = written.iter().map(|written| subject.parsed(written)).collect::<Option<Vec<_>>>() else {
        return vec![];
    };
    let parts: Vec<Part> = written.iter().map(|written| written.part).collect();
    let lets: Vec<&str> = rule.lets.0.iter().map(|(name, _)| name.value.as_str()).collect();
    let clauses: Vec<Clause<'_>> =
        written.iter().zip(&trees).map(|(written, tree)| Clause::new(written.source, tree)).collect();
    let issuers = &rule.issuer.value.0;
    let mut groups: Vec<(Known<'_>, Vec<&str>)> = vec![];
    for issuer in issuers {
        let schema = subject.catalog.find(issuer).and_then(|facts| facts.schema.as_ref());
        let same = |known: &Known<'_>| match (known, schema) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == &other,
            (one, other) => one.is_none() && other.is_none(),
        };
        match groups.iter_mut().find(|(known, _)| same(known)) {
            Some((_, names)) => names.push(issuer.as_str()),
            None => groups.push((schema, vec![issuer.as_str()])),
        }
    }
    let mut found: Vec<(Found, Vec<&str>)> = vec![];
    for (schema, names) in groups {
        for (at, issue) in judge(&clauses, &parts, &lets, schema.map(AsRef::as_ref)) {
            let same = |other: &Found| other.0 == at && other.1.code == issue.code && other.1.range == issue.range;
            match found.iter_mut().find(|(other, _)| same(other)) {
                Some((_, whose)) => whose.extend(&names),
                None => found.push(((at, issue), names.clone())),
            }
        }
    }
    let tell = |((at, issue), whose): (Found, Vec<&str>)| {
        let written = written.get(at)?;
        let mut message = issue.message;
        if issue.code == Code::UnknownClaim || whose.len() < issuers.len() {
            message.push_str(&format!(" in the tokens of `{}`", whose.join("`, `")));
        }
        let finding = subject.finding(issue.code, written, issue.range, message);
        Some(Finding { label: issue.label, help: issue.help, ..finding })
    };
    found.into_iter().filter_map(tell).collect()
}

fn judge<'e>(clauses: &[Clause<'e>], parts: &[Part], lets: &[&'e str], schema: Option<&'e ClaimSchema>) -> Vec<Found> {
    let types = HashMap::from([(NOW, Type::Timestamp), (ISSUER, Type::String)]);
    let mut order = Order::new(Names { schema, types }, clauses);
    order.rule(parts, lets);
    order.found
}

/// What came of checking a program.
pub(in crate::policy) struct Checked {
    /// The issues, each with the index of its expression: that of its variable, or the number of variables for the last.
    pub(in crate::policy) issues: Vec<(usize, Issue)>,
    /// What the last expression is.
    #[cfg(test)]
    pub(in crate::policy) ty: Type<'static>,
    /// Whether anything was taken on trust because it is `dyn`; without that, what has no issue has no type error.
    #[cfg(test)]
    pub(in crate::policy) dynamic: bool,
}

/// Checks `variables`, which are evaluated in order, and the expression after them, where `claims` are as `schema` says
/// and `names` are of these types. Ranges of issues are bytes of each source.
///
/// For programs that are no policy file. What is no CEL, or too deep to walk, is `dyn` and has no issue here. Runs on a
/// thread with [`COMPILER_STACK`](crate::policy::limits::COMPILER_STACK).
pub(in crate::policy) fn expressions<'s>(
    schema: Option<&'s ClaimSchema>,
    names: &[(&'s str, Type<'s>)],
    variables: &[(&'s str, &'s str)],
    last: &'s str,
) -> Checked {
    let sources: Vec<&str> = variables.iter().map(|(_, source)| *source).chain([last]).collect();
    let trees: Vec<Expression> = sources.iter().map(|source| walkable(source)).collect();
    let clauses: Vec<Clause<'_>> = sources.iter().zip(&trees).map(|(source, tree)| Clause::new(source, tree)).collect();
    let names = Names { schema, types: names.iter().cloned().collect() };
    let mut order = Order::new(names, &clauses);
    let _ty = order.program(&variables.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    Checked {
        issues: order.found,
        #[cfg(test)]
        ty: _ty.forgetful(),
        #[cfg(test)]
        dynamic: order.dynamic,
    }
}

/// The tree of `source`, or an empty one.
fn walkable(source: &str) -> Expression {
    parse(source).ok().filter(guard::is_walkable).unwrap_or_default()
}

#[cfg(test)]
mod tests;
