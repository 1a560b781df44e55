//! The text of a token: found in a leak by its form alone, without asking anybody.
//!
//! `cambio_sa_`, 43 digits of base 62 that stand for 256 random bits, and 6 digits of base 62 that stand for the CRC-32 (ISO
//! 3309, as in gzip) of all that stands before them. A scanner looks for `\bcambio_sa_[0-9A-Za-z]{49}\b`, and the checksum tells
//! a token from a text that looks like one: one in four billion others passes.

use std::fmt;

use zeroize::{Zeroize as _, Zeroizing};

use crate::jose::{DigestKey, NoRandomness, Sha256, random};

/// What every token begins with.
pub const TOKEN_PREFIX: &str = "cambio_sa_";
/// How long every token is, in bytes.
pub const TOKEN_BYTES: usize = TOKEN_PREFIX.len() + SECRET_DIGITS + CHECK_DIGITS;

/// 62^43 is more than 2^256.
const SECRET_DIGITS: usize = 43;
/// 62^6 is more than 2^32.
const CHECK_DIGITS: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token of a service account, well-formed. Zeroed when dropped, printed as `[redacted]`.
pub struct AccountToken(Zeroizing<String>);

/// Why a text is no token. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenFault {
    /// It begins otherwise.
    #[error("it does not begin as a service account's token does")]
    Prefix,
    /// It was cut, or something was added.
    #[error("it does not have 59 characters")]
    Length,
    /// A character that is no letter or digit of ASCII.
    #[error("it has a character that tokens do not have")]
    Character,
    /// A character was changed.
    #[error("its checksum does not hold")]
    Checksum,
}

impl AccountToken {
    /// A new one, of 256 random bits.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new() -> Result<Self, NoRandomness> {
        let mut secret: Zeroizing<[u8; 32]> = Zeroizing::new(random()?);
        let digits = Zeroizing::new(base62::<SECRET_DIGITS>(secret.as_mut_slice()));
        // Room for all of it: a text that grows leaves its beginning behind.
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_BYTES));
        text.push_str(TOKEN_PREFIX);
        text.extend(digits.iter().map(|digit| char::from(*digit)));
        let check = checksum(&text);
        text.extend(check.iter().map(|digit| char::from(*digit)));
        Ok(Self(text))
    }

    /// Reads a token. Nothing is looked up.
    ///
    /// # Errors
    /// [`TokenFault`] names the first fault.
    pub fn parse(text: &str) -> Result<Self, TokenFault> {
        let digits = text.strip_prefix(TOKEN_PREFIX).ok_or(TokenFault::Prefix)?;
        if text.len() != TOKEN_BYTES {
            return Err(TokenFault::Length);
        }
        if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
            return Err(TokenFault::Character);
        }
        let (before, check) = text.split_at_checked(TOKEN_BYTES - CHECK_DIGITS).ok_or(TokenFault::Length)?;
        if checksum(before).as_slice() != check.as_bytes() {
            return Err(TokenFault::Checksum);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether a text is meant to be a token of a service account: it begins as one does, and nothing else does.
    #[must_use]
    pub fn is_meant(text: &[u8]) -> bool {
        text.starts_with(TOKEN_PREFIX.as_bytes())
    }

    /// The token itself: for the one answer to whoever it was made for.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub(super) fn digest(&self, key: &DigestKey) -> Sha256 {
        key.digest(self.0.as_bytes())
    }
}

impl fmt::Debug for AccountToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountToken([redacted])")
    }
}

fn checksum(text: &str) -> [u8; CHECK_DIGITS] {
    base62(&mut crc32fast::hash(text.as_bytes()).to_be_bytes())
}

