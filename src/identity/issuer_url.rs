//! Issuer identifiers, compared byte by byte (RFC 8414 section 2, OpenID Connect Core section 2).

use std::fmt;
use std::sync::Arc;

use url::Url;

use super::SpiffeTrustDomain;

/// The exact `iss` of a trusted issuer.
///
/// Kept as the operator wrote it: AKS issuers end with `/`, EKS issuers do not, and trimming would confuse two of them.
/// Either an `https` URL without user info, query and fragment (or `http` where the operator allows it for a test
/// issuer), or `spiffe://<trust domain>` for JWT-SVIDs, which need not carry `iss`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerUrl(Arc<str>);

/// Why a text is no issuer identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerUrlError {
    /// No URL at all.
    #[error("`{0}` is not an absolute URL")]
    NotAUrl(String),
    /// Neither `https`, `http` nor `spiffe`.
    #[error("the scheme `{0}` is not one of https, http, spiffe")]
    Scheme(String),
    /// User info, query or fragment.
    #[error("an issuer has no user info, query or fragment (RFC 8414 section 2)")]
    Extra,
    /// A Microsoft Entra template such as `{tenantid}`, `common` or `organizations`.
    #[error("an issuer names one tenant, not a template")]
    Template,
    /// Longer than 512 bytes, or with characters that a URL would hide.
    #[error("an issuer has at most 512 bytes of visible ASCII")]
    Text,
    /// A malformed trust domain.
    #[error("`{0}` is not a SPIFFE trust domain")]
    TrustDomain(String),
}

impl IssuerUrl {
    /// Checks what the operator wrote.
    ///
    /// # Errors
    /// [`IssuerUrlError`] names the first fault.
    pub fn new(text: &str) -> Result<Self, IssuerUrlError> {
        if text.len() > 512 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(IssuerUrlError::Text);
        }
        if text.contains('{') || text.contains('}') {
            return Err(IssuerUrlError::Template);
        }
        if let Some(domain) = text.strip_prefix("spiffe://") {
            if !SpiffeTrustDomain::well_formed(domain) {
                return Err(IssuerUrlError::TrustDomain(domain.to_owned()));
            }
            return Ok(Self(Arc::from(text)));
        }
        let url = Url::parse(text).map_err(|_| IssuerUrlError::NotAUrl(text.to_owned()))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(IssuerUrlError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(IssuerUrlError::Extra);
        }
        Ok(Self(Arc::from(text)))
    }

    /// The identifier, byte for byte as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where OpenID Connect Discovery puts this issuer's document: the path appended, with no doubled slash.
    #[must_use]
    pub fn discovery_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.0.trim_end_matches('/'))
    }

    /// The path, without a slash at its end; empty at the root.
    #[must_use]
    pub fn path(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default().trim_end_matches('/')
    }

    /// Whether keys travel over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://gitlab.example.com")]
    #[case("https://eastus.oic.prod-aks.azure.com/tenant/guid/")]
    #[case("http://127.0.0.1:8080")]
    #[case("spiffe://prod.example.org")]
    fn an_issuer_keeps_its_bytes(#[case] text: &str) {
        assert_eq!(IssuerUrl::new(text).unwrap().as_str(), text);
    }

    #[rstest]
    #[case("kubernetes/serviceaccount")]
    #[case("https://u:p@x.example")]
    #[case("https://x.example/?a")]
    #[case("https://x.example/#https://oidc.eks.us-east-1.amazonaws.com")]
    #[case("https://login.microsoftonline.com/{tenantid}/v2.0")]
    #[case("https://x.example/\n")]
    #[case("ftp://x.example")]
    #[case("spiffe://a/b")]
    #[case("")]
    fn what_no_issuer_may_be_is_refused(#[case] text: &str) {
        assert!(IssuerUrl::new(text).is_err());
    }

    #[rstest]
    #[case("https://x.example", "")]
    #[case("https://x.example/", "")]
    #[case("https://x.example/cambio/", "/cambio")]
    #[case("http://127.0.0.1:80/a/b", "/a/b")]
    fn a_path_has_no_slash_at_its_end(#[case] text: &str, #[case] path: &str) {
        assert_eq!(IssuerUrl::new(text).unwrap().path(), path);
    }

    #[test]
    fn discovery_joins_without_doubling_the_slash() {
        let aks = IssuerUrl::new("https://x.example/a/").unwrap();
        assert_eq!(aks.discovery_url(), "https://x.example/a/.well-known/openid-configuration");
    }
}
