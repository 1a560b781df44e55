//! Time, read once per request and passed down. Decides nothing; refuses to know why anybody asks.
//!
//! `clippy.toml` bans the ambient clock everywhere else, so that a test can move time instead of sleeping.

mod span;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

pub use span::Span;

/// A moment, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From whole seconds since the Unix epoch (RFC 7519 section 2, NumericDate). Saturates.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339, or whole seconds since the Unix epoch.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = || text.parse::<jiff::Timestamp>().ok().map(|moment| Self(moment.as_millisecond()));
        text.parse().ok().map(Self::from_secs).or_else(moment)
    }

    /// Reads the date of HTTP headers (RFC 9110 section 5.6.7).
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let moment = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Self(moment.as_millisecond()))
    }

    /// The date of HTTP headers (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`; `None` outside of the years 1 to 9999.
    #[must_use]
    pub fn to_http_date(self) -> Option<String> {
        let moment = jiff::Timestamp::from_second(self.as_secs()).ok()?;
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).ok()
    }

    /// This moment plus `span`. Saturates.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment minus `span`. Saturates.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, UTC, with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Where time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that a test or a replay moves by hand.
    Manual(ManualClock),
}

impl Clock {
    /// The present moment.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp(jiff::Timestamp::now().as_millisecond()),
            Self::Manual(manual) => manual.now(),
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.0)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_prints_rfc_3339() {
        let manual = ManualClock::new(Timestamp::from_secs(1_795_000_000));
        let clock = Clock::Manual(manual.clone());
        let before = clock.now();
        manual.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().since(before), Duration::from_millis(1500));
        assert_eq!(clock.now().to_string(), "2026-11-18T11:06:41.500Z");
        assert_eq!(before.since(clock.now()), Duration::ZERO);
    }

    #[test]
    fn a_moment_is_read_as_people_and_servers_write_it() {
        let moment = Some(Timestamp::from_secs(1_795_000_000));
        assert_eq!(Timestamp::parse("1795000000"), moment);
        assert_eq!(Timestamp::parse("2026-11-18T11:06:40Z"), moment);
        assert_eq!(Timestamp::parse("2026-11-18T13:06:40+02:00"), moment);
        assert_eq!(Timestamp::from_http_date("Wed, 18 Nov 2026 11:06:40 GMT"), moment);
        assert!(["", "now", "2026-11-18", "yesterday"].iter().all(|text| Timestamp::parse(text).is_none()));
        assert_eq!(Timestamp::from_http_date("Wed"), None);
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        let end = Timestamp::from_secs(i64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
    }
}
