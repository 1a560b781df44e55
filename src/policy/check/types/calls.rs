//! Functions and operators.
//!
//! Decides whether the operands fit, by the [`table`](super::table), and whether two values can be equal at all.

use cel::common::ast::{CallExpr, Expr, operators};
use cel::parser::Expression;

use super::facts::Proof;
use super::table;
use super::ty::{Members, Type};
use super::walk::Checker;
use crate::policy::code::Code;
use crate::policy::guard::string;

impl<'e> Checker<'e, '_> {
    pub(super) fn call(&mut self, node: &'e Expression, call: &'e CallExpr) -> Type<'e> {
        if let Some(target) = &call.target {
            return self.called_on(node, target, &call.func_name, &call.args);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [a, b]) => self.logic(a, b, true),
            (operators::LOGICAL_OR, [a, b]) => self.logic(a, b, false),
            (operators::LOGICAL_NOT, [one]) => {
                let ty = self.check(one);
                self.want_bool(one, &ty, Code::WrongOperand, "`!` negates");
                Type::Bool
            }
            (operators::CONDITIONAL, [condition, a, b]) => {
                let ty = self.check(condition);
                self.want_bool(condition, &ty, Code::WrongOperand, "`? :` asks");
                let yes = self.knowing(self.proves(condition, true, Proof::Read), a);
                let no = self.knowing(self.proves(condition, false, Proof::Read), b);
                yes.or(no)
            }
            (name @ (operators::EQUALS | operators::NOT_EQUALS), [a, b]) => {
                self.equality(node, a, b, name == operators::EQUALS);
                Type::Bool
            }
            (operators::IN, [element, container]) => {
                self.contained(node, element, container);
                Type::Bool
            }
            (operators::INDEX, [operand, index]) => match string(index) {
                Some(name) => self.member(node, operand, name),
                None => self.indexed(node, operand, index),
            },
            (name @ (operators::OPT_SELECT | operators::OPT_INDEX), [operand, index]) => {
                let of = self.check(operand);
                match string(index) {
                    Some(field) => Type::optional(self.chosen(node, operand, &of, field)),
                    None => {
                        let index = self.check(index);
                        self.dynamic |= name == operators::OPT_INDEX && of.is_dyn();
                        Type::optional(self.element_at(node, operand, &of, &index))
                    }
                }
            }
            (name, args) => self.function(node, name, None, args),
        }
    }

    /// `a && b` or `a || b`. Either operand can decide alone, so that each is judged by what the other asks.
    fn logic(&mut self, a: &'e Expression, b: &'e Expression, and: bool) -> Type<'e> {
        let who = if and { "`&&` joins" } else { "`||` joins" };
        let first = self.knowing(self.proves(b, and, Proof::Asked), a);
        self.want_bool(a, &first, Code::WrongOperand, who);
        let second = self.knowing(self.proves(a, and, Proof::Read), b);
        self.want_bool(b, &second, Code::WrongOperand, who);
        Type::Bool
    }

    fn called_on(
        &mut self,
        node: &'e Expression,
        target: &'e Expression,
        name: &'e str,
        args: &'e [Expression],
    ) -> Type<'e> {
        if let Expr::Ident(namespace) = &target.expr
            && !self.bound.iter().any(|(bound, _)| bound == namespace)
        {
            let qualified = format!("{namespace}.{name}");
            if table::is_qualified(&qualified) {
                return self.function(node, &qualified, None, args);
            }
            if let ("cel.bind", [variable, value, body]) = (qualified.as_str(), args) {
                return self.bind(variable, value, body);
            }
        }
        if let Some(ty) = self.binding_macro(target, name, args) {
            return ty;
        }
        if name == "value"
            && let Some(path) = self.lets.optional(target)
            && !self.facts.has(&path)
            && !self.present
            && let Some(claim) = self.claim_at(&path)
        {
            self.untested(node, target, claim);
        }
        self.function(node, name, Some(target), args)
    }

    /// A call that the table knows.
    fn function(
        &mut self,
        node: &'e Expression,
        name: &str,
        target: Option<&'e Expression>,
        args: &'e [Expression],
    ) -> Type<'e> {
        let operands: Vec<&'e Expression> = target.into_iter().chain(args).collect();
        let types: Vec<Type<'e>> = operands.iter().map(|operand| self.check(operand)).collect();
        match table::call(name, target.is_some(), &types) {
            table::Call::Fits(ty, trusting) => {
                self.dynamic |= trusting;
                if target.is_some() && self.senseless(node, name, &operands, &types) { Type::Dyn } else { ty }
            }
            table::Call::Unknown => self.unknown(),
            table::Call::Wrong { at, given, takes } => {
                self.wrong(node, name, (&operands, &types), at, &given, &takes, target.is_some());
                Type::Dyn
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what a call is")]
    fn wrong(
        &mut self,
        node: &'e Expression,
        name: &str,
        (operands, types): (&[&'e Expression], &[Type<'e>]),
        at: usize,
        given: &Type<'e>,
        takes: &[String],
        member: bool,
    ) {
        let Some((operand, whole)) = operands.get(at).zip(types.get(at)) else { return };
        let text = self.clause.text(operand);
        let bare = text.trim_matches('`').to_owned();
        let numbers = types.iter().all(|ty| ty.is_number() || ty.is_dyn()) && types.len() > 1;
        let null = Self::not_null(&bare, whole).filter(|_| matches!(given, Type::Null));
        if name.contains('_') && !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let operator = name.trim_matches('_');
            let code = if numbers { Code::NumberKind } else { Code::WrongOperand };
            let message = match types {
                [a, b] => format!("`{operator}` has no meaning for {} and {}", a.a(), b.a()),
                _ => format!("`{operator}` has no meaning for {}", whole.a()),
            };
            let help = null.or_else(|| convert(operands, types, operator, &|node| self.clause.text(node)));
            let issue = self.issue(code, self.clause.node(node), message);
            issue.label = types.iter().map(ToString::to_string).reduce(|all, one| format!("{all} {operator} {one}"));
            issue.help = help;
            return;
        }
        let takes = takes.join(" or ");
        let is = if given == whole { "is" } else { "may be" };
        let message = if member && at == 0 {
            format!("`{name}` is called on {}, and {text} {is} {}", one_of(&takes), given.a())
        } else {
            format!("`{name}` takes {}, and {text} {is} {}", one_of(&takes), given.a())
        };
        let number = given.is_number() && ["int", "uint", "double", "number"].contains(&takes.as_str());
        let convertible = ["string", "int", "double", "uint", "bytes"].contains(&takes.as_str());
        let simple = !matches!(given, Type::List(_) | Type::Map(..) | Type::Object(_) | Type::Null | Type::Optional(_));
        let help = null.or_else(|| match given {
            Type::Optional(_) => Some(format!("`{bare}.orValue(..)` is the value, or another where there is none")),
            _ => match self.rewritten(operand, &Type::Int).filter(|_| takes == "int") {
                Some(literal) => Some(format!("write `{literal}`")),
                None => (convertible && simple).then(|| format!("convert it: `{takes}({bare})`")),
            },
        });
        let code = if number { Code::NumberKind } else { Code::WrongArgument };
        let issue = self.issue(code, self.clause.node(operand), message);
        issue.label = Some(given.a());
        issue.help = help;
    }

    /// `operand[index]` where the index is no literal name.
    fn indexed(&mut self, node: &'e Expression, operand: &'e Expression, index: &'e Expression) -> Type<'e> {
        let of = self.check(operand);
        let index = self.check(index);
        let element = self.element_at(node, operand, &of, &index);
        self.dynamic |= of.is_dyn() || index.is_dyn() || element.is_dyn();
        element
    }

    fn element_at(
        &mut self,
        node: &'e Expression,
        operand: &'e Expression,
        of: &Type<'e>,
        index: &Type<'e>,
    ) -> Type<'e> {
        let mut found = Type::Never;
        for one in of.alternatives() {
            let fits = |key: &Type<'e>| index.alternatives().iter().all(|index| index.can_equal(key));
            found = found.or(match one {
                Type::List(element) if fits(&Type::Int) => (**element).clone(),
                Type::Map(key, value) if fits(key) => (**value).clone(),
                Type::Object(Members(_)) if fits(&Type::String) => Type::Dyn,
                Type::Optional(inner) => Type::optional(self.element_at(node, operand, inner, index)),
                Type::Dyn => Type::Dyn,
                other => {
                    let what = self.clause.text(operand);
                    let message = match other {
                        Type::List(_) | Type::Map(..) | Type::Object(_) => {
                            format!("{what} is {}, which {} can't look into", other.a(), index.a())
                        }
                        _ => format!("{what} is {}, which has no elements", of.a()),
                    };
                    self.issue(Code::WrongOperand, self.clause.node(node), message).labelled(format!("{of}[{index}]"));
                    Type::Dyn
                }
            });
        }
        found
    }
}

