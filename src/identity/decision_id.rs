//! The id of a decision: what the caller quotes, and what the operator looks up.

use std::fmt;

use crate::clock::Timestamp;

/// A UUID version 7 (RFC 9562 section 5.7): ordered by time, unguessable within a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(u128);

impl DecisionId {
    /// The id of a decision begun at `now`; `random` must come from a cryptographic source.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u128::from(u64::try_from(now.as_millis()).unwrap_or(0) & 0xffff_ffff_ffff);
        let mut tail = [0_u8; 16];
        for (slot, byte) in tail.iter_mut().skip(6).zip(random) {
            *slot = byte;
        }
        let random = u128::from_be_bytes(tail) & 0x0000_0000_0000_0fff_3fff_ffff_ffff_ffff;
        Self((millis << 80) | (0x7 << 76) | (0b10 << 62) | random)
    }

    /// Reads the text form, 36 characters with hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        if text.len() != 36 || hex.len() != 32 {
            return None;
        }
        let id = Self(u128::from_str_radix(&hex, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            (v >> 80) & 0xffff,
            (v >> 64) & 0xffff,
            (v >> 48) & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }
}

impl serde::Serialize for DecisionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_version_7_and_reads_back() {
        let id = DecisionId::new(Timestamp::from_millis(0x0102_0304_0506), [0xff; 10]);
        assert_eq!(id.to_string(), "01020304-0506-7fff-bfff-ffffffffffff");
        assert_eq!(DecisionId::parse(&id.to_string()), Some(id));
        assert_eq!(DecisionId::parse("01020304050"), None);
        assert_eq!(DecisionId::parse("0102030405067fffbfffffffffffffff----"), None);
    }
}
