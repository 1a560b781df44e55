//! Regular expressions and globs, compiled once at load.
//!
//! Decides what a literal pattern means and whether a text matches it. Refuses to compile anything at evaluation: a
//! pattern that is not a literal is refused by [`guard`](super::guard), because a pattern from a claim would hand the
//! author of the token a say in the policy, and `cel` itself compiles `matches` anew on every call (16 µs).

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use cel::common::types::{Kind, Type};
use cel::common::value::{StaticVal, Val};
use regex::{Regex, RegexBuilder};

use super::limits::{PATTERN_BYTES, PATTERN_COMPILED, SUBJECT_BYTES};

/// How a pattern is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PatternKind {
    /// `matches`: a regular expression, found anywhere in the text (CEL's definition).
    Search,
    /// `fullMatch`: a regular expression that the whole text has to match.
    Full,
    /// `glob`: `*` is any run without `/`, `**` any run, `?` one character other than `/`; the whole text has to match.
    Glob,
}

impl PatternKind {
    /// The CEL function that reads its pattern so.
    pub(super) fn of(function: &str) -> Option<Self> {
        match function {
            "matches" => Some(Self::Search),
            "fullMatch" => Some(Self::Full),
            "glob" => Some(Self::Glob),
            _ => None,
        }
    }

    const fn function(self) -> &'static str {
        match self {
            Self::Search => "matches",
            Self::Full => "fullMatch",
            Self::Glob => "glob",
        }
    }
}

/// A compiled pattern, which the evaluator passes around as an opaque CEL value.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    name: Arc<str>,
    regex: Arc<Regex>,
    weight: u64,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Longer than the bound.
    #[error("the pattern has {0} bytes, at most {PATTERN_BYTES} are allowed")]
    TooLong(usize),
    /// Compiles to more than the bound, e.g. by a large counted repetition.
    #[error("the pattern compiles to more than {PATTERN_COMPILED} bytes")]
    TooLarge,
    /// No regular expression.
    #[error("not a regular expression: {0}")]
    Syntax(String),
    /// A character that other globs give a meaning.
    #[error("`{0}` has no meaning in a glob here: only `*`, `**` and `?` do")]
    Glob(char),
}

/// The type that overloads of `@match` are declared for. No expression can name it.
pub(super) static PATTERN_TYPE: Type = Type::simple_type(Kind::Opaque, "cambio.Pattern");

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// [`PatternError`] where it is no pattern of that kind, or too large.
    pub(super) fn new(kind: PatternKind, text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES {
            return Err(PatternError::TooLong(text.len()));
        }
        let expression: Cow<'_, str> = match kind {
            PatternKind::Search => Cow::Borrowed(text),
            PatternKind::Full => {
                // On its own first: `a)|(b` is no expression, but would become one between the anchors, and match `ax`.
                build(text, PATTERN_COMPILED)?;
                Cow::Owned(format!(r"\A(?:{text})\z"))
            }
            PatternKind::Glob => Cow::Owned(glob(text)?),
        };
        // The smallest class that it fits in says what a match may cost where the lazy automaton gives up.
        for (class, weight) in [(PATTERN_COMPILED / 4, 1), (PATTERN_COMPILED, 4)] {
            match build(&expression, class) {
                Ok(regex) => return Ok(Self { name: Self::ident(kind, text), regex: Arc::new(regex), weight }),
                Err(PatternError::TooLarge) => {}
                Err(error) => return Err(error),
            }
        }
        Err(PatternError::TooLarge)
    }

    /// The identifier that stands for this pattern in a rewritten expression. CEL's grammar has no `@`, so that no
    /// source can name it.
    pub(super) fn ident(kind: PatternKind, text: &str) -> Arc<str> {
        format!("@{}({text:?})", kind.function()).into()
    }

    /// The identifier of this pattern.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Steps per 4 bytes of text.
    pub(super) const fn weight(&self) -> u64 {
        self.weight
    }

    /// Whether `text` matches, or `None` where it has more than [`SUBJECT_BYTES`].
    pub(super) fn matches(&self, text: &str) -> Option<bool> {
        (text.len() <= SUBJECT_BYTES).then(|| self.regex.is_match(text))
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN_TYPE
    }

    fn cel_type() -> &'static Type {
        &PATTERN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

