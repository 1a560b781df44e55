//! What is known of claims at a place in an expression, because of what was asked before.
//!
//! Decides what an expression proves where it is true, and where it is false: that a claim is present, and what it is
//! not. Refuses to report anything.

use std::collections::{BTreeMap, HashMap};

use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::literal::type_of;
use super::ty::Kinds;
use crate::policy::guard::string;

/// The way to a value: a variable, then names of members.
pub(super) type Path<'e> = Vec<&'e str>;

/// What is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts<'e>(BTreeMap<Path<'e>, Fact>);

/// What is known of one value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fact {
    present: bool,
    not: Kinds,
}

impl<'e> Facts<'e> {
    /// Whether the value is there.
    pub(super) fn has(&self, path: &Path<'e>) -> bool {
        self.0.get(path).is_some_and(|fact| fact.present)
    }

    /// The kinds that the value is not of.
    pub(super) fn not(&self, path: &Path<'e>) -> Kinds {
        self.0.get(path).map_or(Kinds::default(), |fact| fact.not)
    }

    /// Forgets a variable, which another comes to hide.
    pub(super) fn forget(&mut self, root: &str) {
        self.0.retain(|path, _| path.first().is_none_or(|first| *first != root));
    }

    /// Both.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.learn(other);
        self
    }

    /// Adds what `other` knows.
    pub(super) fn learn(&mut self, other: &Self) {
        for (path, fact) in &other.0 {
            // Most is known already, and a path is copied only where it is not.
            match self.0.get_mut(path) {
                Some(known) => *known = Fact { present: known.present || fact.present, not: known.not.and(fact.not) },
                None => drop(self.0.insert(path.clone(), *fact)),
            }
        }
    }

    /// What both agree on.
    fn common(&self, other: &Self) -> Self {
        let shared = self.0.iter().filter_map(|(path, fact)| {
            let also = other.0.get(path)?;
            Some((path.clone(), Fact { present: fact.present && also.present, not: Kinds(fact.not.0 & also.not.0) }))
        });
        Self(shared.collect())
    }

    /// That a value is there, and so whatever it is a member of.
    fn present(path: &Path<'e>) -> Self {
        let fact = Fact { present: true, not: Kinds::default() };
        Self((1..=path.len()).filter_map(|len| Some((path.get(..len)?.to_vec(), fact))).collect())
    }

    /// That a value is none of these kinds; whether it is there, only where it was read for sure.
    fn is_not(path: Path<'e>, not: Kinds, proof: Proof) -> Self {
        Self(BTreeMap::from([(path, Fact { present: proof == Proof::Read, not })]))
    }
}

/// What is known of a `let` variable.
#[derive(Clone, Debug, Default)]
pub(super) struct Known<'e> {
    /// The claim that it is another name of.
    pub(super) path: Option<Path<'e>>,
    /// The claim that stands in it, if it is an optional of one.
    optional: Option<Path<'e>>,
    /// What holds where it is true; nothing where it can't be.
    pub(super) yes: Option<Facts<'e>>,
    /// What holds where it is false; nothing where it can't be.
    pub(super) no: Option<Facts<'e>>,
    /// What holds once it has a value.
    pub(super) read: Facts<'e>,
}

/// The variables of a rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Lets<'e>(pub(super) HashMap<&'e str, Known<'e>>);

/// How much a read proves.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Proof {
    /// What has a value was there: in whatever comes after.
    Read,
    /// Only what was asked for: where the order of two operands does not count.
    Asked,
}

