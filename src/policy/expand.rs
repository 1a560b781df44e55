//! The macros that the parser does not know, as the standard's syntax trees.
//!
//! Decides what `cel.bind`, the comprehensions over two variables, `optMap`, `sortBy`, `math.greatest` and their like
//! stand for. Refuses to evaluate and to judge: [`guard`](super::guard) judges the outcome, so that no macro is a way
//! around a bound. The parser's own macros are private, which is why these are expanded in its tree
//! (`docs/decisions/0025-cel-macros-on-the-tree.md`).
//!
//! A node made here has the id of the call that it stands for. Variables made here begin with `@`, which no source can
//! spell, and an operand is never copied: what is used twice is bound once.

mod build;
mod two;

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue};
use cel::parser::Expression;

pub(super) use self::build::Build;
use super::compile::CompileError;
use super::limits::{TREE_DEPTH, TREE_NODES};

/// The variable of a comprehension that is none: a `cel.bind` runs through no elements.
const UNUSED: &str = "@unused";

/// Expands all macros in `tree`. Its depth and size are bounded before anything here recurses.
///
/// # Errors
/// [`CompileError`] where the tree is too large, or a macro's arguments are of no use to it.
pub(super) fn expand(tree: &mut Expression) -> Result<(), CompileError> {
    bounded(tree)?;
    descend(tree)
}

/// Whether a comprehension is a `cel.bind`: its accumulator is the variable, and it has no rounds.
pub(super) fn is_bind(comprehension: &cel::common::ast::ComprehensionExpr) -> bool {
    comprehension.iter_var == UNUSED
}

/// The parts of a node, in order of the source.
pub(super) fn parts(node: &Expression) -> Vec<&Expression> {
    match &node.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| parts_of_entry(&entry.expr)).collect(),
        Expr::Struct(message) => message.entries.iter().flat_map(|entry| parts_of_entry(&entry.expr)).collect(),
        Expr::Comprehension(inner) => {
            vec![&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result]
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => vec![],
    }
}

/// The same to change.
pub(super) fn parts_mut(node: &mut Expression) -> Vec<&mut Expression> {
    match &mut node.expr {
        Expr::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).collect(),
        Expr::Select(select) => vec![&mut select.operand],
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => map.entries.iter_mut().flat_map(|entry| parts_of_entry_mut(&mut entry.expr)).collect(),
        Expr::Struct(message) => {
            message.entries.iter_mut().flat_map(|entry| parts_of_entry_mut(&mut entry.expr)).collect()
        }
        Expr::Comprehension(inner) => {
            let inner = inner.as_mut();
            vec![
                &mut inner.iter_range,
                &mut inner.accu_init,
                &mut inner.loop_cond,
                &mut inner.loop_step,
                &mut inner.result,
            ]
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => vec![],
    }
}

fn parts_of_entry(entry: &EntryExpr) -> Vec<&Expression> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

fn parts_of_entry_mut(entry: &mut EntryExpr) -> Vec<&mut Expression> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
        EntryExpr::StructField(field) => vec![&mut field.value],
    }
}

/// Whether `tree` is small enough to recurse into. An iterative walk, because it is what makes that safe.
///
/// # Errors
/// [`CompileError`] where it is too deep, or has too many nodes.
pub(super) fn bounded(tree: &Expression) -> Result<(), CompileError> {
    let mut stack = vec![(tree, 1)];
    let mut nodes = 0;
    while let Some((node, depth)) = stack.pop() {
        nodes += 1;
        if nodes > TREE_NODES {
            return Err(CompileError::TooManyNodes);
        }
        if depth > TREE_DEPTH {
            return Err(CompileError::TooDeep);
        }
        stack.extend(parts(node).into_iter().map(|part| (part, depth + 1)));
    }
    Ok(())
}

fn descend(node: &mut Expression) -> Result<(), CompileError> {
    parts_mut(node).into_iter().try_for_each(descend)?;
    let Expr::Call(call) = &mut node.expr else { return Ok(()) };
    let Some(expansion) = expansion(call) else { return Ok(()) };
    let call = std::mem::take(call);
    node.expr = expansion(Build::of(node.id), call)?;
    Ok(())
}

type Expansion = fn(Build, CallExpr) -> Result<Expr, CompileError>;

