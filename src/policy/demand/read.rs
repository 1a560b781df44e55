//! Reads demands off a syntax tree, as the parser made it. Recursive: only for trees that the guard has judged.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::term::{Term, child, literal};
use super::walk::Walk;
use super::{Absent, At, Atom, Demand, Literal, Of, Opaque, Scope, Test};
use crate::policy::guard::{is_claims, string};
use crate::policy::pattern::PatternKind;
use crate::policy::trace::Part;

/// Most nodes that are read of one rule, `let` variables included as often as they are used.
pub(in crate::policy) const BUDGET: u32 = 4_000;

/// Reads the expressions of one rule.
pub(in crate::policy) struct Reader<'t> {
    pub(super) lets: &'t [(&'t str, &'t Expression)],
    pub(super) elements: Vec<Element<'t>>,
    /// Names for expressions: of `cel.bind`, of the elements of a list that is spelled out.
    pub(super) bound: Vec<(&'t str, &'t Expression)>,
    pub(super) left: u32,
}

/// A variable of a comprehension.
#[derive(Clone)]
pub(super) struct Element<'t> {
    pub(super) name: &'t str,
    pub(super) of: Of,
    pub(super) scope: Scope,
    pub(super) absent: Absent,
}

impl<'t> Reader<'t> {
    /// A reader of a rule with those `let` variables, each of which may use those before it.
    pub(in crate::policy) fn new(lets: &'t [(&'t str, &'t Expression)]) -> Self {
        Self { lets, elements: vec![], bound: vec![], left: BUDGET }
    }

    /// What it takes for the condition `tree`, which is `part` of the rule, to be true, or to be false and no error.
    pub(in crate::policy) fn demand(&mut self, tree: &'t Expression, holds: bool, part: Part) -> Demand {
        self.read(tree, holds, part)
    }

    pub(super) fn read(&mut self, node: &'t Expression, holds: bool, part: Part) -> Demand {
        let Some(left) = self.left.checked_sub(1) else { return self.opaque(node, holds, part) };
        self.left = left;
        match &node.expr {
            Expr::Literal(LiteralValue::Boolean(value)) => constant(*value.inner() == holds),
            Expr::Ident(name) => match self.variable(name, part) {
                Some((tree, part)) => self.within(name, |reader| reader.read(tree, holds, part)),
                None => self.truth(node, holds, part),
            },
            Expr::Select(select) if select.test => match self.path(&select.operand) {
                Some(term) => {
                    let of = child(&term.of, &select.field, is_claims(&select.operand));
                    self.atom(Term { of, ..term }, Test::Present, holds, At::of(node, part))
                }
                None => self.opaque(node, holds, part),
            },
            Expr::Call(call) => self.call(node, call, holds, part),
            Expr::Comprehension(inner) => self.comprehension(node, inner, holds, part),
            _ => self.truth(node, holds, part),
        }
    }

    fn call(&mut self, node: &'t Expression, call: &'t CallExpr, holds: bool, part: Part) -> Demand {
        let args: Vec<&'t Expression> = call.target.as_deref().into_iter().chain(&call.args).collect();
        match (call.func_name.as_str(), args.as_slice()) {
            (operators::LOGICAL_NOT, [one]) => self.read(one, !holds, part),
            (name @ (operators::LOGICAL_AND | operators::LOGICAL_OR), [a, b]) => {
                let parts = [self.read(a, holds, part), self.read(b, holds, part)];
                if (name == operators::LOGICAL_AND) == holds { Demand::all(parts) } else { Demand::any(parts) }
            }
            (operators::CONDITIONAL, [condition, then, other]) => {
                let yes = [self.read(condition, true, part), self.read(then, holds, part)];
                let no = [self.read(condition, false, part), self.read(other, holds, part)];
                Demand::any([Demand::all(yes), Demand::all(no)])
            }
            (operators::EQUALS, [a, b]) => self.compare(node, (a, part), (b, part), holds, part),
            (operators::NOT_EQUALS, [a, b]) => self.compare(node, (a, part), (b, part), !holds, part),
            (operators::IN, [element, container]) => self.membership(node, element, container, holds, part),
            ("startsWith", [text, prefix]) => self.text(node, text, prefix, Test::Prefix, holds, part),
            ("endsWith", [text, suffix]) => self.text(node, text, suffix, Test::Suffix, holds, part),
            ("contains", [text, infix]) => self.text(node, text, infix, Test::Infix, holds, part),
            (name @ ("matches" | "fullMatch" | "glob"), [text, pattern]) => {
                let kind = PatternKind::of(name).unwrap_or(PatternKind::Search);
                self.text(node, text, pattern, |pattern| Test::Pattern(kind, pattern), holds, part)
            }
            ("hasValue", [optional]) => match self.term(optional, part) {
                Some(term) if term.optional => self.atom(term, Test::Present, holds, At::of(node, part)),
                _ => self.opaque(node, holds, part),
            },
            (operators::GREATER | operators::LESS | operators::GREATER_EQUALS | operators::LESS_EQUALS, [a, b]) => {
                if let Some(found) = self.found(&call.func_name, (a, b), holds, (node, part)) {
                    return found;
                }
                match self.non_empty(&call.func_name, a, b, part) {
                    Some(term) => self.atom(term, Test::NonEmpty, holds, At::of(node, part)),
                    None => self.opaque(node, holds, part),
                }
            }
            _ => self.truth(node, holds, part),
        }
    }

