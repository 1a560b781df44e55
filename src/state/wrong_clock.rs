//! What a wrong clock must not destroy. A machine may boot with its clock in the past or ahead, and be set right minutes later;
//! what was forgotten meanwhile (a revocation, a burnt token) would be alive again by the right time.

use std::path::Path;
use std::time::Duration;

use super::StateError;
use crate::clock::Timestamp;

/// How long an entry stays on the disk past its end: as long as the longest-lived token.
pub const KEPT_PAST_END: Duration = Duration::from_secs(24 * 60 * 60);
/// No token ends later than this from now. An entry that does means that the clock is far behind, or that it was damaged.
const FARTHEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// By how much two clocks may differ before one of them is taken to be wrong.
pub(super) const CLOCKS_APART: Duration = Duration::from_secs(60);

/// The moment by which what is over may be removed for those who go by either clock: the earlier one. None where they are more
/// than [`CLOCKS_APART`] from each other: nobody can tell which of them is wrong.
pub(super) fn agreed(ours: Timestamp, theirs: Timestamp) -> Option<Timestamp> {
    let apart = ours.since(theirs).max(theirs.since(ours));
    (apart <= CLOCKS_APART).then(|| ours.min(theirs))
}

/// Whether what ended at `end` may be removed for good.
#[must_use]
pub fn is_long_over(end: Timestamp, now: Timestamp) -> bool {
    end.plus(KEPT_PAST_END) <= now
}

/// Whether an entry of `path` can end at `end`.
///
/// # Errors
/// [`StateError::Clock`] where it lies too far ahead.
pub fn check_end(path: &Path, end: Timestamp, now: Timestamp) -> Result<(), StateError> {
    if !is_possible_end(end, now) {
        return Err(StateError::Clock { path: path.to_owned(), end, now });
    }
    Ok(())
}

/// Whether a token of ours can end then.
pub(super) fn is_possible_end(end: Timestamp, now: Timestamp) -> bool {
    end <= now.plus(FARTHEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::the_same(100, 100, Some(100))]
    #[case::ours_behind(40, 100, Some(40))]
    #[case::ours_ahead(160, 100, Some(100))]
    #[case::ours_far_ahead(161, 100, None)]
    #[case::ours_far_behind(39, 100, None)]
    fn of_two_clocks_the_earlier_counts_and_neither_where_they_are_far_apart(
        #[case] ours: i64,
        #[case] theirs: i64,
        #[case] expected: Option<i64>,
    ) {
        let found = agreed(Timestamp::from_secs(ours), Timestamp::from_secs(theirs));
        assert_eq!(found, expected.map(Timestamp::from_secs));
    }
}
