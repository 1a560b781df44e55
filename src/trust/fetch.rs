//! The one HTTP client: bounded in time, size, redirects and addresses. Decides what may be asked and how much of the
//! answer is read; refuses to know what the answer means.
//!
//! What each bound stops: no redirect, and a bearer token only for the configured origin: a document that points
//! elsewhere does not get the cluster's token (Fulcio #2354, 2026). Names are resolved by us and connected to as
//! resolved: a private address behind a public name is refused at the moment of use, not at the moment of configuration
//! (CVE-2026-41413). No decompression and a cap on the streamed body: no bomb. No proxy from the environment: nobody but
//! the operator's file decides where keys come from.

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, DATE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect};
use url::{Host, Url};

use super::address::{Reach, reach};
use super::cache_control;
use super::fetch_error::FetchError;
use super::local_file::{self, Bearer};
use super::outbound::Outlets;
use crate::clock::Timestamp;

/// The most that is read of an answer or of a file, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 256 * 1024;
/// The most that is read of a file with certificates, in bytes.
const MAX_CA_BYTES: usize = 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The bounded HTTP client. Cheap to clone; issuers that trust the machine's certificates share connections.
#[derive(Clone, Default)]
pub struct Fetcher(Arc<Mutex<Shared>>);

/// One client for each kind of server that the machine's certificates (or none) suffice for. Those with a `ca_file` are
/// made for each fetch, so that a replaced file counts at once and a thousand clusters hold no thousand clients.
#[derive(Default)]
pub(super) struct Shared {
    clients: Vec<(Kind, Client)>,
    /// Those that [`super::outbound`] keeps.
    pub(super) outlets: Outlets,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) plain: bool,
    pub(super) private: bool,
}

/// What to fetch, and what is allowed on the way.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) url: &'a Url,
    pub(super) private_addresses: bool,
    pub(super) insecure_http: bool,
    pub(super) ca_file: Option<&'a Path>,
    pub(super) bearer: Option<&'a Bearer>,
    pub(super) timeout: Duration,
}

/// A whole answer with status 200.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) max_age: Option<Duration>,
    /// The server's clock, as it says.
    pub(super) date: Option<Timestamp>,
}

impl Fetcher {
    /// A client that has connected to nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gets `request.url`, once.
    pub(super) async fn get(&self, request: Request<'_>) -> Result<Answer, FetchError> {
        let host = host_text(request.url);
        let answer = tokio::time::timeout(request.timeout, self.get_unhurried(request, &host));
        answer.await.unwrap_or(Err(FetchError::Timeout(host.clone())))
    }

    async fn get_unhurried(&self, request: Request<'_>, host: &str) -> Result<Answer, FetchError> {
        check_literal(&request, host)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(bearer) = request.bearer.filter(|bearer| bearer.origin == request.url.origin()) {
            let unusable = |_| local_file::error(&bearer.file, "it holds no bearer token");
            let mut value = HeaderValue::from_str(&bearer.header().await?).map_err(unusable)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = self.client(&request).await?;
        let sent = client.get(request.url.clone()).headers(headers).send().await;
        let response = sent.map_err(|error| describe(&error, host))?;
        match response.status().as_u16() {
            200 => {}
            300..=399 => return Err(FetchError::Redirect(host.to_owned())),
            status => return Err(FetchError::Status { host: host.to_owned(), status }),
        }
        let cache_control = response.headers().get_all(CACHE_CONTROL).iter();
        let max_age = cache_control::max_age(cache_control.filter_map(|value| value.to_str().ok()));
        let date = date(response.headers());
        Ok(Answer { body: bounded_body(response, host).await?, max_age, date })
    }

    pub(super) async fn client(&self, request: &Request<'_>) -> Result<Client, FetchError> {
        let kind = Kind { plain: request.url.scheme() == "http", private: request.private_addresses };
        if let (Some(path), false) = (request.ca_file, kind.plain) {
            let certificates = certificates(path).await?;
            let built = builder(kind, Some(certificates)).build();
            return built.map_err(|fault| local_file::error(path, innermost(&fault)));
        }
        if let Some(client) = self.shared().find(kind) {
            return Ok(client);
        }
        // A server without TLS needs no certificates: then a machine without any still serves its tests.
        let client = builder(kind, kind.plain.then(Vec::new))
            .build()
            .map_err(|error| FetchError::Unreachable { host: host_text(request.url), fault: innermost(&error) })?;
        let mut shared = self.shared();
        if shared.find(kind).is_none() {
            shared.clients.push((kind, client.clone()));
        }
        Ok(client)
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn find(&self, kind: Kind) -> Option<Client> {
        self.clients.iter().find(|(known, _)| *known == kind).map(|(_, client)| client.clone())
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetcher")
    }
}

/// The certificates in the file at `path`: at least one.
pub(super) async fn certificates(path: &Path) -> Result<Vec<Certificate>, FetchError> {
    let pem = local_file::read(path, MAX_CA_BYTES).await?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|fault| local_file::error(path, fault))?;
    if certificates.is_empty() {
        return Err(local_file::error(path, "it holds no certificate"));
    }
    Ok(certificates)
}

/// A client within the bounds of this module; it trusts `only` these certificates, or those of the machine.
pub(super) fn builder(kind: Kind, only: Option<Vec<Certificate>>) -> ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // The process default: the server's own TLS takes the same. Whoever was first stays.
        #[cfg(feature = "aws-lc")]
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        #[cfg(all(feature = "ring", not(feature = "aws-lc")))]
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .https_only(!kind.plain)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(1)
        .dns_resolver(Arc::new(BoundedResolver { private: kind.private }));
    match only {
        Some(certificates) => builder.tls_certs_only(certificates),
        None => builder,
    }
}

