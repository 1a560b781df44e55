//! Who can get a policy: every target, rule and issuer that can yield it, with what has to hold.
//!
//! Decides by the literal parts of what the rules grant; a grant that is wholly computed from claims is one that may yield
//! anything. An example is offered only where an evaluation agrees that these claims are granted the policy.

mod draft;
mod example;
mod program;
mod shape;
mod solve;

use std::sync::Arc;

use cel::common::ast::Expr;
use cel::parser::Expression;
use serde_json::{Map, Value};

use self::shape::{Piece, Shape, Wanted, bindings, shapes};
use super::catalog::Catalog;
use super::document::Place;
use super::rehearsal::Rehearsal;
use super::rule::{Rule, Target};
use super::trace::Part;
use super::unparse;
use crate::identity::{IssuerName, PolicyName};

/// The most ways that get an example: each takes a few evaluations.
const EXAMPLES: usize = 200;

/// One rule that can yield the policy.
#[derive(Debug)]
pub struct Way {
    /// The target to ask for.
    pub target: String,
    /// The file, relative to the policy directory.
    pub file: Arc<str>,
    /// The rule.
    pub rule: Arc<str>,
    /// Where it stands.
    pub place: Place,
    /// Whose tokens it judges.
    pub issuers: Vec<IssuerName>,
    /// What has to hold, in order.
    pub conditions: Vec<Needed>,
    /// What yields the policy.
    pub grants: Vec<Yield>,
    /// Claims that are granted it, where some could be made.
    pub example: Option<Example>,
    /// Whether the rule is the program of an OpenBao role, which asks questions instead of requiring conditions.
    pub is_role: bool,
}

/// A condition of a rule.
#[derive(Debug)]
pub struct Needed {
    /// What the operator reads where it does not hold.
    pub message: Arc<str>,
    /// Its text, with the `let` variables written out.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// An entry of a grant that can yield the policy.
#[derive(Debug)]
pub struct Yield {
    /// Which one.
    pub part: Part,
    /// Its text, with the `let` variables written out.
    pub text: String,
    /// What else has to hold, as texts: its `when`, and the conditions of ternaries.
    pub also: Vec<String>,
    /// What its parts have to come to, as text and value, where the name says so.
    pub bindings: Vec<(String, String)>,
    /// Whether only a token shows what a role's answer grants: then it may be any policy.
    pub is_computed: bool,
}

/// Claims that an evaluation was asked about.
#[derive(Debug)]
pub struct Example {
    /// Whose.
    pub issuer: IssuerName,
    /// Only those that the rule mentions.
    pub claims: Map<String, Value>,
    /// What they are granted.
    pub policies: Vec<PolicyName>,
}

impl Rehearsal {
    /// Every way to the policy `wanted`: a name, or a glob with `*` (no `/`), `**` and `?`. Nothing where the set did not
    /// load. `wanted` has at most 640 bytes; of a longer one there is none.
    #[must_use]
    pub fn who_can(&self, wanted: &str, catalog: &Catalog) -> Vec<Way> {
        let Some(set) = self.built.as_ref().filter(|_| wanted.len() <= 640) else { return vec![] };
        let wanted = Wanted::new(wanted);
        let mut ways = vec![];
        for target in set.targets() {
            for (index, rule) in (0_u16..).zip(&target.rules) {
                let hits = hits(rule, &wanted);
                if hits.is_empty() {
                    continue;
                }
                // Each answer of a program has conditions of its own.
                let each = |left: &Hit<'_>, right: &Hit<'_>| rule.program.is_none() || left.index == right.index;
                for hits in hits.chunk_by(each) {
                    let search = example::Search { rehearsal: self, set, target, rule, wanted: &wanted, hits, catalog };
                    let issuers = issuers(target, index);
                    let example = if ways.len() < EXAMPLES { search.example(&issuers) } else { None };
                    ways.push(Way {
                        target: target.name.as_str().to_owned(),
                        file: Arc::clone(&target.file),
                        rule: Arc::clone(&rule.name),
                        place: rule.place,
                        issuers,
                        conditions: conditions(rule, hits),
                        grants: hits.iter().map(|hit| hit.told(rule, &wanted)).collect(),
                        example,
                        is_role: rule.program.is_some(),
                    });
                }
            }
        }
        ways
    }
}

/// An entry of a grant, in one of the shapes that meet what is asked for.
struct Hit<'r> {
    /// The entry, or the answer of a role's program.
    index: u16,
    shape: Shape<'r>,
    /// What the shape is of, without the variables that it stands in.
    whole: &'r Expression,
}

fn hits<'r>(rule: &'r Rule, wanted: &Wanted) -> Vec<Hit<'r>> {
    if let Some(program) = &rule.program {
        return program::hits(rule, program, wanted);
    }
    let items = (0_u16..).zip(&rule.policies);
    let all = items.flat_map(|(index, item)| {
        let whole = item.policy.tree();
        shapes(whole, &rule.lets).into_iter().map(move |shape| Hit { index, shape, whole })
    });
    all.filter(|hit| wanted.meets(&hit.shape)).collect()
}

fn issuers(target: &Target, index: u16) -> Vec<IssuerName> {
    let of_rule = target.by_issuer.iter().filter(|(_, indices)| indices.contains(&index));
    of_rule.map(|(issuer, _)| issuer.clone()).collect()
}

fn conditions(rule: &Rule, hits: &[Hit<'_>]) -> Vec<Needed> {
    match (&rule.program, hits.first()) {
        (Some(program), Some(hit)) => program::conditions(rule, program, hit.index),
        _ => rule.require.iter().map(|condition| needed(rule, condition)).collect(),
    }
}

fn needed(rule: &Rule, condition: &super::rule::Condition) -> Needed {
    let text = unparse::text_with(condition.that.tree(), &rule.lets);
    Needed { message: Arc::clone(&condition.message), text, place: condition.that.place }
}

impl Hit<'_> {
    fn told(&self, rule: &Rule, wanted: &Wanted) -> Yield {
        let item = rule.policies.get(usize::from(self.index));
        let text = |node| unparse::text_with(node, &rule.lets);
        let is_role = rule.program.is_some();
        let is_message = matches!(self.whole.expr, Expr::Struct(_));
        let whole = match (is_role, self.shape.element) {
            _ if is_message => "\"default\", which every grant of a role has".to_owned(),
            (true, Some(element)) => text(element),
            _ => text(self.whole),
        };
        let when = item.and_then(|item| item.when.as_ref()).map(|when| text(when.tree()));
        let assumed = self.shape.assumes.iter().map(|(node, truth)| match truth {
            true => text(node),
            false => format!("not: {}", text(node)),
        });
        let exact = wanted.exact().and_then(|name| bindings(&self.shape, &name)).unwrap_or_default();
        let all_computed = self.shape.pieces.iter().all(|piece| matches!(piece, Piece::Any(_)));
        let is_computed = is_role && self.shape.element.is_none() && all_computed;
        let computed = !is_computed && self.shape.pieces.iter().any(|piece| !matches!(piece, Piece::Text(_)));
        Yield {
            part: if is_role { Part::Answer(self.index) } else { Part::Policy(self.index) },
            text: whole,
            also: when.into_iter().chain(assumed).collect(),
            bindings: exact.into_iter().filter(|_| computed).map(|(node, value)| (text(node), value)).collect(),
            is_computed,
        }
    }
}

#[cfg(test)]
mod tests;
