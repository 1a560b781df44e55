//! Reads `all`, `exists` and `exists_one` over the elements of a claim.

use cel::common::ast::{ComprehensionExpr, Expr, operators};
use cel::parser::Expression;

use super::read::{Element, Reader};
use super::term::{Term, absent_list, literal};
use super::{At, Atom, Demand, Literal, Scope, Test};
use crate::policy::comprehension::Bound;
use crate::policy::trace::Part;

/// Most elements of a list that is read element by element.
const MOST_ELEMENTS: usize = 64;

impl<'t> Reader<'t> {
    pub(super) fn comprehension(
        &mut self,
        node: &'t Expression,
        inner: &'t ComprehensionExpr,
        holds: bool,
        part: Part,
    ) -> Demand {
        if let Some(bound) = Bound::of(inner) {
            let read = self.with((bound.name, bound.value), |reader| reader.read(bound.within, holds, part));
            return read.unwrap_or_else(|| self.opaque(node, holds, part));
        }
        let Some((quantifier, body)) = Quantifier::of(inner) else { return self.opaque(node, holds, part) };
        if let Some(demand) = self.each_of(inner, (quantifier, body), holds, part) {
            return demand;
        }
        if self.bound.iter().any(|(known, _)| *known == inner.iter_var) {
            return self.opaque(node, holds, part);
        }
        let Some(list) = self.term(&inner.iter_range, part).filter(|list| list.scope == Scope::Value && !list.optional)
        else {
            return self.opaque(node, holds, part);
        };
        if quantifier == Quantifier::One && !holds {
            return self.opaque(node, holds, part);
        }
        // "not all" is "some not", "not any" is "all not".
        let scope = if (quantifier == Quantifier::All) == holds { Scope::Every } else { Scope::Some };
        let absent = absent_list(&list, scope);
        self.elements.push(Element { name: &inner.iter_var, of: list.of.clone(), scope, absent });
        let demand = self.read(body, holds, part);
        self.elements.pop();
        let exact = quantifier != Quantifier::One;
        let whole = At::of(node, part);
        match scope {
            Scope::Every if is_of_every(&demand) => spread(demand, whole),
            Scope::Every => self.opaque(node, holds, part),
            _ => {
                let there = self.atom(Term { default: None, absent, ..list }, Test::NonEmpty, true, whole);
                let exact = exact && is_of_some(&demand);
                let rest = if exact { Demand::Always } else { self.opaque(node, holds, part) };
                match demand {
                    // One test of an element says already that there is one.
                    Demand::Atom(atom) if atom.scope == Scope::Some => Demand::all([Demand::Atom(atom), rest]),
                    demand => Demand::all([demand, there, rest]),
                }
            }
        }
    }
}

impl<'t> Reader<'t> {
    /// Over a list that is spelled out: the condition of each of its elements.
    fn each_of(
        &mut self,
        inner: &'t ComprehensionExpr,
        (quantifier, body): (Quantifier, &'t Expression),
        holds: bool,
        part: Part,
    ) -> Option<Demand> {
        let (range, range_part) = self.resolve(&inner.iter_range, part);
        let Expr::List(list) = &range.expr else { return None };
        let simple = |element| range_part == part || literal(element).is_some();
        let readable =
            list.elements.len() <= MOST_ELEMENTS && inner.iter_var2.is_none() && quantifier != Quantifier::One;
        if !readable || !list.elements.iter().all(simple) {
            return None;
        }
        let one = |element| self.with((inner.iter_var.as_str(), element), |reader| reader.read(body, holds, part));
        let demands: Option<Vec<Demand>> = list.elements.iter().map(one).collect();
        // "not all" is "some not", "not any" is "all not".
        Some(if (quantifier == Quantifier::All) == holds { Demand::all(demands?) } else { Demand::any(demands?) })
    }
}

/// Which macro a comprehension comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    All,
    Any,
    One,
}

impl Quantifier {
    /// The quantifier and its condition.
    fn of(inner: &ComprehensionExpr) -> Option<(Self, &Expression)> {
        let Expr::Call(step) = &inner.loop_step.expr else { return None };
        let is_accu = |node: &Expression| matches!(&node.expr, Expr::Ident(name) if *name == inner.accu_var);
        match (literal(&inner.accu_init)?, step.func_name.as_str(), step.args.as_slice()) {
            (Literal::Bool(true), operators::LOGICAL_AND, [accu, body]) if is_accu(accu) => Some((Self::All, body)),
            (Literal::Bool(false), operators::LOGICAL_OR, [accu, body]) if is_accu(accu) => Some((Self::Any, body)),
            (Literal::Int(0), operators::CONDITIONAL, [body, _, accu]) if is_accu(accu) => Some((Self::One, body)),
            _ => None,
        }
    }
}

/// Whether a demand on an element, asked of every element, says just that.
fn is_of_every(demand: &Demand) -> bool {
    match demand {
        Demand::Always => true,
        Demand::Atom(atom) => atom.scope == Scope::Every,
        Demand::All(parts) => parts.iter().all(is_of_every),
        _ => false,
    }
}

/// Says of each test that it stands where the whole quantifier does.
fn spread(demand: Demand, whole: At) -> Demand {
    match demand {
        Demand::Atom(atom) => Demand::Atom(Atom { at: At { node: whole.node, ..atom.at }, ..atom }),
        Demand::All(parts) => Demand::All(parts.into_iter().map(|part| spread(part, whole)).collect()),
        other => other,
    }
}

/// Whether a demand on an element, asked of some element, says just that: two tests could be met by two elements.
fn is_of_some(demand: &Demand) -> bool {
    match demand {
        Demand::Always | Demand::Never | Demand::Atom(_) => true,
        Demand::Any(parts) => parts.iter().all(is_of_some),
        Demand::All(_) | Demand::Opaque(_) => false,
    }
}
