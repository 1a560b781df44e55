//! Keyed digests: HMAC-SHA-256 (RFC 2104, FIPS 198-1), for finding a secret again without keeping it. Not an algorithm of
//! tokens: nothing here signs or verifies one.

use std::fmt;

#[cfg(feature = "aws-lc")]
use aws_lc_rs::hmac;
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
use ring::hmac;

use super::Sha256;

/// The length of a key, in bytes.
pub const DIGEST_KEY_BYTES: usize = 32;

/// A key under which digests are made: whoever has the digests and not the key can try no guesses. Prints as `[redacted]`.
pub struct DigestKey(hmac::Key);

impl DigestKey {
    /// The key of these bytes, which must be random. The caller zeroes its own copy.
    #[must_use]
    pub fn new(key: &[u8; DIGEST_KEY_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The digest of `data` under this key.
    #[must_use]
    pub fn digest(&self, data: &[u8]) -> Sha256 {
        let tag = hmac::sign(&self.0, data);
        Sha256::of_bytes(tag.as_ref())
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::sha256;

    /// The construction of RFC 2104 section 2, written out: no test case of RFC 4231 has a key of 32 bytes.
    #[test]
    fn the_digest_is_the_hmac_of_the_standard() {
        for text in [&b""[..], b"Hi There", &[7; 200]] {
            let key: [u8; DIGEST_KEY_BYTES] = std::array::from_fn(|at| u8::try_from(at).unwrap());
            let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
            let inner = sha256(&[pad(0x36).as_slice(), text].concat());
            let expected = sha256(&[pad(0x5c).as_slice(), inner.bytes()].concat());
            assert_eq!(DigestKey::new(&key).digest(text), expected);
        }
    }

    #[test]
    fn another_key_gives_another_digest_and_none_is_printed() {
        let [one, other] = [1, 2].map(|byte| DigestKey::new(&[byte; DIGEST_KEY_BYTES]));
        assert_ne!(one.digest(b"token"), other.digest(b"token"));
        assert_eq!(format!("{one:?}"), "DigestKey([redacted])");
    }
}
