//! Base64url without padding, canonical only (RFC 7515 section 2, RFC 4648 section 5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Decodes `text`; `None` for padding, another alphabet, white space, or stray bits in the last character. The stray
/// bits matter: two spellings of one signature would pass a replay memory that is keyed by the token's digest.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Encodes `bytes` to the end of `out`.
pub(crate) fn encode_into(bytes: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("aGk", Some(b"hi".to_vec()))]
    #[case("aGk=", None)]
    #[case("aGl", None)] // the last character carries bits that no byte owns
    #[case("a+/_", None)]
    #[case("aG k", None)]
    #[case("aGk\n", None)]
    fn only_the_canonical_spelling_decodes(#[case] text: &str, #[case] bytes: Option<Vec<u8>>) {
        assert_eq!(decode(text.as_bytes()), bytes);
    }
}
