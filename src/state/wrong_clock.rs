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
