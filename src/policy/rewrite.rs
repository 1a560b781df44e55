//! Rewrites a judged syntax tree into what is evaluated.
//!
//! Decides nothing: the meaning stays, three costs go. `claims.x` becomes one variable that is converted once per rule
//! (`cel` would convert it, and join its name with dots, on every mention); `has(claims.x)` becomes `"x" in claims`
//! (which converts nothing); a `matches` with its literal pattern becomes a call with a compiled one.
//!
//! The new names can't be written in CEL: they begin with `@`. The name of a claim is quoted in its variable and closed
//! by `"]`, so that `claims.a.b`, whose dots `cel` also tries as one long name, never reads as the claim `a.b`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators};
use cel::parser::Expression;

use super::compile::CompileError;
use super::expand::{Build, parts_mut};
use super::guard::{is_claims, qualified, string};
use super::language::{BOUNDED, ENTRIES, EXTRACT, EXTRACT_ALL, MATCH, MILLISECONDS, PLACE, PLAIN, REPLACE};
use super::pattern::{Pattern, PatternKind};

/// What a rewritten tree needs at evaluation.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Claims by the names of their variables.
    pub(super) claims: BTreeMap<Arc<str>, Arc<str>>,
    /// Patterns by the names of their variables.
    pub(super) patterns: BTreeMap<Arc<str>, Pattern>,
    /// Every other identifier.
    pub(super) names: BTreeSet<String>,
    /// Patterns of other expressions: the same ones occur in many.
    pub(super) known: HashMap<Arc<str>, Pattern>,
}

/// Rewrites `tree` in place. Recursive: only after [`judge`](super::guard::judge) bounded its depth.
///
/// # Errors
/// [`CompileError`] where a pattern does not compile, or a claim's name cannot be a variable's.
pub(super) fn rewrite(tree: &mut Expression, needs: &mut Needs) -> Result<(), CompileError> {
    if let Some(expr) = replacement(&tree.expr, needs)? {
        tree.expr = expr;
    }
    match &mut tree.expr {
        Expr::Ident(name) => {
            if !name.starts_with('@') {
                needs.names.insert(name.clone());
            }
            Ok(())
        }
        Expr::Select(select) => rewrite(&mut select.operand, needs),
        Expr::Call(call) => {
            if let Some(target) = &mut call.target
                && qualified(target, &call.func_name).is_none()
            {
                rewrite(target, needs)?;
            }
            call.args.iter_mut().try_for_each(|arg| rewrite(arg, needs))?;
            if let Some(name) = call.target.as_ref().and_then(|target| qualified(target, &call.func_name)) {
                call.target = None;
                call.func_name = name;
            }
            replace_call(tree.id, call);
            precompile(call, needs)?;
            // The parser leaves room for twice as many, and thousands of these stay in memory.
            call.args.shrink_to_fit();
            if let Some(expr) = lazily(tree.id, call) {
                tree.expr = expr;
            }
            Ok(())
        }
        Expr::List(list) => list.elements.iter_mut().try_for_each(|element| rewrite(element, needs)),
        Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
            EntryExpr::MapEntry(entry) => {
                rewrite(&mut entry.key, needs)?;
                rewrite(&mut entry.value, needs)
            }
            EntryExpr::StructField(field) => rewrite(&mut field.value, needs),
        }),
        Expr::Comprehension(inner) => {
            over_entries(tree.id, inner);
            [&mut inner.iter_range, &mut inner.accu_init, &mut inner.loop_cond, &mut inner.loop_step, &mut inner.result]
                .into_iter()
                .try_for_each(|part| rewrite(part, needs))
        }
        Expr::Struct(message) => message.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
            EntryExpr::StructField(field) => rewrite(&mut field.value, needs),
            EntryExpr::MapEntry(_) => Ok(()),
        }),
        Expr::Literal(_) | Expr::Unspecified => Ok(()),
    }
}