/// How the operands of an operator could be made to fit.
fn convert(
    operands: &[&Expression],
    types: &[Type<'_>],
    operator: &str,
    text: &dyn Fn(&Expression) -> String,
) -> Option<String> {
    let [a, b] = types else { return None };
    let (at, to) = match (a, b) {
        (Type::String, other)
            if operator == "+" && !matches!(other, Type::List(_) | Type::Map(..) | Type::Optional(_)) =>
        {
            (1, "string")
        }
        (other, Type::String)
            if operator == "+" && !matches!(other, Type::List(_) | Type::Map(..) | Type::Optional(_)) =>
        {
            (0, "string")
        }
        (Type::String, Type::Int) => (0, "int"),
        (Type::Int, Type::String) => (1, "int"),
        (Type::Int, Type::Double) => (0, "double"),
        (Type::Double, Type::Int) => (1, "double"),
        (Type::Int, Type::Uint) => (1, "int"),
        (Type::Uint, Type::Int) => (0, "int"),
        (Type::Timestamp, Type::Int) => (1, if operator == "+" || operator == "-" { "duration" } else { "timestamp" }),
        (Type::Int, Type::Timestamp) => (0, "timestamp"),
        _ => return None,
    };
    let operand = text(operands.get(at)?);
    let bare = operand.trim_matches('`');
    Some(match to {
        "duration" => format!("a span of time is `duration(\"{bare}s\")`"),
        _ => format!("convert it: `{to}({bare})`"),
    })
}

fn one_of(takes: &str) -> String {
    let article = if takes.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {takes}")
}
