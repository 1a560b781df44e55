//! Lengths of time as an operator writes them, in the configuration, in platform files and in policies alike.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// A length of time: `90s`, `5m`, `1h 30m`, `2d`, `500ms`, or a whole number of seconds. Never negative, at most a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

const LONGEST: Duration = Duration::from_hours(365 * 24);

impl Span {
    /// That many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// That many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// As the standard library has it.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Numbers, each with its unit, largest first or not; their sum.
    fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let mut sum = Duration::ZERO;
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len()));
            let count: u64 = number.parse().ok()?;
            let millis: u64 = match unit {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            sum = sum.checked_add(Duration::from_millis(count.checked_mul(millis)?))?;
            rest = after.trim_start();
        }
        (!text.trim().is_empty() && sum <= LONGEST).then_some(Self(sum))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        match secs {
            _ if self.0.subsec_millis() > 0 => write!(f, "{}ms", self.0.as_millis()),
            0 => f.write_str("0s"),
            _ if secs.is_multiple_of(3600) => write!(f, "{}h", secs / 3600),
            _ if secs.is_multiple_of(60) => write!(f, "{}m", secs / 60),
            _ => write!(f, "{secs}s"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as `90s`, `5m` or `1h`, at most a year")
    }

    fn visit_u64<E: de::Error>(self, secs: u64) -> Result<Span, E> {
        let span = Duration::from_secs(secs);
        if span > LONGEST { Err(E::invalid_value(de::Unexpected::Unsigned(secs), &self)) } else { Ok(Span(span)) }
    }

    fn visit_i64<E: de::Error>(self, secs: i64) -> Result<Span, E> {
        u64::try_from(secs)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(secs), &self))
            .and_then(|secs| self.visit_u64(secs))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        Span::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("90s", 90)]
    #[case("5m", 300)]
    #[case("1h 30m", 5400)]
    #[case("1h30m", 5400)]
    #[case("24h", 86_400)]
    #[case("2d", 172_800)]
    #[case("60", 60)]
    fn a_length_of_time_is_read(#[case] text: &str, #[case] secs: u64) {
        assert_eq!(serde_saphyr::from_str::<Span>(text).unwrap(), Span::from_secs(secs));
    }

    #[rstest]
    #[case("-5")]
    #[case("-5s")]
    #[case("soon")]
    #[case("5 m")]
    #[case("99999999999999999999s")]
    #[case("''")]
    #[case("9000h")]
    fn what_is_none_is_refused(#[case] text: &str) {
        assert!(serde_saphyr::from_str::<Span>(text).is_err());
    }
}