/// The whole body, up to the bound.
pub(super) async fn bounded_body(mut response: Response, host: &str) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error, host))? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(FetchError::TooLarge(host.to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The moment in `Date` (RFC 9110 section 6.6.1).
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_http_date(headers.get(DATE)?.to_str().ok()?)
}

/// What the URL alone shows; names are checked by [`BoundedResolver`] when they are resolved.
pub(super) fn check_literal(request: &Request<'_>, host: &str) -> Result<(), FetchError> {
    match request.url.scheme() {
        "https" => {}
        "http" if request.insecure_http => {}
        _ => return Err(FetchError::Scheme(host.to_owned())),
    }
    let reach = match request.url.host() {
        Some(Host::Ipv4(v4)) => reach(v4.into()),
        Some(Host::Ipv6(v6)) => reach(v6.into()),
        Some(Host::Domain(_)) => return Ok(()),
        None => Reach::Never,
    };
    match reach {
        Reach::Public => Ok(()),
        Reach::Private if request.private_addresses => Ok(()),
        Reach::Private => Err(FetchError::PrivateAddress(host.to_owned())),
        Reach::Never => Err(FetchError::ForbiddenAddress(host.to_owned())),
    }
}

/// Resolves names, and gives only addresses that may be connected to.
struct BoundedResolver {
    private: bool,
}

/// Every address of a name is of a kind that is not allowed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no address that is allowed")]
struct Blocked {
    never: bool,
}

impl Resolve for BoundedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed = |address: &SocketAddr| match reach(address.ip()) {
                Reach::Public => true,
                Reach::Private => private,
                Reach::Never => false,
            };
            let (good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(allowed);
            if good.is_empty() && !bad.is_empty() {
                let never = bad.iter().all(|address| reach(address.ip()) == Reach::Never);
                return Err(Blocked { never }.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

pub(super) fn describe(error: &reqwest::Error, host: &str) -> FetchError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(one) = cause {
        if let Some(blocked) = one.downcast_ref::<Blocked>() {
            let host = host.to_owned();
            return if blocked.never { FetchError::ForbiddenAddress(host) } else { FetchError::PrivateAddress(host) };
        }
        cause = one.source();
    }
    if error.is_timeout() {
        return FetchError::Timeout(host.to_owned());
    }
    FetchError::Unreachable { host: host.to_owned(), fault: innermost(error) }
}

/// The last cause, which says what happened; bounded, because a server may have a say in it.
pub(super) fn innermost(error: &dyn StdError) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}

pub(super) fn host_text(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// The sources only ever ask the configured origin with a token; this holds even if one of them had a defect.
    #[rstest]
    #[case(true)]
    #[case(false)]
    #[tokio::test]
    async fn a_bearer_token_goes_to_its_own_origin_only(#[case] own: bool) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "secret").unwrap();
        let origin = if own { url.origin() } else { Url::parse("http://127.0.0.1:1").unwrap().origin() };
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
            String::from_utf8_lossy(&head[..read]).contains("Bearer secret")
        });
        let bearer = Bearer { file, origin };
        let request = Request {
            url: &url,
            private_addresses: true,
            insecure_http: true,
            ca_file: None,
            bearer: Some(&bearer),
            timeout: Duration::from_secs(5),
        };
        assert_eq!(Fetcher::new().get(request).await.unwrap().body, b"{}");
        assert_eq!(server.await.unwrap(), own);
    }
}
