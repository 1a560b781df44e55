//! One call to OpenBao, with its tries.
//!
//! Decides what is tried again: a call that changes nothing, if nobody was there, if OpenBao says that it can't work just
//! now (5xx but 501), or if it wants less (429) and says for how long. All tries together have the time of one call, so
//! that a slow OpenBao is not asked more because it is slow.

use std::time::Duration;

use super::error::{UpstreamError, is_passing};
use super::request::{Spoken, UpstreamAnswer};
use super::{MAX_ANSWER_BYTES, OpenBaoStore};
use crate::clock::Timestamp;
use crate::jose::random;
use crate::trust::{Outbound, OutboundError, OutboundReply};

/// The wait before the second try; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How one try ended.
enum Ended {
    /// OpenBao has decided.
    Answer(UpstreamAnswer),
    /// It has not, and won't.
    Failed(UpstreamError),
    /// It may another time; after so long, where it says so.
    Passing(UpstreamError, Option<Duration>),
}

impl OpenBaoStore {
    /// Says `spoken` in `namespace`, with `token`.
    pub(super) async fn ask(
        &self,
        spoken: &Spoken<'_>,
        namespace: &str,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let pass = self.breaker.pass(now).map_err(UpstreamError::Paused)?;
        let limit = self.settings.timeout.duration();
        let answer = tokio::time::timeout(limit, self.tries(spoken, namespace, token)).await.unwrap_or_else(|_| {
            Err(UpstreamError::Unavailable { why: format!("no answer within {} ms", limit.as_millis()), wait: None })
        });
        match &answer {
            // A quota is its answer as much as any: whoever says so is there.
            Ok(_) | Err(UpstreamError::TooMany(_)) => pass.answered(),
            Err(_) => pass.failed(now),
        }
        answer
    }

    async fn tries(
        &self,
        spoken: &Spoken<'_>,
        namespace: &str,
        token: Option<&str>,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let most = if spoken.repeatable { self.settings.retries } else { 0 };
        let mut tried = 0;
        loop {
            let (error, asked) = match self.one_try(spoken, namespace, token).await {
                Ended::Answer(answer) => return Ok(answer),
                Ended::Failed(error) => return Err(error),
                Ended::Passing(error, asked) => (error, asked),
            };
            let wait = asked.unwrap_or_else(|| jittered(FIRST_WAIT.saturating_mul(1 << tried.min(6))));
            // What it wants waits longer than this call has: the caller is told to come back then.
            if tried >= most || wait >= self.settings.timeout.duration() {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            tried += 1;
        }
    }

    async fn one_try(&self, spoken: &Spoken<'_>, namespace: &str, token: Option<&str>) -> Ended {
        let mut headers = vec![("x-vault-request", "true")];
        headers.extend((!namespace.is_empty()).then_some(("x-vault-namespace", namespace)));
        headers.extend(token.map(|token| ("x-vault-token", token)));
        let outbound = Outbound {
            method: spoken.method,
            url: &spoken.url,
            headers: &headers,
            body: spoken.body,
            ca_file: self.settings.ca_file.as_deref(),
            timeout: self.settings.timeout.duration(),
            most: MAX_ANSWER_BYTES,
        };
        match self.fetcher.send(outbound).await {
            Ok(reply) => of_reply(reply),
            Err(error) => of_error(error),
        }
    }
}

fn of_reply(reply: OutboundReply) -> Ended {
    let OutboundReply { status, retry_after, body } = reply;
    let error = || UpstreamError::of_status(status, retry_after);
    match status {
        200..=299 | 400..=428 | 430..=499 => Ended::Answer(UpstreamAnswer { status, body }),
        // Without a word how long, another try is one more of what is too much already.
        429 if retry_after.is_none() => Ended::Failed(error()),
        429 => Ended::Passing(error(), retry_after),
        501 => Ended::Failed(error()),
        500..=599 => Ended::Passing(error(), retry_after),
        _ => Ended::Failed(error()),
    }
}

fn of_error(error: OutboundError) -> Ended {
    if is_passing(&error) { Ended::Passing(error.into(), None) } else { Ended::Failed(error.into()) }
}

/// Between half and all of `wait`: callers that failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let part = random::<1>().map_or(128, |[byte]| u32::from(byte));
    wait / 2 + wait.saturating_mul(part) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_more_than_it_says_and_never_less_than_half() {
        for _ in 0..100 {
            let wait = jittered(Duration::from_millis(100));
            assert!((Duration::from_millis(50)..=Duration::from_millis(100)).contains(&wait), "{wait:?}");
        }
    }
}
