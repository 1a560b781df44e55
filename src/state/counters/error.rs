//! Why a shared counter did not answer. Says nothing of keys, of where the server is, or of what it was told: a server quotes
//! what it does not understand, be it a password.

use std::io;
use std::time::Duration;

use redis::{ErrorKind, RedisError};

use crate::clock::Timestamp;

/// Why a shared counter did not answer. Nobody was told that a token is new, and nothing is known to have been charged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountersError {
    /// It is left alone for now: the last attempt failed, and the next is made beside the requests.
    #[error("the shared counters are not to be had at the moment")]
    Down,
    /// No answer in time. What was asked may have been done all the same.
    #[error("the shared counters gave no answer within {}ms", .0.as_millis())]
    Late(Duration),
    /// The command reached the server after its time, and did nothing.
    #[error("the shared counters were asked too late, and did nothing")]
    Overtaken,
    /// The connection.
    #[error("the connection to the shared counters failed: {0}")]
    Connection(io::ErrorKind),
    /// There is no room left in the server.
    #[error("the shared counters are full (`maxmemory`)")]
    Full,
    /// The server said no, by this code.
    #[error("the shared counters refused: {0}")]
    Refused(Box<str>),
    /// The server said something that makes no sense.
    #[error("the shared counters answered what cannot be understood")]
    Nonsense,
    /// The server may forget what lives, by this policy.
    #[error("the shared counters may forget live tokens: `maxmemory-policy` is `{0}`, and has to be `noeviction`")]
    Evicts(Box<str>),
    /// The server does not know what was before this moment, and the token may have been presented then.
    #[error("the token may be from before the shared memory began, at {0}")]
    Forgotten(Timestamp),
    /// The server's clock is so many milliseconds ahead of ours that one of them is wrong, and tokens may have been forgotten.
    #[error("the clock of the shared counters is {0}ms ahead of ours: one of them is wrong")]
    Apart(i64),
    /// The token says that it was issued in the future. When that has come, it may come again.
    #[error("the token was issued in the future, by the clock of the shared counters")]
    Ahead,
    /// The server's memory is another one than the one that was greeted: it was emptied, or is another server.
    #[error("the shared counters were emptied, or are others than before")]
    Changed,
    /// The token is over already, so that nothing could be remembered of it.
    #[error("the token ended before it could be remembered")]
    Over,
}

impl CountersError {
    /// Whether the connection is not to be used any more.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::Late(_)
            | Self::Overtaken
            | Self::Connection(_)
            | Self::Refused(_)
            | Self::Nonsense
            | Self::Changed => true,
            Self::Down
            | Self::Full
            | Self::Evicts(_)
            | Self::Forgotten(_)
            | Self::Apart(_)
            | Self::Ahead
            | Self::Over => false,
        }
    }
}

impl From<RedisError> for CountersError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            _ if error.code() == Some("OOM") => Self::Full,
            ErrorKind::Io => Self::Connection(io_kind(&error)),
            ErrorKind::AuthenticationFailed => Self::Refused("wrong user or password".into()),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::RESP3NotSupported => Self::Nonsense,
            _ => Self::Refused(code(&error)),
        }
    }
}

fn io_kind(error: &RedisError) -> io::ErrorKind {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    match source {
        Some(source) => source.kind(),
        None if error.is_connection_refusal() => io::ErrorKind::ConnectionRefused,
        None if error.is_timeout() => io::ErrorKind::TimedOut,
        None => io::ErrorKind::ConnectionAborted,
    }
}

/// The first word of what the server said, if it looks like a code: `READONLY`, `NOAUTH`, `LOADING`.
fn code(error: &RedisError) -> Box<str> {
    let code = error.code().unwrap_or_default();
    let looks_like_one = (1..=24).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_uppercase());
    Box::from(if looks_like_one { code } else { "it gave no code" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::ServerErrorKind;

    #[test]
    fn what_the_server_quotes_is_not_passed_on() {
        let said = RedisError::from((
            ErrorKind::Server(ServerErrorKind::ResponseError),
            "An error was signalled by the server",
            "unknown command 'AUTH' with args beginning with: 'hunter2'".to_owned(),
        ));
        let error = CountersError::from(said);
        assert_eq!(error, CountersError::Refused("ERR".into()));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
