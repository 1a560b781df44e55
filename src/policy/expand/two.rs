//! Comprehensions over two variables: index and element of a list, key and value of a map.
//!
//! Decides their syntax trees, which have the second variable as the standard's have; the evaluator does not look at it,
//! and [`rewrite`](super::super::rewrite) turns them into comprehensions over entries.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, operators};
use cel::parser::Expression;

use super::build::Build;
use super::{operands, variable};
use crate::policy::compile::CompileError;
use crate::policy::language::{MAP_OF_MAPS, MAP_OF_PAIRS};

/// What is folded; the parser's name for it.
const RESULT: &str = "@result";

/// One variable, or two.
pub(super) type Variables = (String, Option<String>);

/// `range.all(i, v, condition)`.
pub(super) fn all(build: Build, call: CallExpr) -> Result<Expr, CompileError> {
    let (range, [i, v, condition]) = operands(call)?;
    let goes_on = build.call(operators::NOT_STRICTLY_FALSE, vec![build.ident(RESULT)]);
    let step = build.call(operators::LOGICAL_AND, vec![build.ident(RESULT), condition]);
    let fold = Fold { init: build.truth(true), goes_on, step, result: build.ident(RESULT) };
    Ok(fold.over(build, range, both("all", i, v)?).expr)
}

/// `range.exists(i, v, condition)`.
pub(super) fn exists(build: Build, call: CallExpr) -> Result<Expr, CompileError> {
    let (range, [i, v, condition]) = operands(call)?;
    let not_yet = build.call(operators::LOGICAL_NOT, vec![build.ident(RESULT)]);
    let goes_on = build.call(operators::NOT_STRICTLY_FALSE, vec![not_yet]);
    let step = build.call(operators::LOGICAL_OR, vec![build.ident(RESULT), condition]);
    let fold = Fold { init: build.truth(false), goes_on, step, result: build.ident(RESULT) };
    Ok(fold.over(build, range, both("exists", i, v)?).expr)
}

/// `range.existsOne(i, v, condition)`.
pub(super) fn exists_one(build: Build, call: CallExpr) -> Result<Expr, CompileError> {
    let (range, [i, v, condition]) = operands(call)?;
    Ok(count_one(build, range, both("existsOne", i, v)?, condition).expr)
}

/// `range.existsOne(v, condition)`.
pub(super) fn exists_one_of_one(build: Build, call: CallExpr) -> Result<Expr, CompileError> {
    let (range, [v, condition]) = operands(call)?;
    Ok(count_one(build, range, (variable("existsOne", v)?, None), condition).expr)
}

/// `range.transformList(i, v, element)`, or with a condition before the element.
pub(super) fn transform_list(build: Build, call: CallExpr) -> Result<Expr, CompileError> {
    let (range, variables, filter, element) = transformed("transformList", call)?;
    Ok(collect(build, range, variables, filter, element).expr)
}

/// `range.transformMap(k, v, value)`, or with a condition before the value: the keys stay.
pub(super) fn transform_map(build: Build, call: CallExpr) -> Result<Expr, CompileError> {
    let (range, variables, filter, value) = transformed("transformMap", call)?;
    let pair = build.list(vec![build.ident(&variables.0), value]);
    Ok(build.call(MAP_OF_PAIRS, vec![collect(build, range, variables, filter, pair)]).expr)
}

/// `range.transformMapEntry(k, v, {key: value})`, or with a condition before the map.
pub(super) fn transform_map_entry(build: Build, call: CallExpr) -> Result<Expr, CompileError> {
    let (range, variables, filter, entry) = transformed("transformMapEntry", call)?;
    Ok(build.call(MAP_OF_MAPS, vec![collect(build, range, variables, filter, entry)]).expr)
}

/// The list of `element` for each round in which `filter` holds. The evaluator knows this shape, and appends in place.
pub(super) fn collect(
    build: Build,
    range: Expression,
    variables: Variables,
    filter: Option<Expression>,
    element: Expression,
) -> Expression {
    let appended = build.call(operators::ADD, vec![build.ident(RESULT), build.list(vec![element])]);
    let step = match filter {
        Some(filter) => build.choose(filter, appended, build.ident(RESULT)),
        None => appended,
    };
    let fold = Fold { init: build.list(vec![]), goes_on: build.truth(true), step, result: build.ident(RESULT) };
    fold.over(build, range, variables)
}

fn count_one(build: Build, range: Expression, variables: Variables, condition: Expression) -> Expression {
    let one_more = build.call(operators::ADD, vec![build.ident(RESULT), build.int(1)]);
    let step = build.choose(condition, one_more, build.ident(RESULT));
    let result = build.call(operators::EQUALS, vec![build.ident(RESULT), build.int(1)]);
    Fold { init: build.int(0), goes_on: build.truth(true), step, result }.over(build, range, variables)
}

type Transformed = (Expression, Variables, Option<Expression>, Expression);

fn transformed(function: &'static str, call: CallExpr) -> Result<Transformed, CompileError> {
    if call.args.len() == 4 {
        let (range, [i, v, filter, value]) = operands(call)?;
        Ok((range, both(function, i, v)?, Some(filter), value))
    } else {
        let (range, [i, v, value]) = operands(call)?;
        Ok((range, both(function, i, v)?, None, value))
    }
}

fn both(function: &'static str, i: Expression, v: Expression) -> Result<Variables, CompileError> {
    let (i, v) = (variable(function, i)?, variable(function, v)?);
    if i == v {
        return Err(CompileError::Macro { function, wants: "two variables of different names" });
    }
    Ok((i, Some(v)))
}

/// A comprehension but for what it runs through.
struct Fold {
    init: Expression,
    goes_on: Expression,
    step: Expression,
    result: Expression,
}

impl Fold {
    fn over(self, build: Build, range: Expression, (iter_var, iter_var2): Variables) -> Expression {
        build.node(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range: range,
            iter_var,
            iter_var2,
            accu_var: RESULT.to_owned(),
            accu_init: self.init,
            loop_cond: self.goes_on,
            loop_step: self.step,
            result: self.result,
        })))
    }
}