impl<'e> Lets<'e> {
    /// All that is to be known of a variable's expression.
    pub(super) fn know(&self, tree: &'e Expression) -> Known<'e> {
        Known {
            path: self.path(tree),
            optional: self.optional(tree),
            yes: self.proves(tree, true, Proof::Read),
            no: self.proves(tree, false, Proof::Read),
            read: self.reads(tree),
        }
    }

    /// The way that an expression goes, if it does nothing else.
    pub(super) fn path(&self, node: &'e Expression) -> Option<Path<'e>> {
        match &node.expr {
            Expr::Ident(name) => match self.0.get(name.as_str()) {
                Some(known) => known.path.clone(),
                None => Some(vec![name]),
            },
            Expr::Select(select) if !select.test => self.path(&select.operand).map(|path| child(path, &select.field)),
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [operand, index] = call.args.as_slice() else { return None };
                Some(child(self.path(operand)?, string(index)?))
            }
            _ => None,
        }
    }

    /// The way of `claims.?a.b`: where the optional's value stands, if it has one.
    pub(super) fn optional(&self, node: &'e Expression) -> Option<Path<'e>> {
        match &node.expr {
            Expr::Ident(name) => self.0.get(name.as_str())?.optional.clone(),
            Expr::Select(select) if !select.test => {
                self.optional(&select.operand).map(|path| child(path, &select.field))
            }
            Expr::Call(call) if [operators::OPT_SELECT, operators::OPT_INDEX].contains(&call.func_name.as_str()) => {
                let [operand, field] = call.args.as_slice() else { return None };
                Some(child(self.optional(operand).or_else(|| self.path(operand))?, string(field)?))
            }
            _ => None,
        }
    }

    /// What holds where `node` is `truth`; nothing where it can't be.
    pub(super) fn proves(&self, node: &'e Expression, truth: bool, proof: Proof) -> Option<Facts<'e>> {
        match &node.expr {
            Expr::Literal(LiteralValue::Boolean(literal)) => (*literal.inner() == truth).then(Facts::default),
            Expr::Ident(name) => match self.0.get(name.as_str()) {
                Some(known) => {
                    if truth {
                        known.yes.clone()
                    } else {
                        known.no.clone()
                    }
                }
                None => Some(Facts::default()),
            },
            Expr::Select(select) if select.test && truth => {
                let path = self.path(&select.operand).map(|path| child(path, &select.field));
                Some(path.map_or_else(Facts::default, |path| Facts::present(&path)))
            }
            Expr::Call(call) => self.call_proves(node, call, truth, proof),
            _ => Some(self.read_if(node, proof)),
        }
    }

    fn call_proves(&self, node: &'e Expression, call: &'e CallExpr, truth: bool, proof: Proof) -> Option<Facts<'e>> {
        let both = |a: Option<Facts<'e>>, b: Option<Facts<'e>>| Some(a?.and(&b?));
        let either = |a: Option<Facts<'e>>, b: Option<Facts<'e>>| match (a, b) {
            (Some(a), Some(b)) => Some(a.common(&b)),
            (one, other) => one.or(other),
        };
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, [one]) => self.proves(one, !truth, proof),
            (name @ (operators::LOGICAL_AND | operators::LOGICAL_OR), [a, b]) => {
                let (a, b) = (self.proves(a, truth, proof), self.proves(b, truth, proof));
                if (name == operators::LOGICAL_AND) == truth { both(a, b) } else { either(a, b) }
            }
            (operators::CONDITIONAL, [condition, a, b]) => either(
                both(self.proves(condition, true, proof), self.proves(a, truth, proof)),
                both(self.proves(condition, false, proof), self.proves(b, truth, proof)),
            ),
            (operators::EQUALS, [a, b]) => self.equal(a, b, truth, proof),
            (operators::NOT_EQUALS, [a, b]) => self.equal(a, b, !truth, proof),
            (operators::IN, [name, container]) if truth => {
                let mut facts = self.read_if(node, proof);
                if let (Some(name), Some(path)) = (string(name), self.path(container)) {
                    facts.learn(&Facts::present(&child(path, name)));
                }
                if let (Some(path), Expr::List(list)) = (self.path(name), &container.expr)
                    && let Some(kinds) = list.elements.iter().map(literal).collect::<Option<Vec<_>>>()
                    && proof == Proof::Read
                {
                    let kinds = kinds.into_iter().fold(Kinds::default(), Kinds::and);
                    facts.learn(&Facts::is_not(path, kinds.but(), proof));
                }
                Some(facts)
            }
            ("hasValue", []) if truth => {
                let path = call.target.as_ref().and_then(|target| self.optional(target));
                Some(path.map_or_else(Facts::default, |path| Facts::present(&path)))
            }
            _ => Some(self.read_if(node, proof)),
        }
    }

