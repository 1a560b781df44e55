//! Durations as Go writes them, which is how the API writes `delete_version_after`, `ttl` and `increment`.

use std::time::Duration;

/// Reads `90`, `90s`, `1h30m`, `2d`: whole seconds, or numbers with units `ms`, `s`, `m`, `h`, `d`, from large to small or not. `None`
/// for anything else, or beyond a hundred years.
#[must_use]
pub fn go_duration(text: &str) -> Option<Duration> {
    const LONGEST: u64 = 100 * 366 * 86_400 * 1000;
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    let mut millis: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at_checked(letters)?;
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "" if after.is_empty() && digits == text.len() => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        millis = number.checked_mul(factor).and_then(|part| millis.checked_add(part))?;
        rest = after;
    }
    (millis <= LONGEST).then(|| Duration::from_millis(millis))
}

/// A duration as Go prints it: `3h25m19s`, `0s`.
pub(crate) fn go_text(span: Duration) -> String {
    let (hours, minutes, seconds) = (span.as_secs() / 3600, span.as_secs() / 60 % 60, span.as_secs() % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0", 0, "0s")]
    #[case("90", 90, "1m30s")]
    #[case("90s", 90, "1m30s")]
    #[case("1h30m", 5400, "1h30m0s")]
    #[case("3h25m19s", 12_319, "3h25m19s")]
    #[case("2d", 172_800, "48h0m0s")]
    #[case("1500ms", 1, "1s")]
    fn a_duration_is_read_and_written(#[case] text: &str, #[case] seconds: u64, #[case] written: &str) {
        let span = go_duration(text).unwrap();
        assert_eq!((span.as_secs(), go_text(span).as_str()), (seconds, written));
    }

    #[rstest]
    #[case("")]
    #[case("s")]
    #[case("-1s")]
    #[case("1.5h")]
    #[case("1y")]
    #[case("1h30")]
    #[case("1 h")]
    #[case("99999999999999999999")]
    #[case("9999999999h")]
    fn what_is_no_duration_is_none(#[case] text: &str) {
        assert_eq!(go_duration(text), None);
    }
}
