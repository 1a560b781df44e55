//! Which paths a rule is for, and which of two rules counts.
//!
//! Decides what a pattern is, what it matches, and its rank. Refuses to know what a rule grants. OpenBao, policies, "policy
//! syntax" and "priority matching".

use std::cmp::Ordering;
use std::sync::Arc;

use super::limits::PATTERN_BYTES;
use crate::secrets::SecretPath;

/// A path of the API, or a pattern of paths: `+` stands for one segment, `*` at the end for whatever follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: Arc<str>,
    /// Bytes before the first `+` or `*`; none where there is neither.
    head: Option<usize>,
    /// How many `+`.
    segments: usize,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    #[error("the path is empty")]
    Empty,
    #[error("the path has more than {PATTERN_BYTES} bytes")]
    TooLong,
    #[error(
        "`{{{{..}}}}` is filled in from OpenBao's identities, which cambio does not have: write the path out, or leave it to \
         a policy's name"
    )]
    Identity,
    #[error("`*` stands at the end of a path, for whatever follows, and nowhere else; `+` stands for a segment")]
    Star,
    #[error("`+` is a whole segment, as in `secret/+/db`")]
    Plus,
    #[error(
        "a path has no empty, `.` or `..` segments, none with spaces at its ends, no control or formatting characters, \
             and none of `%\\?#`: no request has such a path, so the rule would never count"
    )]
    Unreachable,
}

impl Pattern {
    /// Reads a pattern; one slash at its start is dropped, as OpenBao does.
    ///
    /// # Errors
    /// [`PatternError`] names the first fault.
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let text = text.strip_prefix('/').unwrap_or(text);
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > PATTERN_BYTES {
            return Err(PatternError::TooLong);
        }
        if text.contains("{{") {
            return Err(PatternError::Identity);
        }
        let open = text.ends_with('*');
        let body = text.strip_suffix('*').unwrap_or(text);
        if body.contains('*') {
            return Err(PatternError::Star);
        }
        let mut segments = body.split('/').peekable();
        while let Some(segment) = segments.next() {
            let last = segments.peek().is_none();
            match segment {
                "+" if !(last && open) => {}
                "" if last => {}
                segment if segment.contains('+') => return Err(PatternError::Plus),
                // Whatever `*` stands for may go on with the segment.
                segment if last && open => fit(&format!("{segment}x"))?,
                segment => fit(segment)?,
            }
        }
        let head = body.find('+').or(open.then_some(body.len()));
        let segments = body.bytes().filter(|b| *b == b'+').count();
        Ok(Self { text: Arc::from(text), head, segments })
    }

    /// As it is written.
    pub(super) const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// What stands before the first wildcard; none where it is one path.
    pub(super) fn head(&self) -> Option<&str> {
        self.text.get(..self.head?)
    }

    /// Whether it ends in `*`.
    pub(super) fn is_open(&self) -> bool {
        self.text.ends_with('*')
    }

    /// Whether `path` is one of those that it stands for.
    pub(super) fn matches(&self, path: &str) -> bool {
        let Some(head) = self.head() else { return self.text.as_ref() == path };
        let Some(given) = path.strip_prefix(head) else { return false };
        let wanted = self.text.get(head.len()..).unwrap_or_default();
        let open = self.is_open();
        let mut given = given.split('/');
        let mut wanted = wanted.strip_suffix('*').unwrap_or(wanted).split('/').peekable();
        while let Some(want) = wanted.next() {
            let Some(segment) = given.next() else { return false };
            if want == "+" || want == segment {
                continue;
            }
            return open && wanted.peek().is_none() && segment.starts_with(want);
        }
        open || given.next().is_none()
    }

    /// Whether it stands for `prefix`, or for any path that begins with it.
    pub(super) fn reaches_below(&self, prefix: &str) -> bool {
        let open = self.is_open();
        let mut wanted = self.text.strip_suffix('*').unwrap_or(&self.text).split('/').peekable();
        let mut given = prefix.split('/').peekable();
        while let Some(segment) = given.next() {
            let Some(want) = wanted.next() else { return false };
            let (last_given, last_wanted) = (given.peek().is_none(), wanted.peek().is_none());
            if open && last_wanted && want != "+" && segment.starts_with(want) {
                return true;
            }
            let begins = last_given && (want.starts_with(segment) || want == "+");
            if !begins && want != segment && want != "+" {
                return false;
            }
        }
        true
    }
}

