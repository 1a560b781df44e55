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

    /// The first id that a decision begun at `moment` could have: every id of before is smaller, none of later is.
    #[must_use]
    pub fn first_at(moment: Timestamp) -> Self {
        Self::new(moment, [0; 10])
    }

    /// When the decision began, to the millisecond.
    #[must_use]
    pub fn moment(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0 >> 80).unwrap_or(i64::MAX))
    }

    /// The 16 bytes (RFC 9562 section 4); they compare as the ids do.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From the 16 bytes of [`Self::bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// The 36 characters of the text form. Every exchange writes them three times, so they are made without the formatting
    /// machinery.
    fn text(self) -> [u8; 36] {
        let mut text = [b'-'; 36];
        let digits = self.0.to_be_bytes().into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let places = text.iter_mut().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
        for ((_, place), digit) in places.zip(digits) {
            *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        }
        text
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
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl serde::Serialize for DecisionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn an_id_is_a_uuid_version_7_and_reads_back() {
        let id = DecisionId::new(Timestamp::from_millis(0x0102_0304_0506), [0xff; 10]);
        assert_eq!(id.to_string(), "01020304-0506-7fff-bfff-ffffffffffff");
        assert_eq!(DecisionId::parse(&id.to_string()), Some(id));
        assert_eq!(id.moment(), Timestamp::from_millis(0x0102_0304_0506));
        assert!(DecisionId::first_at(id.moment()) < id && id < DecisionId::first_at(id.moment().plus(MILLISECOND)));
        assert!(DecisionId::first_at(id.moment()).bytes() < id.bytes());
        assert_eq!(DecisionId::parse("01020304050"), None);
        assert_eq!(DecisionId::parse("0102030405067fffbfffffffffffffff----"), None);
    }
}
