//! Regular expressions and globs, compiled once at load.
//!
//! Decides what a literal pattern means and whether a text matches it. Refuses to compile anything at evaluation: a
//! pattern that is not a literal is refused by [`guard`](super::guard), because a pattern from a claim would hand the
//! author of the token a say in the policy, and `cel` itself compiles `matches` anew on every call (16 µs).

mod weight;

use std::any::Any;
use std::fmt::Write as _;
use std::sync::Arc;

use cel::common::types::{Kind, Type};
use cel::common::value::{StaticVal, Val};
use regex::{Regex, RegexBuilder};

use self::weight::{Weight, of_ascii};
use super::limits::{
    PATTERN_AUTOMATON, PATTERN_BYTES, PATTERN_COMPILED, PATTERN_NESTING, SEARCHED_BYTES, SUBJECT_BYTES,
};

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
            "matches" | "regex.replace" | "regex.extract" | "regex.extractAll" => Some(Self::Search),
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
    weight: Weight,
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
        let expression = match kind {
            PatternKind::Search => of_ascii(text),
            PatternKind::Full => {
                // On its own first: `a)|(b` is no expression, but would become one between the anchors, and match `ax`.
                let expression = of_ascii(text);
                build(&expression, PATTERN_COMPILED)?;
                format!(r"\A(?:{expression})\z")
            }
            PatternKind::Glob => glob(text)?,
        };
        // The smallest class that it fits in says what a search may cost.
        let classes = (0..).map(|power| 1024 << power).take_while(|class| *class <= PATTERN_COMPILED);
        for class in classes {
            match build(&expression, class) {
                Ok(regex) => {
                    let weight = Weight::of(&expression, class);
                    return Ok(Self { name: Self::ident(kind, text), regex: Arc::new(regex), weight });
                }
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

    /// What a search costs.
    pub(super) const fn weight(&self) -> Weight {
        self.weight
    }

    /// Whether `text` matches, or `None` where it has more than [`SUBJECT_BYTES`].
    pub(super) fn matches(&self, text: &str) -> Option<bool> {
        (text.len() <= SUBJECT_BYTES).then(|| self.regex.is_match(text))
    }
}

/// Why a search for parts of a text has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RegexFault {
    /// Longer than a search is reckoned with.
    #[error("the text is too long")]
    TooLong,
    /// Which of them to extract?
    #[error("the pattern has more than one group")]
    Groups,
    /// A `\` that is followed by neither a digit nor another one, or a group that the pattern does not have.
    #[error("not a replacement: `\\` is followed by the number of a group, or by another `\\`")]
    Replacement,
}

impl Pattern {
    /// `text` with the first `count` matches replaced. `\1` to `\9` stand for a group, `\0` for the match, `\\` for a `\`.
    pub(super) fn replace(&self, text: &str, replacement: &str, count: usize) -> Result<String, RegexFault> {
        let parts = self.replacement(replacement)?;
        if text.len() > SEARCHED_BYTES {
            return Err(RegexFault::TooLong);
        }
        let (mut replaced, mut rest) = (String::new(), 0);
        for found in self.regex.captures_iter(text).take(count) {
            let whole = found.get(0).map_or(rest..rest, |whole| whole.range());
            replaced.push_str(text.get(rest..whole.start).unwrap_or_default());
            for part in &parts {
                replaced.push_str(match part {
                    Part::Text(literal) => literal,
                    Part::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
                });
            }
            rest = whole.end;
        }
        replaced.push_str(text.get(rest..).unwrap_or_default());
        Ok(replaced)
    }

    fn replacement<'t>(&self, text: &'t str) -> Result<Vec<Part<'t>>, RegexFault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            parts.push(Part::Text(before));
            let next = after.chars().next().ok_or(RegexFault::Replacement)?;
            parts.push(match next.to_digit(10) {
                Some(group) if (group as usize) < self.regex.captures_len() => Part::Group(group as usize),
                None if next == '\\' => Part::Text("\\"),
                _ => return Err(RegexFault::Replacement),
            });
            rest = after.get(1..).unwrap_or_default();
        }
        parts.push(Part::Text(rest));
        Ok(parts)
    }

    /// The first match, or its one group. A group that is empty or took no part is no match, as in cel-go.
    pub(super) fn extract<'t>(&self, text: &'t str) -> Result<Option<&'t str>, RegexFault> {
        if text.len() > SUBJECT_BYTES {
            return Err(RegexFault::TooLong);
        }
        let group = self.group()?;
        let found = self.regex.captures(text).and_then(|found| found.get(group)).map(|part| part.as_str());
        Ok(found.filter(|part| group == 0 || !part.is_empty()))
    }

    /// All matches, or the one group of each, without the empty ones.
    pub(super) fn extract_all<'t>(&self, text: &'t str) -> Result<Vec<&'t str>, RegexFault> {
        if text.len() > SEARCHED_BYTES {
            return Err(RegexFault::TooLong);
        }
        let group = self.group()?;
        let found = self.regex.captures_iter(text).filter_map(|found| found.get(group)).map(|part| part.as_str());
        Ok(found.filter(|part| group == 0 || !part.is_empty()).collect())
    }

    fn group(&self) -> Result<usize, RegexFault> {
        match self.regex.captures_len() {
            0 | 1 => Ok(0),
            2 => Ok(1),
            _ => Err(RegexFault::Groups),
        }
    }
}

enum Part<'t> {
    Text(&'t str),
    Group(usize),
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
    // Room for all states of a small automaton, so that it is never given up.
    builder.size_limit(size).dfa_size_limit(8 * PATTERN_AUTOMATON).nest_limit(PATTERN_NESTING);
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
