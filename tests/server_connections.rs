//! What holds a place of the server's, and for how long: each test is a way to hold one for nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use cambio::http::{ServerLimits, Tls, TlsSettings, serve};
use rstest::rstest;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
/// The patience of the server in these tests, in milliseconds.
const PATIENCE: u64 = 300;

struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

fn limits() -> ServerLimits {
    ServerLimits { header_timeout: Duration::from_millis(PATIENCE), ..ServerLimits::default() }
}

impl Server {
    async fn start(limits: ServerLimits, tls: Option<Arc<Tls>>, router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        Self { address, stop, served: tokio::spawn(serve(listener, router, tls, limits, stopped)) }
    }

    async fn plain(limits: ServerLimits) -> Self {
        Self::start(limits, None, Router::new().route("/", get(|| async { "here" }))).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// How long it takes until the server closes the connection.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) -> Duration {
    let (start, mut some) = (Instant::now(), [0; 4096]);
    let until_end = async { while let Ok(1..) = stream.read(&mut some).await {} };
    timeout(Duration::from_secs(5), until_end).await.expect("the connection is still open");
    start.elapsed()
}

#[rstest]
#[case::nothing(b"")]
#[case::a_letter(b"P")]
#[case::half_a_preface(b"PRI * HTT")]
#[case::a_preface(PREFACE)]
#[case::http2_without_streams(&[PREFACE, SETTINGS].concat())]
#[case::half_a_header_of_http2(&[PREFACE, SETTINGS, &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]].concat())]
#[case::half_a_header(b"GET / HTTP/1.1\r\nhos")]
#[case::nothing_after_an_answer(REQUEST)]
#[tokio::test]
async fn a_connection_without_a_request_is_closed_in_time(#[case] sent: &[u8]) {
    let server = Server::plain(limits()).await;
    let mut stream = server.connect().await;
    stream.write_all(sent).await.unwrap();
    let took = closed(&mut stream).await;
    assert!(took >= Duration::from_millis(PATIENCE / 2), "{took:?}");
    assert!(took < Duration::from_millis(PATIENCE * 5), "{took:?}");
}

#[tokio::test]
async fn those_who_say_nothing_give_their_places_to_others() {
    let server = Server::plain(ServerLimits { connections: 20, ..limits() }).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(server.connect().await);
    }
    let mut stream = server.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = [0; 12];
    timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await.expect("no place").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn whoever_asks_again_in_time_stays() {
    let server = Server::plain(limits()).await;
    let mut stream = server.connect().await;
    let http2 = client().no_proxy().http2_prior_knowledge().build().unwrap();
    for _ in 0..6 {
        sleep(Duration::from_millis(PATIENCE / 2)).await;
        stream.write_all(REQUEST).await.unwrap();
        let (mut text, mut some) = (Vec::new(), [0; 1024]);
        while !text.ends_with(b"here") {
            let count = stream.read(&mut some).await.unwrap();
            assert!(count > 0, "closed");
            text.extend_from_slice(&some[..count]);
        }
        let answer = http2.get(format!("http://{}", server.address)).send().await.unwrap();
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        assert_eq!(answer.text().await.unwrap(), "here");
    }
}

#[rstest]
#[case::http1(REQUEST)]
#[case::http2(&[PREFACE, SETTINGS].concat())]
#[tokio::test]
async fn the_first_bytes_may_come_one_by_one(#[case] sent: &[u8]) {
    let server = Server::plain(ServerLimits::default()).await;
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in sent {
        stream.write_all(&[*byte]).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).await.unwrap();
    assert!(&answer == b"HTTP/1.1 " || answer[3] == 4, "{answer:?}");
}

#[tokio::test]
async fn a_slow_answer_is_no_silence() {
    let slow = || async {
        sleep(Duration::from_millis(PATIENCE * 5)).await;
        "slow"
    };
    let server = Server::start(limits(), None, Router::new().route("/", get(slow))).await;
    for builder in [client(), client().http2_prior_knowledge()] {
        let client = builder.no_proxy().build().unwrap();
        assert_eq!(
            client.get(format!("http://{}", server.address)).send().await.unwrap().text().await.unwrap(),
            "slow"
        );
    }
}

#[tokio::test]
async fn what_http2_may_have_us_hold_is_said_to_be_little() {
    let server = Server::plain(limits()).await;
    let mut stream = server.connect().await;
    stream.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "settings come first");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).await.unwrap();
    let value = |id: u8| {
        let found = settings.chunks(6).find(|setting| setting[1] == id);
        found.map(|setting| u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]))
    };
    assert_eq!((value(3), value(4), value(6)), (Some(16), Some(32 * 1024), Some(16 * 1024)));
}

