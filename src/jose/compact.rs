//! The compact serialisation of a JWS (RFC 7515 section 3.1), the only one that is read.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::base64url;
use super::header::{Header, HeaderError};
use super::json::{self, JsonError};
use super::{Algorithm, Sha256, VerifyingKey, sha256};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The longest encoded header, in bytes.
const MAX_HEADER_BYTES: usize = 4 * 1024;
/// The longest encoded signature, in bytes: RSA with 8192 bits.
const MAX_SIGNATURE_BYTES: usize = 1366;

const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// One well-formed signed token whose signature nobody has checked.
pub struct CompactJws {
    token: Zeroizing<String>,
    signed_bytes: usize,
    header: Header,
    claims: Map<String, Value>,
    signature: Vec<u8>,
}

/// Why bytes are not one well-formed signed token. Never quotes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactError {
    /// Nothing there.
    #[error("the token is empty")]
    Empty,
    /// Longer than [`MAX_TOKEN_BYTES`], or with a part beyond its own bound.
    #[error("the token is longer than 16 KiB, or one of its parts beyond its bound")]
    TooLong,
    /// A character outside `A-Za-z0-9-_.`: JSON serialisation, white space, padding.
    #[error("the token has a character outside the compact serialisation")]
    Character,
    /// Five parts: an encrypted token (RFC 7516).
    #[error("the token is encrypted")]
    Encrypted,
    /// Neither three nor five parts.
    #[error("the token does not have three parts")]
    Parts,
    /// A part is not canonical base64url.
    #[error("a part of the token is not canonical base64url")]
    Encoding,
    /// A refused header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The payload is not acceptable JSON.
    #[error("the claims are {0}")]
    Claims(JsonError),
    /// A claim that a reader folding case would take for a registered one.
    #[error("a claim looks like a registered one")]
    LookAlike,
}

impl CompactJws {
    /// Reads `token`: every size is bounded before any work, header and claims are parsed once.
    ///
    /// # Errors
    /// [`CompactError`] names the first fault.
    pub fn parse(token: Zeroizing<String>) -> Result<Self, CompactError> {
        if token.is_empty() {
            return Err(CompactError::Empty);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(CompactError::TooLong);
        }
        let (header, payload, signature) = three_parts(&token)?;
        if header.len() > MAX_HEADER_BYTES || signature.len() > MAX_SIGNATURE_BYTES {
            return Err(CompactError::TooLong);
        }
        let decode = |part: &str| base64url::decode(part.as_bytes()).ok_or_else(|| encoding_fault(&token));
        let signed_bytes = header.len() + 1 + payload.len();
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let header = Header::parse(&header)?;
        let claims = json::parse_object(&payload).map_err(CompactError::Claims)?;
        if claims.keys().any(|name| json::looks_like(name, &REGISTERED)) {
            return Err(CompactError::LookAlike);
        }
        Ok(Self { signed_bytes, header, claims, signature, token })
    }

    /// The algorithm that the header names. A hint: the key decides.
    #[must_use]
    pub fn unverified_algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// The key id that the header names. A hint: it identifies no key material.
    #[must_use]
    pub fn unverified_key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// The media type that the header names (RFC 7515 section 4.1.9), as it was written.
    #[must_use]
    pub fn unverified_media_type(&self) -> Option<&str> {
        self.header.media_type.as_deref()
    }

    /// Whether the header has members beyond `alg`, `kid` and `typ`.
    #[must_use]
    pub fn has_other_header_members(&self) -> bool {
        self.header.has_other_members
    }

    /// The claims, as anybody could have written them.
    #[must_use]
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The length of the token in bytes.
    #[must_use]
    pub fn token_bytes(&self) -> u64 {
        self.token.len() as u64
    }

    /// SHA-256 of what is signed: header and claims. Unlike a digest of the whole token it is the same for every
    /// signature that verifies: of an ECDSA signature `(r, s)` anybody makes a second one, `(r, n - s)`.
    #[must_use]
    pub fn signed_digest(&self) -> Sha256 {
        sha256(self.signed())
    }

    fn signed(&self) -> &[u8] {
        self.token.as_bytes().get(..self.signed_bytes).unwrap_or_default()
    }

    /// Whether `key` made this token's signature. The key's one algorithm must be the header's.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.algorithm() == self.header.algorithm && key.verifies(self.signed(), &self.signature)
    }

    /// The claims, once the caller holds that a key verified them.
    #[must_use]
    pub fn into_claims(self) -> Map<String, Value> {
        self.claims
    }
}

