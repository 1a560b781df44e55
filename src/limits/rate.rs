//! How much there is of each budget, as an operator writes it: `600 per 1m`, `10 per second`, `off`.

use std::fmt;
use std::time::Duration;

use serde::de::value::{Error as Text, StrDeserializer};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::clock::Span;
use crate::state::counters::{MAX_LIMIT, MAX_WINDOW};

/// The most keys that may be asked for: about 1.6 GB.
pub const MAX_KEYS: usize = 10_000_000;

/// So many in such a time, and as many at once; or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// No limit.
    Off,
    /// A limit.
    Per {
        /// Requests: 1 to [`MAX_LIMIT`].
        limit: u64,
        /// The time: 1 ms to [`MAX_WINDOW`].
        window: Duration,
    },
}

/// How much there is of each budget (`rate_limits` in the configuration).
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Of requests with good tokens, for each address.
    pub source: Rate,
    /// For each issuer.
    pub issuer: Rate,
    /// For each subject of an issuer.
    pub subject: Rate,
    /// For each target.
    pub target: Rate,
    /// Of refused requests, for each address; each issuer has ten times as much.
    pub failures: Rate,
    /// Among how many replicas limits are divided while what they share is out of reach; 1 to 1000.
    #[serde(deserialize_with = "replicas")]
    pub replicas: u32,
    /// How many buckets are kept at once; 64 to [`MAX_KEYS`].
    #[serde(deserialize_with = "keys")]
    pub max_keys: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            source: Rate::per_minute(6000),
            issuer: Rate::Off,
            subject: Rate::per_minute(600),
            target: Rate::Off,
            failures: Rate::per_minute(300),
            replicas: 2,
            max_keys: 100_000,
        }
    }
}

impl LimitSettings {
    /// No limits at all.
    #[must_use]
    pub fn off() -> Self {
        let off = Rate::Off;
        Self { source: off, issuer: off, subject: off, target: off, failures: off, ..Self::default() }
    }
}

impl Rate {
    /// So many a minute.
    #[must_use]
    pub const fn per_minute(limit: u64) -> Self {
        Self::Per { limit, window: Duration::from_secs(60) }
    }

    /// `times` as much.
    pub(super) fn times(self, times: u64) -> Self {
        self.with(|limit| limit.saturating_mul(times).min(MAX_LIMIT))
    }

    /// One of `shares`, and at least one request.
    pub(super) fn share(self, shares: u64) -> Self {
        self.with(|limit| limit.div_ceil(shares.max(1)).max(1))
    }

    fn with(self, change: impl Fn(u64) -> u64) -> Self {
        match self {
            Self::Off => Self::Off,
            Self::Per { limit, window } => Self::Per { limit: change(limit), window },
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "off" {
            return Some(Self::Off);
        }
        let (limit, window) = text.split_once(" per ")?;
        let window = match window {
            "second" => Duration::from_secs(1),
            "minute" => Duration::from_secs(60),
            "hour" => Duration::from_secs(3600),
            "day" => MAX_WINDOW,
            span => Span::deserialize(StrDeserializer::<Text>::new(span)).ok()?.duration(),
        };
        let limit: u64 = limit.parse().ok().filter(|_| limit.bytes().all(|byte| byte.is_ascii_digit()))?;
        let fits = (1..=MAX_LIMIT).contains(&limit) && (Duration::from_millis(1)..=MAX_WINDOW).contains(&window);
        fits.then_some(Self::Per { limit, window })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Per { limit, window } => write!(f, "{limit} per {}ms", window.as_millis()),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`off`, or a number of requests and a time such as `600 per 1m` or `10 per second`, at most a day")
    }

    /// What some readers of YAML make of `off`.
    fn visit_bool<E: de::Error>(self, on: bool) -> Result<Rate, E> {
        if on { Err(E::invalid_value(de::Unexpected::Bool(on), &self)) } else { Ok(Rate::Off) }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        Rate::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

fn replicas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let replicas = u32::deserialize(deserializer)?;
    if (1..=1000).contains(&replicas) {
        return Ok(replicas);
    }
    Err(de::Error::invalid_value(de::Unexpected::Unsigned(replicas.into()), &"1 to 1000 replicas"))
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let keys = usize::deserialize(deserializer)?;
    if (64..=MAX_KEYS).contains(&keys) {
        return Ok(keys);
    }
    Err(de::Error::invalid_value(de::Unexpected::Unsigned(keys as u64), &"64 to 10000000 keys"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("off", "off")]
    #[case("600 per 1m", "600 per 60000ms")]
    #[case("600 per minute", "600 per 60000ms")]
    #[case("10 per second", "10 per 1000ms")]
    #[case("5 per 1h 30m", "5 per 5400000ms")]
    #[case("1 per day", "1 per 86400000ms")]
    #[case("10000000 per 1ms", "10000000 per 1ms")]
    fn a_rate_is_read(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(serde_saphyr::from_str::<Rate>(text).unwrap().to_string(), expected);
    }

    #[rstest]
    #[case::nothing_at_all("0 per 1m")]
    #[case::more_than_can_be_counted("10000001 per 1m")]
    #[case::a_time_without_length("1 per 0s")]
    #[case::more_than_a_day("1 per 25h")]
    #[case::no_time("600")]
    #[case::no_number("per minute")]
    #[case::a_sign("+5 per minute")]
    #[case::another_word("600/m")]
    #[case::another_unit("600 per fortnight")]
    #[case::on("'on'")]
    #[case::yes("true")]
    fn what_is_none_is_refused(#[case] text: &str) {
        assert!(serde_saphyr::from_str::<Rate>(text).is_err());
    }

    #[rstest]
    #[case("{}", true)]
    #[case("{subject: off, replicas: 3, max_keys: 64}", true)]
    #[case("{replicas: 0}", false)]
    #[case("{replicas: 1001}", false)]
    #[case("{max_keys: 63}", false)]
    #[case("{max_keys: 10000001}", false)]
    #[case("{subjects: off}", false)]
    fn settings_have_bounds(#[case] text: &str, #[case] good: bool) {
        assert_eq!(serde_saphyr::from_str::<LimitSettings>(text).is_ok(), good);
    }

    #[test]
    fn a_share_is_never_nothing_and_a_multiple_never_too_large() {
        assert_eq!(Rate::per_minute(5).share(2), Rate::per_minute(3));
        assert_eq!(Rate::per_minute(1).share(1000), Rate::per_minute(1));
        assert_eq!(Rate::per_minute(MAX_LIMIT).times(10), Rate::per_minute(MAX_LIMIT));
        assert_eq!(Rate::Off.share(2), Rate::Off);
    }
}
