//! Signatures and sealing by aws-lc-rs. The same items as `backend_ring`, which says what differs.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as sig, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair, VerificationAlgorithm,
};

use super::Algorithm;
use super::signing_key::SigningError;

/// A public key, parsed once.
#[derive(Debug)]
pub(super) struct PublicKey(ParsedPublicKey);

impl PublicKey {
    /// `encoded` is a PKCS#1 `RSAPublicKey`, an uncompressed point, or the 32 bytes of Ed25519, as `algorithm` asks.
    pub(super) fn new(algorithm: Algorithm, encoded: &[u8]) -> Option<Self> {
        ParsedPublicKey::new(verification(algorithm), encoded).ok().map(Self)
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

fn verification(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::RS256 => &sig::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &sig::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &sig::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &sig::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &sig::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &sig::RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 => &sig::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &sig::ECDSA_P384_SHA384_FIXED,
        Algorithm::ES512 => &sig::ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDSA => &sig::ED25519,
    }
}

/// A private key, parsed once.
pub(super) enum PrivateKey {
    Ecdsa(EcdsaKeyPair, SystemRandom),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>, SystemRandom),
}

impl PrivateKey {
    pub(super) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, SigningError> {
        match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::from_pkcs8(&sig::ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                .map(|key| Self::Ecdsa(key, SystemRandom::new())),
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map(Self::Ed25519),
            Algorithm::RS256 => RsaKeyPair::from_pkcs8(pkcs8).map(|key| Self::Rsa(Box::new(key), SystemRandom::new())),
            other => return Err(SigningError::Algorithm(other)),
        }
        .map_err(|_| SigningError::Key)
    }

    /// A new key, in PKCS#8.
    pub(super) fn generate(algorithm: Algorithm) -> Result<Vec<u8>, SigningError> {
        let document = match algorithm {
            Algorithm::ES256 => {
                EcdsaKeyPair::generate_pkcs8(&sig::ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                    .map(|document| document.as_ref().to_vec())
            }
            Algorithm::EdDSA => {
                Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map(|document| document.as_ref().to_vec())
            }
            Algorithm::RS256 => RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048)
                .and_then(|key| key.as_der())
                .map(|document: aws_lc_rs::encoding::Pkcs8V1Der<'_>| document.as_ref().to_vec()),
            other => return Err(SigningError::Algorithm(other)),
        };
        document.map_err(|_| SigningError::Generation)
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
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&sig::RSA_PKCS1_SHA256, random, message, &mut signature)
                    .map(|()| signature)
                    .map_err(|_| SigningError::Signature)
            }
        }
    }
}

/// An AES-256-GCM key, its schedule computed once. The library zeroes it when it is freed.
pub(super) struct Aead(LessSafeKey);

impl Aead {
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM, key).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    /// Encrypts `text` where it stands; returns the tag.
    pub(super) fn seal(&self, nonce: [u8; 12], aad: &[u8], text: &mut [u8]) -> Option<[u8; 16]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), text).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Decrypts what stands from `from` on, tag included, to the front of `buffer`.
    pub(super) fn open(&self, nonce: [u8; 12], aad: &[u8], buffer: &mut [u8], from: usize) -> Option<()> {
        self.0.open_within(Nonce::assume_unique_for_key(nonce), Aad::from(aad), buffer, from..).ok().map(|_| ())
    }
}
