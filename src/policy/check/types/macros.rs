//! What binds variables: `all`, `exists`, `map`, `filter` and their like, `optMap`, `cel.bind`.
//!
//! Decides what a variable is, and what comes of its expression. The parser has expanded those of one variable; what they
//! said is read back from the shape that it makes. The others are still calls here.

use std::borrow::Cow;

use cel::common::ast::{ComprehensionExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::facts::{Facts, Lets, Proof};
use super::table::{self, Call};
use super::ty::{Members, Type};
use super::walk::Checker;
use crate::policy::code::Code;

/// What the parser made a comprehension of.
struct Said<'e> {
    name: &'static str,
    test: Option<&'e Expression>,
    /// What is collected, for `map`.
    value: Option<&'e Expression>,
}

/// Reads a macro back: a bool or a count that is folded, or a list that is appended to.
fn said(inner: &ComprehensionExpr) -> Option<Said<'_>> {
    let Expr::Call(step) = &inner.loop_step.expr else { return None };
    match &inner.accu_init.expr {
        Expr::Literal(LiteralValue::Boolean(init)) => {
            let name = if *init.inner() { "all" } else { "exists" };
            Some(Said { name, test: step.args.get(1), value: None })
        }
        Expr::Literal(LiteralValue::Int(_)) => Some(Said { name: "exists_one", test: step.args.first(), value: None }),
        Expr::List(_) if step.func_name == operators::CONDITIONAL => {
            let value = element(step.args.get(1)?)?;
            let is_filter = matches!(&value.expr, Expr::Ident(name) if *name == inner.iter_var);
            let name = if is_filter { "filter" } else { "map" };
            Some(Said { name, test: step.args.first(), value: Some(value) })
        }
        Expr::List(_) => Some(Said { name: "map", test: None, value: Some(element(&inner.loop_step)?) }),
        _ => None,
    }
}

/// The `x` of `@result + [x]`.
fn element(step: &Expression) -> Option<&Expression> {
    let Expr::Call(call) = &step.expr else { return None };
    let Expr::List(list) = &call.args.get(1)?.expr else { return None };
    list.elements.first()
}

