//! One published key (RFC 7517), read on its own: an odd one never spoils the set that it stands in.

use std::fmt;

use serde_json::{Map, Value, json};

use super::backend::PublicKey;
use super::json::{self, JsonError};
use super::rsa_key::{RsaFault, RsaPublic};
use super::{Algorithm, Sha256, base64url, sha256};

/// A public key that is usable for exactly one algorithm (RFC 8725 section 3.1), parsed once.
pub struct VerifyingKey {
    algorithm: Algorithm,
    key_id: Option<Box<str>>,
    thumbprint: Sha256,
    is_exposed: bool,
    key: PublicKey,
}

/// What an issuer's keys may be.
#[derive(Clone, Debug)]
pub struct KeyRules {
    /// The algorithms that are accepted from this issuer.
    pub algorithms: Vec<Algorithm>,
    /// Whether `use: jwt-svid` marks a signing key (SPIFFE bundles), beside `sig`.
    pub jwt_svid: bool,
}

impl Default for KeyRules {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA],
            jwt_svid: false,
        }
    }
}

/// Why a key was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// Not acceptable JSON, e.g. a member twice.
    #[error("the key is {0}")]
    Json(JsonError),
    /// No `kty`, or one without a signature algorithm here (`AKP`, `OKP` with another curve, ...).
    #[error("the key type or curve is not supported")]
    Type,
    /// `kty: oct`: a secret in a public place, and never a verification key.
    #[error("a symmetric key was published")]
    Symmetric,
    /// A coordinate or modulus is missing, or not canonical base64url, or not on the curve.
    #[error("the key's parameters are malformed")]
    Parameters,
    /// An RSA modulus outside 2048 to 8192 bits.
    #[error("the RSA modulus is not between 2048 and 8192 bits")]
    Modulus,
    /// An RSA exponent that is even, below 3 or above 2^33 - 1.
    #[error("the RSA exponent is out of bounds")]
    Exponent,
    /// A ROCA key.
    #[error("the RSA key has the weakness of CVE-2017-15361")]
    Roca,
    /// `use` is not `sig`.
    #[error("the key is not for signatures")]
    Use,
    /// `key_ops` without `verify`.
    #[error("the key's operations do not include `verify`")]
    Operations,
    /// `alg` does not exist here, does not fit the key, or is not accepted from this issuer.
    #[error("the key's algorithm is not accepted")]
    Algorithm,
}

impl VerifyingKey {
    /// Reads one key. `x5c`, `x5u` and unknown members are ignored; private members are not read, only noticed.
    ///
    /// # Errors
    /// [`SkipReason`].
    pub fn from_jwk(jwk: &[u8], rules: &KeyRules) -> Result<Self, SkipReason> {
        let members = json::parse_object(jwk).map_err(SkipReason::Json)?;
        let members = Members(&members);
        match members.text("use") {
            None if members.absent("use") => {}
            Some("sig") => {}
            Some("jwt-svid") if rules.jwt_svid => {}
            _ => return Err(SkipReason::Use),
        }
        if !members.absent("key_ops") && !members.lists("key_ops", "verify") {
            return Err(SkipReason::Operations);
        }
        let (material, candidates) = Material::read(&members)?;
        let algorithm = members.algorithm(candidates, rules)?;
        let key = PublicKey::new(algorithm, &material.encoded()).ok_or(SkipReason::Parameters)?;
        let key_id = members.text("kid").filter(|kid| !kid.is_empty()).map(Box::from);
        let is_exposed = PRIVATE_MEMBERS.iter().any(|name| !members.absent(name));
        Ok(Self { algorithm, key_id, thumbprint: sha256(material.canonical().as_bytes()), is_exposed, key })
    }

    /// The one algorithm that this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `kid` under which it was published. Identifies no key material: two keys may share one.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The JWK thumbprint (RFC 7638, SHA-256): this does identify the key.
    #[must_use]
    pub fn thumbprint(&self) -> Sha256 {
        self.thumbprint
    }

    /// Whether its issuer published private members beside the public ones: then anybody can sign by it.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.is_exposed
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verifies(message, signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {:?} {})", self.algorithm, self.key_id, self.thumbprint)
    }
}

