//! Scopes (RFC 6749 section 3.3).

use std::fmt;

/// One scope word: visible ASCII without `"` and `\`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeToken(Box<str>);

impl ScopeToken {
    /// Reads one word, `None` outside the grammar or over 128 bytes.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b);
        (!text.is_empty() && text.len() <= 128 && text.bytes().all(allowed)).then(|| Self(Box::from(text)))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ScopeToken {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text).ok_or_else(|| format!("`{text}` is not a scope word (RFC 6749 section 3.3)"))
    }
}

impl From<ScopeToken> for String {
    fn from(word: ScopeToken) -> Self {
        word.0.into()
    }
}

/// A set of scope words in the order of first mention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<ScopeToken>);

impl Scope {
    /// Reads words between single spaces; `None` outside the grammar or with more than 64 words.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = Vec::new();
        for word in text.split(' ') {
            let word = ScopeToken::new(word)?;
            if !words.contains(&word) {
                words.push(word);
            }
        }
        (words.len() <= 64).then_some(Self(words))
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[ScopeToken] {
        &self.0
    }

    /// Whether no word is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both hold the same words, in whatever order.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|word| other.0.contains(word))
    }
}

impl FromIterator<ScopeToken> for Scope {
    fn from_iter<I: IntoIterator<Item = ScopeToken>>(words: I) -> Self {
        Self(words.into_iter().collect())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}", word.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("read", Some("read"))]
    #[case("read list read", Some("read list"))]
    #[case("https://www.googleapis.com/auth/cloud-platform", Some("https://www.googleapis.com/auth/cloud-platform"))]
    #[case("a  b", None)]
    #[case("a\"b", None)]
    #[case("é", None)]
    fn a_scope_keeps_its_grammar(#[case] text: &str, #[case] read: Option<&str>) {
        assert_eq!(Scope::parse(text).map(|scope| scope.to_string()).as_deref(), read);
    }
}
