//! Where each part of an expression stands in its text.
//!
//! Decides the range of a node: its own token and those of everything below it, with the field after a dot, the closing
//! bracket, and the parentheses around an operand. Refuses to know YAML: [`locate`](super::locate) does.
//!
//! `cel`'s parser gives places only beside an error. Its numbering of nodes does not depend on what follows, so the text
//! is parsed once more with an error after its end. That happens only where there is something to point at.

use std::collections::HashMap;
use std::ops::Range;

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;
use cel::parser::pratt_parser::{Lexer, Token, TokenKind};

use crate::policy::compile::parser;
use crate::policy::guard::is_operator;

/// The places of all nodes of one expression, by their ids.
#[derive(Debug)]
pub(in crate::policy) struct Spans {
    len: usize,
    tokens: Vec<Token>,
    /// The token of each node, as an index.
    own: HashMap<u64, usize>,
}

impl Spans {
    /// The places in `source`, whose tree is as [`parse`](crate::policy::compile::parse) returns it. Where they can't be
    /// known, every range is the whole text.
    pub(in crate::policy) fn of(source: &str) -> Self {
        let tokens = tokens(source);
        let starts: HashMap<usize, usize> = tokens.iter().enumerate().map(|(at, token)| (token.start, at)).collect();
        let own = offsets(source)
            .into_iter()
            .filter_map(|(id, start)| Some((id, *starts.get(&start)?)))
            .collect::<HashMap<_, _>>();
        Self { len: source.len(), tokens, own }
    }

    /// The bytes of the source that `node` was parsed from, without parentheses around it.
    pub(in crate::policy) fn node(&self, node: &Expression) -> Range<usize> {
        self.indices(node).and_then(|(first, last)| self.bytes(first, last)).unwrap_or(0..self.len)
    }

    /// The name of the function that `node` calls, or of the macro; the operator, where it is one.
    pub(in crate::policy) fn function(&self, node: &Expression) -> Range<usize> {
        let named = || {
            let own = self.token(node)?;
            let name = if self.kind(own)? == TokenKind::TokLeftParen { own.checked_sub(1)? } else { own };
            let name = if self.kind(name)? == TokenKind::TokDot { name + 1 } else { name };
            self.bytes(name, name)
        };
        named().unwrap_or_else(|| self.node(node))
    }

    /// The field after the dot of `node`, which selects one.
    pub(in crate::policy) fn field(&self, node: &Expression) -> Range<usize> {
        let field = || {
            let own = self.token(node)?;
            let at = match &node.expr {
                Expr::Select(select) if select.test => {
                    let close = self.close(own + 1)?;
                    (own..close).rev().find(|at| self.kind(*at) != Some(TokenKind::TokRightParen))?
                }
                Expr::Select(_) => own + 1,
                Expr::Call(call) => self.outer(call.args.get(1)?)?.1,
                _ => return None,
            };
            self.bytes(at, at)
        };
        field().unwrap_or_else(|| self.node(node))
    }

    /// What stands between the parentheses of a call or macro: all arguments.
    pub(in crate::policy) fn arguments(&self, node: &Expression) -> Range<usize> {
        let inside = || {
            let own = self.token(node)?;
            let open = if self.kind(own)? == TokenKind::TokLeftParen { own } else { own + 1 };
            let close = self.close(open)?;
            if close == open + 1 { self.bytes(open, close) } else { self.bytes(open + 1, close.checked_sub(1)?) }
        };
        inside().unwrap_or_else(|| self.node(node))
    }

    /// The variable that a macro binds: the first word between its parentheses.
    pub(in crate::policy) fn variable(&self, node: &Expression) -> Range<usize> {
        let first = || {
            let own = self.token(node)?;
            (self.kind(own)? == TokenKind::TokLeftParen).then(|| self.bytes(own + 1, own + 1))?
        };
        first().unwrap_or_else(|| self.node(node))
    }

    /// The token that begins at or after `offset`, else the last one: what a syntax error is about.
    pub(in crate::policy) fn token_at(&self, offset: usize) -> Range<usize> {
        let at = self.tokens.iter().position(|token| token.end > offset).unwrap_or(self.tokens.len().saturating_sub(1));
        self.bytes(at, at).unwrap_or(0..self.len)
    }

