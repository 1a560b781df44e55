//! Reads what an operand stands for: a claim by its names, an element of one, `issuer`, a `let` variable for one of them.

use cel::common::ast::{Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::read::{Element, Reader};
use super::{Absent, Demand, Literal, Of, Scope, Test};
use crate::policy::comprehension::Bound;
use crate::policy::guard::{is_claims, string};
use crate::policy::language::ISSUER;
use crate::policy::trace::Part;
use crate::trust::ClaimPath;

/// What an operand stands for: a claim, the element of one, `issuer`.
pub(super) struct Term {
    pub(super) of: Of,
    pub(super) via: String,
    pub(super) scope: Scope,
    /// `.?x`: an optional, not the value itself.
    pub(super) optional: bool,
    /// What stands for an absent claim: a literal, or an empty list.
    pub(super) default: Option<Option<Literal>>,
    /// Of an element: what an absent list does.
    pub(super) absent: Absent,
}

impl Term {
    pub(super) fn claim(path: ClaimPath) -> Self {
        let of = Of::Claim(path);
        Self { of, via: String::new(), scope: Scope::Value, optional: false, default: None, absent: Absent::Errs }
    }
}

impl<'t> Reader<'t> {
    /// The claim, element or name that `node` stands for.
    pub(super) fn term(&mut self, node: &'t Expression, part: Part) -> Option<Term> {
        let left = self.left.checked_sub(1)?;
        self.left = left;
        if let Some(term) = self.path(node) {
            return Some(term);
        }
        match &node.expr {
            Expr::Ident(name) => {
                let (tree, part) = self.variable(name, part)?;
                self.within(name, |reader| reader.term(tree, part))
            }
            Expr::Comprehension(inner) => {
                let bound = Bound::of(inner)?;
                self.with((bound.name, bound.value), |reader| reader.term(bound.within, part))?
            }
            Expr::Call(call) => {
                let args: Vec<&'t Expression> = call.target.as_deref().into_iter().chain(&call.args).collect();
                match (call.func_name.as_str(), args.as_slice()) {
                    ("orValue", [optional, default]) => {
                        let term = self.term(optional, part).filter(|term| term.optional)?;
                        let (default, _) = self.resolve(default, part);
                        let default = if is_empty_list(default) { None } else { Some(literal(default)?) };
                        Some(Term { optional: false, default: Some(default), ..term })
                    }
                    ("value", [optional]) => {
                        let term = self.term(optional, part).filter(|term| term.optional)?;
                        Some(Term { optional: false, ..term })
                    }
                    ("dyn", [value]) => self.term(value, part),
                    (name @ ("string" | "lowerAscii" | "upperAscii" | "trim" | "hex" | "int"), [value]) => {
                        let term = self.term(value, part).filter(|term| !term.optional && term.default.is_none())?;
                        Some(Term { via: format!("{}{name}.", term.via), ..term })
                    }
                    (operators::CONDITIONAL, [condition, then, other]) => self.guarded(condition, then, other, part),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// `has(claims.x) ? claims.x : ""`.
    fn guarded(
        &mut self,
        condition: &'t Expression,
        then: &'t Expression,
        other: &'t Expression,
        part: Part,
    ) -> Option<Term> {
        let (other, _) = self.resolve(other, part);
        let default = if is_empty_list(other) { None } else { Some(literal(other)?) };
        let Demand::Atom(asked) = self.read(condition, true, part) else { return None };
        let term = self.term(then, part).filter(|term| !term.optional && term.default.is_none())?;
        let same = asked.test == Test::Present && asked.holds && asked.of == term.of && asked.scope == term.scope;
        // `string(x)` of a string is the string.
        let via = if term.via == "string." { String::new() } else { term.via };
        same.then_some(Term { via, default: Some(default), ..term })
    }

    /// A claim, by its names, from `claims` or from a variable that stands for one.
    pub(super) fn path(&mut self, node: &'t Expression) -> Option<Term> {
        let left = self.left.checked_sub(1)?;
        self.left = left;
        let (operand, name, optional) = match &node.expr {
            Expr::Ident(name) if name == ISSUER => {
                return Some(Term { of: Of::Issuer, ..Term::claim(ClaimPath::top("")) });
            }
            Expr::Ident(_) if is_claims(node) => return Some(Term::claim(ClaimPath::top(""))),
            Expr::Ident(name) => {
                if let Some(element) = self.elements.iter().rev().find(|element| element.name == name) {
                    let Element { of, scope, absent, .. } = element.clone();
                    return Some(Term { of, via: String::new(), scope, optional: false, default: None, absent });
                }
                let (tree, _) = self.variable(name, Part::Condition(0))?;
                return self.within(name, |reader| reader.path(tree));
            }
            Expr::Select(select) if !select.test => (&*select.operand, select.field.as_str(), false),
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::INDEX, [operand, name]) => (operand, string(name)?, false),
                (operators::OPT_INDEX | operators::OPT_SELECT, [operand, name]) => (operand, string(name)?, true),
                _ => return None,
            },
            _ => return None,
        };
        if is_claims(operand) {
            return Some(Term { optional, ..Term::claim(ClaimPath::top(name)) });
        }
        let outer = self.path(operand)?;
        let of = child(&outer.of, name, false);
        Some(Term { of, optional: optional || outer.optional, ..outer })
    }
}

pub(super) fn child(of: &Of, name: &str, is_top: bool) -> Of {
    match of {
        _ if is_top => Of::Claim(ClaimPath::top(name)),
        Of::Claim(path) => Of::Claim(path.child(name)),
        Of::Issuer => Of::Issuer,
    }
}

/// What an absent list does to a test of its elements.
pub(super) fn absent_list(list: &Term, scope: Scope) -> Absent {
    match (&list.default, scope) {
        (None, _) => Absent::Errs,
        (Some(None), Scope::Every) => Absent::Meets,
        (Some(None), _) => Absent::Fails,
        (Some(Some(_)), _) => Absent::Errs,
    }
}

pub(super) fn is_empty_list(node: &Expression) -> bool {
    matches!(&node.expr, Expr::List(list) if list.elements.is_empty())
}

pub(super) fn literal(node: &Expression) -> Option<Literal> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(Literal::Text(text.inner().to_owned())),
        Expr::Literal(LiteralValue::Boolean(value)) => Some(Literal::Bool(*value.inner())),
        Expr::Literal(LiteralValue::Int(value)) => Some(Literal::Int(*value.inner())),
        Expr::Literal(LiteralValue::UInt(value)) => Some(Literal::Uint(*value.inner())),
        Expr::Literal(LiteralValue::Null) => Some(Literal::Null),
        _ => None,
    }
}
