//! How the budgets of a caller are told: headers on every answer of a limited surface, as GitLab's clients read them.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::limits::State;

/// Tells how the tightest budget stands: `RateLimit-Limit`, `-Name`, `-Observed`, `-Remaining`, and `-Reset`, in seconds since the
/// Unix epoch; where it refused the request, also `RateLimit-ResetTime`, the same moment as a date (RFC 9110 section 5.6.7), and
/// `Retry-After`, in whole seconds and at least one (RFC 9110 section 10.2.3). Without limits, nothing.
pub(super) fn tell(response: &mut Response<Body>, state: Option<State>) {
    let Some(state) = state else { return };
    let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    // The first whole second at which it is all there.
    let reset = state.reset.plus(std::time::Duration::from_millis(999));
    headers.insert(HeaderName::from_static("ratelimit-limit"), HeaderValue::from(state.limit));
    headers.insert(HeaderName::from_static("ratelimit-name"), HeaderValue::from_static(state.name));
    headers.insert(HeaderName::from_static("ratelimit-observed"), HeaderValue::from(state.observed));
    headers.insert(HeaderName::from_static("ratelimit-remaining"), HeaderValue::from(state.remaining));
    headers.insert(HeaderName::from_static("ratelimit-reset"), HeaderValue::from(reset.as_secs()));
    // A budget may have none left, and the request be answered all the same, or be refused for something else.
    if state.retry_after.is_zero() || !refused {
        return;
    }
    headers.insert(header::RETRY_AFTER, HeaderValue::from(wait(&state)));
    if let Some(date) = reset.to_http_date().and_then(|date| HeaderValue::try_from(date).ok()) {
        headers.insert(HeaderName::from_static("ratelimit-resettime"), date);
    }
}

/// How long to wait, in whole seconds, at least one.
fn wait(state: &State) -> u64 {
    u64::try_from(state.retry_after.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use rstest::rstest;
    use std::time::Duration;

    fn told(retry_after: u64, status: StatusCode) -> Vec<(String, String)> {
        let state = State {
            name: "subject",
            limit: 600,
            observed: 601,
            remaining: 0,
            reset: Timestamp::from_millis(784_111_777_001),
            retry_after: Duration::from_millis(retry_after),
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        tell(&mut response, Some(state));
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = response.headers().iter();
        let mut told: Vec<_> = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
        told.sort();
        told
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const ALWAYS: [(&str, &str); 5] = [
        ("ratelimit-limit", "600"),
        ("ratelimit-name", "subject"),
        ("ratelimit-observed", "601"),
        ("ratelimit-remaining", "0"),
        ("ratelimit-reset", "784111778"),
    ];

    #[test]
    fn an_answer_tells_five_things_of_a_budget() {
        assert_eq!(told(0, StatusCode::OK), pairs(&ALWAYS));
    }

    #[rstest]
    #[case(StatusCode::OK)]
    #[case(StatusCode::BAD_REQUEST)]
    #[case(StatusCode::SERVICE_UNAVAILABLE)]
    fn what_a_budget_did_not_refuse_need_not_wait_for_it(#[case] status: StatusCode) {
        assert_eq!(told(1000, status), pairs(&ALWAYS));
    }

    #[rstest]
    #[case(1, "1")]
    #[case(1000, "1")]
    #[case(1001, "2")]
    fn a_refusal_tells_two_more(#[case] wait: u64, #[case] seconds: &str) {
        let mut expected = pairs(&ALWAYS);
        expected.extend(pairs(&[("ratelimit-resettime", "Sun, 06 Nov 1994 08:49:38 GMT"), ("retry-after", seconds)]));
        assert_eq!(told(wait, StatusCode::TOO_MANY_REQUESTS), expected);
    }

    #[test]
    fn without_limits_nothing_is_told() {
        let mut response = Response::new(Body::empty());
        tell(&mut response, None);
        assert!(response.headers().is_empty());
    }
}
