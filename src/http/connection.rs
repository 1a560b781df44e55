//! One connection, from its first byte to its end. Decides which protocol it speaks, and when it has been quiet for too
//! long; refuses to know what is asked over it.
//!
//! | held open by | ended by |
//! |---|---|
//! | not a byte, or a part of the HTTP/2 preface | the protocol is decided in time, before hyper gets the connection |
//! | a TLS handshake that does not end | the same time |
//! | a header of HTTP/1 that does not end, and nothing after an answer | hyper's `header_read_timeout` |
//! | HTTP/2 without streams, or in the middle of a header | two looks at the [`Pulse`] between which no request ran |
//! | an answer that nobody reads | the same |

use std::convert::Infallible;
use std::fmt::Display;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tower_service::Service as _;

use super::body::MAX_BODY_BYTES;
use super::first_bytes::{Begun, Protocol};
use super::forwarded::TrustedProxies;
use super::tasks::Tasks;
use super::tls::Tls;

/// The longest header, in bytes: every connection could have us hold one.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Requests at once on one connection: further ones wait at the other side.
const STREAMS: u32 = 16;
/// Bytes of all streams of a connection that nobody has read yet; what the protocol begins with, and less is not to be had.
const CONNECTION_WINDOW: u32 = 65_535;

/// How each protocol is spoken. Cheap to clone.
#[derive(Clone)]
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<Tasks>,
    patience: Duration,
}

impl Protocols {
    /// `patience`: for the first bytes, a handshake, a header, and between requests. The number of header fields is left
    /// as it is in hyper, 100: to name it would make each request allocate them.
    pub(super) fn new(patience: Duration, tasks: Tasks) -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEADER_BYTES);
        let mut http2 = http2::Builder::new(tasks);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(MAX_BODY_BYTES as u32)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_BYTES as u32)
            .max_send_buf_size(CONNECTION_WINDOW as usize)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        Self { http1, http2, patience }
    }
}

/// A connection that was accepted.
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    pub(super) proxies: Arc<TrustedProxies>,
    pub(super) router: Router,
    pub(super) protocols: Protocols,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Connection {
    /// Answers requests until the other side goes, is quiet for too long, or all is to stop.
    pub(super) async fn run(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (mut stop, patience) = (self.stop.clone(), self.protocols.patience);
        match self.tls.take() {
            None => {
                let begun = tokio::select! {
                    begun = timeout(patience, Begun::read(stream)) => begun,
                    _ = stop.wait_for(|stop| *stop) => return,
                };
                match begun {
                    Ok(Ok((stream, protocol))) => self.speak(protocol, stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "connection ended before a request"),
                    Err(_) => tracing::debug!(peer = %self.peer, "no request came"),
                }
            }
            Some(tls) => {
                let accepted = tokio::select! {
                    accepted = timeout(patience, tls.accept(stream)) => accepted,
                    _ = stop.wait_for(|stop| *stop) => return,
                };
                match accepted {
                    Ok(Ok((stream, protocol))) => self.speak(protocol, stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "TLS handshake failed"),
                    Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake timed out"),
                }
            }
        }
    }

    async fn speak<S>(self, protocol: Protocol, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { peer, proxies, router, protocols, stop, .. } = self;
        let pulse = Arc::new(Pulse::default());
        let seen = Arc::clone(&pulse);
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            // To every surface the peer is where the request comes from; the port is that of whoever brings it.
            let source = SocketAddr::new(proxies.source(peer.ip(), request.headers()), peer.port());
            request.extensions_mut().insert(ConnectInfo(source));
            let (running, answer) = (Running::begin(&seen), router.clone().call(request));
            async move {
                let answer: Result<_, Infallible> = answer.await;
                drop(running);
                answer
            }
        });
        let watched = Watched { peer, pulse: &pulse, patience: protocols.patience, stop };
        let stream = TokioIo::new(stream);
        match protocol {
            Protocol::Http1 => watched.run(protocols.http1.serve_connection(stream, service)).await,
            Protocol::Http2 => watched.run(protocols.http2.serve_connection(stream, service)).await,
        }
    }
}

/// Whether requests run, and whether any did since somebody last looked.
#[derive(Default)]
struct Pulse {
    begun: AtomicUsize,
    running: AtomicUsize,
}

/// A request that runs.
struct Running(Arc<Pulse>);

impl Running {
    fn begin(pulse: &Arc<Pulse>) -> Self {
        pulse.begun.fetch_add(1, Ordering::Relaxed);
        pulse.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(pulse))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What watches over a connection while it is spoken.
struct Watched<'a> {
    peer: SocketAddr,
    pulse: &'a Pulse,
    patience: Duration,
    stop: watch::Receiver<bool>,
}

impl Watched<'_> {
    /// One timer for the whole life of the connection: a request only counts, and sets none.
    async fn run<C>(mut self, connection: C)
    where
        C: GracefulConnection,
        C::Error: Display,
    {
        let mut connection = pin!(connection);
        let mut look = pin!(sleep(self.patience));
        let (mut begun, mut ending) = (0, false);
        let mut stop = pin!(self.stop.wait_for(|stop| *stop));
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, peer = %self.peer, "connection ended early");
                    }
                    return;
                }
                _ = stop.as_mut(), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = look.as_mut() => {
                    let now = self.pulse.begun.load(Ordering::Relaxed);
                    let alive = now != begun || self.pulse.running.load(Ordering::Relaxed) > 0;
                    begun = now;
                    if !alive && ending {
                        tracing::debug!(peer = %self.peer, "connection cut off: it was to end and did not");
                        return;
                    }
                    if !alive {
                        ending = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    look.as_mut().reset(Instant::now() + self.patience);
                }
            }
        }
    }
}
