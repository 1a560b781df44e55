//! Sizes as an operator writes them: `16MiB`, `512KiB`, or a whole number of bytes.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSize(u64);

impl ByteSize {
    /// That many MiB.
    #[must_use]
    pub(super) const fn mebibytes(count: u64) -> Self {
        Self(count * 1024 * 1024)
    }

    /// The number of bytes.
    #[must_use]
    pub(super) const fn bytes(self) -> u64 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let unit = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1024,
            "MiB" => 1024 * 1024,
            "GiB" => 1024 * 1024 * 1024,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(unit).map(Self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a size such as `16MiB` or `512KiB`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("16MiB", Some(16 * 1024 * 1024))]
    #[case("512 KiB", Some(512 * 1024))]
    #[case("0", Some(0))]
    #[case("16MB", None)]
    #[case("-1", None)]
    #[case("99999999999GiB", None)]
    #[case("", None)]
    fn a_size_is_read(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(ByteSize::parse(text).map(ByteSize::bytes), bytes);
    }
}
