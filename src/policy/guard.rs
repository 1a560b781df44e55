//! What an expression may look like, judged on its syntax tree before anything else walks it.
//!
//! Decides by an iterative walk: depth, number of nodes, nesting of comprehensions, known names and functions, literal
//! patterns. Refuses to recurse, because it is what makes recursion safe for everything after it: `cel` evaluates
//! recursively, and a stack overflow ends the process and can't be caught.
//!
//! Unknown names are refused here because `undefined_var || true` evaluates to `true`.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::check::spans::children;
use super::compile::CompileError;
use super::expand::is_bind;
use super::language::{CLAIMS, Dialect, QUALIFIED_TYPES, TYPES, function, is_qualified};
use super::limits::{COMPREHENSION_DEPTH, TREE_DEPTH, TREE_NODES};
use super::pattern::PatternKind;

/// Judges `tree`, in which the variables `lets` are visible besides those of the dialect.
///
/// # Errors
/// [`CompileError`] names the first fault.
pub(super) fn judge(tree: &Expression, dialect: Dialect, lets: &[&str]) -> Result<(), CompileError> {
    faulty(tree, dialect, lets).map_or(Ok(()), |(error, _)| Err(error))
}

/// The first fault of `tree`, and the node that has it.
pub(super) fn faulty<'e>(
    tree: &'e Expression,
    dialect: Dialect,
    lets: &[&str],
) -> Option<(CompileError, &'e Expression)> {
    let mut walk = Walk { dialect, lets, scopes: vec![], stack: vec![], nodes: 0 };
    if let Err(error) = walk.push(tree, &Place::default()) {
        return Some((error, tree));
    }
    while let Some((node, place)) = walk.stack.pop() {
        if let Err(error) = walk.visit(node, &place) {
            return Some((error, node));
        }
    }
    None
}

/// Where a node stands: how deep, inside how many comprehensions, and which variables they bind (an index into the
/// scopes, counted from 1; 0 is the outermost).
#[derive(Clone, Copy, Default)]
struct Place {
    depth: usize,
    comprehensions: usize,
    scope: usize,
}

/// The variables that one comprehension binds, and the scope around it.
struct Scope<'a> {
    outer: usize,
    names: [Option<&'a str>; 3],
}

struct Walk<'a, 'l> {
    dialect: Dialect,
    lets: &'l [&'l str],
    scopes: Vec<Scope<'a>>,
    stack: Vec<(&'a Expression, Place)>,
    nodes: usize,
}

impl<'a> Walk<'a, '_> {
    /// Enters a node one level below `outer`.
    fn push(&mut self, node: &'a Expression, outer: &Place) -> Result<(), CompileError> {
        let place = Place { depth: outer.depth + 1, ..*outer };
        self.nodes += 1;
        if self.nodes > TREE_NODES {
            return Err(CompileError::TooManyNodes);
        }
        if place.depth > TREE_DEPTH {
            return Err(CompileError::TooDeep);
        }
        self.stack.push((node, place));
        Ok(())
    }

    fn visit(&mut self, node: &'a Expression, place: &Place) -> Result<(), CompileError> {
        match &node.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name, place),
            Expr::Select(_) if dotted(node).is_some_and(|name| QUALIFIED_TYPES.contains(&name.as_str())) => Ok(()),
            Expr::Select(select) => self.member_of_claims(&select.operand, place),
            Expr::Call(call) => self.call(call, place),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, place),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.push(element, place)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.push(&entry.key, place)?;
                    self.push(&entry.value, place)
                }
                EntryExpr::StructField(_) => Err(CompileError::Unsupported("a message literal")),
            }),
            Expr::Struct(message) if self.dialect.messages().contains(&message.type_name.as_str()) => {
                message.entries.iter().try_for_each(|entry| match &entry.expr {
                    EntryExpr::StructField(field) => self.push(&field.value, place),
                    EntryExpr::MapEntry(_) => Err(CompileError::Unsupported("a map entry in a message literal")),
                })
            }
            Expr::Struct(_) => Err(CompileError::Unsupported("a message literal")),
            Expr::Unspecified => Err(CompileError::Unsupported("an empty expression")),
        }
    }

    fn name(&self, name: &str, place: &Place) -> Result<(), CompileError> {
        if name == CLAIMS {
            // The root is lazy and equal to nothing; as a list's element or an operand of `==` it would mislead.
            return Err(CompileError::Unsupported("`claims` itself as a value: name one of its members"));
        }
        let known = self.dialect.variables().contains(&name) || TYPES.contains(&name) || self.lets.contains(&name);
        if known || self.bound(name, place.scope) { Ok(()) } else { Err(CompileError::UnknownName(name.into())) }
    }

    fn bound(&self, name: &str, mut scope: usize) -> bool {
        while let Some(bindings) = scope.checked_sub(1).and_then(|index| self.scopes.get(index)) {
            if bindings.names.contains(&Some(name)) {
                return true;
            }
            scope = bindings.outer;
        }
        false
    }

    /// Enters an operand that may be `claims`: what selects or looks up a member of it.
    fn member_of_claims(&mut self, operand: &'a Expression, place: &Place) -> Result<(), CompileError> {
        if is_claims(operand) { Ok(()) } else { self.push(operand, place) }
    }

    fn call(&mut self, call: &'a CallExpr, place: &Place) -> Result<(), CompileError> {
        let name = call.func_name.as_str();
        if let Some(target) = &call.target {
            if let Some(qualified) = qualified(target, name) {
                self.signature(call, &qualified, false)?;
            } else {
                self.signature(call, name, true)?;
                self.push(target, place)?;
            }
        } else if !is_operator(name) {
            self.signature(call, name, false)?;
        }
        match (name, call.args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [operand, index]) => {
                self.member_of_claims(operand, place)?;
                self.push(index, place)
            }
            (operators::IN, [element, container]) => {
                self.push(element, place)?;
                self.member_of_claims(container, place)
            }
            (_, args) => args.iter().try_for_each(|arg| self.push(arg, place)),
        }
    }

    fn signature(&self, call: &CallExpr, name: &str, member: bool) -> Result<(), CompileError> {
        let given = call.args.len();
        let Some(signature) = function(self.dialect, name, member, given) else {
            return Err(match function(self.dialect, name, !member, given) {
                Some(_) if member => CompileError::NotAMember(name.into()),
                Some(_) => CompileError::NotAFunction(name.into()),
                None => CompileError::UnknownFunction(name.into()),
            });
        };
        if given < signature.least || given > signature.most {
            return Err(CompileError::Arguments { function: name.into(), given });
        }
        if !signature.formats(call.target.as_deref()) {
            return Err(CompileError::Macro {
                function: "format",
                wants: "clauses such as `%s`, `%d`, `%.2f` and `%x`",
            });
        }
        let literals = signature.accepts(self.dialect, call.target.as_deref(), &call.args)
            && literal_patterns(name, &call.args).iter().all(is_string);
        if literals { Ok(()) } else { Err(CompileError::NotLiteral(name.into())) }
    }

    fn comprehension(&mut self, inner: &'a ComprehensionExpr, place: &Place) -> Result<(), CompileError> {
        let bound = if is_bind(inner) { [None, None] } else { [Some(&inner.iter_var), inner.iter_var2.as_ref()] };
        for name in bound.into_iter().flatten().chain([&inner.accu_var]) {
            let hides = self.dialect == Dialect::Native && self.lets.contains(&name.as_str());
            if hides || self.dialect.reserves(name) {
                return Err(CompileError::Shadows(name.as_str().into()));
            }
        }
        let comprehensions = place.comprehensions + usize::from(!is_bind(inner));
        if comprehensions > COMPREHENSION_DEPTH {
            return Err(CompileError::TooNested);
        }
        self.push(&inner.iter_range, place)?;
        self.push(&inner.accu_init, place)?;
        self.scopes.push(Scope {
            outer: place.scope,
            names: [Some(&inner.iter_var), inner.iter_var2.as_deref(), Some(&inner.accu_var)],
        });
        let within = Place { depth: place.depth, comprehensions, scope: self.scopes.len() };
        [&inner.loop_cond, &inner.loop_step, &inner.result].into_iter().try_for_each(|part| self.push(part, &within))
    }
}

