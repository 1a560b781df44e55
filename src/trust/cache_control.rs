//! How long an answer says that it is good (RFC 9111 section 5.2.2). A wish: bounds are set elsewhere.

use std::time::Duration;

/// The freshness that the values of `Cache-Control` claim; what forbids storing or reuse counts as none at all.
pub(super) fn max_age<'a>(values: impl Iterator<Item = &'a str>) -> Option<Duration> {
    let mut age = None;
    for directive in values.flat_map(|value| value.split(',')).map(|one| one.trim().to_ascii_lowercase()) {
        match directive.split_once('=') {
            Some(("max-age", secs)) => age = age.or(secs.trim_matches('"').parse().ok().map(Duration::from_secs)),
            None if directive == "no-store" || directive == "no-cache" => return Some(Duration::ZERO),
            _ => {}
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("public, max-age=3600", Some(3600))]
    #[case("public, must-revalidate, max-age=86400", Some(86_400))]
    #[case("no-cache, no-store", Some(0))]
    #[case("max-age=300, no-store", Some(0))]
    #[case("Max-Age=\"60\"", Some(60))]
    #[case("max-age=-1", None)]
    #[case("max-age=99999999999999999999999", None)]
    #[case("s-maxage=5", None)]
    #[case("", None)]
    fn freshness_is_read_from_cache_control(#[case] header: &str, #[case] secs: Option<u64>) {
        assert_eq!(max_age([header].into_iter()), secs.map(Duration::from_secs));
    }
}
