//! What a search of a pattern may cost, told from the pattern alone.
//!
//! Decides whether a pattern's automaton is small. `regex` builds it lazily, state by state, and searches at 2 ns a byte
//! while it fits into its cache; where it does not, a search of `regex`'s is hundreds of times slower, in proportion to
//! the pattern's size. Which of the two a text brings about is the text's author's choice, so the automaton is built
//! here once, as far as a bound, and thrown away.

use regex_automata::dfa::dense;
use regex_automata::dfa::regex::Builder;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

use crate::policy::limits::{PATTERN_AUTOMATON, PATTERN_COMPILED, PATTERN_NESTING};

/// Steps for each byte of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Weight {
    /// Quarters of a step, to know whether the pattern matches.
    pub(in crate::policy) search: u64,
    /// Steps, to know where its groups are in a match.
    pub(in crate::policy) groups: u64,
}

impl Weight {
    /// Of a pattern that compiles to at most `bytes`. Measured at up to 0.5 µs a byte for each KiB in an unoptimised
    /// build, and half of that for groups.
    pub(super) fn of(expression: &str, bytes: usize) -> Self {
        let kibibytes = (bytes as u64).div_ceil(1024);
        let search = if is_steady(expression) { 1 } else { kibibytes.saturating_mul(12) };
        Self { search, groups: kibibytes.saturating_mul(2) }
    }
}

/// Whether the automaton of `expression` is small, forwards and backwards.
fn is_steady(expression: &str) -> bool {
    let dense = dense::Config::new()
        .dfa_size_limit(Some(PATTERN_AUTOMATON))
        .determinize_size_limit(Some(2 * PATTERN_AUTOMATON));
    let mut builder = Builder::new();
    builder.dense(dense);
    builder.thompson(thompson::Config::new().nfa_size_limit(Some(PATTERN_COMPILED)));
    builder.syntax(syntax::Config::new().nest_limit(PATTERN_NESTING));
    builder.build(expression).is_ok()
}

/// `text` with `\d`, `\w`, `\s`, their opposites and `\b` as in RE2, which CEL's patterns are defined by: of ASCII, not of
/// all of Unicode, where `\d` would be a digit of any script.
pub(super) fn of_ascii(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            pattern.push(next);
            continue;
        }
        match rest.next() {
            Some('d') => pattern.push_str("[0-9]"),
            Some('D') => pattern.push_str("[^0-9]"),
            Some('w') => pattern.push_str("[0-9A-Za-z_]"),
            Some('W') => pattern.push_str("[^0-9A-Za-z_]"),
            Some('s') => pattern.push_str(r"[\t\n\x0C\r\x20]"),
            Some('S') => pattern.push_str(r"[^\t\n\x0C\r\x20]"),
            Some('b') => pattern.push_str(r"(?-u:\b)"),
            escaped => {
                pattern.push(next);
                pattern.extend(escaped);
            }
        }
    }
    pattern
}
