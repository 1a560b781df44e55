//! Keys of issuers, and tokens that they sign: good ones, and any text that a hostile one could hold.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cambio::jose::{Algorithm, SigningKey};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

/// A private key, and its public half as it is published.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    pub algorithm: Algorithm,
    pub jwk: Value,
    encoding: EncodingKey,
}

impl Key {
    /// A new key; ES256, EdDSA or RS256. ring makes no RSA keys: there it is always the same one.
    pub fn new(algorithm: Algorithm) -> Self {
        let pem = if cfg!(feature = "aws-lc") || algorithm != Algorithm::RS256 {
            SigningKey::generate(algorithm).unwrap().to_string()
        } else {
            include_str!("../../jwks-fixtures/keys/rsa-a.test-only.pem").to_owned()
        };
        let jwk = SigningKey::from_pem(algorithm, &pem, "JWT").unwrap().public_jwk().clone();
        let encoding = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        Self { id: jwk["kid"].as_str().unwrap().to_owned(), algorithm, jwk, encoding: encoding.unwrap() }
    }

    /// The same key under another `kid`; published without one for `None`.
    pub fn named(mut self, id: Option<&str>) -> Self {
        self.id = id.unwrap_or_default().to_owned();
        match id {
            Some(id) => self.jwk["kid"] = json!(id),
            None => drop(self.jwk.as_object_mut().unwrap().remove("kid")),
        }
        self
    }

    /// The header that an issuer writes.
    pub fn header(&self) -> Value {
        json!({"alg": self.algorithm.name(), "kid": self.id, "typ": "JWT"})
    }

    /// A token of these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_texts(&self.header().to_string(), &claims.to_string())
    }

    /// A token of these texts, whatever they are.
    pub fn sign_texts(&self, header: &str, payload: &str) -> String {
        self.sign_as(self.algorithm, header, payload)
    }

    /// The same, the signature made by another algorithm.
    pub fn sign_as(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        self.seal(algorithm, &format!("{}.{}", encode(header), encode(payload)))
    }

    /// The signature over any text, appended to it.
    pub fn seal(&self, algorithm: Algorithm, signed: &str) -> String {
        let algorithm = serde_json::from_value(json!(algorithm.name())).unwrap();
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.encoding, algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

/// base64url without padding.
pub fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The same in the other alphabet, padded.
pub fn encode_standard(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

/// A token that is about to be signed: a good one, to which a test does one thing.
pub struct Token {
    pub key: Key,
    pub header: Value,
    pub claims: Value,
}

impl Token {
    /// Sets a member of the header.
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.header[name] = value;
        self
    }

    /// Takes a member of the header away.
    pub fn no_header(mut self, name: &str) -> Self {
        self.header.as_object_mut().unwrap().remove(name);
        self
    }

    /// Sets a claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Takes a claim away.
    pub fn no_claim(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    /// Adds a text to the claims, just before the end: `,"sub":"other"`.
    pub fn sign_with_text(&self, more: &str) -> String {
        let claims = self.claims.to_string();
        let payload = format!("{}{more}}}", claims.strip_suffix('}').unwrap());
        self.key.sign_texts(&self.header.to_string(), &payload)
    }

    /// Moves a time claim: seconds from what it was.
    pub fn shift(mut self, name: &str, seconds: i64) -> Self {
        self.claims[name] = json!(self.claims[name].as_i64().unwrap() + seconds);
        self
    }

    pub fn sign(&self) -> String {
        self.key.sign_texts(&self.header.to_string(), &self.claims.to_string())
    }
}