/// What stands for a mention of one claim.
fn replacement(expr: &Expr, needs: &mut Needs) -> Result<Option<Expr>, CompileError> {
    match expr {
        Expr::Select(SelectExpr { operand, field, test: false }) if is_claims(operand) => claim(field, needs).map(Some),
        Expr::Select(SelectExpr { operand, field, test: true }) if is_claims(operand) => {
            let name = Expr::Literal(LiteralValue::String(field.clone().into()));
            let args = vec![Expression { id: operand.id, expr: name }, (**operand).clone()];
            Ok(Some(Expr::Call(CallExpr { func_name: operators::IN.to_owned(), target: None, args })))
        }
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [operand, index] if is_claims(operand) => match string(index) {
                Some(name) => claim(name, needs).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn claim(name: &str, needs: &mut Needs) -> Result<Expr, CompileError> {
    if name.contains('"') || name.chars().any(char::is_control) {
        return Err(CompileError::ClaimName);
    }
    let variable = format!("@claims[\"{name}\"]");
    needs.claims.entry(Arc::from(variable.as_str())).or_insert_with(|| Arc::from(name));
    Ok(Expr::Ident(variable))
}

/// What is not called as it stands: see [`MILLISECONDS`], [`BOUNDED`], [`PLAIN`] and [`PLACE`].
fn replace_call(id: u64, call: &mut CallExpr) {
    match (call.func_name.as_str(), call.args.as_mut_slice()) {
        ("getMilliseconds", []) => {
            call.args.extend(call.target.take().map(|target| *target));
            MILLISECONDS.clone_into(&mut call.func_name);
        }
        ("format", [values]) if call.target.is_some() => {
            let args = vec![std::mem::take(values)];
            values.expr = Expr::Call(CallExpr { func_name: BOUNDED.to_owned(), target: None, args });
            values.id = id;
        }
        (operators::INDEX | operators::OPT_INDEX, [operand, index])
            if !is_claims(operand) && !matches!(index.expr, Expr::Literal(_)) =>
        {
            let args = vec![std::mem::take(index)];
            index.expr = Expr::Call(CallExpr { func_name: PLACE.to_owned(), target: None, args });
            index.id = id;
        }
        ("string", [value]) if call.target.is_none() && !is_text(value) => {
            let args = vec![std::mem::take(value)];
            value.expr = Expr::Call(CallExpr { func_name: PLAIN.to_owned(), target: None, args });
            value.id = id;
        }
        _ => {}
    }
}

/// Whether a node is a text whatever the claims are.
fn is_text(node: &Expression) -> bool {
    string(node).is_some()
        || matches!(&node.expr, Expr::Call(call) if call.target.is_none() && call.func_name == "string")
}

/// Turns `o.orValue(other)` into what does not evaluate `other` where `o` holds a value, as the standard's
/// implementations do: `cel` evaluates it first, and fails where it does.
fn lazily(id: u64, call: &mut CallExpr) -> Option<Expr> {
    const HELD: &str = "@held";
    let is_value = call.func_name == "orValue";
    let wanted = (is_value || call.func_name == "or") && matches!(call.args.as_slice(), [other] if !is_settled(other));
    let target = if wanted { call.target.take()? } else { return None };
    let (build, other) = (Build::of(id), call.args.pop()?);
    let has = build.on(build.ident(HELD), "hasValue", vec![]);
    let held = if is_value { build.on(build.ident(HELD), "value", vec![]) } else { build.ident(HELD) };
    Some(build.bind(HELD.to_owned(), *target, build.choose(has, held, other)).expr)
}

/// Whether a node costs nothing and can't fail.
fn is_settled(node: &Expression) -> bool {
    match &node.expr {
        Expr::Literal(_) => true,
        Expr::List(list) => list.elements.iter().all(is_settled),
        Expr::Map(map) => map.entries.is_empty(),
        _ => false,
    }
}

/// Turns `text.matches("..")` and `matches(text, "..")` into `@match(text, @matches(".."))`, and `regex.replace(text,
/// "..", to)` into `@replace(text, @matches(".."), to)`.
fn precompile(call: &mut CallExpr, needs: &mut Needs) -> Result<(), CompileError> {
    let Some(kind) = PatternKind::of(&call.func_name) else { return Ok(()) };
    let (function, at) = match call.func_name.as_str() {
        "regex.replace" => (REPLACE, 1),
        "regex.extract" => (EXTRACT, 1),
        "regex.extractAll" => (EXTRACT_ALL, 1),
        _ => (MATCH, call.args.len().saturating_sub(1)),
    };
    let Some(pattern) = call.args.get_mut(at) else { return Ok(()) };
    let Some(text) = string(pattern) else { return Err(CompileError::NotLiteral(call.func_name.as_str().into())) };
    let name = Pattern::ident(kind, text);
    if !needs.known.contains_key(&name) {
        let compiled = Pattern::new(kind, text)
            .map_err(|error| CompileError::Pattern { function: call.func_name.as_str().into(), error })?;
        needs.known.insert(Arc::clone(&name), compiled);
    }
    if let Some(compiled) = needs.known.get(&name) {
        needs.patterns.insert(Arc::clone(&name), compiled.clone());
    }
    pattern.expr = Expr::Ident(name.as_ref().to_owned());
    if let Some(subject) = call.target.take() {
        call.args.insert(0, *subject);
    }
    function.clone_into(&mut call.func_name);
    Ok(())
}

/// Turns a comprehension over two variables, whose second one the evaluator does not look at, into one over the entries
/// of its range: the variables become `@entry[0]` and `@entry[1]`.
fn over_entries(id: u64, inner: &mut ComprehensionExpr) {
    let Some(second) = inner.iter_var2.take() else { return };
    // One name for each, or a comprehension inside this one would hide its entry.
    let entry = format!("@entry{id}");
    let range = std::mem::take(&mut inner.iter_range);
    let func_name = ENTRIES.to_owned();
    inner.iter_range = Expression { id, expr: Expr::Call(CallExpr { func_name, target: None, args: vec![range] }) };
    for (name, index) in [(&inner.iter_var, 0), (&second, 1)] {
        for part in [&mut inner.loop_cond, &mut inner.loop_step] {
            substitute(part, name, &entry, index);
        }
    }
    inner.iter_var = entry;
}

/// Puts `entry[index]` for each mention of the variable `name` that no inner comprehension binds.
fn substitute(node: &mut Expression, name: &str, entry: &str, index: i64) {
    match &mut node.expr {
        Expr::Ident(mentioned) if mentioned == name => {
            let part = |expr| Expression { id: node.id, expr };
            let args = vec![part(Expr::Ident(entry.to_owned())), part(Expr::Literal(LiteralValue::Int(index.into())))];
            node.expr = Expr::Call(CallExpr { func_name: operators::INDEX.to_owned(), target: None, args });
        }
        Expr::Comprehension(inner) => {
            substitute(&mut inner.iter_range, name, entry, index);
            substitute(&mut inner.accu_init, name, entry, index);
            let hidden = [Some(&inner.iter_var), inner.iter_var2.as_ref(), Some(&inner.accu_var)];
            if !hidden.into_iter().flatten().any(|hidden| hidden == name) {
                for part in [&mut inner.loop_cond, &mut inner.loop_step, &mut inner.result] {
                    substitute(part, name, entry, index);
                }
            }
        }
        // The name of a function is none of a variable's: `math.abs(x)` where `math` is a variable.
        Expr::Call(call) if call.target.as_ref().is_some_and(|t| qualified(t, &call.func_name).is_some()) => {
            call.args.iter_mut().for_each(|arg| substitute(arg, name, entry, index));
        }
        _ => parts_mut(node).into_iter().for_each(|part| substitute(part, name, entry, index)),
    }
}