/// Whether a recursive walk over `tree` fits on a [`COMPILER_STACK`](super::limits::COMPILER_STACK), whatever it is.
pub(super) fn is_walkable(tree: &Expression) -> bool {
    let (mut stack, mut nodes) = (vec![(tree, 0)], 0);
    while let Some((node, depth)) = stack.pop() {
        nodes += 1;
        if depth > 4 * TREE_DEPTH || nodes > 8 * TREE_NODES {
            return false;
        }
        stack.extend(children(node).into_iter().map(|child| (child, depth + 1)));
    }
    true
}

/// Whether this is the variable `claims`. No comprehension can rebind it.
pub(super) fn is_claims(node: &Expression) -> bool {
    matches!(&node.expr, Expr::Ident(name) if name == CLAIMS)
}

/// `optional.of` and its like: a function whose name looks like a member of `optional`.
pub(super) fn qualified(target: &Expression, name: &str) -> Option<String> {
    match &target.expr {
        Expr::Ident(namespace) => Some(format!("{namespace}.{name}")).filter(|name| is_qualified(name)),
        _ => None,
    }
}

/// The arguments that have to be texts in the source: a pattern, and what replaces its matches.
fn literal_patterns<'a>(name: &str, args: &'a [Expression]) -> &'a [Expression] {
    let range = match PatternKind::of(name) {
        Some(_) if name == "regex.replace" => 1..3,
        Some(_) => args.len().saturating_sub(1)..args.len(),
        None => 0..0,
    };
    args.get(range).unwrap_or_default()
}

/// `a.b.c`, where a node is nothing but names.
pub(super) fn dotted(node: &Expression) -> Option<String> {
    match &node.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", dotted(&select.operand)?, select.field)),
        _ => None,
    }
}

/// The text of a string literal.
pub(super) fn string(node: &Expression) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn is_string(node: &Expression) -> bool {
    string(node).is_some()
}

/// Operators are calls of functions whose names no source can spell.
pub(super) fn is_operator(name: &str) -> bool {
    [
        operators::CONDITIONAL,
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::SUBSTRACT,
        operators::ADD,
        operators::MULTIPLY,
        operators::DIVIDE,
        operators::MODULO,
        operators::EQUALS,
        operators::NOT_EQUALS,
        operators::GREATER_EQUALS,
        operators::LESS_EQUALS,
        operators::GREATER,
        operators::LESS,
        operators::NEGATE,
        operators::INDEX,
        operators::OPT_INDEX,
        operators::OPT_SELECT,
        operators::NOT_STRICTLY_FALSE,
        operators::IN,
    ]
    .contains(&name)
}
