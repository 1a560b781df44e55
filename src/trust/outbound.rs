//! The one HTTP client, for a store that stands behind us: any method, headers and a body, again and again, over
//! connections that are kept. Decides the bounds, which are those of [`super::fetch`]; refuses to know what is asked.
//!
//! The address is the operator's, never a caller's: private networks are allowed, and metadata services are not. A
//! redirect is an error: the headers hold a token, and nobody but the operator says where it goes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response};
use url::Url;
use zeroize::Zeroizing;

use super::fetch::{Fetcher, Kind, Request, builder, certificates, check_literal, describe, host_text, innermost};
use super::fetch_error::FetchError;
use super::local_file::{self, Stamp};

/// How many idle connections to a server are kept, and for how long.
const IDLE_CONNECTIONS: usize = 32;
const IDLE_FOR: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The method of a request (RFC 9110 section 9.3, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

/// One request to a server that the operator named.
#[derive(Clone, Copy)]
pub struct Outbound<'a> {
    /// What is done.
    pub method: Method,
    /// Where to; `http` is the caller's to weigh.
    pub url: &'a Url,
    /// Headers besides the usual ones. Their values are never logged.
    pub headers: &'a [(&'static str, &'a str)],
    /// A body, with its media type.
    pub body: Option<(&'static str, &'a [u8])>,
    /// The only certificates (PEM) that the server is verified by; else those of the machine. Read again when it changes.
    pub ca_file: Option<&'a Path>,
    /// How long it may take in all.
    pub timeout: Duration,
    /// The most that is read of the answer, in bytes.
    pub most: usize,
}

/// An answer, whatever its status, unless it is a redirect.
pub struct OutboundReply {
    /// The status.
    pub status: u16,
    /// `Retry-After` in seconds, where the server gives it so; an hour at most.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// No connection, no answer in time, or a redirect.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A larger answer than was allowed.
    #[error("the answer of `{host}` has more than {most} bytes")]
    TooLarge {
        /// The server.
        host: String,
        /// The bound.
        most: usize,
    },
    /// A header has characters that none can have.
    #[error("`{0}` has characters that no header can carry")]
    Header(&'static str),
}

/// The clients that are kept: one for each kind of server and file with certificates, in the state that the file has.
#[derive(Default)]
pub(super) struct Outlets(Vec<Outlet>);

struct Outlet {
    plain: bool,
    ca_file: Option<PathBuf>,
    stamp: Option<Stamp>,
    client: Client,
}

impl Fetcher {
    /// Sends one request, and follows no redirect.
    ///
    /// # Errors
    /// [`OutboundError`]; a status is none.
    pub async fn send(&self, outbound: Outbound<'_>) -> Result<OutboundReply, OutboundError> {
        let host = host_text(outbound.url);
        let reply = tokio::time::timeout(outbound.timeout, self.send_unhurried(outbound, &host));
        reply.await.unwrap_or_else(|_| Err(FetchError::Timeout(host.clone()).into()))
    }

    async fn send_unhurried(&self, outbound: Outbound<'_>, host: &str) -> Result<OutboundReply, OutboundError> {
        let Outbound { method, url, headers, body, ca_file, timeout, most } = outbound;
        let request = Request { url, private_addresses: true, insecure_http: true, ca_file, bearer: None, timeout };
        check_literal(&request, host)?;
        let client = self.outlet(url, ca_file, host).await?;
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = client.request(method, url.clone()).headers(header_map(headers)?);
        if let Some((media_type, bytes)) = body {
            builder = builder.header(CONTENT_TYPE, HeaderValue::from_static(media_type)).body(bytes.to_vec());
        }
        let response = builder.send().await.map_err(|error| describe(&error, host))?;
        let status = response.status().as_u16();
        if (300..=399).contains(&status) {
            return Err(FetchError::Redirect(host.to_owned()).into());
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        Ok(OutboundReply { status, retry_after, body: whole(response, host, most).await? })
    }

    /// The client for `url`: the one from before, unless the file with certificates has changed since.
    async fn outlet(&self, url: &Url, ca_file: Option<&Path>, host: &str) -> Result<Client, FetchError> {
        let plain = url.scheme() == "http";
        let ca_file = ca_file.filter(|_| !plain);
        let stamp = match ca_file {
            Some(path) => Some(local_file::stamp(path).await?),
            None => None,
        };
        if let Some(client) = self.shared().outlets.find(plain, ca_file, stamp.as_ref()) {
            return Ok(client);
        }
        let only = match ca_file {
            Some(path) => Some(certificates(path).await?),
            // A server without TLS needs no certificates: then a machine without any still serves its tests.
            None => plain.then(Vec::new),
        };
        let client = builder(Kind { plain, private: true }, only)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_FOR)
            .build()
            .map_err(|error| FetchError::Unreachable { host: host.to_owned(), fault: innermost(&error) })?;
        let ca_file = ca_file.map(Path::to_owned);
        self.shared().outlets.keep(Outlet { plain, ca_file, stamp, client: client.clone() });
        Ok(client)
    }
}

impl Outlets {
    fn find(&self, plain: bool, ca_file: Option<&Path>, stamp: Option<&Stamp>) -> Option<Client> {
        let fits =
            |one: &&Outlet| one.plain == plain && one.ca_file.as_deref() == ca_file && one.stamp.as_ref() == stamp;
        self.0.iter().find(fits).map(|one| one.client.clone())
    }

