//! Our own signing keys: made, read, published, and tried once before they are trusted with a token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use zeroize::Zeroizing;

use super::backend::{PrivateKey, PublicKey};
use super::jwk::Material;
use super::{Algorithm, base64url, sha256};

/// A private key that signs tokens by one algorithm. `kid` is its RFC 7638 thumbprint.
pub struct SigningKey {
    algorithm: Algorithm,
    key_id: Box<str>,
    jwk: Value,
    encoded_header: Box<str>,
    key: PrivateKey,
}

/// Why a key cannot be made, read or used. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Not one of ES256, EdDSA, RS256, or one that this build cannot make.
    #[error("{0} keys cannot be made or used here; ES256, EdDSA and RS256 can, RS256 with ring only from a file")]
    Algorithm(Algorithm),
    /// Not an unencrypted PKCS#8 key of that algorithm.
    #[error("the file does not hold one unencrypted PKCS#8 private key (`BEGIN PRIVATE KEY`) of the algorithm")]
    Key,
    /// The library could not make a key.
    #[error("the cryptographic library could not make a key")]
    Generation,
    /// The library could not sign, or what it signed did not verify.
    #[error("the cryptographic library made no valid signature")]
    Signature,
}

impl SigningKey {
    /// A new private key in PEM (PKCS#8). It is zeroed when dropped.
    ///
    /// # Errors
    /// [`SigningError::Algorithm`] or [`SigningError::Generation`].
    pub fn generate(algorithm: Algorithm) -> Result<Zeroizing<String>, SigningError> {
        let der = Zeroizing::new(PrivateKey::generate(algorithm)?);
        let text = Zeroizing::new(STANDARD.encode(&*der));
        let mut pem = Zeroizing::new(String::with_capacity(text.len() + 128));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.push_str(std::str::from_utf8(line).map_err(|_| SigningError::Generation)?);
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// Reads a key from PEM (PKCS#8, unencrypted), for tokens whose header says `typ`, and signs and verifies once:
    /// a key whose halves do not fit must fail here, not at its first token.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn from_pem(algorithm: Algorithm, pem: &str, media_type: &str) -> Result<Self, SigningError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| SigningError::Key)?;
        let key = PrivateKey::from_pkcs8(algorithm, der.secret_pkcs8_der())?;
        let material = Material::decode(algorithm, &key.public()).ok_or(SigningError::Key)?;
        let public = PublicKey::new(algorithm, &material.encoded()).ok_or(SigningError::Key)?;
        if !public.verifies(b"cambio", &key.sign(b"cambio")?) {
            return Err(SigningError::Signature);
        }
        let key_id = base64url::encode(sha256(material.canonical().as_bytes()).bytes());
        let header = format!(r#"{{"alg":"{algorithm}","kid":"{key_id}","typ":"{media_type}"}}"#);
        Ok(Self {
            algorithm,
            jwk: material.to_jwk(algorithm, &key_id),
            encoded_header: base64url::encode(header.as_bytes()).into_boxed_str(),
            key_id: key_id.into_boxed_str(),
            key,
        })
    }

    /// The compact token of `claims` (one JSON object).
    ///
    /// # Errors
    /// [`SigningError::Signature`].
    pub fn sign(&self, claims: &[u8]) -> Result<Zeroizing<String>, SigningError> {
        self.sign_after(&self.encoded_header, claims)
    }

    /// The same, with another `typ`: a token that is none of the usual kind, and can't be taken for one (RFC 8725 section
    /// 3.11).
    ///
    /// # Errors
    /// [`SigningError::Signature`].
    pub fn sign_as(&self, media_type: &'static str, claims: &[u8]) -> Result<Zeroizing<String>, SigningError> {
        let header = format!(r#"{{"alg":"{}","kid":"{}","typ":"{media_type}"}}"#, self.algorithm, self.key_id);
        self.sign_after(&base64url::encode(header.as_bytes()), claims)
    }

    fn sign_after(&self, encoded_header: &str, claims: &[u8]) -> Result<Zeroizing<String>, SigningError> {
        let payload = claims.len().div_ceil(3) * 4;
        let mut token = Zeroizing::new(String::with_capacity(encoded_header.len() + payload + 400));
        token.push_str(encoded_header);
        token.push('.');
        base64url::encode_into(claims, &mut token);
        let signature = self.key.sign(token.as_bytes())?;
        token.push('.');
        base64url::encode_into(&signature, &mut token);
        Ok(token)
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `kid`: the RFC 7638 thumbprint.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half as it is published.
    #[must_use]
    pub fn public_jwk(&self) -> &Value {
        &self.jwk
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {}, [redacted])", self.algorithm, self.key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CompactJws, KeyRules, KeySet};
    use super::*;
    use rstest::rstest;

    const OURS: [Algorithm; 2] = [Algorithm::ES256, Algorithm::EdDSA];

    fn round_trip(algorithm: Algorithm) {
        let key = SigningKey::from_pem(algorithm, &SigningKey::generate(algorithm).unwrap(), "at+jwt").unwrap();
        let set = serde_json::json!({"keys": [key.public_jwk()]}).to_string();
        let set = KeySet::parse(set.as_bytes(), &KeyRules::default()).unwrap();
        let published = &set.keys()[0];
        assert_eq!(published.key_id(), Some(key.key_id()));
        assert_eq!(base64url::encode(published.thumbprint().bytes()), key.key_id());

        let token = key.sign(br#"{"iss":"a"}"#).unwrap();
        assert!(CompactJws::parse(token.clone()).unwrap().is_signed_by(published));
        let other = SigningKey::from_pem(algorithm, &SigningKey::generate(algorithm).unwrap(), "at+jwt").unwrap();
        let foreign = other.sign(br#"{"iss":"a"}"#).unwrap();
        assert!(!CompactJws::parse(foreign).unwrap().is_signed_by(published));
        let changed = token.replacen(&base64url::encode(br#"{"iss":"a"}"#), &base64url::encode(br#"{"iss":"b"}"#), 1);
        assert!(!CompactJws::parse(Zeroizing::new(changed)).unwrap().is_signed_by(published));
    }

    #[rstest]
    #[case(Algorithm::ES256)]
    #[case(Algorithm::EdDSA)]
    fn what_a_key_signs_its_published_half_verifies(#[case] algorithm: Algorithm) {
        round_trip(algorithm);
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn an_rsa_key_is_made_and_verifies() {
        round_trip(Algorithm::RS256);
    }

    #[test]
    fn a_key_of_another_algorithm_is_refused_and_nothing_is_printed() {
        for (made, asked) in [(OURS[0], OURS[1]), (OURS[1], OURS[0]), (OURS[0], Algorithm::RS256)] {
            let pem = SigningKey::generate(made).unwrap();
            assert_eq!(SigningKey::from_pem(asked, &pem, "at+jwt").unwrap_err(), SigningError::Key);
        }
        let pem = SigningKey::generate(OURS[0]).unwrap();
        let key = SigningKey::from_pem(OURS[0], &pem, "at+jwt").unwrap();
        assert!(format!("{key:?}").ends_with("[redacted])"));
        assert_eq!(SigningKey::generate(Algorithm::ES512).unwrap_err(), SigningError::Algorithm(Algorithm::ES512));
        assert_eq!(SigningKey::from_pem(OURS[0], "no key", "at+jwt").unwrap_err(), SigningError::Key);
    }
}
