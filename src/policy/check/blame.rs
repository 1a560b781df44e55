//! Which part of an expression is to blame for its not compiling, and what to write instead.
//!
//! Decides places and advice. Refuses to decide whether an expression compiles: it is judged once more only to see where
//! that ended.

use std::ops::Range;

use cel::common::ast::{Expr, operators};
use cel::parser::Expression;

use super::nearest;
use super::spans::{Spans, find};
use crate::policy::compile::{CompileError, parse};
use crate::policy::expand::expand;
use crate::policy::guard::{faulty, is_claims, string};
use crate::policy::language::{self, Dialect, TYPES};
use crate::policy::limits::{COMPREHENSION_DEPTH, SOURCE_BYTES};
use crate::policy::pattern::{Pattern, PatternKind};
use crate::trust::ClaimSchema;

/// The bytes of `source` that `error` is about.
pub(in crate::policy) fn blamed(source: &str, dialect: Dialect, lets: &[&str], error: &CompileError) -> Range<usize> {
    let whole = 0..source.len();
    if source.len() > SOURCE_BYTES || matches!(error, CompileError::TooDeep | CompileError::TooManyNodes) {
        return whole;
    }
    let spans = Spans::of(source);
    if let CompileError::Syntax { line, column, .. } = error {
        let before: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        return spans.token_at(before + column.saturating_sub(1));
    }
    let Ok(raw) = parse(source) else { return whole };
    let mut tree = raw.clone();
    if expand(&mut tree).is_err() {
        return by_search(&raw, &spans, error).unwrap_or(whole);
    }
    // What was judged is the expanded tree, whose nodes have the ids of those that they were made from.
    let at = faulty(&tree, dialect, lets).filter(|(found, _)| found == error);
    let node = at.and_then(|(_, at)| find(&raw, &|node| node.id == at.id));
    match node {
        Some(node) => within(node, &spans, error),
        None => by_search(&raw, &spans, error).unwrap_or(whole),
    }
}

/// The part of the faulty node that the fault is about.
fn within(node: &Expression, spans: &Spans, error: &CompileError) -> Range<usize> {
    match error {
        CompileError::UnknownFunction(_) | CompileError::NotAMember(_) | CompileError::NotAFunction(_) => {
            spans.function(node)
        }
        CompileError::Arguments { .. } | CompileError::Macro { .. } | CompileError::TooNested => {
            spans.function(node).start..spans.node(node).end
        }
        CompileError::NotLiteral(_) => match &node.expr {
            Expr::Call(call) => {
                let computed = call.args.iter().find(|arg| !matches!(arg.expr, Expr::Literal(_)));
                computed.map_or_else(|| spans.arguments(node), |arg| spans.node(arg))
            }
            _ => spans.arguments(node),
        },
        CompileError::Shadows(_) => spans.variable(node),
        _ => spans.node(node),
    }
}

/// Faults that are found after judging, by what they look like.
fn by_search(tree: &Expression, spans: &Spans, error: &CompileError) -> Option<Range<usize>> {
    match error {
        CompileError::Pattern { function, error } => {
            let faulty = |node: &Expression| {
                pattern_of(node, function)
                    .is_some_and(|(kind, text, _)| Pattern::new(kind, text).err().as_ref() == Some(error))
            };
            let node = find(tree, &faulty)?;
            pattern_of(node, function).map(|(.., literal)| spans.node(literal))
        }
        CompileError::Macro { function, .. } => {
            let short = function.rsplit('.').next().unwrap_or(function);
            let node = find(tree, &|node| matches!(&node.expr, Expr::Call(call) if call.func_name == short))?;
            Some(within(node, spans, error))
        }
        CompileError::ClaimName => {
            let odd = |name: &str| name.contains('"') || name.chars().any(char::is_control);
            let node = find(tree, &|node| match &node.expr {
                Expr::Select(select) => is_claims(&select.operand) && odd(&select.field),
                Expr::Call(call) if call.func_name == operators::INDEX => {
                    matches!(call.args.as_slice(), [operand, index] if is_claims(operand) && string(index).is_some_and(odd))
                }
                _ => false,
            })?;
            Some(spans.field(node))
        }
        _ => None,
    }
}

/// The pattern of a call of `function`: how it is read, its text, and where it stands.
fn pattern_of<'e>(node: &'e Expression, function: &str) -> Option<(PatternKind, &'e str, &'e Expression)> {
    let Expr::Call(call) = &node.expr else { return None };
    let short = function.rsplit('.').next().unwrap_or(function);
    if call.func_name != short {
        return None;
    }
    let literal = if function.starts_with("regex.") { call.args.get(1)? } else { call.args.last()? };
    Some((PatternKind::of(function)?, string(literal)?, literal))
}

/// What to write instead. `schema` is what is known of the claims.
pub(in crate::policy) fn advice(
    error: &CompileError,
    dialect: Dialect,
    lets: &[&str],
    schema: Option<&ClaimSchema>,
) -> Option<String> {
    Some(match error {
        CompileError::UnknownName(name) => {
            if schema.is_some_and(|schema| schema.claim(name).is_some()) {
                return Some(format!("a claim is a member of `claims`: `claims.{name}`"));
            }
            let names = dialect.variables().iter().copied().chain(["claims"]).chain(lets.iter().copied()).chain(TYPES);
            let meant = nearest(name, names)?;
            format!("did you mean `{meant}`?")
        }
        CompileError::UnknownFunction(name) => {
            format!("did you mean `{}`?", language::nearest(dialect, name)?)
        }
        CompileError::NotAMember(name) => format!("write `{name}(x)` for `x.{name}()`"),
        CompileError::NotAFunction(name) => format!("write `x.{name}(..)` for `{name}(x, ..)`"),
        CompileError::Arguments { function, .. } => {
            let takes: Vec<String> = [false, true]
                .into_iter()
                .filter_map(|member| language::function(dialect, function, member, usize::MAX))
                .map(|signature| match (signature.least, signature.most) {
                    (least, most) if least == most => format!("{least}"),
                    (least, most) => format!("{least} to {most}"),
                })
                .collect();
            format!("it takes {}", takes.first()?)
        }
        CompileError::NotLiteral(_) => "write the text itself between quotes".to_owned(),
        CompileError::Shadows(name) => format!("call it something else than `{name}`"),
        CompileError::TooNested => {
            format!(
                "at most {COMPREHENSION_DEPTH} levels: let a `let` variable hold the inner list, or ask for one element with `in`"
            )
        }
        CompileError::TooLong(_) | CompileError::TooDeep | CompileError::TooManyNodes => {
            "move parts of it to `let` variables, or to conditions of their own".to_owned()
        }
        CompileError::TooLarge => "bound what it is made of: `split` takes the largest number of parts".to_owned(),
        CompileError::Syntax { message, .. } if message.contains("input '<EOF>'") => {
            "the expression ends too early".to_owned()
        }
        CompileError::Syntax { message, .. } if message.contains("input '='") => "equality is `==`".to_owned(),
        CompileError::Syntax { message, .. } if message.contains("input ')'") => {
            "there are more brackets closed than opened".to_owned()
        }
        CompileError::Syntax { .. } => "see `docs/cel.md` for what can be written".to_owned(),
        CompileError::Pattern { .. } => "patterns are those of RE2: no look-ahead, no back-references".to_owned(),
        CompileError::Unsupported(_) | CompileError::ClaimName | CompileError::Macro { .. } => return None,
    })
}
