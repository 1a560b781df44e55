//! From the text of an expression to what is evaluated.
//!
//! Decides whether an expression may run at all: parsed, expanded, judged, rewritten and bounded, in this order, each step relying
//! on the one before it. Refuses to know which rule it belongs to. Runs only on a thread with
//! [`COMPILER_STACK`](super::limits::COMPILER_STACK): the parser recurses, and so does the destructor of what it returns.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cel::parser::{Expression, PrattParser};

use super::code::Code;
use super::cost::{self, Bound, Size};
use super::expand::{bounded, expand};
use super::guard;
use super::language::Dialect;
use super::limits::{PARSER_DEPTH, SOURCE_BYTES};
use super::pattern::{Pattern, PatternError};
use super::rewrite::{Needs, rewrite};

/// Why an expression was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// Longer than [`SOURCE_BYTES`].
    #[error("the expression has {0} bytes, at most {SOURCE_BYTES} are allowed")]
    TooLong(usize),
    /// No CEL. Line and column count from 1 within the expression.
    #[error("no CEL at line {line}, column {column} of the expression: {message}")]
    Syntax {
        /// Line within the expression.
        line: usize,
        /// Column within the expression.
        column: usize,
        /// The parser's first complaint.
        message: String,
    },
    /// A syntax tree deeper than the evaluator's stack allows.
    #[error(
        "the expression is nested more than {} deep (a chain of one operator counts each)",
        super::limits::TREE_DEPTH
    )]
    TooDeep,
    /// Too many nodes.
    #[error("the expression has more than {} parts", super::limits::TREE_NODES)]
    TooManyNodes,
    /// Comprehensions inside one another.
    #[error("more than {} of `all`, `exists`, `map`, `filter` inside one another", super::limits::COMPREHENSION_DEPTH)]
    TooNested,
    /// A variable that does not exist.
    #[error("no variable `{0}`: there are `claims`, `now`, `issuer` and the `let` variables above")]
    UnknownName(Box<str>),
    /// A function that does not exist here.
    #[error("no function `{0}`")]
    UnknownFunction(Box<str>),
    /// `x.hex()` for `hex(x)`.
    #[error("`{0}` is called on its own, `{0}(..)`, not on a value")]
    NotAMember(Box<str>),
    /// `startsWith(x, y)` for `x.startsWith(y)`.
    #[error("`{0}` is called on a value, `x.{0}(..)`")]
    NotAFunction(Box<str>),
    /// A wrong number of arguments.
    #[error("`{function}` does not take {given} arguments")]
    Arguments {
        /// The function.
        function: Box<str>,
        /// How many it was given.
        given: usize,
    },
    /// A pattern, needle, separator or replacement that is computed.
    #[error("`{0}` takes a literal: a pattern from a token would be its author's say in the policy")]
    NotLiteral(Box<str>),
    /// A pattern that does not compile.
    #[error("`{function}`: {error}")]
    Pattern {
        /// The function.
        function: Box<str>,
        /// Why.
        error: PatternError,
    },
    /// Arguments that a macro can't expand.
    #[error("`{function}` takes {wants}")]
    Macro {
        /// The macro.
        function: &'static str,
        /// What it takes.
        wants: &'static str,
    },
    /// A variable of a comprehension, or a `let`, that hides another name.
    #[error("`{0}` hides a name that is already taken")]
    Shadows(Box<str>),
    /// Part of CEL that policies do not use.
    #[error("not supported here: {0}")]
    Unsupported(&'static str),
    /// A claim whose name has a quote or a control character.
    #[error("a claim's name may not have quotes or control characters")]
    ClaimName,
    /// A value that may outgrow its bound.
    #[error("a value could grow over {} bytes with the largest claims", super::limits::VALUE_BYTES)]
    TooLarge,
}

impl CompileError {
    /// A few words to stand under the part that is to blame.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "not expected here",
            Self::TooLong(_) => "too long",
            Self::TooDeep | Self::TooManyNodes | Self::TooNested => "too complex",
            Self::UnknownName(_) => "no such variable",
            Self::UnknownFunction(_) => "no such function",
            Self::NotAMember(_) | Self::NotAFunction(_) => "called the other way round",
            Self::Arguments { .. } | Self::Macro { .. } => "not these arguments",
            Self::NotLiteral(_) => "not a literal",
            Self::Pattern { .. } => "not a pattern",
            Self::Shadows(_) => "taken",
            Self::Unsupported(_) | Self::ClaimName => "not in a policy",
            Self::TooLarge => "may grow too large",
        }
    }

    /// The kind of finding that it is.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Syntax { .. } => Code::Syntax,
            Self::TooLong(_) | Self::TooDeep | Self::TooManyNodes | Self::TooNested => Code::TooComplex,
            Self::UnknownName(_) => Code::UnknownName,
            Self::UnknownFunction(_) => Code::UnknownFunction,
            Self::NotAMember(_) | Self::NotAFunction(_) | Self::Arguments { .. } | Self::Macro { .. } => {
                Code::WrongCall
            }
            Self::NotLiteral(_) => Code::NotLiteral,
            Self::Pattern { .. } => Code::BadPattern,
            Self::Shadows(_) => Code::HiddenName,
            Self::Unsupported(_) | Self::ClaimName => Code::Unsupported,
            Self::TooLarge => Code::TooLarge,
        }
    }
}

