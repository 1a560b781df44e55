//! Where the shared counters are, and how long they are waited for.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};
use url::Url;

/// How long a command may take if nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(250);
/// What keys begin with if nobody says otherwise.
pub const DEFAULT_PREFIX: &str = "cambio:";

const LONGEST_PREFIX: usize = 64;
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(5);

/// Where the counters are. Holds a password perhaps: shows nothing of the URL.
#[derive(Clone)]
pub struct CountersSettings {
    pub(super) client: Client,
    pub(super) timeout: Duration,
    pub(super) prefix: Box<str>,
    pub(super) durable: bool,
}

/// What is wrong with the settings. Quotes nothing of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountersFault {
    /// It is no URL, or not of a Redis.
    #[error("must be a URL such as `redis://host:6379/0` or `rediss://user@host:6380`")]
    Url,
    /// A fragment: `#insecure` would leave certificates unchecked.
    #[error("must have no `#`: certificates are always checked")]
    Fragment,
    /// A certificate authority for a connection without TLS.
    #[error("a certificate authority is of use to `rediss://` only")]
    PlainWithCa,
    /// The file has no certificate that can be read.
    #[error("the certificate authority's file holds no certificates in PEM")]
    Ca,
    /// Too short or too long.
    #[error("the timeout must lie between 10ms and 5s")]
    Timeout,
    /// Empty, long, or of odd characters.
    #[error("the prefix must be 1 to 64 characters of `A-Z a-z 0-9 : . _ -`")]
    Prefix,
}

impl CountersSettings {
    /// The counters at `url`: `redis://[user[:password]@]host[:port][/database]`, or `rediss://` for TLS. `ca` are
    /// certificates in PEM that are trusted in place of the system's.
    ///
    /// # Errors
    /// [`CountersFault`].
    pub fn new(url: &str, ca: Option<&[u8]>) -> Result<Self, CountersFault> {
        let url = Url::parse(url.trim()).map_err(|_| CountersFault::Url)?;
        let tls = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(CountersFault::Url),
        };
        if url.fragment().is_some() {
            return Err(CountersFault::Fragment);
        }
        let info: ConnectionInfo = url.into_connection_info().map_err(|_| CountersFault::Url)?;
        // Small commands, each of which somebody waits for.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        // One command less that a careful operator has to allow.
        let redis = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_redis_settings(redis);
        let client = match ca {
            Some(_) if !tls => return Err(CountersFault::PlainWithCa),
            Some(pem) if !pem.windows(5).any(|five| five == b"BEGIN") => return Err(CountersFault::Ca),
            Some(pem) => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
                Client::build_with_tls(info, certificates).map_err(|_| CountersFault::Ca)?
            }
            None => Client::open(info).map_err(|_| CountersFault::Url)?,
        };
        Ok(Self { client, timeout: DEFAULT_TIMEOUT, prefix: Box::from(DEFAULT_PREFIX), durable: false })
    }

    /// The same with another timeout per command, 10 ms to 5 s.
    ///
    /// # Errors
    /// [`CountersFault::Timeout`].
    pub fn with_timeout(self, timeout: Duration) -> Result<Self, CountersFault> {
        if TIMEOUTS.contains(&timeout) { Ok(Self { timeout, ..self }) } else { Err(CountersFault::Timeout) }
    }

    /// The same with other beginnings of keys: replicas that share counters have the same one, and nobody else has.
    ///
    /// # Errors
    /// [`CountersFault::Prefix`].
    pub fn with_prefix(self, prefix: &str) -> Result<Self, CountersFault> {
        let plain = prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b":._-".contains(&b));
        if plain && (1..=LONGEST_PREFIX).contains(&prefix.len()) {
            Ok(Self { prefix: Box::from(prefix), ..self })
        } else {
            Err(CountersFault::Prefix)
        }
    }

    /// The same for a server that writes each command to its disk before it answers (`appendonly yes`, `appendfsync always`) and
    /// that no copy ever takes over from: one that starts again has lost nothing that it said, if what it was told is still there.
    #[must_use]
    pub fn durable(self) -> Self {
        Self { durable: true, ..self }
    }

    /// Whether `url` holds a password, so that it belongs into no file that others read.
    #[must_use]
    pub fn holds_password(url: &str) -> bool {
        match Url::parse(url.trim()) {
            Ok(url) if url.has_authority() => url.password().is_some(),
            // What is no URL of a server may hold one all the same.
            _ => url.contains('@'),
        }
    }
}

impl fmt::Debug for CountersSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let durable = if self.durable { "durable, " } else { "" };
        write!(f, "CountersSettings({}, {}ms, {durable}[url redacted])", self.prefix, self.timeout.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("redis://127.0.0.1:6379")]
    #[case("redis://127.0.0.1/3\n")]
    #[case("redis://:secret@redis.example.com")]
    #[case("rediss://cambio:s%2fcret@redis.example.com:6380/1")]
    #[case("redis://[::1]:6379")]
    #[case("valkeys://valkey.example.com")]
    fn a_url_of_a_redis_is_taken(#[case] url: &str) {
        let settings = CountersSettings::new(url, None).unwrap();
        assert!(!format!("{settings:?}").contains("cret"), "{settings:?}");
    }

    #[rstest]
    #[case("", CountersFault::Url)]
    #[case("localhost:6379", CountersFault::Url)]
    #[case("http://localhost", CountersFault::Url)]
    #[case("unix:///run/redis.sock", CountersFault::Url)]
    #[case("redis://", CountersFault::Url)]
    #[case("redis://host/name", CountersFault::Url)]
    #[case("redis://0.0.0.0", CountersFault::Url)]
    #[case("rediss://host#insecure", CountersFault::Fragment)]
    fn another_one_is_not(#[case] url: &str, #[case] fault: CountersFault) {
        assert_eq!(CountersSettings::new(url, None).unwrap_err(), fault);
    }

    #[test]
    fn an_authority_goes_with_tls_and_is_read_at_once() {
        let fault = |url, pem: &[u8]| CountersSettings::new(url, Some(pem)).unwrap_err();
        assert_eq!(fault("redis://host", b"-----BEGIN CERTIFICATE-----"), CountersFault::PlainWithCa);
        assert_eq!(fault("rediss://host", b"nothing"), CountersFault::Ca);
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(fault("rediss://host", broken), CountersFault::Ca);
    }

    #[rstest]
    #[case("redis://:p@host", true)]
    #[case("redis://user:p@host", true)]
    #[case("redis://user@host", false)]
    #[case("redis://host", false)]
    #[case("user:p@host", true)]
    #[case("redis//:p@host", true)]
    fn a_password_is_seen(#[case] url: &str, #[case] expected: bool) {
        assert_eq!(CountersSettings::holds_password(url), expected);
    }

    #[test]
    fn timeouts_and_prefixes_have_bounds() {
        let settings = || CountersSettings::new("redis://host", None).unwrap();
        for (millis, good) in [(9, false), (10, true), (5000, true), (5001, false)] {
            assert_eq!(settings().with_timeout(Duration::from_millis(millis)).is_ok(), good, "{millis}");
        }
        let long = "a".repeat(65);
        for (prefix, good) in
            [("a", true), ("team-1.cambio:", true), ("", false), ("a b", false), ("{a}", false), (&long, false)]
        {
            assert_eq!(settings().with_prefix(prefix).is_ok(), good, "{prefix}");
        }
    }
}
