//! Audiences that a platform's tokens have when they are meant for somebody else.

use serde::Deserialize;

use crate::identity::IssuerUrl;

/// An audience, or many: `*` stands for any text, `{issuer}` for the issuer itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct AudiencePattern(Box<str>);

impl AudiencePattern {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `audience` is one of those that are meant, for tokens of `issuer`.
    #[must_use]
    pub fn matches(&self, audience: &str, issuer: &IssuerUrl) -> bool {
        if *self.0 == *"{issuer}" {
            // An API server's audience is its issuer, written with the final slash or without.
            return audience.trim_end_matches('/') == issuer.as_str().trim_end_matches('/');
        }
        let mut pieces = self.0.split('*');
        let Some(mut rest) = pieces.next().and_then(|first| audience.strip_prefix(first)) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        for piece in pieces {
            let Some((_, after)) = rest.split_once(piece) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("k3s", "k3s", true)]
    #[case("k3s", "k3s2", false)]
    #[case("https://kubernetes.default.svc*", "https://kubernetes.default.svc", true)]
    #[case("https://kubernetes.default.svc*", "https://kubernetes.default.svc.cluster.local", true)]
    #[case("https://kubernetes.default.svc*", "https://kubernetes.default.sv", false)]
    #[case("*.svc.id.goog", "my-proj.svc.id.goog", true)]
    #[case("https://*.googleapis.com/*", "https://sts.googleapis.com/x", true)]
    #[case("https://*.googleapis.com/*", "https://cambio.example.com/x", false)]
    #[case("{issuer}", "https://gitlab.example.com", true)]
    #[case("{issuer}", "https://gitlab.example.com/", true)]
    #[case("{issuer}", "https://other.example.com", false)]
    fn a_pattern_means_what_it_says(#[case] pattern: &str, #[case] audience: &str, #[case] meant: bool) {
        let issuer = IssuerUrl::new("https://gitlab.example.com").unwrap();
        assert_eq!(AudiencePattern(pattern.into()).matches(audience, &issuer), meant);
    }
}