/// A compiled expression. Shared between all rules that use the same text.
#[derive(Debug)]
pub(super) struct Program {
    source: Box<str>,
    dialect: Dialect,
    tree: Expression,
    claims: Claims,
    patterns: Box<[Pattern]>,
    names: Box<[Box<str>]>,
}

/// Claims by the names of the variables that stand for them: variable, claim; in order.
pub(super) type Claims = Arc<[(Arc<str>, Arc<str>)]>;

impl Program {
    /// The text that it was compiled from.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whose CEL it is written in.
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What is evaluated.
    pub(super) fn tree(&self) -> &Expression {
        &self.tree
    }

    /// The claims that it mentions, each with the variable that stands for it.
    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Its patterns.
    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether it mentions the variable `name`.
    pub(super) fn mentions(&self, name: &str) -> bool {
        self.names.binary_search_by(|known| known.as_ref().cmp(name)).is_ok()
    }

    /// The steps of reading the claims that it mentions, which a rule does once, however often it mentions them.
    pub(super) fn conversion(&self) -> u64 {
        if self.claims.is_empty() { 0 } else { cost::CLAIM.copy() }
    }

    /// Its worst case, where the `let` variables are of these sizes.
    pub(super) fn bound<'a>(&'a self, lets: &[(&'a str, Size)]) -> Result<Bound, CompileError> {
        cost::bound(self, lets)
    }
}

/// A dialect, a source text, and the names that it can see, which decide whether it compiles.
type InSight = (Dialect, Box<str>, Box<[Box<str>]>);

/// Compiles the expressions of one set, and keeps one copy of what repeats: ten thousand policies differ in a few words.
#[derive(Debug, Default)]
pub(super) struct Compiler {
    codes: HashMap<InSight, Arc<Program>>,
    texts: HashSet<Arc<str>>,
    claims: HashSet<Claims>,
    patterns: HashMap<Arc<str>, Pattern>,
}

impl Compiler {
    /// The compiled form of `source`.
    ///
    /// # Errors
    /// [`CompileError`] names the first fault.
    pub(super) fn compile(
        &mut self,
        source: &str,
        dialect: Dialect,
        lets: &[&str],
    ) -> Result<Arc<Program>, CompileError> {
        let key = (dialect, Box::from(source), lets.iter().map(|name| Box::from(*name)).collect());
        if let Some(code) = self.codes.get(&key) {
            return Ok(Arc::clone(code));
        }
        let code = Arc::new(self.code(source, dialect, lets)?);
        self.codes.insert(key, Arc::clone(&code));
        Ok(code)
    }

    /// Parses, expands, judges and rewrites.
    fn code(&mut self, source: &str, dialect: Dialect, lets: &[&str]) -> Result<Program, CompileError> {
        if source.len() > SOURCE_BYTES {
            return Err(CompileError::TooLong(source.len()));
        }
        let mut tree = parse(source)?;
        expand(&mut tree)?;
        guard::judge(&tree, dialect, lets)?;
        let mut needs = Needs { known: std::mem::take(&mut self.patterns), ..Needs::default() };
        let rewritten = rewrite(&mut tree, &mut needs);
        self.patterns = needs.known;
        rewritten?;
        bounded(&tree)?;
        Ok(Program {
            source: source.into(),
            dialect,
            tree,
            claims: self.claims(needs.claims),
            patterns: needs.patterns.into_values().collect(),
            names: needs.names.into_iter().map(String::into_boxed_str).collect(),
        })
    }

    /// One shared copy of a table of claims.
    pub(super) fn claims(&mut self, claims: BTreeMap<Arc<str>, Arc<str>>) -> Claims {
        let claims: Claims =
            claims.into_iter().map(|(variable, claim)| (self.text(&variable), self.text(&claim))).collect();
        if let Some(known) = self.claims.get(&claims) {
            return Arc::clone(known);
        }
        self.claims.insert(Arc::clone(&claims));
        claims
    }

    /// One shared copy of `text`.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&text));
        text
    }
}

/// Calls the Pratt parser directly: 13 times faster than `Env::compile`, whose grammar-generated parser recurses without
/// a bound of ours.
pub(super) fn parse(source: &str) -> Result<Expression, CompileError> {
    parser().parse(source).map_err(|errors| {
        let first = errors.errors.first();
        let place = first.map_or((1, 1), |error| error.pos);
        let message = first.map_or_else(String::new, |error| tidy(&error.msg));
        let count = |n: isize| usize::try_from(n).unwrap_or(1).max(1);
        CompileError::Syntax { line: count(place.0), column: count(place.1), message }
    })
}

/// The parser as every expression is parsed.
pub(super) fn parser() -> PrattParser {
    PrattParser::new()
        .max_recursion_depth(PARSER_DEPTH)
        .error_recovery_limit(4)
        .error_reporting_limit(4)
        .enable_optional_syntax(true)
        .enable_ident_escape_syntax(true)
}

fn tidy(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    message.lines().next().unwrap_or_default().chars().take(200).collect()
}
