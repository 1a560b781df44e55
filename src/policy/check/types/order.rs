//! The expressions of a rule in the order in which they are evaluated, each with what the ones before it prove.
//!
//! Decides what holds where an expression begins: the conditions above it held, and so did its own `when`. A `let` is
//! evaluated before the first expression that mentions it, so that it is judged by what holds there: an `&&` inside that
//! expression comes too late for it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cel::common::ast::{Expr, LiteralValue};
use cel::parser::Expression;

use super::facts::{Facts, Lets, Proof};
use super::tell::{Clause, Issue};
use super::ty::Type;
use super::walk::{Checker, Names};
use crate::identity::PolicyName;
use crate::policy::check::spans::children;
use crate::policy::code::Code;
use crate::policy::trace::Part;

/// An issue, and the index of the expression that has it.
pub(super) type Found = (usize, Issue);

/// The walk over the expressions of a rule, or of a program.
pub(super) struct Order<'e, 'x> {
    clauses: &'x [Clause<'e>],
    names: Names<'e>,
    lets: Lets<'e>,
    /// The `let` variables: name, the index of its expression, and those that it needs, itself included.
    variables: Vec<(&'e str, usize, u64)>,
    /// Those that have a value.
    ready: u64,
    /// Those that were judged at all.
    judged: u64,
    facts: Facts<'e>,
    pub(super) found: Vec<Found>,
    pub(super) dynamic: bool,
}

