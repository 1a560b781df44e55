//! SHA-256 and randomness, from the one cryptographic library.

use std::fmt;

use serde::{Serialize, Serializer};

#[cfg(feature = "aws-lc")]
use aws_lc_rs::{digest as backend, rand};
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
use ring::{digest as backend, rand};

/// A SHA-256 digest (FIPS 180-4). Prints as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Calls `with` on the 64 hex digits, without the formatting machinery: two digests stand in every token, and three in
    /// every record.
    fn with_hex<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        let mut text = [0_u8; 64];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [hex_digit(byte >> 4), hex_digit(byte & 0xf)];
        }
        // Digits and letters are always UTF-8.
        with(std::str::from_utf8(&text).unwrap_or_default())
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_hex(|hex| f.write_str(hex))
    }
}

impl Serialize for Sha256 {
    /// As it prints.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_hex(|hex| serializer.serialize_str(hex))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The SHA-256 digest of `data`.
#[must_use]
pub fn sha256(data: &[u8]) -> Sha256 {
    let mut bytes = [0_u8; 32];
    for (slot, byte) in bytes.iter_mut().zip(backend::digest(&backend::SHA256, data).as_ref()) {
        *slot = *byte;
    }
    Sha256(bytes)
}

/// `N` bytes from the library's cryptographic source.
///
/// # Errors
/// [`NoRandomness`] where the system has none to give: whatever needed it must fail closed.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    use rand::SecureRandom as _;
    let mut bytes = [0_u8; N];
    rand::SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// The system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct NoRandomness;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(sha256(b"abc").to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(serde_json::to_string(&sha256(b"abc")).unwrap(), format!("\"{}\"", sha256(b"abc")));
        assert_ne!(random::<16>(), random::<16>());
    }
}