    /// A claim that is a bool itself, else something opaque.
    fn truth(&mut self, node: &'t Expression, holds: bool, part: Part) -> Demand {
        match self.term(node, part) {
            Some(term) if !term.optional => {
                self.atom(term, Test::Among(vec![Literal::Bool(true)]), holds, At::of(node, part))
            }
            _ => self.opaque(node, holds, part),
        }
    }

    fn text(
        &mut self,
        node: &'t Expression,
        text: &'t Expression,
        argument: &'t Expression,
        test: impl FnOnce(String) -> Test,
        holds: bool,
        part: Part,
    ) -> Demand {
        let (value, value_part) = self.resolve(argument, part);
        match (self.term(text, part), string(value)) {
            (Some(term), Some(value_text)) if !term.optional => {
                let at = At::with(node, value, part, value_part);
                self.atom(term, test(value_text.to_owned()), holds, at)
            }
            _ => self.opaque(node, holds, part),
        }
    }

    pub(super) fn atom(&self, term: Term, test: Test, holds: bool, at: At) -> Demand {
        let absent = match (&term.default, &test) {
            _ if term.scope != Scope::Value => term.absent,
            (_, Test::Present) => Absent::Errs,
            (None, _) => Absent::Errs,
            (Some(default), test) => {
                let met = match default {
                    Some(default) => test.admits(default),
                    // An empty list is no value of any kind.
                    None => Some(false),
                };
                match met {
                    Some(met) if met == holds => Absent::Meets,
                    Some(_) => Absent::Fails,
                    None => Absent::Meets,
                }
            }
        };
        Demand::Atom(Atom { of: term.of, via: term.via, scope: term.scope, test, holds, absent, at })
    }

    pub(super) fn opaque(&self, node: &'t Expression, holds: bool, part: Part) -> Demand {
        let mut hasher = DefaultHasher::new();
        let mut claims = vec![];
        let known: Vec<_> = self.bound.iter().rev().chain(self.lets).copied().collect();
        let mut walk = Walk { lets: &known, left: BUDGET, claims: &mut claims };
        walk.node(node, &mut hasher);
        // Of variables that are bound outside of it, the same text means the same only beside the same list.
        for element in &self.elements {
            (element.name, &element.of).hash(&mut hasher);
            if let Of::Claim(path) = &element.of {
                claims.push(path.clone());
            }
        }
        claims.sort();
        claims.dedup();
        Demand::Opaque(Opaque {
            key: hasher.finish(),
            holds,
            mentions: claims,
            names: may_name(node, holds),
            segment: None,
            at: At::of(node, part),
        })
    }

    /// Follows `let` variables to what they stand for.
    pub(super) fn resolve(&self, node: &'t Expression, part: Part) -> (&'t Expression, Part) {
        let mut found = (node, part);
        for _ in 0..=self.lets.len() + self.bound.len() {
            match &found.0.expr {
                Expr::Ident(name) => match self.variable(name, found.1) {
                    Some(next) => found = next,
                    None => break,
                },
                _ => break,
            }
        }
        found
    }

    /// What a name stands for, and where that is written: in `part` too, where it is not a `let`.
    pub(super) fn variable(&self, name: &str, part: Part) -> Option<(&'t Expression, Part)> {
        if let Some((_, tree)) = self.bound.iter().rev().find(|(known, _)| *known == name) {
            return Some((tree, part));
        }
        let at = self.lets.iter().position(|(known, _)| *known == name)?;
        let (_, tree) = self.lets.get(at)?;
        Some((tree, Part::Let(u16::try_from(at).ok()?)))
    }

    /// Reads what a name stands for; a `let` does not see the variables of comprehensions.
    pub(super) fn within<R>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        if self.bound.iter().any(|(known, _)| *known == name) {
            return read(self);
        }
        let elements = std::mem::take(&mut self.elements);
        let bound = std::mem::take(&mut self.bound);
        let result = read(self);
        self.elements = elements;
        self.bound = bound;
        result
    }

    /// Reads where `name` stands for `tree`. Not where the name has a meaning already, which `tree` may use.
    pub(super) fn with<R>(
        &mut self,
        (name, tree): (&'t str, &'t Expression),
        read: impl FnOnce(&mut Self) -> R,
    ) -> Option<R> {
        if self.is_taken(name) {
            return None;
        }
        self.bound.push((name, tree));
        let result = read(self);
        self.bound.pop();
        Some(result)
    }

    pub(super) fn is_taken(&self, name: &str) -> bool {
        let mut known = self.bound.iter().chain(self.lets).map(|(known, _)| *known);
        known.any(|known| known == name) || self.elements.iter().any(|element| element.name == name)
    }
}

impl At {
    pub(super) fn of(node: &Expression, part: Part) -> Self {
        Self { part, node: node.id, literal: node.id }
    }

    /// With the literal, where it stands in the same expression.
    pub(super) fn with(node: &Expression, literal: &Expression, part: Part, literal_part: Part) -> Self {
        Self { part, node: node.id, literal: if part == literal_part { literal.id } else { node.id } }
    }
}

/// Whether what can't be read may say what a claim is; `holds` of an inequality is that of the equality.
fn may_name(node: &Expression, holds: bool) -> bool {
    let Expr::Call(call) = &node.expr else { return true };
    match call.func_name.as_str() {
        operators::GREATER | operators::LESS | operators::GREATER_EQUALS | operators::LESS_EQUALS => false,
        operators::EQUALS | operators::NOT_EQUALS => {
            holds && !call.args.iter().any(|arg| matches!(literal(arg), Some(Literal::Int(_) | Literal::Uint(_))))
        }
        _ => true,
    }
}

pub(super) fn constant(holds: bool) -> Demand {
    if holds { Demand::Always } else { Demand::Never }
}