/// What only the holder of a private key should have (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// The public parameters of a key.
pub(super) enum Material {
    Rsa(RsaPublic),
    Ec { curve: &'static str, x: Vec<u8>, y: Vec<u8> },
    Ed25519(Vec<u8>),
}

const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

impl Material {
    /// Reads the parameters, and says which algorithms such a key can have; the first is what it has if nothing says so.
    fn read(members: &Members<'_>) -> Result<(Self, &'static [Algorithm]), SkipReason> {
        match (members.text("kty"), members.text("crv")) {
            (Some("RSA"), _) => {
                let rsa =
                    RsaPublic::new(&members.octets("n")?, &members.octets("e")?).map_err(|fault| match fault {
                        RsaFault::Modulus => SkipReason::Modulus,
                        RsaFault::Exponent => SkipReason::Exponent,
                        RsaFault::Roca => SkipReason::Roca,
                    })?;
                Ok((Self::Rsa(rsa), &RSA))
            }
            (Some("EC"), Some("P-256")) => Self::ec(members, "P-256", 32, &[Algorithm::ES256]),
            (Some("EC"), Some("P-384")) => Self::ec(members, "P-384", 48, &[Algorithm::ES384]),
            (Some("EC"), Some("P-521")) => Self::ec(members, "P-521", 66, &[Algorithm::ES512]),
            (Some("OKP"), Some("Ed25519")) => {
                let x = members.octets("x")?;
                if x.len() != 32 {
                    return Err(SkipReason::Parameters);
                }
                Ok((Self::Ed25519(x), &[Algorithm::EdDSA]))
            }
            (Some("oct"), _) => Err(SkipReason::Symmetric),
            _ => Err(SkipReason::Type),
        }
    }

    /// Coordinates have exactly the length of the field (RFC 7518 section 6.2.1.2).
    fn ec(
        members: &Members<'_>,
        curve: &'static str,
        field: usize,
        algorithms: &'static [Algorithm],
    ) -> Result<(Self, &'static [Algorithm]), SkipReason> {
        let (x, y) = (members.octets("x")?, members.octets("y")?);
        if x.len() != field || y.len() != field {
            return Err(SkipReason::Parameters);
        }
        Ok((Self::Ec { curve, x, y }, algorithms))
    }

    /// As the signature backends read it.
    pub(super) fn encoded(&self) -> Vec<u8> {
        match self {
            Self::Rsa(rsa) => rsa.to_der(),
            Self::Ec { x, y, .. } => [&[4], x.as_slice(), y.as_slice()].concat(),
            Self::Ed25519(x) => x.clone(),
        }
    }

    /// The reverse of [`Self::encoded`], for a key of our own.
    pub(super) fn decode(algorithm: Algorithm, encoded: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::RS256 => RsaPublic::from_der(encoded).map(Self::Rsa),
            Algorithm::ES256 => {
                let (x, y) = encoded.strip_prefix(&[4])?.split_at_checked(32)?;
                Some(Self::Ec { curve: "P-256", x: x.to_vec(), y: y.to_vec() })
            }
            Algorithm::EdDSA => Some(Self::Ed25519(encoded.to_vec())),
            _ => None,
        }
    }

    /// The required members in lexicographic order without white space (RFC 7638 section 3).
    pub(super) fn canonical(&self) -> String {
        let b64 = |octets: &[u8]| base64url::encode(octets);
        match self {
            Self::Rsa(rsa) => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(&rsa.exponent), b64(&rsa.modulus)),
            Self::Ec { curve, x, y } => format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, b64(x), b64(y)),
            Self::Ed25519(x) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(x)),
        }
    }

    /// As a member of our own published set.
    pub(super) fn to_jwk(&self, algorithm: Algorithm, key_id: &str) -> Value {
        let b64 = |octets: &[u8]| Value::from(base64url::encode(octets));
        let mut jwk = match self {
            Self::Rsa(rsa) => json!({"kty": "RSA", "n": b64(&rsa.modulus), "e": b64(&rsa.exponent)}),
            Self::Ec { curve, x, y } => json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)}),
            Self::Ed25519(x) => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(x)}),
        };
        if let Some(members) = jwk.as_object_mut() {
            members.extend([
                ("use".to_owned(), Value::from("sig")),
                ("alg".to_owned(), Value::from(algorithm.name())),
                ("kid".to_owned(), Value::from(key_id)),
            ]);
        }
        jwk
    }
}

struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    /// `null` counts as absent: published keys have such members.
    fn absent(&self, name: &str) -> bool {
        self.0.get(name).is_none_or(Value::is_null)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn lists(&self, name: &str, wanted: &str) -> bool {
        self.0.get(name).and_then(Value::as_array).is_some_and(|list| list.iter().any(|item| item == wanted))
    }

    fn octets(&self, name: &str) -> Result<Vec<u8>, SkipReason> {
        self.text(name).and_then(|text| base64url::decode(text.as_bytes())).ok_or(SkipReason::Parameters)
    }

    /// The algorithm that the key is bound to: its own `alg`, else the first of `possible` that the issuer may use.
    fn algorithm(&self, possible: &[Algorithm], rules: &KeyRules) -> Result<Algorithm, SkipReason> {
        let accepted = |a: &Algorithm| possible.contains(a) && rules.algorithms.contains(a) && a.is_available();
        let bound = if self.absent("alg") {
            possible.iter().copied().find(accepted)
        } else {
            self.text("alg").and_then(Algorithm::parse).filter(accepted)
        };
        bound.ok_or(SkipReason::Algorithm)
    }
}
