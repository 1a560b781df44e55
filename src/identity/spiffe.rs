//! SPIFFE ids, as far as an issuer is found by one: the trust domain of a JWT-SVID's subject.

/// The trust domain of a SPIFFE id, e.g. `prod.example.org` (SPIFFE-ID section 2.1): lower-case letters, digits, `.`,
/// `-` and `_`, 1 to 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffeTrustDomain<'a>(&'a str);

impl<'a> SpiffeTrustDomain<'a> {
    /// The trust domain that the id names, if it is a well-formed SPIFFE id with a path.
    #[must_use]
    pub fn of_id(id: &'a str) -> Option<Self> {
        let rest = id.strip_prefix("spiffe://")?;
        let (domain, path) = rest.split_once('/')?;
        let segment = |s: &str| {
            !matches!(s, "" | "." | "..") && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        (id.len() <= 2048 && Self::well_formed(domain) && path.split('/').all(segment)).then_some(Self(domain))
    }

    /// Whether `domain` keeps the grammar of a trust domain.
    #[must_use]
    pub fn well_formed(domain: &str) -> bool {
        !domain.is_empty()
            && domain.len() <= 255
            && domain.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    }

    /// The trust domain as text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("spiffe://prod.example.org/ns/a/sa/b", Some("prod.example.org"))]
    #[case("spiffe://prod.example.org", None)]
    #[case("spiffe://Prod/x", None)]
    #[case("spiffe://a:80/x", None)]
    #[case("spiffe://u@a/x", None)]
    #[case("spiffe://a/x/../y", None)]
    #[case("spiffe://a//y", None)]
    #[case("spiffe://a/x?y", None)]
    #[case("https://a/x", None)]
    fn a_trust_domain_is_read_only_from_a_well_formed_id(#[case] id: &str, #[case] domain: Option<&str>) {
        assert_eq!(SpiffeTrustDomain::of_id(id).map(|d| d.0), domain);
    }
}