    fn token(&self, node: &Expression) -> Option<usize> {
        self.own.get(&node.id).copied()
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn bytes(&self, first: usize, last: usize) -> Option<Range<usize>> {
        Some(self.tokens.get(first)?.start..self.tokens.get(last)?.end)
    }

    /// The bracket that closes the one at `open`.
    fn close(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            match token.kind {
                TokenKind::TokLeftParen | TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => depth += 1,
                TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The first and the last token of a node. Recursive: only for trees that [`judge`](crate::policy::guard::judge)
    /// bounded.
    fn indices(&self, node: &Expression) -> Option<(usize, usize)> {
        let own = self.token(node)?;
        match &node.expr {
            Expr::Literal(literal) => {
                let negative = matches!(literal, LiteralValue::Int(_) | LiteralValue::Double(_))
                    && self.kind(own) == Some(TokenKind::TokMinus);
                Some((own, own + usize::from(negative)))
            }
            Expr::Ident(_) => Some((own, own + usize::from(self.kind(own) == Some(TokenKind::TokDot)))),
            Expr::Select(select) if select.test => Some((own, self.close(own + 1)?)),
            Expr::Select(select) => Some((self.outer(&select.operand)?.0, own + 1)),
            Expr::Call(call) => self.call(call, own),
            // A macro that is called on its range, with the parenthesis as its token.
            Expr::Comprehension(inner) => Some((self.outer(&inner.iter_range)?.0, self.close(own)?)),
            Expr::List(_) | Expr::Map(_) => Some((own, self.close(own)?)),
            Expr::Struct(_) | Expr::Unspecified => None,
        }
    }

    fn call(&self, call: &CallExpr, own: usize) -> Option<(usize, usize)> {
        if let Some(target) = &call.target {
            return Some((self.outer(target)?.0, self.close(own)?));
        }
        let name = call.func_name.as_str();
        if name == operators::INDEX || name == operators::OPT_INDEX {
            return Some((self.outer(call.args.first()?)?.0, self.close(own)?));
        }
        if !is_operator(name) {
            let open = if self.kind(own)? == TokenKind::TokDot { own + 2 } else { own + 1 };
            return Some((own, self.close(open)?));
        }
        call.args.iter().try_fold((own, own), |(first, last), arg| {
            let (from, to) = self.outer(arg)?;
            Some((first.min(from), last.max(to)))
        })
    }

    /// The same with the parentheses that only group.
    fn outer(&self, node: &Expression) -> Option<(usize, usize)> {
        let (mut first, mut last) = self.indices(node)?;
        while let Some(open) = first.checked_sub(1)
            && self.kind(open) == Some(TokenKind::TokLeftParen)
            && self.kind(last + 1) == Some(TokenKind::TokRightParen)
            && !self.is_call(open)
        {
            (first, last) = (open, last + 1);
        }
        Some((first, last))
    }

    fn is_call(&self, open: usize) -> bool {
        let before = open.checked_sub(1).and_then(|before| self.kind(before));
        matches!(before, Some(TokenKind::TokIdent | TokenKind::TokReservedWord))
    }
}

/// The first node that `wanted` picks, in the order of the text as far as the tree has it. Only for judged trees.
pub(in crate::policy) fn find<'e>(
    node: &'e Expression,
    wanted: &dyn Fn(&Expression) -> bool,
) -> Option<&'e Expression> {
    if wanted(node) {
        return Some(node);
    }
    children(node).into_iter().find_map(|child| find(child, wanted))
}

/// The nodes right below `node`. Those that a macro made up are among them.
pub(in crate::policy) fn children(node: &Expression) -> Vec<&Expression> {
    match &node.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => vec![],
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entries(&entry.expr)).collect(),
        Expr::Struct(message) => message.entries.iter().flat_map(|entry| entries(&entry.expr)).collect(),
        Expr::Comprehension(inner) => {
            vec![&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result]
        }
    }
}

fn entries(entry: &EntryExpr) -> Vec<&Expression> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer::new(source);
    let mut tokens = vec![];
    loop {
        let token = lexer.lex();
        match token.kind {
            TokenKind::TokEnd => return tokens,
            // The lexer may stay where it is.
            TokenKind::TokError if tokens.last().is_some_and(|last: &Token| last.end >= token.end) => return tokens,
            TokenKind::TokWhitespace | TokenKind::TokComment => {}
            _ => tokens.push(token),
        }
    }
}

/// Where the token of each node begins.
fn offsets(source: &str) -> Vec<(u64, usize)> {
    let Err(errors) = parser().parse(&format!("{source}\n)")) else { return vec![] };
    let Some(info) = errors.errors.iter().find_map(|error| error.source_info.as_ref()) else { return vec![] };
    // Every node that is parsed has at least a byte, and a macro makes up at most eight more.
    let most = 16 + 16 * source.len() as u64;
    (0..most).filter_map(|id| Some((id, info.offset_for(id)?.0 as usize))).collect()
}

#[cfg(test)]
mod tests;
