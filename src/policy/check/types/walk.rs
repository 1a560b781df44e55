//! One expression, walked from the top: each node's type, with what is known at that place.
//!
//! Decides members, literals and logic; [`calls`](super::calls) does functions and operators, [`macros`](super::macros)
//! what binds variables. Recursive: only for trees that [`judge`](crate::policy::guard::judge) bounded.

use std::borrow::Cow;
use std::collections::HashMap;

use cel::common::ast::{EntryExpr, Expr, ListExpr, SelectExpr};
use cel::parser::Expression;

use super::facts::{Facts, Lets, Path, Proof};
use super::literal::type_of;
use super::tell::{Clause, Issue};
use super::ty::{Members, Type};
use crate::policy::code::Code;
use crate::policy::guard::dotted;
use crate::policy::language::{CLAIMS, QUALIFIED_TYPES, TYPES};
use crate::trust::{Claim, ClaimSchema, Presence, UnknownMembers};

/// The names that an expression sees.
#[derive(Clone, Debug, Default)]
pub(super) struct Names<'e> {
    /// The documented claims; nothing where they are not known.
    pub(super) schema: Option<&'e ClaimSchema>,
    /// Everything but `claims` and the names of types.
    pub(super) types: HashMap<&'e str, Type<'e>>,
}

/// The walk over one expression.
pub(super) struct Checker<'e, 'x> {
    pub(super) names: &'x Names<'e>,
    /// Variables with a known expression: those of the rule, and of `cel.bind` around.
    pub(super) lets: Cow<'x, Lets<'e>>,
    pub(super) clause: &'x Clause<'e>,
    /// What is known here.
    pub(super) facts: Facts<'e>,
    /// Variables of comprehensions, innermost last.
    pub(super) bound: Vec<(&'e str, Type<'e>)>,
    pub(super) issues: Vec<Issue>,
    /// Whether anything was taken on trust, because it is `dyn`.
    pub(super) dynamic: bool,
    /// Whether presence is of no interest, as in a variable that nothing mentions.
    pub(super) present: bool,
}

