//! SHA-256 and randomness, from the one cryptographic library.

use std::cell::RefCell;
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
    /// Reads the 32 bytes of a digest that was kept.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// What the library computed: 32 bytes.
    #[must_use]
    pub(super) fn of_bytes(digest: &[u8]) -> Self {
        let mut bytes = [0_u8; 32];
        for (slot, byte) in bytes.iter_mut().zip(digest) {
            *slot = *byte;
        }
        Self(bytes)
    }

    /// The digest that no known input has: what stands before the first.
    pub const NONE: Self = Self([0; 32]);

    /// Reads the 64 lower-case hex digits that a digest prints as.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let mut bytes = [0_u8; 32];
        if pairs.len() != bytes.len() {
            return None;
        }
        for (slot, [high, low]) in bytes.iter_mut().zip(pairs) {
            *slot = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As thumbprints of keys are written (RFC 7638 section 3).
    #[must_use]
    pub fn base64url(&self) -> String {
        super::base64url::encode(&self.0)
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

impl<'de> serde::Deserialize<'de> for Sha256 {
    /// As it prints, and nothing else.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a SHA-256 digest in lower-case hex"))
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
    Sha256::of_bytes(backend::digest(&backend::SHA256, data).as_ref())
}

/// `N` bytes (at most 64) from the library's cryptographic source. Drawn 256 at a time for each thread: most of what one
/// draw costs does not depend on its size. What was handed out is overwritten.
///
/// # Errors
/// [`NoRandomness`] where the system has none to give: whatever needed it must fail closed.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    const { assert!(N <= 64) };
    thread_local! {
        static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; 256], left: 0 }) };
    }
    DRAWN.with_borrow_mut(Drawn::take)
}

/// Random bytes that nobody has seen; the first `left` of them.
struct Drawn {
    bytes: [u8; 256],
    left: usize,
}

impl Drawn {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], NoRandomness> {
        use rand::SecureRandom as _;
        if self.left < N {
            self.left = 0;
            rand::SystemRandom::new().fill(&mut self.bytes).map_err(|_| NoRandomness)?;
            self.left = self.bytes.len();
        }
        let unseen = self.bytes.get_mut(..self.left).unwrap_or_default();
        let (rest, last) = unseen.split_last_chunk_mut::<N>().ok_or(NoRandomness)?;
        self.left = rest.len();
        Ok(std::mem::replace(last, [0; N]))
    }
}

/// The system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct NoRandomness;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(sha256(b"abc").to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Sha256::parse(&sha256(b"abc").to_string()), Some(sha256(b"abc")));
        for odd in ["", "00", &"A".repeat(64), &"0".repeat(65), &"0".repeat(66), &"é".repeat(32)] {
            assert_eq!(Sha256::parse(odd), None, "{odd}");
        }
        assert_eq!(serde_json::to_string(&sha256(b"abc")).unwrap(), format!("\"{}\"", sha256(b"abc")));
    }

    #[test]
    fn no_bytes_are_handed_out_twice() {
        let drawn: BTreeSet<[u8; 16]> = (0..1000).map(|_| random().unwrap()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(!drawn.contains(&[0; 16]));
        assert_ne!(random::<48>().unwrap()[..16], random::<16>().unwrap());
    }
}
