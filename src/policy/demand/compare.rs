//! Reads comparisons: with a literal, a list of literals, another claim, a size.

use cel::common::ast::{Expr, operators};
use cel::parser::Expression;

use super::read::{Reader, constant};
use super::term::{Term, absent_list, is_empty_list, literal};
use super::{At, Demand, Literal, Opaque, Scope, Test};
use crate::policy::guard::{is_claims, string};
use crate::policy::trace::Part;
use crate::trust::ClaimPath;

impl<'t> Reader<'t> {
    pub(super) fn compare(
        &mut self,
        node: &'t Expression,
        (a, a_part): (&'t Expression, Part),
        (b, b_part): (&'t Expression, Part),
        holds: bool,
        part: Part,
    ) -> Demand {
        let Some(left) = self.left.checked_sub(1) else { return self.opaque(node, holds, part) };
        self.left = left;
        let (a, a_part) = self.resolve(a, a_part);
        let (b, b_part) = self.resolve(b, b_part);
        match (literal(a), literal(b)) {
            (Some(a), Some(b)) if a == b => return constant(holds),
            (Some(a), Some(b)) if std::mem::discriminant(&a) == std::mem::discriminant(&b) => return constant(!holds),
            (Some(_), None) => return self.compare_with(node, (b, b_part), (a, a_part), holds, part),
            _ => {}
        }
        self.compare_with(node, (a, a_part), (b, b_part), holds, part)
    }

    /// Compares what is read with a literal, or with another claim.
    fn compare_with(
        &mut self,
        node: &'t Expression,
        (subject, subject_part): (&'t Expression, Part),
        (value, value_part): (&'t Expression, Part),
        holds: bool,
        part: Part,
    ) -> Demand {
        let Some(wanted) = literal(value) else {
            let at = At::of(node, part);
            return match (self.term(subject, subject_part), self.term(value, value_part)) {
                (Some(a), Some(b)) if !a.optional && !b.optional && b.scope == Scope::Value => {
                    self.atom(a, Test::Same(b.of, b.via), holds, at)
                }
                (Some(term), None) if is_empty_list(value) && !term.optional => {
                    self.atom(term, Test::NonEmpty, !holds, at)
                }
                _ => self.opaque(node, holds, part),
            };
        };
        if let Some(term) = self.term(subject, subject_part) {
            let at = At::with(node, value, part, value_part);
            return if term.optional {
                self.opaque(node, holds, part)
            } else {
                self.atom(term, Test::Among(vec![wanted]), holds, at)
            };
        }
        if let Some(sized) = self.sized(subject, subject_part) {
            let at = At::of(node, part);
            return match wanted {
                Literal::Int(0) => self.atom(sized, Test::NonEmpty, !holds, at),
                // Some other size: not empty, and more than that.
                Literal::Int(1..) if holds => {
                    let more = self.opaque(node, holds, part);
                    Demand::all([self.atom(sized, Test::NonEmpty, true, at), more])
                }
                _ => self.opaque(node, holds, part),
            };
        }
        if let Some(demand) = self.sliced(node, subject, &wanted, holds, subject_part) {
            return demand;
        }
        if let Some(segment) = self.segment(subject, &wanted, subject_part).filter(|_| holds)
            && let Demand::Opaque(opaque) = self.opaque(node, holds, part)
        {
            return Demand::Opaque(Opaque { segment: Some(segment), ..opaque });
        }
        match (&subject.expr, wanted) {
            (Expr::Call(call), _) if call.func_name == operators::CONDITIONAL => match call.args.as_slice() {
                [condition, then, other] => {
                    let value = (value, value_part);
                    let yes = [
                        self.read(condition, true, subject_part),
                        self.compare(node, (then, subject_part), value, holds, part),
                    ];
                    let no = [
                        self.read(condition, false, subject_part),
                        self.compare(node, (other, subject_part), value, holds, part),
                    ];
                    Demand::any([Demand::all(yes), Demand::all(no)])
                }
                _ => self.opaque(node, holds, part),
            },
            (Expr::Call(_) | Expr::Comprehension(_) | Expr::Select(_), Literal::Bool(wanted)) => {
                self.read(subject, wanted == holds, subject_part)
            }
            _ => self.opaque(node, holds, part),
        }
    }

    /// `x in ["a", "b"]`, `"a" in claims.list`, `"a" in claims`.
    pub(super) fn membership(
        &mut self,
        node: &'t Expression,
        element: &'t Expression,
        container: &'t Expression,
        holds: bool,
        part: Part,
    ) -> Demand {
        let at = At::with(node, element, part, part);
        if is_claims(container) {
            let term = string(element).map(|name| Term::claim(ClaimPath::top(name)));
            return match term {
                Some(term) => self.atom(term, Test::Present, holds, at),
                None => self.opaque(node, holds, part),
            };
        }
        let (values, values_part) = self.resolve(container, part);
        if let Expr::List(list) = &values.expr {
            let literals: Option<Vec<Literal>> = list.elements.iter().map(literal).collect();
            let at = At::with(node, values, part, values_part);
            return match (self.term(element, part), literals) {
                (Some(term), Some(literals)) if !term.optional => self.atom(term, Test::Among(literals), holds, at),
                // One that is no literal may be anything, even the claim itself.
                (Some(_), None) => {
                    let one = |other| self.compare(node, (element, part), (other, values_part), holds, part);
                    let each: Vec<Demand> = list.elements.iter().map(one).collect();
                    if holds { Demand::any(each) } else { Demand::all(each) }
                }
                _ => self.opaque(node, holds, part),
            };
        }
        let (value, _) = self.resolve(element, part);
        match (self.term(values, values_part), literal(value)) {
            (Some(list), Some(wanted)) if list.scope == Scope::Value && !list.optional => {
                let scope = if holds { Scope::Some } else { Scope::Every };
                let term = Term { scope, absent: absent_list(&list, scope), default: None, ..list };
                self.atom(term, Test::Among(vec![wanted]), holds, at)
            }
            _ => self.opaque(node, holds, part),
        }
    }

    /// `size(x) > 0` and the like: the `x` that is not empty.
    pub(super) fn non_empty(
        &mut self,
        operator: &str,
        a: &'t Expression,
        b: &'t Expression,
        part: Part,
    ) -> Option<Term> {
        let int = |node| match literal(node) {
            Some(Literal::Int(value)) => Some(value),
            _ => None,
        };
        let (sized, least) = match (operator, int(a), int(b)) {
            (operators::GREATER, None, Some(than)) => (a, than.checked_add(1)?),
            (operators::GREATER_EQUALS, None, Some(least)) => (a, least),
            (operators::LESS, Some(than), None) => (b, than.checked_add(1)?),
            (operators::LESS_EQUALS, Some(least), None) => (b, least),
            _ => return None,
        };
        // More than one is more than "not empty": only its negation would be read wrongly, so that neither is read.
        if least == 1 { self.sized(sized, part) } else { None }
    }

    fn sized(&mut self, node: &'t Expression, part: Part) -> Option<Term> {
        let Expr::Call(call) = &node.expr else { return None };
        let args: Vec<&'t Expression> = call.target.as_deref().into_iter().chain(&call.args).collect();
        match (call.func_name.as_str(), args.as_slice()) {
            ("size", [of]) => self.term(of, part).filter(|term| !term.optional),
            _ => None,
        }
    }
}
