//! Resource servers that may introspect tokens, and how they prove who they are (RFC 6749 section 2.3.1).

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::identity::TargetName;
use crate::jose::{Sha256, sha256};
use crate::oauth::Parameters;

/// A resource server.
#[derive(Debug)]
pub struct Client {
    id: String,
    secret: Sha256,
    targets: Vec<TargetName>,
}

/// All resource servers.
#[derive(Debug, Default)]
pub struct Clients(Vec<Client>);

impl Client {
    /// A client whose secret is kept as a digest; it may introspect tokens for `targets` only.
    #[must_use]
    pub fn new(id: String, secret: &[u8], targets: Vec<TargetName>) -> Self {
        Self { id, secret: sha256(secret), targets }
    }

    /// Whether tokens for `audience` are for this client (RFC 7662 section 2.2: others are not active to it).
    #[must_use]
    pub fn may_see(&self, audience: &str) -> bool {
        self.targets.iter().any(|target| target.as_str() == audience)
    }
}

impl Clients {
    /// All of them.
    #[must_use]
    pub fn new(clients: Vec<Client>) -> Self {
        Self(clients)
    }

    /// The client that the request proves to come from: by HTTP Basic or in the body, not both. Every stored secret is
    /// compared, in constant time, so that neither the answer's time nor its text tells which part was wrong.
    pub(super) fn authenticate(&self, headers: &HeaderMap, parameters: &Parameters<'_>) -> Option<&Client> {
        let (id, secret) = match (headers.get(header::AUTHORIZATION), parameters.value("client_secret")) {
            (Some(basic), None) => basic_credentials(basic.to_str().ok()?)?,
            (None, Some(secret)) => (parameters.value("client_id")?.to_owned(), Zeroizing::new(secret.to_owned())),
            _ => return None,
        };
        let presented = sha256(secret.as_bytes());
        let mut proven = None;
        for client in &self.0 {
            let same_secret = bool::from(client.secret.bytes().ct_eq(presented.bytes()));
            if same_secret && client.id == id {
                proven = Some(client);
            }
        }
        proven
    }
}

/// Id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn basic_credentials(header: &str) -> Option<(String, Zeroizing<String>)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let plain = |text: &str| {
        let pair = format!("v={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((plain(id)?, Zeroizing::new(plain(secret)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use rstest::rstest;

    fn clients() -> Clients {
        let target = TargetName::new("vault").unwrap();
        Clients::new(vec![Client::new("rs 1".to_owned(), b"s3cret+", vec![target])])
    }

    #[rstest]
    #[case("Basic cnMrMTpzM2NyZXQlMkI=", true)] // rs+1:s3cret%2B
    #[case("basic cnMrMTpzM2NyZXQlMkI=", true)]
    #[case("Basic cnMrMTp3cm9uZw==", false)]
    #[case("Basic Zm9vOnMzY3JldCUyQg==", false)]
    #[case("Bearer cnMrMTpzM2NyZXQlMkI=", false)]
    #[case("Basic ???", false)]
    fn a_client_proves_itself_by_basic(#[case] authorization: &str, #[case] proven: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::try_from(authorization).unwrap());
        assert_eq!(clients().authenticate(&headers, &Parameters::default()).is_some(), proven);
    }

    #[rstest]
    #[case("client_id=rs+1&client_secret=s3cret%2B", true)]
    #[case("client_id=rs+1&client_secret=wrong", false)]
    #[case("client_id=rs+1", false)]
    #[case("", false)]
    fn a_client_proves_itself_in_the_body(#[case] body: &str, #[case] proven: bool) {
        let parameters = Parameters::from_form(body.as_bytes()).unwrap();
        assert_eq!(clients().authenticate(&HeaderMap::new(), &parameters).is_some(), proven);
    }
}