    fn equal(&self, a: &'e Expression, b: &'e Expression, truth: bool, proof: Proof) -> Option<Facts<'e>> {
        for (one, other) in [(a, b), (b, a)] {
            if let Expr::Literal(LiteralValue::Boolean(literal)) = &other.expr
                && !matches!(one.expr, Expr::Literal(_))
                && truth
            {
                return self.proves(one, *literal.inner(), proof);
            }
        }
        let mut facts = if proof == Proof::Read { self.reads(a).and(&self.reads(b)) } else { Facts::default() };
        for (one, other) in [(a, b), (b, a)] {
            // `type(claims.x) == string`, `claims.x != null`, `claims.x == "text"`.
            let (subject, kinds) = match (&one.expr, &other.expr) {
                (Expr::Call(call), Expr::Ident(name)) if call.func_name == "type" => {
                    (call.args.first(), Kinds::named(name))
                }
                _ => (Some(one), literal(other)),
            };
            let (Some(path), Some(kinds)) = (subject.and_then(|subject| self.path(subject)), kinds) else { continue };
            let not = match truth {
                true => kinds.but(),
                false if kinds == Kinds::NULL || !matches!(other.expr, Expr::Literal(_)) => kinds,
                false => continue,
            };
            facts.learn(&Facts::is_not(path, not, proof));
        }
        Some(facts)
    }

    fn read_if(&self, node: &'e Expression, proof: Proof) -> Facts<'e> {
        if proof == Proof::Read { self.reads(node) } else { Facts::default() }
    }

    /// What holds once `node` has a value, whichever.
    pub(super) fn reads(&self, node: &'e Expression) -> Facts<'e> {
        let all = |nodes: &'e [Expression]| nodes.iter().fold(Facts::default(), |all, one| all.and(&self.reads(one)));
        match &node.expr {
            Expr::Ident(name) => self.0.get(name.as_str()).map_or_else(Facts::default, |known| known.read.clone()),
            Expr::Select(select) => {
                let whole = if select.test { self.path(&select.operand) } else { self.path(node) };
                whole.map_or_else(Facts::default, |path| Facts::present(&path)).and(&self.reads(&select.operand))
            }
            Expr::Call(call) => match call.func_name.as_str() {
                operators::LOGICAL_AND | operators::LOGICAL_OR => {
                    let (yes, no) = (self.proves(node, true, Proof::Read), self.proves(node, false, Proof::Read));
                    match (yes, no) {
                        (Some(yes), Some(no)) => yes.common(&no),
                        (one, other) => one.or(other).unwrap_or_default(),
                    }
                }
                operators::CONDITIONAL => {
                    call.args.first().map_or_else(Facts::default, |condition| self.reads(condition))
                }
                operators::INDEX => {
                    self.path(node).map_or_else(Facts::default, |path| Facts::present(&path)).and(&all(&call.args))
                }
                _ => call.target.iter().fold(all(&call.args), |facts, target| facts.and(&self.reads(target))),
            },
            Expr::List(list) => all(&list.elements),
            Expr::Comprehension(inner) => self.reads(&inner.iter_range),
            _ => Facts::default(),
        }
    }
}

fn child<'e>(mut path: Path<'e>, name: &'e str) -> Path<'e> {
    path.push(name);
    path
}

/// The kinds that can equal a literal.
fn literal(node: &Expression) -> Option<Kinds> {
    let Expr::Literal(literal) = &node.expr else { return None };
    Some(type_of(literal).equals())
}