/// What expands `call`, where it is a macro.
fn expansion(call: &CallExpr) -> Option<Expansion> {
    let namespace = call.target.as_ref().and_then(|target| match &target.expr {
        Expr::Ident(name) => Some(name.as_str()),
        _ => None,
    });
    let (name, count) = (call.func_name.as_str(), call.args.len());
    match (namespace, name, count) {
        (Some("cel"), "bind", _) => return Some(bind),
        (Some("math"), "greatest", _) => return Some(|build, call| extreme(build, call, "math.@max")),
        (Some("math"), "least", _) => return Some(|build, call| extreme(build, call, "math.@min")),
        _ => call.target.as_ref()?,
    };
    match (name, count) {
        ("optMap", _) => Some(|build, call| optional(build, call, true)),
        ("optFlatMap", _) => Some(|build, call| optional(build, call, false)),
        ("sortBy", _) => Some(sort_by),
        // Those with two arguments are the parser's, but for this name.
        ("existsOne", 2) => Some(two::exists_one_of_one),
        ("all", 3) => Some(two::all),
        ("exists", 3) => Some(two::exists),
        ("existsOne" | "exists_one", 3) => Some(two::exists_one),
        ("transformList", 3 | 4) => Some(two::transform_list),
        ("transformMap", 3 | 4) => Some(two::transform_map),
        ("transformMapEntry", 3 | 4) => Some(two::transform_map_entry),
        ("transformList" | "transformMap" | "transformMapEntry" | "existsOne", _) => Some(wrong_count),
        _ => None,
    }
}

fn wrong_count(_: Build, call: CallExpr) -> Result<Expr, CompileError> {
    Err(CompileError::Arguments { function: call.func_name.into(), given: call.args.len() })
}

/// The target and the arguments of a macro that takes so many.
fn operands<const N: usize>(call: CallExpr) -> Result<(Expression, [Expression; N]), CompileError> {
    let CallExpr { func_name, target, args } = call;
    let given = args.len();
    match (target, <[Expression; N]>::try_from(args)) {
        (Some(target), Ok(args)) => Ok((*target, args)),
        _ => Err(CompileError::Arguments { function: func_name.into(), given }),
    }
}

/// The name of a variable that a macro binds.
fn variable(function: &'static str, node: Expression) -> Result<String, CompileError> {
    match node.expr {
        Expr::Ident(name) if !name.starts_with('@') => Ok(name),
        _ => Err(CompileError::Macro { function, wants: "a simple name for its variable" }),
    }
}

/// `cel.bind(x, value, in)`.
fn bind(build: Build, call: CallExpr) -> Result<Expr, CompileError> {
    let (_, [name, value, within]) = operands(call)?;
    Ok(build.bind(variable("cel.bind", name)?, value, within).expr)
}

/// `o.optMap(x, f)`: bound once, `o.hasValue() ? optional.of(f) : optional.none()` with `x` for `o.value()`.
fn optional(build: Build, call: CallExpr, wrapped: bool) -> Result<Expr, CompileError> {
    const HELD: &str = "@optional";
    let function = if wrapped { "optMap" } else { "optFlatMap" };
    let (target, [name, value]) = operands(call)?;
    let value = if wrapped { build.of_namespace("optional", "of", vec![value]) } else { value };
    let held = build.bind(variable(function, name)?, build.on(build.ident(HELD), "value", vec![]), value);
    let has = build.on(build.ident(HELD), "hasValue", vec![]);
    let chosen = build.choose(has, held, build.of_namespace("optional", "none", vec![]));
    Ok(build.bind(HELD.to_owned(), target, chosen).expr)
}

/// `list.sortBy(x, key)`: the list and the list of its keys, sorted by the latter.
fn sort_by(build: Build, call: CallExpr) -> Result<Expr, CompileError> {
    const LIST: &str = "@sorted";
    let (target, [name, key]) = operands(call)?;
    let keys = two::collect(build, build.ident(LIST), (variable("sortBy", name)?, None), None, key);
    let sorted = build.on(build.ident(LIST), "@sortByAssociatedKeys", vec![keys]);
    Ok(build.bind(LIST.to_owned(), target, sorted).expr)
}

/// `math.greatest(..)` and `math.least(..)`: of one value or list, of two values, or of a list of more.
fn extreme(build: Build, call: CallExpr, function: &'static str) -> Result<Expr, CompileError> {
    let name = if function == "math.@max" { "math.greatest" } else { "math.least" };
    let mut args = call.args;
    let numeric = |arg: &Expression| match &arg.expr {
        Expr::Literal(literal) => {
            matches!(literal, LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_))
        }
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => false,
        _ => true,
    };
    let fits = match args.as_slice() {
        [] => return Err(CompileError::Arguments { function: name.into(), given: 0 }),
        [Expression { expr: Expr::List(list), .. }] => !list.elements.is_empty() && list.elements.iter().all(numeric),
        args => args.iter().all(numeric),
    };
    if !fits {
        return Err(CompileError::Macro { function: name, wants: "numbers, or one list of numbers" });
    }
    if args.len() > 2 {
        args = vec![build.list(args)];
    }
    Ok(build.call(function, args).expr)
}
