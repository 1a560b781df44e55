//! Signatures and sealing by ring. The same items as `backend_aws_lc`; what differs: ring parses a public key at each use (so
//! points are checked here by a key agreement), has no ES512, makes no RSA keys, asks for its random source when it reads an
//! ECDSA key, and does not zero a sealing key (so its schedule is computed at each use, from bytes that we zero).

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{self, ECDH_P256, ECDH_P384, EphemeralPrivateKey};
use ring::rand::SystemRandom;
use ring::signature::{
    self as sig, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};

use zeroize::Zeroizing;

use super::Algorithm;
use super::signing_key::SigningError;

/// A public key.
#[derive(Debug)]
pub(super) struct PublicKey(UnparsedPublicKey<Vec<u8>>);

impl PublicKey {
    /// `encoded` is a PKCS#1 `RSAPublicKey`, an uncompressed point, or the 32 bytes of Ed25519, as `algorithm` asks.
    pub(super) fn new(algorithm: Algorithm, encoded: &[u8]) -> Option<Self> {
        let on_curve = match algorithm {
            Algorithm::ES256 => is_on_curve(&ECDH_P256, encoded),
            Algorithm::ES384 => is_on_curve(&ECDH_P384, encoded),
            _ => true,
        };
        let verification = verification(algorithm)?;
        on_curve.then(|| Self(UnparsedPublicKey::new(verification, encoded.to_vec())))
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify(message, signature).is_ok()
    }
}

/// ring reads a verification key only when it verifies. Key agreement does check the point, so one is tried: a key off its
/// curve must not count as usable.
fn is_on_curve(curve: &'static agreement::Algorithm, point: &[u8]) -> bool {
    let Ok(own) = EphemeralPrivateKey::generate(curve, &SystemRandom::new()) else { return false };
    agreement::agree_ephemeral(own, &agreement::UnparsedPublicKey::new(curve, point), |_| ()).is_ok()
}

fn verification(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::RS256 => &sig::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &sig::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &sig::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &sig::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &sig::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &sig::RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 => &sig::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &sig::ECDSA_P384_SHA384_FIXED,
        Algorithm::ES512 => return None,
        Algorithm::EdDSA => &sig::ED25519,
    })
}

/// A private key, parsed once.
pub(super) enum PrivateKey {
    Ecdsa(EcdsaKeyPair, SystemRandom),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>, SystemRandom),
}

impl PrivateKey {
    pub(super) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, SigningError> {
        let random = SystemRandom::new();
        match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::from_pkcs8(&sig::ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
                .map(|key| Self::Ecdsa(key, random)),
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map(Self::Ed25519),
            Algorithm::RS256 => RsaKeyPair::from_pkcs8(pkcs8).map(|key| Self::Rsa(Box::new(key), random)),
            other => return Err(SigningError::Algorithm(other)),
        }
        .map_err(|_| SigningError::Key)
    }

    /// A new key, in PKCS#8.
    pub(super) fn generate(algorithm: Algorithm) -> Result<Vec<u8>, SigningError> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::generate_pkcs8(&sig::ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            Algorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&random),
            other => return Err(SigningError::Algorithm(other)),
        };
        document.map(|document| document.as_ref().to_vec()).map_err(|_| SigningError::Generation)
    }

    /// The public half, as [`PublicKey::new`] takes it.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::Ecdsa(key, _) => key.public_key().as_ref().to_vec(),
            Self::Ed25519(key) => key.public_key().as_ref().to_vec(),
            Self::Rsa(key, _) => key.public_key().as_ref().to_vec(),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match self {
            Self::Ecdsa(key, random) => {
                key.sign(random, message).map(|s| s.as_ref().to_vec()).map_err(|_| SigningError::Signature)
            }
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Self::Rsa(key, random) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&sig::RSA_PKCS1_SHA256, random, message, &mut signature)
                    .map(|()| signature)
                    .map_err(|_| SigningError::Signature)
            }
        }
    }
}

/// An AES-256-GCM key. Boxed, so that no copy is left behind where it is moved from.
pub(super) struct Aead(Box<Zeroizing<[u8; 32]>>);

impl Aead {
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        let mut own = Box::new(Zeroizing::new([0; 32]));
        own.copy_from_slice(key);
        Some(Self(own))
    }

    /// Encrypts `text` where it stands; returns the tag.
    pub(super) fn seal(&self, nonce: [u8; 12], aad: &[u8], text: &mut [u8]) -> Option<[u8; 16]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.schedule()?.seal_in_place_separate_tag(nonce, Aad::from(aad), text).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Decrypts what stands from `from` on, tag included, to the front of `buffer`.
    pub(super) fn open(&self, nonce: [u8; 12], aad: &[u8], buffer: &mut [u8], from: usize) -> Option<()> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.schedule()?.open_within(nonce, Aad::from(aad), buffer, from..).ok().map(|_| ())
    }

    fn schedule(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, self.0.as_slice()).ok().map(LessSafeKey::new)
    }
}
