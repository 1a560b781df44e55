//! The JOSE header of a token (RFC 7515 section 4): what it may say, and what ends the reading.

use serde_json::{Map, Value};

use super::Algorithm;
use super::json::{self, JsonError};

const REGISTERED: [&str; 16] = [
    "alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit", "b64", "zip", "enc", "apu",
    "epk",
];

/// A header that kept every rule. `alg` and `kid` are only hints for finding a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<Box<str>>,
    pub(super) media_type: Option<Box<str>>,
    pub(super) has_other_members: bool,
}

/// Why a header was refused. Never quotes the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not acceptable JSON.
    #[error("the header is {0}")]
    Json(#[from] JsonError),
    /// `alg` is missing, not a string, `none`, an HMAC or unknown.
    #[error("the header names no signature algorithm that exists here")]
    Algorithm,
    /// `kid` is not a string, or longer than 256 bytes.
    #[error("the header's `kid` is not a string of at most 256 bytes")]
    KeyId,
    /// `typ` is not a string of at most 64 bytes.
    #[error("the header's `typ` is not a string of at most 64 bytes")]
    MediaType,
    /// `crit`: extensions that must be understood, and none is (RFC 7515 section 4.1.11).
    #[error("the header has critical extensions")]
    Critical,
    /// `b64` (RFC 7797).
    #[error("the header has `b64`")]
    UnencodedPayload,
    /// `jku`, `x5u` or `jwk`: a key chosen by whoever wrote the token.
    #[error("the header brings or points to its own key")]
    EmbeddedKey,
    /// `enc`, `zip`, `epk`, `apu` or `cty`: an encrypted, compressed or nested token.
    #[error("the header is that of an encrypted, compressed or nested token")]
    NotASignedToken,
    /// A member that a reader folding case would take for a registered one.
    #[error("a member of the header looks like a registered one")]
    LookAlike,
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut members = json::parse_object(bytes)?;
        for name in members.keys() {
            match name.as_str() {
                "crit" => return Err(HeaderError::Critical),
                "b64" => return Err(HeaderError::UnencodedPayload),
                "jku" | "x5u" | "jwk" => return Err(HeaderError::EmbeddedKey),
                "enc" | "zip" | "epk" | "apu" | "cty" => return Err(HeaderError::NotASignedToken),
                other if json::looks_like(other, &REGISTERED) => return Err(HeaderError::LookAlike),
                _ => {}
            }
        }
        let algorithm = text(&mut members, "alg", 16).ok().flatten();
        let header = Self {
            algorithm: algorithm.and_then(|name| Algorithm::parse(&name)).ok_or(HeaderError::Algorithm)?,
            key_id: text(&mut members, "kid", 256).map_err(|()| HeaderError::KeyId)?,
            media_type: text(&mut members, "typ", 64).map_err(|()| HeaderError::MediaType)?,
            has_other_members: !members.is_empty(),
        };
        Ok(header)
    }
}

/// Takes a string member out; anything else under that name, or a longer string, is an error.
fn text(members: &mut Map<String, Value>, name: &str, most: usize) -> Result<Option<Box<str>>, ()> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= most => Ok(Some(text.into_boxed_str())),
        Some(_) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(r#"{"alg":"RS256","kid":"a","typ":"JWT"}"#)]
    #[case(r#"{"alg":"ES256"}"#)]
    #[case(r#"{"alg":"RS256","kid":"a","x5t":"thumb","x5t#S256":"thumb","ver":1}"#)]
    fn an_ordinary_header_is_read(#[case] header: &str) {
        assert!(Header::parse(header.as_bytes()).is_ok());
    }

    #[rstest]
    #[case(r#"{"alg":"none"}"#, HeaderError::Algorithm)]
    #[case(r#"{"alg":"HS256"}"#, HeaderError::Algorithm)]
    #[case(r#"{"alg":["RS256"]}"#, HeaderError::Algorithm)]
    #[case(r#"{"typ":"JWT"}"#, HeaderError::Algorithm)]
    #[case(r#"{"alg":"RS256","kid":7}"#, HeaderError::KeyId)]
    #[case(r#"{"alg":"RS256","kid":null}"#, HeaderError::KeyId)]
    #[case(r#"{"alg":"RS256","typ":1}"#, HeaderError::MediaType)]
    #[case(r#"{"alg":"RS256","crit":["foo"]}"#, HeaderError::Critical)]
    #[case(r#"{"alg":"RS256","crit":[]}"#, HeaderError::Critical)]
    #[case(r#"{"alg":"RS256","b64":false}"#, HeaderError::UnencodedPayload)]
    #[case(r#"{"alg":"RS256","b64":true}"#, HeaderError::UnencodedPayload)]
    #[case(r#"{"alg":"RS256","jku":"https://evil.example"}"#, HeaderError::EmbeddedKey)]
    #[case(r#"{"alg":"RS256","x5u":"https://evil.example"}"#, HeaderError::EmbeddedKey)]
    #[case(r#"{"alg":"RS256","jwk":{}}"#, HeaderError::EmbeddedKey)]
    #[case(r#"{"alg":"RS256","cty":"JWT"}"#, HeaderError::NotASignedToken)]
    #[case(r#"{"alg":"RS256","zip":"DEF"}"#, HeaderError::NotASignedToken)]
    #[case(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#, HeaderError::NotASignedToken)]
    #[case(r#"{"alg":"RS256","ALG":"none"}"#, HeaderError::LookAlike)]
    #[case(r#"{"alg":"RS256","alg":"RS256"}"#, HeaderError::Json(JsonError::DuplicateMember))]
    fn a_header_with_one_fault_is_refused(#[case] header: &str, #[case] error: HeaderError) {
        assert_eq!(Header::parse(header.as_bytes()), Err(error));
    }

    #[test]
    fn a_key_id_is_bounded() {
        let header = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(257));
        assert_eq!(Header::parse(header.as_bytes()), Err(HeaderError::KeyId));
    }
}