/// `N` digits of the number that `bytes` are, most significant first; `bytes` are zero afterwards.
fn base62<const N: usize>(bytes: &mut [u8]) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_u16;
        for byte in bytes.iter_mut() {
            let number = rest << 8 | u16::from(*byte);
            // Below 256, as the rest is below 62.
            *byte = u8::try_from(number / 62).unwrap_or_default();
            rest = number % 62;
        }
        *digit = ALPHABET.get(usize::from(rest)).copied().unwrap_or(b'0');
    }
    bytes.zeroize();
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    /// The number that the digits stand for, by another way: from the left, in wide arithmetic.
    fn number(digits: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0_u8; 33];
        for digit in digits {
            let mut carry = u16::try_from(ALPHABET.iter().position(|known| known == digit).unwrap()).unwrap();
            for byte in bytes.iter_mut().rev() {
                let next = u16::from(*byte) * 62 + carry;
                *byte = u8::try_from(next & 0xff).unwrap();
                carry = next >> 8;
            }
            assert_eq!(carry, 0);
        }
        bytes
    }

    #[rstest]
    #[case([0; 32], "0000000000000000000000000000000000000000000")]
    #[case([0xff; 32], "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1")]
    fn the_digits_of_the_least_and_the_greatest_secret(#[case] bytes: [u8; 32], #[case] expected: &str) {
        let mut secret = bytes;
        let digits = base62::<SECRET_DIGITS>(&mut secret);
        assert_eq!(std::str::from_utf8(&digits).unwrap(), expected);
        assert_eq!(secret, [0; 32]);
    }

    #[test]
    fn the_checksum_is_that_of_gzip() {
        // CRC-32 of "123456789" is cbf43926 in every list of check values: 3421780262 in base 62 (3jZRME).
        assert_eq!(&checksum("123456789"), b"3jZRME");
    }

    #[test]
    fn a_new_token_is_read_back_and_no_two_are_the_same() {
        let (one, other) = (AccountToken::new().unwrap(), AccountToken::new().unwrap());
        assert_eq!(one.text().len(), TOKEN_BYTES);
        assert_eq!(AccountToken::parse(one.text()).unwrap().text(), one.text());
        assert_ne!(one.text(), other.text());
        assert_eq!(format!("{one:?}"), "AccountToken([redacted])");
    }

    #[rstest]
    #[case::nothing(|_: &str| String::new(), TokenFault::Prefix)]
    #[case::prefix_alone(|_: &str| TOKEN_PREFIX.to_owned(), TokenFault::Length)]
    #[case::other_case(|token: &str| token.replace("cambio", "CAMBIO"), TokenFault::Prefix)]
    #[case::space_before(|token: &str| format!(" {token}"), TokenFault::Prefix)]
    #[case::line_end(|token: &str| format!("{token}\n"), TokenFault::Length)]
    #[case::cut(|token: &str| token[..58].to_owned(), TokenFault::Length)]
    #[case::longer(|token: &str| format!("{token}0"), TokenFault::Length)]
    #[case::odd_character(|token: &str| format!("{}-", &token[..58]), TokenFault::Character)]
    #[case::wide_character(|token: &str| format!("{}é", &token[..57]), TokenFault::Character)]
    #[case::nul(|token: &str| format!("{}\0", &token[..58]), TokenFault::Character)]
    fn what_is_no_token_is_refused_before_anything_is_looked_up(
        #[case] change: fn(&str) -> String,
        #[case] fault: TokenFault,
    ) {
        let token = AccountToken::new().unwrap();
        assert_eq!(AccountToken::parse(&change(token.text())).map(|_| ()), Err(fault));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_found_by_the_checksum(at in 10..TOKEN_BYTES, other in 0..62_usize) {
            let token = AccountToken::new().unwrap();
            let mut changed = token.text().as_bytes().to_vec();
            let other = ALPHABET[other];
            prop_assume!(changed[at] != other);
            changed[at] = other;
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(AccountToken::parse(&changed).map(|_| ()), Err(TokenFault::Checksum));
        }

        #[test]
        fn whatever_is_parsed_no_byte_of_it_panics(text in ".{0,80}", prefixed: bool) {
            let text = if prefixed { format!("{TOKEN_PREFIX}{text}") } else { text };
            prop_assert!(AccountToken::parse(&text).is_err());
        }

        #[test]
        fn the_digits_stand_for_the_secret(bytes: [u8; 32]) {
            let mut secret = bytes;
            prop_assert_eq!(&number(&base62::<SECRET_DIGITS>(&mut secret))[1..], &bytes[..]);
        }
    }
}