impl<'e, 'x> Order<'e, 'x> {
    pub(super) fn new(names: Names<'e>, clauses: &'x [Clause<'e>]) -> Self {
        Self {
            clauses,
            names,
            lets: Lets::default(),
            variables: vec![],
            ready: 0,
            judged: 0,
            facts: Facts::default(),
            found: vec![],
            dynamic: false,
        }
    }

    /// A rule: its parts are in the order of [`Subject::expressions`](crate::policy::check::Subject::expressions), one for
    /// each clause.
    pub(super) fn rule(&mut self, parts: &[Part], lets: &[&'e str]) {
        let mut when = None;
        for (at, part) in parts.iter().enumerate() {
            match part {
                Part::Let(index) => {
                    if let Some(name) = lets.get(usize::from(*index)) {
                        self.declare(name, at);
                    }
                }
                Part::Condition(_) => self.condition(at),
                Part::When(_) => when = Some(at),
                Part::Policy(_) => self.item(when.take(), at),
                Part::Metadata(_) => {
                    self.value(at, |checker, node, ty| checker.want_text(node, ty, false, "metadata is"));
                }
                Part::Answer(_) | Part::Grant => {}
            }
        }
        self.idle();
    }

    /// A program: variables in order, each evaluated, then the expression after them.
    pub(super) fn program(&mut self, variables: &[&'e str]) -> Type<'e> {
        let mut last = Type::Never;
        for at in 0..self.clauses.len() {
            last = self.judge(at, false, |_, _, _| ());
            let Some(clause) = self.clauses.get(at) else { continue };
            let known = self.lets.know(clause.tree);
            self.facts.learn(&known.read);
            if let Some(name) = variables.get(at) {
                self.names.types.insert(name, last.clone());
                self.lets.0.insert(name, known);
            }
        }
        last
    }

    fn declare(&mut self, name: &'e str, at: usize) {
        let Some(clause) = self.clauses.get(at) else { return };
        let needs = self.needs(at) | 1_u64.checked_shl(u32::try_from(self.variables.len()).unwrap_or(64)).unwrap_or(0);
        let known = self.lets.know(clause.tree);
        self.variables.push((name, at, needs));
        self.lets.0.insert(name, known);
    }

    /// The variables that an expression mentions, and those that these need.
    fn needs(&self, at: usize) -> u64 {
        let mut names = BTreeSet::new();
        if let Some(clause) = self.clauses.get(at) {
            mentioned(clause.tree, &mut names);
        }
        let needed = self.variables.iter().filter(|(name, ..)| names.contains(name));
        needed.fold(0, |all, (_, _, needs)| all | needs)
    }

    fn condition(&mut self, at: usize) {
        self.value(at, |checker, node, ty| checker.want_bool(node, ty, Code::NotABool, "a condition is"));
        self.assume(at);
    }

    /// Learns what holds where the expression is true.
    fn assume(&mut self, at: usize) {
        let proven = self.clauses.get(at).and_then(|clause| self.lets.proves(clause.tree, true, Proof::Read));
        if let Some(proven) = proven {
            self.facts.learn(&proven);
        }
    }

    fn item(&mut self, when: Option<usize>, policy: usize) {
        let (facts, ready) = (self.facts.clone(), self.ready);
        if let Some(when) = when {
            self.value(when, |checker, node, ty| checker.want_bool(node, ty, Code::NotABool, "`when` is"));
            self.assume(when);
        }
        self.value(policy, |checker, node, ty| {
            checker.want_text(node, ty, true, "a policy's name is");
            checker.want_names(node);
        });
        if when.is_some() {
            // Another item may come to its variables without this one's condition.
            (self.facts, self.ready) = (facts, ready);
        }
    }

    /// Judges the variables that an expression needs and that have no value yet, then the expression.
    fn value(&mut self, at: usize, want: impl FnOnce(&mut Checker<'e, '_>, &'e Expression, &Type<'e>)) {
        let missing = self.needs(at) & !self.ready;
        for index in 0..self.variables.len() {
            if missing & (1 << index) != 0 {
                self.variable(index, false);
                self.ready |= 1 << index;
            }
        }
        self.judge(at, false, want);
    }

    fn variable(&mut self, index: usize, present: bool) {
        let Some((name, at, _)) = self.variables.get(index).copied() else { return };
        let ty = self.judge(at, present, |_, _, _| ());
        self.judged |= 1 << index;
        for (_, issue) in self.found.iter_mut().filter(|(of, issue)| *of == at && issue.code == Code::Unguarded) {
            let when = "a `let` has its value before the expression that mentions it begins";
            issue.helped(format!("{when}: ask in a condition above that one, or within the `let`"));
        }
        self.names.types.insert(name, ty);
        if let Some(known) = self.lets.0.get(name) {
            self.facts.learn(&known.read.clone());
        }
    }

    /// Variables that nothing mentions are never evaluated; what is wrong with them whatever is present, is.
    fn idle(&mut self) {
        for index in 0..self.variables.len() {
            if self.judged & (1 << index) == 0 {
                self.variable(index, true);
            }
        }
    }

    fn judge(
        &mut self,
        at: usize,
        present: bool,
        want: impl FnOnce(&mut Checker<'e, '_>, &'e Expression, &Type<'e>),
    ) -> Type<'e> {
        let Some(clause) = self.clauses.get(at) else { return Type::Dyn };
        let mut checker = Checker {
            names: &self.names,
            lets: Cow::Borrowed(&self.lets),
            clause,
            facts: self.facts.clone(),
            bound: vec![],
            issues: vec![],
            dynamic: false,
            present,
        };
        let ty = checker.check(clause.tree);
        want(&mut checker, clause.tree, &ty);
        self.dynamic |= checker.dynamic;
        for issue in checker.issues {
            let known = |(other, known): &Found| *other == at && known.code == issue.code && known.range == issue.range;
            if !self.found.iter().any(known) {
                self.found.push((at, issue));
            }
        }
        ty
    }
}

impl<'e> Checker<'e, '_> {
    /// That `node` should be a string (or a list of strings) and is not.
    fn want_text(&mut self, node: &'e Expression, ty: &Type<'e>, many: bool, who: &str) {
        let text = |ty: &Type<'e>| ty.alternatives().iter().all(|one| matches!(one, Type::String | Type::Dyn));
        let fits = |one: &Type<'e>| match one {
            Type::List(inside) if many => text(inside),
            one => text(one),
        };
        self.dynamic |= ty.is_dyn() || matches!(ty, Type::List(inside) if inside.is_dyn());
        let Some(wrong) = ty.alternatives().iter().find(|one| !fits(one)) else { return };
        let what = self.clause.text(node);
        let bare = what.trim_matches('`');
        let wants = if many { "a string, or a list of strings" } else { "a string" };
        let is = if wrong == ty { "is" } else { "may be" };
        let message = format!("{who} {wants}, and {what} {is} {}", wrong.a());
        let help = Self::not_null(bare, ty).or_else(|| match wrong {
            Type::Int | Type::Double | Type::Bool | Type::Uint => Some(format!("write `string({bare})`")),
            Type::Optional(_) => Some(format!("write `{bare}.orValue(\"\")`")),
            Type::List(_) if !many => Some("join its elements, or take one of them".to_owned()),
            _ => None,
        });
        let label = ty.a();
        let issue = self.issue(Code::NotAName, self.clause.node(node), message);
        issue.labelled(label);
        issue.help = help;
    }
}

impl<'e> Checker<'e, '_> {
    /// That a literal which is a policy is a name, alone or in a list.
    fn want_names(&mut self, node: &'e Expression) {
        match &node.expr {
            Expr::List(list) => list.elements.iter().for_each(|element| self.want_names(element)),
            Expr::Literal(LiteralValue::String(name)) => {
                if let Err(error) = PolicyName::new(name.inner()) {
                    let message = format!("this is no policy's name: {error}");
                    self.issue(Code::NotAName, self.clause.node(node), message).labelled("denied at every exchange");
                }
            }
            _ => {}
        }
    }
}

/// Every name that an expression mentions.
fn mentioned<'e>(node: &'e Expression, names: &mut BTreeSet<&'e str>) {
    if let Expr::Ident(name) = &node.expr {
        names.insert(name);
    }
    children(node).into_iter().for_each(|child| mentioned(child, names));
}