impl fmt::Debug for CompactJws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactJws([redacted])")
    }
}

fn three_parts(token: &str) -> Result<(&str, &str, &str), CompactError> {
    let mut parts = token.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.count()) {
        (Some(header), Some(payload), Some(signature), None, 0) => Ok((header, payload, signature)),
        (Some(_), Some(_), Some(_), Some(_), 1) => Err(CompactError::Encrypted),
        _ if encoding_fault(token) == CompactError::Character => Err(CompactError::Character),
        _ => Err(CompactError::Parts),
    }
}

/// Decoding refuses other characters as it goes; what a refusal is called is looked up only then.
fn encoding_fault(token: &str) -> CompactError {
    let compact = token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if compact { CompactError::Encoding } else { CompactError::Character }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn token(header: &str, claims: &str, signature: &[u8]) -> String {
        let encode = |part: &str| base64url::encode(part.as_bytes());
        format!("{}.{}.{}", encode(header), encode(claims), base64url::encode(signature))
    }

    fn read(token: &str) -> Result<CompactJws, CompactError> {
        CompactJws::parse(Zeroizing::new(token.to_owned()))
    }

    const HEADER: &str = r#"{"alg":"RS256","kid":"k"}"#;
    const CLAIMS: &str = r#"{"iss":"https://i.example"}"#;

    #[test]
    fn a_well_formed_token_is_read_and_stays_unverified() {
        let jws = read(&token(HEADER, CLAIMS, b"signature")).unwrap();
        assert_eq!(jws.unverified_algorithm(), Algorithm::RS256);
        assert_eq!(jws.unverified_key_id(), Some("k"));
        assert_eq!(jws.unverified_claims()["iss"], "https://i.example");
        assert_eq!(format!("{jws:?}"), "CompactJws([redacted])");
    }

    #[rstest]
    #[case("", CompactError::Empty)]
    #[case("a.b", CompactError::Parts)]
    #[case("a.b.c.d", CompactError::Parts)]
    #[case("a.b.c.d.e", CompactError::Encrypted)]
    #[case("a.b.c.d.e.f", CompactError::Parts)]
    #[case(r#"{"payload":"x","signatures":[]}"#, CompactError::Character)]
    #[case("eyJh.eyJh.eyJh\n", CompactError::Character)]
    #[case("eyJh.eyJh.eyJh=", CompactError::Character)]
    #[case("eyJh.eyJ+.eyJh", CompactError::Character)]
    #[case("eyJh.eyJh. eyJh", CompactError::Character)]
    #[case("eyJh.eyJh.aGl", CompactError::Encoding)]
    fn what_is_not_the_compact_serialisation_is_refused(#[case] text: &str, #[case] error: CompactError) {
        assert_eq!(read(text).unwrap_err(), error);
    }

    #[rstest]
    #[case(r#"{"iss":"a","iss":"b"}"#, CompactError::Claims(JsonError::DuplicateMember))]
    #[case(r#"{"repository":"a","repositor\u0079":"b"}"#, CompactError::Claims(JsonError::DuplicateMember))]
    #[case(r#"{"sub":"a","SUB":"b"}"#, CompactError::LookAlike)]
    #[case("{\"iss\":\"a\",\"i\u{17f}\u{17f}\":\"b\"}", CompactError::LookAlike)]
    #[case("null", CompactError::Claims(JsonError::NotAnObject))]
    fn claims_with_two_readings_are_refused(#[case] claims: &str, #[case] error: CompactError) {
        assert_eq!(read(&token(HEADER, claims, b"s")).unwrap_err(), error);
    }

    #[test]
    fn what_is_signed_is_the_same_under_every_signature() {
        let digest = |claims: &str, signature: &[u8]| read(&token(HEADER, claims, signature)).unwrap().signed_digest();
        assert_eq!(digest(CLAIMS, b"r, s"), digest(CLAIMS, b"r, n - s"));
        assert_ne!(digest(CLAIMS, b"r, s"), digest(r#"{"iss":"https://j.example"}"#, b"r, s"));
    }

    #[test]
    fn sizes_are_bounded_before_any_work() {
        assert_eq!(read(&"a".repeat(MAX_TOKEN_BYTES + 1)).unwrap_err(), CompactError::TooLong);
        assert_eq!(read(&token(HEADER, CLAIMS, &[7; 1025])).unwrap_err(), CompactError::TooLong);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in "\\PC{0,300}", header in "\\PC{0,60}", claims in "\\PC{0,60}") {
            let _ = read(&text);
            let _ = read(&token(&header, &claims, b"s"));
        }
    }
}
