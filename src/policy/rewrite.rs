//! Rewrites a judged syntax tree into what is evaluated.
//!
//! Decides nothing: the meaning stays, three costs go. `claims.x` becomes one variable that is converted once per rule
//! (`cel` would convert it, and join its name with dots, on every mention); `has(claims.x)` becomes `"x" in claims`
//! (which converts nothing); a `matches` with its literal pattern becomes a call with a compiled one.
//!
//! The new names can't be written in CEL: they begin with `@`. The name of a claim is quoted in its variable and closed
//! by `"]`, so that `claims.a.b`, whose dots `cel` also tries as one long name, never reads as the claim `a.b`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators};
use cel::parser::Expression;

use super::compile::CompileError;
use super::guard::{is_claims, string};
use super::language::MATCH;
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
            if let Some(target) = &mut call.target {
                rewrite(target, needs)?;
            }
            call.args.iter_mut().try_for_each(|arg| rewrite(arg, needs))?;
            // The parser leaves room for twice as many, and thousands of these stay in memory.
            call.args.shrink_to_fit();
            precompile(call, needs)
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

/// Turns `text.matches("..")` and `matches(text, "..")` into `@match(text, @matches(".."))`.
fn precompile(call: &mut CallExpr, needs: &mut Needs) -> Result<(), CompileError> {
    let Some(kind) = PatternKind::of(&call.func_name) else { return Ok(()) };
    let Some(pattern) = call.args.last_mut() else { return Ok(()) };
    let Some(text) = string(pattern) else { return Err(CompileError::NotLiteral(call.func_name.as_str().into())) };
    let name = Pattern::ident(kind, text);
    if !needs.patterns.contains_key(&name) {
        let compiled = Pattern::new(kind, text)
            .map_err(|error| CompileError::Pattern { function: call.func_name.as_str().into(), error })?;
        needs.patterns.insert(Arc::clone(&name), compiled);
    }
    pattern.expr = Expr::Ident(name.as_ref().to_owned());
    if let Some(subject) = call.target.take() {
        call.args.insert(0, *subject);
    }
    MATCH.clone_into(&mut call.func_name);
    Ok(())
}
