//! Comparisons that can come out in one way only.
//!
//! Decides whether two values can be equal: by their types, and by the values that a platform documents for a claim.

use cel::common::ast::Expr;
use cel::parser::Expression;

use super::facts::Path;
use super::ty::{Members, Type};
use super::walk::Checker;
use crate::policy::code::Code;
use crate::policy::guard::string;
use crate::trust::Claim;

impl<'e> Checker<'e, '_> {
    /// `a == b`, or `a != b`.
    pub(super) fn equality(&mut self, node: &'e Expression, a: &'e Expression, b: &'e Expression, equal: bool) {
        let (left, right) = (self.check(a), self.check(b));
        if self.impossible_kind(node, (a, &left), (b, &right), equal) {
            return;
        }
        let come = if equal { "never equal" } else { "always different" };
        let numbers = left.is_number() && right.is_number();
        if numbers && !left.kinds().meets(right.kinds()) {
            let message =
                format!("{} is {} and {} is {}", self.clause.text(a), left.a(), self.clause.text(b), right.a());
            let help = self.rewritten(b, &left).or_else(|| self.rewritten(a, &right));
            let issue = self.issue(Code::NumberKind, self.clause.node(node), message);
            issue.labelled(format!("{left} and {right}"));
            issue.help = Some(match help {
                Some(literal) => format!("an integer of a token is an `int`: write `{literal}`"),
                None => "an integer of a token is an `int`; a fraction is a `double`: convert one of them".to_owned(),
            });
            return;
        }
        if !left.can_equal(&right) {
            let message = format!(
                "{} is {} and {} is {}: they are {come}",
                self.clause.text(a),
                left.a(),
                self.clause.text(b),
                right.a()
            );
            let help = self.meant((a, &left), (b, &right)).or_else(|| self.meant((b, &right), (a, &left)));
            let issue = self.issue(Code::NeverEqual, self.clause.node(node), message);
            issue.labelled(format!("{left} and {right}"));
            issue.help = help;
            return;
        }
        self.documented_value(a, b);
        self.documented_value(b, a);
    }

    /// What to write instead of the literal `other`, to compare it with `node`.
    fn meant(
        &self,
        (node, ty): (&'e Expression, &Type<'e>),
        (other, theirs): (&'e Expression, &Type<'e>),
    ) -> Option<String> {
        let text = self.clause.text(node);
        let text = text.trim_matches('`');
        if matches!(theirs, Type::Null) {
            return Some(match self.claim(node) {
                Some(_) => format!("it is never null; whether it is there, `has({text})` says"),
                None => format!("{text} is never null"),
            });
        }
        if let (Type::List(inside), Some(_)) = (ty, string(other))
            && inside.can_equal(theirs)
        {
            let other = self.clause.text(other);
            return Some(format!("`{} in {text}` asks for one element", other.trim_matches('`')));
        }
        let literal = self.rewritten(other, ty)?;
        Some(match self.claim(node) {
            Some(_) => format!("the platform sends {}: write `{literal}`", ty.a()),
            None => format!("write `{literal}`"),
        })
    }

    /// `type(x) == int` for an `x` that never is one.
    fn impossible_kind(
        &mut self,
        node: &'e Expression,
        (a, left): (&'e Expression, &Type<'e>),
        (b, right): (&'e Expression, &Type<'e>),
        equal: bool,
    ) -> bool {
        if !matches!((left, right), (Type::Kind, Type::Kind)) {
            return false;
        }
        let asked = [(a, b), (b, a)].into_iter().find_map(|(call, name)| match (&call.expr, &name.expr) {
            (Expr::Call(call), Expr::Ident(name)) if call.func_name == "type" => Some((call.args.first()?, name)),
            _ => None,
        });
        let Some((operand, name)) = asked else { return false };
        let Some(kinds) = super::ty::Kinds::named(name) else { return false };
        let issues = self.issues.len();
        let ty = self.check(operand);
        self.issues.truncate(issues);
        if ty.kinds().meets(kinds) || ty == Type::Never {
            return false;
        }
        let come = if equal { "never" } else { "always" };
        let message = format!("{} is {}, so that this is {come} true", self.clause.text(operand), ty.a());
        self.issue(Code::NeverEqual, self.clause.node(node), message).labelled(format!("{ty}, not {name}"));
        true
    }

    /// A literal outside the values that the platform documents for the claim `node`.
    pub(super) fn documented_value(&mut self, node: &'e Expression, literal: &'e Expression) {
        let (Some(claim), Some(text)) = (self.claim(node), string(literal)) else { return };
        let values = claim.values();
        if values.is_empty() || !matches!(Type::of(claim), Type::String | Type::OneOf(_)) {
            return;
        }
        if values.iter().any(|value| **value == *text) {
            return;
        }
        let message = format!("{} is never {}", self.clause.text(node), self.clause.text(literal));
        let known = values.iter().map(|value| format!("`\"{value}\"`")).collect::<Vec<_>>().join(", ");
        let range = self.clause.node(literal);
        self.issue(Code::NeverEqual, range, message)
            .labelled("not among the documented values")
            .helped(format!("the platform documents {known}"));
    }

    /// `element in container`.
    pub(super) fn contained(&mut self, node: &'e Expression, element: &'e Expression, container: &'e Expression) {
        let of = self.check(container);
        let ty = self.check(element);
        for one in of.alternatives() {
            match one {
                Type::Object(Members(schema)) if string(element).is_some() => {
                    let name = string(element).unwrap_or_default();
                    self.documented(element, container, schema, name);
                }
                Type::Object(_) if ty.can_equal(&Type::String) => self.dynamic |= ty.is_dyn(),
                Type::List(inside) if inside.can_equal(&ty) => {}
                Type::Map(key, _) if key.can_equal(&ty) => {}
                Type::Dyn => self.dynamic = true,
                Type::List(_) | Type::Map(..) | Type::Object(_) => {
                    let message = format!("{} is {}, which {} never holds", self.clause.text(element), ty.a(), one.a());
                    let help = match &container.expr {
                        Expr::List(list) => list.elements.iter().find_map(|literal| self.rewritten(literal, &ty)),
                        _ => match one {
                            Type::List(inside) => self.rewritten(element, inside),
                            _ => None,
                        },
                    };
                    let issue = self.issue(Code::NeverEqual, self.clause.node(node), message);
                    issue.labelled(format!("{ty} in {one}"));
                    issue.help = help.map(|literal| format!("write `{literal}`"));
                }
                other => {
                    let may = if of == *other { "is" } else { "may be" };
                    let message = format!(
                        "`in` looks into lists and maps, and {} {may} {}",
                        self.clause.text(container),
                        other.a()
                    );
                    let bare = self.clause.text(container);
                    let bare = bare.trim_matches('`');
                    let help = match other {
                        Type::String if of == *other => Some(format!("`{bare}.contains(..)` finds a part of a text")),
                        Type::String => Some(format!("ask first: `type({bare}) == list ? .. : ..`")),
                        _ => Self::not_null(bare, &of),
                    };
                    let issue = self.issue(Code::WrongOperand, self.clause.node(node), message);
                    issue.labelled(format!("{ty} in {of}"));
                    issue.help = help;
                }
            }
        }
        if let Expr::List(list) = &container.expr {
            list.elements.iter().for_each(|literal| self.documented_value(element, literal));
        }
    }

    /// The claim at the end of `path`.
    pub(super) fn claim_at(&self, path: &Path<'e>) -> Option<&'e Claim> {
        let (root, names) = path.split_first()?;
        let mut schema = if *root == "claims" { self.names.schema? } else { return None };
        let mut claim = None;
        for name in names {
            let found = schema.claim(name)?;
            claim = Some(found);
            if let Some(members) = found.members() {
                schema = members;
            }
        }
        claim
    }
}
