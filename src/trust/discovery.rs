//! Discovery documents (OpenID Connect Discovery section 4, RFC 8414 section 3). Decides whose document it is and whether
//! the place that it names for keys may be asked; refuses to read the rest: an API server's has no `token_endpoint`,
//! Jenkins' names endpoints that do not exist.

use serde_json::Value;
use url::Url;

use crate::identity::IssuerUrl;
use crate::jose::{self, JsonError};

/// Why a discovery document was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// Not acceptable JSON.
    #[error("the discovery document is {0}")]
    Json(JsonError),
    /// No `issuer`, or another one than is configured, compared byte by byte.
    #[error("the discovery document is of {}, not of the configured issuer", named(.0.as_deref()))]
    Issuer(Option<Box<str>>),
    /// No `jwks_uri`, or none that is an absolute URL without user info.
    #[error("the discovery document has no usable `jwks_uri`")]
    JwksUri,
    /// A `jwks_uri` on another origin without TLS.
    #[error("the discovery document's `jwks_uri` is on another origin and not https")]
    JwksOrigin,
}

fn named(issuer: Option<&str>) -> String {
    match issuer {
        Some(issuer) => format!("`{}`", issuer.chars().filter(|c| !c.is_control()).take(200).collect::<String>()),
        None => "no issuer".to_owned(),
    }
}

/// Where the keys of `issuer` are, as its document at `at` says.
pub(super) fn jwks_uri(body: &[u8], issuer: &IssuerUrl, at: &Url) -> Result<Url, DiscoveryError> {
    let document = jose::parse_object(body).map_err(DiscoveryError::Json)?;
    let claimed = document.get("issuer").and_then(Value::as_str);
    if claimed != Some(issuer.as_str()) {
        return Err(DiscoveryError::Issuer(claimed.map(Box::from)));
    }
    let text = document.get("jwks_uri").and_then(Value::as_str).ok_or(DiscoveryError::JwksUri)?;
    let uri = Url::parse(text).map_err(|_| DiscoveryError::JwksUri)?;
    let has_user = !uri.username().is_empty() || uri.password().is_some();
    if !matches!(uri.scheme(), "https" | "http") || uri.host().is_none() || has_user {
        return Err(DiscoveryError::JwksUri);
    }
    if uri.origin() != at.origin() && uri.scheme() != "https" {
        return Err(DiscoveryError::JwksOrigin);
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(document: &str) -> Result<String, DiscoveryError> {
        let issuer = IssuerUrl::new("https://a.example/x").unwrap();
        let at = Url::parse("https://a.example/x/.well-known/openid-configuration").unwrap();
        jwks_uri(document.as_bytes(), &issuer, &at).map(String::from)
    }

    #[rstest]
    #[case("https://a.example/keys")]
    #[case("https://other.example/keys")]
    fn keys_may_be_on_the_same_origin_or_behind_tls(#[case] uri: &str) {
        assert_eq!(read(&format!(r#"{{"issuer":"https://a.example/x","jwks_uri":"{uri}"}}"#)).unwrap(), uri);
    }

    #[test]
    fn the_document_of_an_api_server_is_enough() {
        let document = r#"{"issuer":"https://a.example/x","jwks_uri":"https://10.0.0.1:6443/openid/v1/jwks",
            "response_types_supported":["id_token"],"subject_types_supported":["public"],
            "id_token_signing_alg_values_supported":["RS256"]}"#;
        assert!(read(document).is_ok());
    }

    #[rstest]
    #[case(r#"{"jwks_uri":"https://a.example/k"}"#, DiscoveryError::Issuer(None))]
    #[case(r#"{"issuer":["https://a.example/x"],"jwks_uri":"https://a.example/k"}"#, DiscoveryError::Issuer(None))]
    #[case(r#"{"issuer":"https://a.example/x/","jwks_uri":"https://a.example/k"}"#, DiscoveryError::Issuer(Some("https://a.example/x/".into())))]
    #[case(r#"{"issuer":"https://A.example/x","jwks_uri":"https://a.example/k"}"#, DiscoveryError::Issuer(Some("https://A.example/x".into())))]
    #[case(r#"{"issuer":"https://a.example/x"}"#, DiscoveryError::JwksUri)]
    #[case(r#"{"issuer":"https://a.example/x","jwks_uri":"/keys"}"#, DiscoveryError::JwksUri)]
    #[case(r#"{"issuer":"https://a.example/x","jwks_uri":"file:///etc/passwd"}"#, DiscoveryError::JwksUri)]
    #[case(r#"{"issuer":"https://a.example/x","jwks_uri":"https://u:p@a.example/k"}"#, DiscoveryError::JwksUri)]
    #[case(r#"{"issuer":"https://a.example/x","jwks_uri":"http://other.example/k"}"#, DiscoveryError::JwksOrigin)]
    #[case(r#"{"issuer":"https://a.example/x","jwks_uri":"http://a.example/k"}"#, DiscoveryError::JwksOrigin)]
    #[case(
        r#"{"issuer":"https://a.example/x","issuer":"https://b"}"#,
        DiscoveryError::Json(JsonError::DuplicateMember)
    )]
    #[case("<html>", DiscoveryError::Json(JsonError::Malformed))]
    fn another_issuers_document_or_an_odd_place_is_refused(#[case] document: &str, #[case] error: DiscoveryError) {
        assert_eq!(read(document), Err(error));
    }
}
