//! The `typ` of a token's header (RFC 7515 section 4.1.9): which kinds of tokens an issuer's are.

use serde::Deserialize;

/// The values of `typ` that are accepted; `absent` among them accepts a header without one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<String>")]
pub struct MediaTypes {
    absent: bool,
    types: Vec<Box<str>>,
}

impl Default for MediaTypes {
    /// A header without `typ`, `JWT`, or `JOSE`. Tokens of another kind say so: `at+jwt`, `logout+jwt`, `dpop+jwt`, ...
    /// (RFC 8725 section 3.11).
    fn default() -> Self {
        Self { absent: true, types: vec![Box::from("jwt"), Box::from("jose")] }
    }
}

impl From<Vec<String>> for MediaTypes {
    fn from(written: Vec<String>) -> Self {
        let absent = written.iter().any(|one| one == "absent");
        let types = written.iter().filter(|one| *one != "absent").map(|one| normal(one).into_boxed_str()).collect();
        Self { absent, types }
    }
}

impl MediaTypes {
    /// Whether a header with that `typ` is accepted. Media types compare without case, and one without `/` stands for
    /// `application/...`.
    #[must_use]
    pub fn accept(&self, media_type: Option<&str>) -> bool {
        match media_type {
            None => self.absent,
            Some(one) => {
                let one = normal(one);
                self.types.iter().any(|accepted| **accepted == *one)
            }
        }
    }

    /// Whether nothing at all is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.absent && self.types.is_empty()
    }
}

fn normal(media_type: &str) -> String {
    let lower = media_type.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, true)]
    #[case(Some("JWT"), true)]
    #[case(Some("jwt"), true)]
    #[case(Some("application/jwt"), true)]
    #[case(Some("JOSE"), true)]
    #[case(Some("at+jwt"), false)]
    #[case(Some("application/at+jwt"), false)]
    #[case(Some("text/jwt"), false)]
    #[case(Some(""), false)]
    fn a_token_of_another_kind_is_not_accepted(#[case] media_type: Option<&str>, #[case] accepted: bool) {
        assert_eq!(MediaTypes::default().accept(media_type), accepted);
    }

    #[test]
    fn what_is_declared_is_all_that_is_accepted() {
        let types = MediaTypes::from(vec!["at+jwt".to_owned()]);
        assert!(types.accept(Some("application/at+JWT")));
        assert!(!types.accept(Some("JWT")) && !types.accept(None));
    }
}