#[tokio::test]
async fn one_address_has_its_share_of_the_places_and_no_more() {
    let server = Server::plain(ServerLimits { connections_per_address: 2, ..limits() }).await;
    let (mut first, _second) = (server.connect().await, server.connect().await);
    first.write_all(REQUEST).await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    let took = closed(&mut server.connect().await).await;
    assert!(took < Duration::from_millis(PATIENCE / 2), "{took:?}");
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(server.address).await.unwrap();
    other.write_all(REQUEST).await.unwrap();
    other.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    closed(&mut first).await;
    sleep(Duration::from_millis(50)).await;
    let mut again = server.connect().await;
    again.write_all(REQUEST).await.unwrap();
    again.read_exact(&mut answer).await.unwrap();
}

fn key_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("jwks-fixtures/keys").join(format!("{name}.test-only.pem"))
}

async fn with_tls() -> (Server, tokio_rustls::TlsConnector) {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};
    with_a_provider();
    // As it is checked out, anybody may read it.
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&key, std::fs::read(key_file("server-key")).unwrap()).unwrap();
    let settings = TlsSettings { certificate: key_file("server"), key: key.path().to_owned() };
    let tls = Tls::open(settings).unwrap();
    let server = Server::start(limits(), Some(Arc::new(tls)), Router::new().route("/", get(|| async { "here" }))).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(key_file("ca")).unwrap()).unwrap();
    let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    (server, tokio_rustls::TlsConnector::from(Arc::new(client)))
}

#[rstest]
#[case::nothing(b"")]
#[case::half_a_preface(b"PRI * HTT")]
#[case::no_streams(&[PREFACE, SETTINGS].concat())]
#[tokio::test]
async fn a_connection_without_a_request_is_closed_over_tls_too(#[case] sent: &[u8]) {
    let (server, connector) = with_tls().await;
    let mut silent = server.connect().await;
    let name = server.address.ip().into();
    let mut stream = connector.connect(name, server.connect().await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(sent).await.unwrap();
    stream.flush().await.unwrap();
    closed(&mut silent).await;
    closed(&mut stream).await;
}

#[rstest]
#[case::http1(false)]
#[case::http2(true)]
#[tokio::test]
async fn over_tls_both_protocols_are_spoken(#[case] http2: bool) {
    let (server, _) = with_tls().await;
    let ca = reqwest::Certificate::from_pem(&std::fs::read(key_file("ca")).unwrap()).unwrap();
    let builder = client().no_proxy().tls_certs_only([ca]);
    let builder = if http2 { builder } else { builder.http1_only() };
    let answer = builder.build().unwrap().get(format!("https://{}", server.address)).send().await.unwrap();
    assert_eq!(answer.version() == reqwest::Version::HTTP_2, http2);
    assert_eq!(answer.text().await.unwrap(), "here");
}

/// A request that minds when it is dropped, and when it is finished.
#[derive(Default)]
struct Traces {
    begun: AtomicUsize,
    finished: AtomicUsize,
    dropped: AtomicUsize,
}

struct Trace(Arc<Traces>);

impl Drop for Trace {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[rstest]
#[case::http1(false, 1500, 0)]
#[case::http2(true, 1500, 0)]
#[case::http1_within_the_grace_period(false, 100, 1)]
#[case::http2_within_the_grace_period(true, 100, 1)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_outlasts_the_grace_period_is_gone_when_the_server_is(
    #[case] http2: bool,
    #[case] takes: u64,
    #[case] finished: usize,
) {
    let traces = Arc::new(Traces::default());
    let seen = Arc::clone(&traces);
    let handler = move || {
        let trace = Trace(Arc::clone(&seen));
        async move {
            trace.0.begun.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_millis(takes)).await;
            trace.0.finished.fetch_add(1, Ordering::SeqCst);
            "late"
        }
    };
    let limits = ServerLimits { shutdown_grace: Duration::from_millis(500), ..ServerLimits::default() };
    let server = Server::start(limits, None, Router::new().route("/", get(handler))).await;
    let _silent = server.connect().await;
    let builder = client().no_proxy();
    let client = if http2 { builder.http2_prior_knowledge() } else { builder }.build().unwrap();
    let asked = tokio::spawn(client.get(format!("http://{}", server.address)).send());
    while traces.begun.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let start = Instant::now();
    server.stop.send_replace(true);
    server.served.await.unwrap();
    assert_eq!(traces.dropped.load(Ordering::SeqCst), 1, "it still runs");
    assert!(start.elapsed() < Duration::from_millis(1200), "{:?}", start.elapsed());
    assert_eq!(traces.finished.load(Ordering::SeqCst), finished);
    assert_eq!(asked.await.unwrap().is_ok(), finished == 1);
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(traces.finished.load(Ordering::SeqCst), finished, "it went on after the server had ended");
}

/// Each test may be the first in its process.
fn with_a_provider() {
    #[cfg(feature = "aws-lc")]
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[cfg(not(feature = "aws-lc"))]
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn client() -> reqwest::ClientBuilder {
    with_a_provider();
    reqwest::Client::builder()
}
