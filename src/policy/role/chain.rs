//! A program's expression, cut into the questions that it asks.
//!
//! Decides where the outermost ternaries of `a ? x : (b ? y : z)` begin and end, so that each of their parts is compiled,
//! evaluated and explained on its own, and so that a chain of many questions is no deeper than one. Refuses to parse:
//! text that this can't cut stays one piece, and the parser says what is wrong with it. A ternary binds weaker than
//! everything else in CEL, which is why cutting at its signs is exact.

use std::ops::Range;

use super::text::{Sign, signs, trimmed, unwrapped};

/// Questions in order, and the answer where none holds; spans of bytes in the text.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::policy) struct Chain {
    pub(in crate::policy) questions: Vec<(Range<usize>, Range<usize>)>,
    pub(in crate::policy) last: Range<usize>,
}

impl Chain {
    /// Cuts `source`, at most `most` times.
    pub(in crate::policy) fn of(source: &str, most: usize) -> Self {
        let signs = signs(source);
        let mut questions = vec![];
        let mut rest = 0..source.len();
        loop {
            rest = unwrapped(source, &signs, rest);
            if questions.len() == most {
                return Self { questions, last: rest };
            }
            let Some((question, colon)) = ternary(&signs, &rest) else { return Self { questions, last: rest } };
            questions.push((trimmed(source, rest.start..question), trimmed(source, question + 1..colon)));
            rest = colon + 1..rest.end;
        }
    }
}

/// The first `?` of `within` outside of brackets, and its `:`, where no other ternary stands between them.
fn ternary(signs: &[(usize, Sign)], within: &Range<usize>) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    let mut question = None;
    for (at, sign) in signs.iter().filter(|(at, _)| within.contains(at)) {
        match (sign, question) {
            (Sign::Open, _) => depth += 1,
            (Sign::Close, _) => depth = depth.checked_sub(1)?,
            (Sign::Question, None) if depth == 0 => question = Some(*at),
            (Sign::Question, Some(_)) if depth == 0 => return None,
            (Sign::Colon, Some(question)) if depth == 0 => return Some((question, *at)),
            (Sign::Colon, None) if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn cut(source: &str) -> (Vec<(&str, &str)>, &str) {
        let chain = Chain::of(source, 8);
        let questions = chain.questions.iter().map(|(c, a)| (&source[c.clone()], &source[a.clone()])).collect();
        (questions, &source[chain.last.clone()])
    }

    #[rstest]
    #[case::no_question("pb.Auth{policies: ['a']}", &[], "pb.Auth{policies: ['a']}")]
    #[case::one("a == '?:' ? 'no' : pb.Auth{}", &[("a == '?:'", "'no'")], "pb.Auth{}")]
    #[case::many("a ? 'x' : b ? 'y' : c", &[("a", "'x'"), ("b", "'y'")], "c")]
    #[case::in_parentheses("(a ? 'x' : ((b) ? 'y' : (c)))", &[("a", "'x'"), ("(b)", "'y'")], "c")]
    #[case::a_ternary_as_condition("(a ? b : c) ? d : e", &[("(a ? b : c)", "d")], "e")]
    #[case::a_ternary_as_answer("a ? (b ? 'x' : 'y') : e", &[("a", "(b ? 'x' : 'y')")], "e")]
    #[case::two_parentheses("(a) || (b)", &[], "(a) || (b)")]
    #[case::a_map("{'a': 1}.a == 1 ? 'x' : 'y'", &[("{'a': 1}.a == 1", "'x'")], "'y'")]
    #[case::optional_syntax("claims.?a.orValue('') == '' ? 'x' : y", &[("claims.?a.orValue('') == ''", "'x'")], "y")]
    #[case::optional_index("claims[?'a'].hasValue() ? 'x' : y", &[("claims[?'a'].hasValue()", "'x'")], "y")]
    #[case::escapes(r"a == '\'?' ? 'x' : y", &[(r"a == '\'?'", "'x'")], "y")]
    #[case::raw(r"a == r'\' ? 'x' : y", &[(r"a == r'\'", "'x'")], "y")]
    #[case::triple("a == '''it's ? ''' ? 'x' : y", &[("a == '''it's ? '''", "'x'")], "y")]
    #[case::comment("a // why?\n ? 'x' : y", &[("a // why?", "'x'")], "y")]
    #[case::an_answer_that_is_no_answer("a ? b ? 'x' : 'y' : z", &[], "a ? b ? 'x' : 'y' : z")]
    #[case::unfinished("a ? 'x", &[], "a ? 'x")]
    #[case::unbalanced("a) ? 'x' : y", &[], "a) ? 'x' : y")]
    #[case::nothing("", &[], "")]
    fn an_expression_is_cut_at_its_outermost_ternaries(
        #[case] source: &str,
        #[case] questions: &[(&str, &str)],
        #[case] last: &str,
    ) {
        assert_eq!(cut(source), (questions.to_vec(), last));
    }

    #[test]
    fn what_is_left_of_too_many_questions_stays_whole() {
        let source = "a ? 'x' : b ? 'y' : c";
        assert_eq!(&source[Chain::of(source, 1).last], "b ? 'y' : c");
    }
}
