//! Why an OpenBao did not do what a caller asked for, in the classes that the surfaces know.

use std::time::Duration;

use crate::trust::{FetchError, OutboundError};

/// Why there is no answer. The texts are for the operator: they hold no token and no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// OpenBao does not take the caller's token. Its own words, if they quote nothing of the token.
    #[error("OpenBao refused the login with status {status}: {said}")]
    LoginRefused {
        /// The status.
        status: u16,
        /// What it said, at most 200 characters.
        said: String,
    },
    /// The caller's token has ended.
    #[error("the token has ended")]
    Ended,
    /// The namespace or the path is one that is not sent on.
    #[error("{0}")]
    Place(String),
    /// OpenBao has had enough requests for now.
    #[error("OpenBao has had enough requests for now (status 429)")]
    TooMany(Option<Duration>),
    /// OpenBao can't be reached, does not answer, or answers that it can't work.
    #[error("OpenBao is not available: {why}")]
    Unavailable {
        /// What happened.
        why: String,
        /// When it wants to be asked again.
        wait: Option<Duration>,
    },
    /// It failed so often that it is left alone for a while.
    #[error("OpenBao failed so often that it is not asked for another {} ms", .0.as_millis())]
    Paused(Duration),
    /// It answers, and not as an OpenBao does.
    #[error("OpenBao's answer to the login is not understood: {0}")]
    Unreadable(&'static str),
}

impl UpstreamError {
    /// A stable name of the reason, for records and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::LoginRefused { .. } => "upstream_login_refused",
            Self::Ended => "token_not_good",
            Self::Place(_) => "upstream_place_refused",
            Self::TooMany(_) => "upstream_over_quota",
            Self::Unavailable { .. } => "upstream_unavailable",
            Self::Paused(_) => "upstream_paused",
            Self::Unreadable(_) => "upstream_unreadable",
        }
    }

    /// Whether, and when, another try is worth it. None: the answer is no. Else whether it was asked too often (429, or
    /// else it is not available, 503), and for how long to wait, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<(bool, Option<Duration>)> {
        match self {
            Self::LoginRefused { .. } | Self::Ended | Self::Place(_) => None,
            Self::TooMany(wait) => Some((true, *wait)),
            Self::Unavailable { wait, .. } => Some((false, *wait)),
            Self::Paused(wait) => Some((false, Some(*wait))),
            Self::Unreadable(_) => Some((false, None)),
        }
    }

    /// That the server answered with a status that is its own trouble, not the caller's.
    pub(super) fn of_status(status: u16, wait: Option<Duration>) -> Self {
        if status == 429 { Self::TooMany(wait) } else { Self::Unavailable { why: format!("status {status}"), wait } }
    }
}

impl From<OutboundError> for UpstreamError {
    fn from(error: OutboundError) -> Self {
        Self::Unavailable { why: error.to_string(), wait: None }
    }
}

/// Whether another try may end better: nobody was there, or the connection broke. A timeout has used up its time.
pub(super) const fn is_passing(error: &OutboundError) -> bool {
    matches!(error, OutboundError::Fetch(FetchError::Unreachable { .. }))
}

/// OpenBao's own words (`{"errors": [..]}`), cut to one short line; nothing where they repeat a part of `token`.
pub(super) fn said(body: &[u8], token: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<String>,
    }
    let first = serde_json::from_slice::<Errors>(body).ok().and_then(|told| told.errors.into_iter().next());
    let text: String = first.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() || token.split('.').any(|part| part.len() >= 8 && text.contains(part)) {
        return "no reason that can be told".to_owned();
    }
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(r#"{"errors":["error validating token: x"]}"#, "error validating token: x")]
    #[case(r#"{"errors":["a\nb","c"]}"#, "ab")]
    #[case(r#"{"errors":["bad token eyJhbGciOi here"]}"#, "no reason that can be told")]
    #[case(r#"{"errors":[]}"#, "no reason that can be told")]
    #[case("<html>", "no reason that can be told")]
    #[case("", "no reason that can be told")]
    fn what_openbao_says_is_told_without_the_token(#[case] body: &str, #[case] expected: &str) {
        assert_eq!(said(body.as_bytes(), "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0"), expected);
    }

    #[test]
    fn what_openbao_says_is_cut() {
        let body = serde_json::json!({"errors": ["x".repeat(1000)]}).to_string();
        assert_eq!(said(body.as_bytes(), "").len(), 200);
    }

    #[test]
    fn a_denial_is_none_that_is_tried_again() {
        let denied = UpstreamError::LoginRefused { status: 400, said: String::new() };
        assert_eq!(denied.retry_after(), None);
        let wait = Some(Duration::from_secs(3));
        assert_eq!(UpstreamError::of_status(429, wait).retry_after(), Some((true, wait)));
        assert_eq!(UpstreamError::of_status(503, None).retry_after(), Some((false, None)));
    }
}
