//! A real issuer on port 0, whose answers a test writes, and issuers made from YAML.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cambio::clock::{Clock, ManualClock, Timestamp};
use cambio::trust::{Fetcher, Issuers, Keeper, Platforms};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub const START: Timestamp = Timestamp::from_secs(1_795_000_000);

pub fn after(secs: u64) -> Timestamp {
    START.plus(Duration::from_secs(secs))
}

/// What the server says for one path.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
    delay: Duration,
    manner: Manner,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Whole,
    /// Without a length, the body again and again.
    Endless,
    /// One byte every 50 ms.
    Dripping,
    /// The connection closes after half of the body.
    Broken,
}

impl Answer {
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        Self { status: 200, headers: String::new(), body, delay: Duration::ZERO, manner: Manner::Whole }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::ok("{}") }
    }

    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn header(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub fn endless(self) -> Self {
        Self { manner: Manner::Endless, ..self }
    }

    pub fn dripping(self) -> Self {
        Self { manner: Manner::Dripping, ..self }
    }

    pub fn broken(self) -> Self {
        Self { manner: Manner::Broken, ..self }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub head: String,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    seen: Mutex<Vec<Seen>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

/// A server that speaks HTTP/1.1, with TLS or without. Ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0", false).await
    }

    pub async fn start_tls() -> Self {
        Self::start_at("127.0.0.1:0", true).await
    }

    pub async fn start_at(address: &str, tls: bool) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let acceptor = tls.then(acceptor);
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                loop {
                    let Ok((stream, _)) = listener.accept().await else { continue };
                    let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
                    tokio::spawn(async move {
                        match acceptor {
                            None => serve(stream, &shared).await,
                            Some(acceptor) => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    serve(stream, &shared).await;
                                }
                            }
                        }
                    });
                }
            }
        });
        Self { address, tls, shared, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// From now on, `path` is answered so.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn hits(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }

    /// How many requests were served at one time at most.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_running.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: &Shared) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    shared.seen.lock().unwrap().push(Seen { path: path.clone(), head });
    let now = shared.running.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_running.fetch_max(now, Ordering::SeqCst);
    let answer = shared.answers.lock().unwrap().get(&path).cloned().unwrap_or_else(|| Answer::status(404));
    tokio::time::sleep(answer.delay).await;
    let _ = write(&mut stream, &answer).await;
    shared.running.fetch_sub(1, Ordering::SeqCst);
    let _ = stream.shutdown().await;
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, answer: &Answer) -> std::io::Result<()> {
    let length = match answer.manner {
        Manner::Endless => String::new(),
        _ => format!("content-length: {}\r\n", answer.body.len()),
    };
    let head = format!("HTTP/1.1 {} x\r\n{length}{}connection: close\r\n\r\n", answer.status, answer.headers);
    stream.write_all(head.as_bytes()).await?;
    match answer.manner {
        Manner::Whole => stream.write_all(&answer.body).await?,
        Manner::Broken => stream.write_all(&answer.body[..answer.body.len() / 2]).await?,
        Manner::Endless => loop {
            stream.write_all(&answer.body).await?;
        },
        Manner::Dripping => {
            for byte in &answer.body {
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    stream.flush().await
}

fn acceptor() -> TlsAcceptor {
    #[cfg(feature = "aws-lc")]
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(all(feature = "ring", not(feature = "aws-lc")))]
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let certificate = CertificateDer::from_pem_file(key_file("server")).unwrap();
    let key = PrivateKeyDer::from_pem_file(key_file("server-key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

pub fn key_file(name: &str) -> PathBuf {
    fixtures().join("keys").join(format!("{name}.test-only.pem"))
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("jwks-fixtures")
}

pub fn fixture(path: &str) -> String {
    std::fs::read_to_string(fixtures().join(path)).unwrap()
}

/// Issuers as an operator writes them.
pub fn issuers(yaml: &str) -> Issuers {
    try_issuers(yaml).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

pub fn try_issuers(yaml: &str) -> Result<Issuers, Vec<String>> {
    let settings = serde_saphyr::from_str(yaml).map_err(|error| vec![error.to_string()])?;
    Issuers::from_settings(settings, &Platforms::embedded(), &Fetcher::new())
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// One issuer with its keys at `/jwks` of the server.
pub fn one(server: &Server, more: &str) -> Issuers {
    let url = server.url("/jwks");
    let own = server.url("");
    issuers(&format!(
        "- {{name: one, platform: generic, issuer: '{own}', audiences: [cambio], insecure_http: true, \
         keys: {{jwks_url: '{url}'}}{more}}}"
    ))
}

/// A clock that stands at `now`.
pub fn at(now: Timestamp) -> Clock {
    Clock::Manual(ManualClock::new(now))
}

/// Every fetch that is due at `now`, to its end.
pub async fn tick(keeper: &Keeper, issuers: &Issuers, now: Timestamp) -> usize {
    let begun = keeper.tick(issuers, &at(now));
    let count = begun.len();
    for fetch in begun {
        fetch.await.unwrap();
    }
    count
}