/// What is known outside a macro's variables.
type Outside<'e, 'x> = (Facts<'e>, Cow<'x, Lets<'e>>);

impl<'e, 'x> Checker<'e, 'x> {
    pub(super) fn comprehension(&mut self, inner: &'e ComprehensionExpr) -> Type<'e> {
        let range = self.check(&inner.iter_range);
        let Some(said) = said(inner) else { return self.unknown() };
        let (element, _) = self.elements_of(&inner.iter_range, &range, said.name, false);
        let before = self.enter(&[(&inner.iter_var, element)]);
        if let Some(test) = said.test {
            let ty = self.check(test);
            self.want_bool(test, &ty, Code::WrongArgument, &format!("`{}` asks", said.name));
        }
        let value = said.value.map(|value| {
            let proven = said.test.and_then(|test| self.proves(test, true, Proof::Read));
            self.knowing(proven, value)
        });
        self.leave(before, 1);
        value.map_or(Type::Bool, Type::list)
    }

    /// Macros of two variables and of optionals, and `sortBy`; nothing for any other call.
    pub(super) fn binding_macro(
        &mut self,
        target: &'e Expression,
        name: &'e str,
        args: &'e [Expression],
    ) -> Option<Type<'e>> {
        match (name, args) {
            ("all" | "exists" | "existsOne" | "exists_one", [first, second, test]) => {
                let before = self.enter_two(target, name, first, second)?;
                let ty = self.check(test);
                self.want_bool(test, &ty, Code::WrongArgument, &format!("`{name}` asks"));
                self.leave(before, 2);
                Some(Type::Bool)
            }
            ("transformList" | "transformMap" | "transformMapEntry", [first, second, rest @ ..]) => {
                let before = self.enter_two(target, name, first, second)?;
                let key = self.bound.iter().rev().nth(1).map_or(Type::Dyn, |(_, ty)| ty.clone());
                let (test, value) = match rest {
                    [value] => (None, value),
                    [test, value] => (Some(test), value),
                    _ => return Some(self.unknown()),
                };
                if let Some(test) = test {
                    let ty = self.check(test);
                    self.want_bool(test, &ty, Code::WrongArgument, &format!("`{name}` asks"));
                }
                let proven = test.and_then(|test| self.proves(test, true, Proof::Read));
                let value = self.knowing(proven, value);
                self.leave(before, 2);
                Some(match name {
                    "transformList" => Type::list(value),
                    "transformMap" => Type::map(key, value),
                    _ if matches!(value, Type::Map(..)) => value,
                    _ => self.unknown(),
                })
            }
            ("optMap" | "optFlatMap", [variable, value]) => {
                let Expr::Ident(variable) = &variable.expr else { return None };
                let of = self.check(target);
                let inside = self.held(target, &of, name);
                let before = self.enter(&[(variable, inside)]);
                let value = self.check(value);
                self.leave(before, 1);
                Some(match value {
                    value if name == "optMap" => Type::optional(value),
                    Type::Optional(_) => value,
                    _ => self.unknown(),
                })
            }
            ("sortBy", [variable, key]) => {
                let Expr::Ident(variable) = &variable.expr else { return None };
                let of = self.check(target);
                let (element, _) = self.elements_of(target, &of, name, false);
                let before = self.enter(&[(variable, element)]);
                let by = self.check(key);
                self.leave(before, 1);
                if let Call::Wrong { .. } = table::call("sort", true, &[Type::list(by.clone())]) {
                    let message = format!(
                        "`sortBy` compares values of one type that has an order, and {} is {}",
                        self.clause.text(key),
                        by.a()
                    );
                    let range = self.clause.node(key);
                    self.issue(Code::WrongArgument, range, message).labelled(by.a());
                }
                Some(of)
            }
            _ => None,
        }
    }

    /// `cel.bind(variable, value, body)`.
    pub(super) fn bind(&mut self, variable: &'e Expression, value: &'e Expression, body: &'e Expression) -> Type<'e> {
        let Expr::Ident(variable) = &variable.expr else { return self.unknown() };
        let of = self.check(value);
        let known = self.lets.know(value);
        let before = self.enter(&[(variable, of)]);
        // It is evaluated first, whether the body mentions it or not.
        self.facts.learn(&known.read);
        self.lets.to_mut().0.insert(variable, known);
        let ty = self.check(body);
        self.leave(before, 1);
        ty
    }

    fn enter(&mut self, variables: &[(&'e str, Type<'e>)]) -> Outside<'e, 'x> {
        let before = (self.facts.clone(), self.lets.clone());
        for (name, ty) in variables {
            self.facts.forget(name);
            if self.lets.0.contains_key(name) {
                self.lets.to_mut().0.remove(name);
            }
            self.bound.push((name, ty.clone()));
        }
        before
    }

    fn leave(&mut self, before: Outside<'e, 'x>, variables: usize) {
        (self.facts, self.lets) = before;
        self.bound.truncate(self.bound.len().saturating_sub(variables));
    }

    fn enter_two(
        &mut self,
        target: &'e Expression,
        name: &str,
        first: &'e Expression,
        second: &'e Expression,
    ) -> Option<Outside<'e, 'x>> {
        let (Expr::Ident(first), Expr::Ident(second)) = (&first.expr, &second.expr) else { return None };
        let of = self.check(target);
        let (key, value) = self.elements_of(target, &of, name, true);
        Some(self.enter(&[(first, key), (second, value)]))
    }

    /// What a macro's variables are: an element or a key; of two, the index or key, and the element or value.
    fn elements_of(&mut self, range: &'e Expression, of: &Type<'e>, name: &str, two: bool) -> (Type<'e>, Type<'e>) {
        let (mut first, mut second) = (Type::Never, Type::Never);
        for one in of.alternatives() {
            let (a, b) = match one {
                Type::List(element) if two => (Type::Int, (**element).clone()),
                Type::List(element) => ((**element).clone(), Type::Never),
                Type::Map(key, value) => ((**key).clone(), (**value).clone()),
                Type::Object(Members(_)) => (Type::String, Type::Dyn),
                Type::Dyn => (self.unknown(), Type::Dyn),
                other => {
                    let text = self.clause.text(range);
                    let is = if of == other { "is" } else { "may be" };
                    let message = format!("`{name}` goes through lists and maps, and {text} {is} {}", other.a());
                    let bare = text.trim_matches('`');
                    let help = match other {
                        Type::Null => Self::not_null(bare, of),
                        Type::Optional(_) => Some(format!("`{bare}.orValue([])` is the list, or an empty one")),
                        _ if of != other => Some(format!("ask first: `type({bare}) == list ? .. : ..`")),
                        _ => None,
                    };
                    let range = self.clause.node(range);
                    let issue = self.issue(Code::WrongArgument, range, message);
                    issue.label = Some(of.a());
                    issue.help = help;
                    (Type::Dyn, Type::Dyn)
                }
            };
            (first, second) = (first.or(a), second.or(b));
        }
        (first, second)
    }

    /// What an optional holds.
    fn held(&mut self, target: &'e Expression, of: &Type<'e>, name: &str) -> Type<'e> {
        match of {
            Type::Optional(inner) => (**inner).clone(),
            Type::Dyn => self.unknown(),
            other => {
                let message =
                    format!("`{name}` is called on an optional, and {} is {}", self.clause.text(target), other.a());
                let range = self.clause.node(target);
                self.issue(Code::WrongArgument, range, message).labelled(other.a());
                Type::Dyn
            }
        }
    }
}
