//! The accept loop: bounded connections, bounded headers, bounded patience, TLS, and a shutdown that drops no request.
//!
//! `axum::serve` has neither TLS nor header timeouts; a sender of one byte a minute would hold a connection for ever.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tower_service::Service as _;

use super::tls::Tls;

/// How long and how much one connection may take.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// From accepting a connection to the end of its TLS handshake, and from the start of a request to the end of its
    /// header.
    pub header_timeout: Duration,
    /// How long requests in flight may take to finish once shutdown began.
    pub shutdown_grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: 10_000, header_timeout: Duration::from_secs(10), shutdown_grace: Duration::from_secs(20) }
    }
}

/// Serves `router` on `listener` until `stop` turns true, then lets requests in flight finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<Tls>>,
    limits: ServerLimits,
    mut stop: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    let http = connection_builder(limits);
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let (place, accepted) = tokio::select! {
            both = async { (place.await, listener.accept().await) } => both,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (Ok(place), Ok((stream, peer))) = (place, accepted) else {
            // Out of file descriptors, or the peer gave up: wait a moment instead of spinning.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let connection = Connection { peer, router: router.clone(), http: http.clone(), watcher: graceful.watcher() };
        let tls = tls.clone();
        tokio::spawn(async move {
            connection.run(stream, tls, limits.header_timeout).await;
            drop(place);
        });
    }
    drop(listener);
    if timeout(limits.shutdown_grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests in flight did not finish within the grace period; they were cut off");
    }
}

struct Connection {
    peer: SocketAddr,
    router: Router,
    http: auto::Builder<TokioExecutor>,
    watcher: hyper_util::server::graceful::Watcher,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<Arc<Tls>>, patience: Duration) {
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.speak(stream).await,
            Some(tls) => match timeout(patience, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "TLS handshake failed"),
                Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake timed out"),
            },
        }
    }

    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let (router, peer) = (self.router, self.peer);
        let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().call(request)
        });
        let connection =
            self.http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(%error, %peer, "connection ended early");
        }
    }
}

fn connection_builder(limits: ServerLimits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(64 * 1024)
        .max_headers(100);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_header_list_size(64 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    http
}
