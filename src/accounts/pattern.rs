//! Which secrets a permission is for. Decides what a pattern is and whether one covers another; refuses to know mounts.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest pattern, in bytes.
const MOST_BYTES: usize = 512;

/// A path below a mount, or a pattern of such paths, as access documents write them: `+` stands for one segment, `*` at the end
/// for whatever follows. Relative to the account's namespace, and without `data/` or `metadata/`: `secret/app/*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretsPattern(Arc<str>);

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// Empty, or longer than 512 bytes.
    #[error("a pattern has 1 to 512 bytes")]
    Length,
    /// It does not begin with a mount, or has nothing below it.
    #[error("a pattern begins with a mount, and something below it: `secret/app/*`")]
    Mount,
    /// An empty, `.` or `..` segment, or one with spaces at its ends.
    #[error("a pattern has no empty, `.` or `..` segment, and none with spaces at its ends")]
    Segment,
    /// A character that no path of a secret has.
    #[error("a pattern has letters, digits, spaces and `!\"$&'()+,-./:;<=>@[]^_`{{|}}~`; `*` at its end only")]
    Character,
    /// `+` within a segment.
    #[error("`+` is a whole segment, as in `secret/+/db`")]
    Plus,
}

impl SecretsPattern {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`PatternFault`] names the first fault.
    pub fn new(text: &str) -> Result<Self, PatternFault> {
        if text.is_empty() || text.len() > MOST_BYTES {
            return Err(PatternFault::Length);
        }
        let body = text.strip_suffix('*').unwrap_or(text);
        let fits = |c: char| c.is_alphanumeric() || c == ' ' || (c.is_ascii_graphic() && !"*%\\?#".contains(c));
        if !body.chars().all(fits) || body.contains("{{") {
            return Err(PatternFault::Character);
        }
        let (mount, rest) = body.split_once('/').ok_or(PatternFault::Mount)?;
        if mount.is_empty() || mount.contains('+') || (rest.is_empty() && body == text) {
            return Err(PatternFault::Mount);
        }
        let mut segments = body.split('/').peekable();
        while let Some(segment) = segments.next() {
            let last = segments.peek().is_none();
            match segment {
                // What `*` stands for may begin here.
                "" if last && body != text => {}
                // `+*` would be a segment that is two things at once.
                "+" if !(last && body != text) => {}
                "" | "." | ".." => return Err(PatternFault::Segment),
                segment if segment.contains('+') => return Err(PatternFault::Plus),
                segment if segment.trim() != segment => return Err(PatternFault::Segment),
                _ => {}
            }
        }
        Ok(Self(Arc::from(text)))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for every path that `other` stands for. May say no where that is so, if `+` is in it; never yes
    /// where it is not.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match self.0.strip_suffix('*') {
            Some(body) if !self.has_plus() => other.0.starts_with(body),
            _ => self == other,
        }
    }

    /// Whether `+` is in it.
    #[must_use]
    pub fn has_plus(&self) -> bool {
        self.0.split('/').any(|segment| segment == "+")
    }
}

impl TryFrom<String> for SecretsPattern {
    type Error = PatternFault;
    fn try_from(text: String) -> Result<Self, PatternFault> {
        Self::new(&text)
    }
}

impl From<SecretsPattern> for String {
    fn from(pattern: SecretsPattern) -> Self {
        pattern.0.as_ref().to_owned()
    }
}

impl fmt::Display for SecretsPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("secret/app/db", Ok(()))]
    #[case("secret/*", Ok(()))]
    #[case("secret/app*", Ok(()))]
    #[case("secret/+/db", Ok(()))]
    #[case("secrets/kv/app/*", Ok(()))]
    #[case("secret/über/a b", Ok(()))]
    #[case("", Err(PatternFault::Length))]
    #[case("*", Err(PatternFault::Mount))]
    #[case("secret*", Err(PatternFault::Mount))]
    #[case("secret", Err(PatternFault::Mount))]
    #[case("secret/", Err(PatternFault::Mount))]
    #[case("/secret/app", Err(PatternFault::Mount))]
    #[case("+/app", Err(PatternFault::Mount))]
    #[case("secret//app", Err(PatternFault::Segment))]
    #[case("secret/../sys/app", Err(PatternFault::Segment))]
    #[case("secret/app/", Err(PatternFault::Segment))]
    #[case("secret/ app", Err(PatternFault::Segment))]
    #[case("secret/*/db", Err(PatternFault::Character))]
    #[case("secret/**", Err(PatternFault::Character))]
    #[case("secret/%2e%2e/x", Err(PatternFault::Character))]
    #[case("secret/a\u{202e}b", Err(PatternFault::Character))]
    #[case("secret/{{identity}}/x", Err(PatternFault::Character))]
    #[case("secret/a+/db", Err(PatternFault::Plus))]
    #[case("secret/+*", Err(PatternFault::Plus))]
    fn a_pattern_is_what_access_documents_take(#[case] text: &str, #[case] expected: Result<(), PatternFault>) {
        assert_eq!(SecretsPattern::new(text).map(|_| ()), expected);
        let long = format!("secret/{}", "x".repeat(512));
        assert_eq!(SecretsPattern::new(&long), Err(PatternFault::Length));
    }

    #[rstest]
    #[case("secret/app/db", "secret/app/db", true)]
    #[case("secret/app/db", "secret/app/dbs", false)]
    #[case("secret/app/*", "secret/app/db", true)]
    #[case("secret/app/*", "secret/app/+/db", true)]
    #[case("secret/app/*", "secret/app/x/*", true)]
    #[case("secret/app/*", "secret/app*", false)]
    #[case("secret/app/*", "secret/apple", false)]
    #[case("secret/app/db", "secret/app/*", false)]
    #[case("secret/+/db", "secret/+/db", true)]
    #[case("secret/+/db", "secret/app/db", false)]
    #[case("secret/+/*", "secret/app/*", false)]
    fn a_pattern_covers_another_only_where_that_is_certain(
        #[case] one: &str,
        #[case] other: &str,
        #[case] covers: bool,
    ) {
        let [one, other] = [one, other].map(|text| SecretsPattern::new(text).unwrap());
        assert_eq!(one.covers(&other), covers);
    }
}