impl<'e> Checker<'e, '_> {
    /// The type of `node`.
    pub(super) fn check(&mut self, node: &'e Expression) -> Type<'e> {
        match &node.expr {
            Expr::Literal(literal) => type_of(literal),
            Expr::Ident(name) => {
                let ty = self.variable(name);
                self.narrowed(node, ty)
            }
            Expr::Select(select) if select.test => self.has(node, select),
            Expr::Select(_) if is_type(node) => Type::Kind,
            Expr::Select(select) => self.member(node, &select.operand, &select.field),
            Expr::Call(call) => self.call(node, call),
            Expr::List(list) => Type::list(self.elements(list)),
            Expr::Map(map) => {
                let (mut keys, mut values) = (Type::Never, Type::Never);
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    keys = keys.or(self.check(&entry.key));
                    let value = self.check(&entry.value);
                    values = values.or(if entry.optional { self.unwrapped(&entry.value, value) } else { value });
                }
                Type::map(keys, values)
            }
            Expr::Comprehension(inner) => self.comprehension(inner),
            Expr::Struct(message) => {
                for entry in &message.entries {
                    if let EntryExpr::StructField(field) = &entry.expr {
                        self.check(&field.value);
                    }
                }
                self.unknown()
            }
            Expr::Unspecified => self.unknown(),
        }
    }

    /// A value of which nothing is known.
    pub(super) fn unknown(&mut self) -> Type<'e> {
        self.dynamic = true;
        Type::Dyn
    }

    /// `node`, with more known meanwhile.
    pub(super) fn knowing(&mut self, more: Option<Facts<'e>>, node: &'e Expression) -> Type<'e> {
        let Some(more) = more else { return self.check(node) };
        let before = self.facts.clone();
        self.facts.learn(&more);
        let ty = self.check(node);
        self.facts = before;
        ty
    }

    /// What holds where `node` is `truth`.
    pub(super) fn proves(&self, node: &'e Expression, truth: bool, proof: Proof) -> Option<Facts<'e>> {
        self.lets.proves(node, truth, proof)
    }

    fn variable(&mut self, name: &'e str) -> Type<'e> {
        if let Some((_, ty)) = self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return ty.clone();
        }
        match name {
            CLAIMS => self.names.schema.map_or(Type::Dyn, |schema| Type::Object(Members(schema))),
            _ if TYPES.contains(&name) => Type::Kind,
            _ => self.names.types.get(name).cloned().unwrap_or(Type::Dyn),
        }
    }

    /// `ty` without what `node` is known not to be.
    fn narrowed(&self, node: &'e Expression, ty: Type<'e>) -> Type<'e> {
        match self.lets.path(node) {
            Some(path) => ty.without(self.facts.not(&path)),
            None => ty,
        }
    }

    fn elements(&mut self, list: &'e ListExpr) -> Type<'e> {
        let mut all = Type::Never;
        for (index, element) in list.elements.iter().enumerate() {
            let ty = self.check(element);
            let ty = if list.optional_indices.contains(&index) { self.unwrapped(element, ty) } else { ty };
            all = all.or(ty);
        }
        all
    }

    /// The value of `?x` in a list or a map.
    fn unwrapped(&mut self, node: &'e Expression, ty: Type<'e>) -> Type<'e> {
        match ty {
            Type::Optional(inner) => (*inner).clone(),
            Type::Dyn => self.unknown(),
            other => {
                let message = format!("`?` wants an optional, and {} is {}", self.clause.text(node), other.a());
                self.issue(Code::WrongOperand, self.clause.node(node), message);
                Type::Dyn
            }
        }
    }

    /// `operand.field`, or `operand["field"]`.
    pub(super) fn member(&mut self, node: &'e Expression, operand: &'e Expression, field: &'e str) -> Type<'e> {
        let of = self.check(operand);
        let path = self.lets.path(node);
        let mut found = Type::Never;
        for one in of.alternatives() {
            found = found.or(match one {
                Type::Object(Members(schema)) => match self.documented(node, operand, schema, field) {
                    Some(claim) => {
                        if claim.presence() != Presence::Required {
                            self.guarded(node, claim, path.as_ref());
                        }
                        Type::of(claim)
                    }
                    None => Type::Dyn,
                },
                Type::Optional(inner) => Type::optional(self.chosen(node, operand, inner, field)),
                Type::Map(_, value) => {
                    self.dynamic |= value.is_dyn();
                    (**value).clone()
                }
                Type::Dyn => self.unknown(),
                other => self.no_member(node, operand, &of, other),
            });
        }
        self.narrowed(node, found)
    }

    /// `operand.?field`: the type that the optional holds.
    pub(super) fn chosen(
        &mut self,
        node: &'e Expression,
        operand: &'e Expression,
        of: &Type<'e>,
        field: &'e str,
    ) -> Type<'e> {
        let mut found = Type::Never;
        for one in of.alternatives() {
            found = found.or(match one {
                Type::Object(Members(schema)) => {
                    self.documented(node, operand, schema, field).map_or(Type::Dyn, Type::of)
                }
                Type::Optional(inner) => self.chosen(node, operand, inner, field),
                Type::Map(_, value) => (**value).clone(),
                Type::Dyn => Type::Dyn,
                // `.?` on null is none.
                Type::Null => Type::Never,
                other => self.no_member(node, operand, of, other),
            });
        }
        found
    }

    /// `has(operand.field)`.
    fn has(&mut self, node: &'e Expression, select: &'e SelectExpr) -> Type<'e> {
        let of = self.check(&select.operand);
        for one in of.alternatives() {
            match one {
                Type::Object(Members(schema)) => {
                    self.documented(node, &select.operand, schema, &select.field);
                }
                Type::Map(..) | Type::Optional(_) => {}
                Type::Dyn => self.dynamic = true,
                other => {
                    self.no_member(node, &select.operand, &of, other);
                }
            }
        }
        Type::Bool
    }

    /// The documented member, or a finding where there is none and there should be.
    pub(super) fn documented(
        &mut self,
        node: &'e Expression,
        operand: &'e Expression,
        schema: &'e ClaimSchema,
        field: &str,
    ) -> Option<&'e Claim> {
        if let Some(claim) = schema.claim(field) {
            return Some(claim);
        }
        self.dynamic = true;
        if schema.unknown_members() != UnknownMembers::Allowed {
            self.unknown_member(node, operand, schema, field);
        }
        None
    }

    /// Whether a claim that may be absent was asked for before it is read.
    fn guarded(&mut self, node: &'e Expression, claim: &Claim, path: Option<&Path<'e>>) {
        match path {
            Some(path) if self.present || self.facts.has(path) => {}
            Some(_) => self.unguarded(node, claim),
            // An element of a list: what was asked of it is not followed.
            None => self.dynamic = true,
        }
    }

    /// The claim that `node` reads, where it goes straight to one.
    pub(super) fn claim(&self, node: &'e Expression) -> Option<&'e Claim> {
        self.claim_at(&self.lets.path(node)?)
    }
}

/// Whether this is the name of a type that has dots: `google.protobuf.Timestamp`.
fn is_type(node: &Expression) -> bool {
    let Expr::Select(select) = &node.expr else { return false };
    ["Timestamp", "Duration"].contains(&select.field.as_str())
        && dotted(node).is_some_and(|name| QUALIFIED_TYPES.contains(&name.as_str()))
}
