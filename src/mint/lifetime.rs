//! How long a token lives: the shortest of what was asked, what the rule gives, the issuer's cap, and what is left of
//! the subject token.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::state::KEPT_PAST_END;

/// What a rule gives that says nothing. Above the 300 s below which Google's clients exchange again on every call.
pub const DEFAULT_LIFETIME: Duration = crate::policy::limits::TTL_UNSAID;
/// What must be left of a subject token; less would be gone before the secret is read.
pub const MIN_LIFETIME: Duration = Duration::from_secs(30);
/// What no rule can exceed. A retired key stays published for as long, see [`super::KeySettings`].
pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

// What is revoked is remembered for as long as a token can live.
const _: () = assert!(MAX_LIFETIME.as_secs() <= KEPT_PAST_END.as_secs());

/// What a lifetime depends on.
#[derive(Clone, Copy, Debug)]
pub struct LifetimeInput {
    /// What the caller asked for, if it may and did. Only ever shortens; below 30 s it counts as 30 s.
    pub asked: Option<Duration>,
    /// The rule's `ttl`; [`DEFAULT_LIFETIME`] if it has none.
    pub rule: Option<Duration>,
    /// The issuer's cap.
    pub issuer_cap: Option<Duration>,
    /// The verified `exp` of the subject token.
    pub subject_expires: Timestamp,
    /// Whether the rule says that the token may outlive the subject token.
    pub outlive_subject: bool,
}

/// Less than [`MIN_LIFETIME`] is left of the subject token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subject token, or the service account, expires in less than 30 s, and no rule lets a token outlive it")]
pub struct SubjectExpiresTooSoon;

/// The lifetime of a token minted at `now`, in whole seconds, at most [`MAX_LIFETIME`].
///
/// The leeway that verification grants to a clock is no lifetime: a token within its leeway has nothing left.
///
/// # Errors
/// [`SubjectExpiresTooSoon`].
pub fn lifetime(input: &LifetimeInput, now: Timestamp) -> Result<Duration, SubjectExpiresTooSoon> {
    let mut shortest = input.rule.unwrap_or(DEFAULT_LIFETIME).min(MAX_LIFETIME);
    shortest = shortest.min(input.asked.map_or(Duration::MAX, |asked| asked.max(MIN_LIFETIME)));
    shortest = shortest.min(input.issuer_cap.unwrap_or(Duration::MAX));
    if !input.outlive_subject {
        let left = input.subject_expires.since(now);
        if left < MIN_LIFETIME {
            return Err(SubjectExpiresTooSoon);
        }
        shortest = shortest.min(left);
    }
    Ok(Duration::from_secs(shortest.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    #[rstest]
    #[case::default(None, None, None, 3600, false, Ok(600))]
    #[case::rule(None, Some(900), None, 3600, false, Ok(900))]
    #[case::asked_less(Some(120), Some(900), None, 3600, false, Ok(120))]
    #[case::asked_more_never_helps(Some(7200), Some(900), None, 3600, false, Ok(900))]
    #[case::asked_more_than_the_default(Some(7200), None, None, 3600, false, Ok(600))]
    #[case::asked_next_to_nothing(Some(1), None, None, 3600, false, Ok(30))]
    #[case::asked_nothing(Some(0), None, None, 3600, false, Ok(30))]
    #[case::issuer_cap(None, Some(900), Some(300), 3600, false, Ok(300))]
    #[case::cap_below_the_floor_of_asking(Some(1), None, Some(10), 3600, false, Ok(10))]
    #[case::what_is_left(None, Some(900), None, 200, false, Ok(200))]
    #[case::just_enough_left(None, None, None, 30, false, Ok(30))]
    #[case::too_little_left(None, None, None, 29, false, Err(SubjectExpiresTooSoon))]
    #[case::nothing_left(None, None, None, 0, false, Err(SubjectExpiresTooSoon))]
    #[case::within_leeway(None, None, None, -20, false, Err(SubjectExpiresTooSoon))]
    #[case::outlives(None, Some(900), None, 29, true, Ok(900))]
    #[case::outlives_expired(None, None, None, -20, true, Ok(600))]
    #[case::outliving_keeps_the_cap(None, Some(900), Some(300), 29, true, Ok(300))]
    #[case::a_day_at_most(None, Some(90_000), None, 100_000, false, Ok(86_400))]
    fn the_shortest_decides(
        #[case] asked: Option<u64>,
        #[case] rule: Option<u64>,
        #[case] cap: Option<u64>,
        #[case] left: i64,
        #[case] outlive_subject: bool,
        #[case] expected: Result<u64, SubjectExpiresTooSoon>,
    ) {
        let input = LifetimeInput {
            asked: asked.map(Duration::from_secs),
            rule: rule.map(Duration::from_secs),
            issuer_cap: cap.map(Duration::from_secs),
            subject_expires: Timestamp::from_secs(NOW.as_secs() + left),
            outlive_subject,
        };
        assert_eq!(lifetime(&input, NOW), expected.map(Duration::from_secs));
    }

    #[test]
    fn a_token_never_ends_after_its_subject_token_whatever_the_milliseconds() {
        for millis in [0, 1, 499, 999] {
            let now = Timestamp::from_millis(NOW.as_millis() + millis);
            let subject_expires = Timestamp::from_secs(NOW.as_secs() + 100);
            let input =
                LifetimeInput { asked: None, rule: None, issuer_cap: None, subject_expires, outlive_subject: false };
            let lived = lifetime(&input, now).unwrap();
            assert!(now.as_secs() + i64::try_from(lived.as_secs()).unwrap() <= subject_expires.as_secs());
        }
    }
}