    /// Keeps one in the place of its predecessor: as many are kept as the operator named files.
    fn keep(&mut self, outlet: Outlet) {
        self.0.retain(|one| one.plain != outlet.plain || one.ca_file != outlet.ca_file);
        self.0.push(outlet);
    }
}

/// All of them count as sensitive: nothing that prints headers prints these.
fn header_map(headers: &[(&'static str, &str)]) -> Result<HeaderMap, OutboundError> {
    let mut map = HeaderMap::new();
    map.insert(ACCEPT, HeaderValue::from_static("application/json"));
    map.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, text) in headers {
        let mut value = HeaderValue::from_str(text).map_err(|_| OutboundError::Header(name))?;
        value.set_sensitive(true);
        map.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| OutboundError::Header(name))?, value);
    }
    Ok(map)
}

/// The whole body, up to the bound. Bytes that are outgrown are zeroed with the buffer that held them.
async fn whole(mut response: Response, host: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, OutboundError> {
    let said = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = Zeroizing::new(Vec::with_capacity(said.min(most)));
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error, host))? {
        if body.len() + chunk.len() > most {
            return Err(OutboundError::TooLarge { host: host.to_owned(), most });
        }
        if body.capacity() < body.len() + chunk.len() {
            let mut larger = Zeroizing::new(Vec::with_capacity((body.capacity() * 2).max(body.len() + chunk.len())));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl fmt::Debug for Outbound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbound({:?} {}, [redacted])", self.method, host_text(self.url))
    }
}

impl fmt::Debug for OutboundReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboundReply({}, [redacted])", self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Answers every connection's first request with `answer`; gives what the first one said.
    async fn server(answer: &'static str) -> (Url, tokio::task::JoinHandle<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/v1/x", listener.local_addr().unwrap())).unwrap();
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        (url, heard)
    }

    fn outbound<'a>(url: &'a Url, headers: &'a [(&'static str, &'a str)]) -> Outbound<'a> {
        let body = Some(("application/json", b"{}".as_slice()));
        Outbound { method: Method::Post, url, headers, body, ca_file: None, timeout: Duration::from_secs(5), most: 16 }
    }

    #[tokio::test]
    async fn a_request_goes_out_as_it_is_and_a_status_is_an_answer() {
        let (url, heard) = server("HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}").await;
        let reply = Fetcher::new().send(outbound(&url, &[("x-vault-token", "s.t")])).await.unwrap();
        assert_eq!((reply.status, reply.retry_after), (429, Some(Duration::from_secs(7))));
        let heard = heard.await.unwrap();
        assert!(heard.starts_with("POST /v1/x HTTP/1.1") && heard.contains("x-vault-token: s.t"), "{heard}");
        assert!(!format!("{reply:?}").contains("{}"));
    }

    #[rstest]
    #[case("HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "redirect")]
    #[case("HTTP/1.1 200 x\r\ncontent-length: 17\r\n\r\n12345678901234567", "more than 16 bytes")]
    #[case("HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\n1", "cannot be reached")]
    #[tokio::test]
    async fn an_answer_that_leaves_the_bounds_is_none(#[case] answer: &'static str, #[case] said: &str) {
        let (url, _heard) = server(answer).await;
        let error = Fetcher::new().send(outbound(&url, &[])).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }

    #[rstest]
    #[case("http://169.254.169.254/v1/x", "never an issuer's")]
    #[case("ftp://127.0.0.1/v1/x", "not https")]
    #[tokio::test]
    async fn some_addresses_are_never_asked(#[case] url: &str, #[case] said: &str) {
        let url = Url::parse(url).unwrap();
        let error = Fetcher::new().send(outbound(&url, &[])).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }

    #[tokio::test]
    async fn a_header_that_would_be_two_is_refused() {
        let (url, _heard) = server("").await;
        let error = Fetcher::new().send(outbound(&url, &[("x-vault-token", "a\r\nb: c")])).await.unwrap_err();
        assert_eq!(error, OutboundError::Header("x-vault-token"));
    }
}