/// Which of two patterns that match one path counts: the greater. Only for patterns with wildcards; a path without any
/// counts before all of them.
///
/// P1 is lower than P2 if its first wildcard comes earlier; else if P1 ends in `*` and P2 does not; else if P1 has more `+`;
/// else if P1 is shorter; else if P1 is lexicographically smaller.
impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        let first = |pattern: &Self| pattern.head.unwrap_or(usize::MAX);
        first(self)
            .cmp(&first(other))
            .then_with(|| other.is_open().cmp(&self.is_open()))
            .then_with(|| other.segments.cmp(&self.segments))
            .then_with(|| self.text.len().cmp(&other.text.len()))
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn fit(segment: &str) -> Result<(), PatternError> {
    SecretPath::new(segment).map(drop).map_err(|_| PatternError::Unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a/b", "a/b", true)]
    #[case("a/b", "a/b/", false)]
    #[case("a/b/", "a/b/", true)]
    #[case("a/b*", "a/b", true)]
    #[case("a/b*", "a/bc/d", true)]
    #[case("a/b*", "a/c", false)]
    #[case("*", "a/b", true)]
    #[case("a/*", "a", false)]
    #[case("a/*", "a/", true)]
    #[case("+", "a", true)]
    #[case("+", "a/b", false)]
    #[case("a/+", "a/b", true)]
    #[case("a/+", "a/", true)]
    #[case("a/+", "a/b/", false)]
    #[case("a/+/c", "a/b/c", true)]
    #[case("a/+/c", "a/b/c/d", false)]
    #[case("a/+/c", "a/b/d/c", false)]
    #[case("a/+/c*", "a/b/cd/e", true)]
    #[case("a/+/c*", "a/b/c/e", true)]
    #[case("a/+/*", "a/b/", true)]
    #[case("a/+/*", "a/b", false)]
    #[case("+/+/c", "a/b/c", true)]
    #[case("/a/b", "a/b", true)]
    fn a_pattern_stands_for_paths(#[case] pattern: &str, #[case] path: &str, #[case] expected: bool) {
        assert_eq!(Pattern::new(pattern).unwrap().matches(path), expected);
    }

    #[rstest]
    #[case("", PatternError::Empty)]
    #[case("/", PatternError::Empty)]
    #[case("a*b", PatternError::Star)]
    #[case("a/*/b", PatternError::Star)]
    #[case("a/**", PatternError::Star)]
    #[case("a+", PatternError::Plus)]
    #[case("a/b+/c", PatternError::Plus)]
    #[case("a/++", PatternError::Plus)]
    #[case("a/+*", PatternError::Plus)]
    #[case("secret/{{identity.entity.name}}/*", PatternError::Identity)]
    #[case("//a", PatternError::Unreachable)]
    #[case("a//b", PatternError::Unreachable)]
    #[case("a/../b", PatternError::Unreachable)]
    #[case("a/./b", PatternError::Unreachable)]
    #[case("a/%2e", PatternError::Unreachable)]
    #[case("a/b ", PatternError::Unreachable)]
    #[case("a/\u{200b}b", PatternError::Unreachable)]
    #[case("a/\nb", PatternError::Unreachable)]
    fn what_is_no_pattern_is_refused(#[case] text: &str, #[case] error: PatternError) {
        assert_eq!(Pattern::new(text), Err(error));
    }

    #[test]
    fn a_pattern_has_a_longest_length() {
        let of = |bytes: usize| format!("{}*", "a/".repeat(bytes / 2)).chars().take(bytes).collect::<String>();
        assert!(Pattern::new(&of(PATTERN_BYTES)).is_ok());
        assert_eq!(Pattern::new(&of(PATTERN_BYTES + 1)), Err(PatternError::TooLong));
    }

    #[rstest]
    #[case("a/..*")]
    #[case("a/b *")]
    fn what_a_star_may_complete_is_fine(#[case] text: &str) {
        assert!(Pattern::new(text).is_ok());
    }

    /// Each comparator alone: what comes before it is equal on both sides.
    #[rstest]
    #[case::first_wildcard_later("a/b/+/d", "a/+/c/d")]
    #[case::first_wildcard_later_beats_the_end("a/b*", "a/+")]
    #[case::no_star_at_the_end("a/+/c", "a/+/c*")]
    #[case::no_star_beats_fewer_plus("a/+/+", "a/+/*")]
    #[case::fewer_plus("a/+/c/d", "a/+/+/d")]
    #[case::fewer_plus_beats_longer("a/+/c", "a/+/+/ddddd")]
    #[case::fewer_plus_with_stars("a/*", "a/+/*")]
    #[case::longer("a/+/c/dd*", "a/+/c/d*")]
    #[case::lexicographically_greater("a/+/d", "a/+/c")]
    fn the_higher_pattern_counts(#[case] higher: &str, #[case] lower: &str) {
        let (higher, lower) = (Pattern::new(higher).unwrap(), Pattern::new(lower).unwrap());
        assert_eq!(higher.cmp(&lower), Ordering::Greater);
        assert_eq!(lower.cmp(&higher), Ordering::Less);
    }

    #[rstest]
    #[case("kv/*", "kv/", true)]
    #[case("*", "kv/", true)]
    #[case("k*", "kv/", true)]
    #[case("kv/data/a", "kv/", true)]
    #[case("+/data/a", "kv/", true)]
    #[case("+/data/a", "kv/data/", true)]
    #[case("+/data/a", "kv/metadata/", false)]
    #[case("+/data/+", "kv/data/a/", false)]
    #[case("+/data/*", "kv/data/a/b/", true)]
    #[case("other/+", "kv/", false)]
    #[case("+", "kv/", false)]
    #[case("kv/da*", "kv/d", true)]
    fn a_pattern_may_reach_below_a_prefix(#[case] pattern: &str, #[case] prefix: &str, #[case] expected: bool) {
        assert_eq!(Pattern::new(pattern).unwrap().reaches_below(prefix), expected);
    }
}