fn build(expression: &str, size: usize) -> Result<Regex, PatternError> {
    let mut builder = RegexBuilder::new(expression);
    builder.size_limit(size).dfa_size_limit(PATTERN_COMPILED).nest_limit(32);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
        other => PatternError::Syntax(last_line(&other.to_string())),
    })
}

/// The reason out of `regex`'s drawing of the pattern with a caret below it.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn glob(text: &str) -> Result<String, PatternError> {
    let mut expression = String::from(r"(?s)\A");
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '*' if rest.next_if_eq(&'*').is_some() => expression.push_str(".*"),
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '[' | ']' | '{' | '}' | '\\' => return Err(PatternError::Glob(next)),
            other if other.is_alphanumeric() || other == '/' => expression.push(other),
            other => {
                let _ = write!(expression, r"\x{{{:x}}}", u32::from(other));
            }
        }
    }
    expression.push_str(r"\z");
    Ok(expression)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(PatternKind::Search, "main", "refs/heads/main-evil", true)]
    #[case(PatternKind::Full, "main", "refs/heads/main-evil", false)]
    #[case(PatternKind::Full, "a|b", "b", true)]
    #[case(PatternKind::Full, "a|b", "ab", false)]
    #[case(PatternKind::Full, "a|b", "bx", false)]
    #[case(PatternKind::Full, "main", "main\n", false)]
    #[case(PatternKind::Full, "(?m)^main$", "main\nevil", false)]
    #[case(PatternKind::Glob, "refs/heads/*", "refs/heads/main", true)]
    #[case(PatternKind::Glob, "refs/heads/*", "refs/heads/a/b", false)]
    #[case(PatternKind::Glob, "refs/heads/**", "refs/heads/a/b", true)]
    #[case(PatternKind::Glob, "review/?", "review/1", true)]
    #[case(PatternKind::Glob, "review/?", "review//", false)]
    #[case(PatternKind::Glob, "a.c", "abc", false)]
    #[case(PatternKind::Glob, "a+b(c)|^$", "a+b(c)|^$", true)]
    #[case(PatternKind::Glob, "*", "", true)]
    #[case(PatternKind::Glob, "x*", "x\ny", true)]
    #[case(PatternKind::Glob, "é?", "éü", true)]
    fn a_pattern_matches_as_its_kind_says(
        #[case] kind: PatternKind,
        #[case] pattern: &str,
        #[case] text: &str,
        #[case] matches: bool,
    ) {
        assert_eq!(Pattern::new(kind, pattern).unwrap().matches(text), Some(matches));
    }

    #[rstest]
    #[case::closes_the_anchors_group(PatternKind::Full, "a)|(b")]
    #[case::comment_swallows_the_anchor(PatternKind::Full, "(?x)a #")]
    #[case::unbalanced(PatternKind::Search, "(")]
    #[case::look_ahead(PatternKind::Search, "(?=a)")]
    #[case::class_in_a_glob(PatternKind::Glob, "[ab]")]
    #[case::alternation_in_a_glob(PatternKind::Glob, "{a,b}")]
    #[case::escape_in_a_glob(PatternKind::Glob, r"\*")]
    #[case::large_repetition(PatternKind::Search, "(a{100}){100}")]
    fn a_pattern_that_could_mean_something_else_is_refused(#[case] kind: PatternKind, #[case] pattern: &str) {
        assert!(Pattern::new(kind, pattern).is_err());
    }

    #[test]
    fn a_text_that_is_too_long_is_no_match_and_no_mismatch() {
        let pattern = Pattern::new(PatternKind::Search, "a").unwrap();
        assert_eq!(pattern.matches(&"a".repeat(SUBJECT_BYTES + 1)), None);
    }
}
