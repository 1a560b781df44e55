//! Sealing: bytes that nobody reads or changes without the key, and that fit nowhere but where they were sealed for.
//! AES-256-GCM (NIST SP 800-38D).

use std::fmt;

use zeroize::Zeroizing;

use super::backend::Aead;
use super::{NoRandomness, random};

/// The length of a key, in bytes.
pub const SEALING_KEY_BYTES: usize = 32;
/// By how much sealed bytes are longer: a nonce of 12 before, a tag of 16 after.
pub const SEALING_OVERHEAD: usize = NONCE_BYTES + TAG_BYTES;
/// How many messages one key may seal. Nonces are random, 96 bits: at 2^32 messages the probability that any two are equal,
/// which would give both away, is 2^-33 (SP 800-38D section 8.3). The key does not count: whoever keeps keys over restarts
/// counts with them, and takes a new one in time.
pub const MAX_MESSAGES_PER_KEY: u64 = 1 << 32;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// A key that seals and opens. Prints as `[redacted]`; zeroed when dropped.
pub struct SealingKey(Aead);

/// Why something was not sealed or opened. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The library took the key for none, or did not seal.
    #[error("the cryptographic library did not seal")]
    Library,
    /// Another key, another place, or changed bytes: which of them cannot be told.
    #[error("the sealed bytes are damaged, belong elsewhere, or were sealed under another key")]
    NotOurs,
    /// No nonce.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl SealingKey {
    /// The key of these bytes, which must be random. The caller zeroes its own copy.
    ///
    /// # Errors
    /// [`SealingError::Library`].
    pub fn new(key: &[u8; SEALING_KEY_BYTES]) -> Result<Self, SealingError> {
        Aead::new(key).map(Self).ok_or(SealingError::Library)
    }

    /// Seals `plaintext` for the place that `place` describes (the associated data: authenticated, not kept). The result is
    /// the nonce, the ciphertext and the tag, [`SEALING_OVERHEAD`] bytes longer. At most [`MAX_MESSAGES_PER_KEY`] times.
    ///
    /// # Errors
    /// [`SealingError::NoRandomness`], [`SealingError::Library`].
    pub fn seal(&self, place: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealingError> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        // One buffer with room for everything: one that grows would leave plaintext behind in the old one.
        let mut sealed = Zeroizing::new(Vec::with_capacity(plaintext.len() + SEALING_OVERHEAD));
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let text = sealed.get_mut(NONCE_BYTES..).unwrap_or_default();
        let tag = self.0.seal(nonce, place, text).ok_or(SealingError::Library)?;
        sealed.extend_from_slice(&tag);
        // It is ciphertext by now, and needs no zeroing.
        Ok(std::mem::take(&mut *sealed))
    }

    /// Opens what was sealed for `place`, in its own buffer.
    ///
    /// # Errors
    /// [`SealingError::NotOurs`].
    pub fn open(&self, place: &[u8], sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let mut opened = Zeroizing::new(sealed);
        let nonce = *opened.first_chunk::<NONCE_BYTES>().ok_or(SealingError::NotOurs)?;
        let length = opened.len().checked_sub(SEALING_OVERHEAD).ok_or(SealingError::NotOurs)?;
        self.0.open(nonce, place, &mut opened, NONCE_BYTES).ok_or(SealingError::NotOurs)?;
        // What is left of the plaintext behind its end is zeroed with the buffer.
        opened.truncate(length);
        Ok(opened)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(&[byte; SEALING_KEY_BYTES]).unwrap()
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    /// Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B (256-bit key, associated data).
    #[test]
    fn the_published_ciphertext_is_opened() {
        let key = unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let place = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plaintext = unhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let sealed = unhex(concat!(
            "cafebabefacedbaddecaf888",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b"
        ));
        let key = SealingKey::new(key.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(key.open(&place, sealed).unwrap().as_slice(), plaintext);
    }

    #[rstest]
    #[case(b"")]
    #[case(b"{\"password\":\"hunter2\"}")]
    fn what_is_sealed_is_opened_and_looks_different_each_time(#[case] plaintext: &[u8]) {
        let (one, other) = (key(1).seal(b"here", plaintext).unwrap(), key(1).seal(b"here", plaintext).unwrap());
        assert_eq!(one.len(), plaintext.len() + SEALING_OVERHEAD);
        assert_ne!(one, other);
        assert_eq!(key(1).open(b"here", one).unwrap().as_slice(), plaintext);
        assert_eq!(key(1).open(b"here", other).unwrap().as_slice(), plaintext);
    }

    #[test]
    fn another_key_another_place_or_a_cut_is_refused() {
        let sealed = key(1).seal(b"here", b"hunter2").unwrap();
        assert_eq!(key(2).open(b"here", sealed.clone()), Err(SealingError::NotOurs));
        assert_eq!(key(1).open(b"there", sealed.clone()), Err(SealingError::NotOurs));
        for length in 0..sealed.len() {
            assert_eq!(key(1).open(b"here", sealed[..length].to_vec()), Err(SealingError::NotOurs), "{length}");
        }
        assert!(!format!("{:?}", key(1)).contains('1'));
    }

    proptest! {
        #[test]
        fn one_changed_bit_is_refused(plaintext in proptest::collection::vec(any::<u8>(), 0..200), at: proptest::sample::Index) {
            let mut sealed = key(1).seal(b"here", &plaintext).unwrap();
            let bit = at.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(key(1).open(b"here", sealed), Err(SealingError::NotOurs));
        }
    }
}
