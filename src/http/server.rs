//! The accept loop: bounded connections, in all and by address, TLS, and a shutdown that drops no request and leaves none
//! behind. What a connection may do once it has its place is in [`super::connection`].
//!
//! `axum::serve` has neither TLS nor header timeouts; a sender of one byte a minute would hold a connection for ever.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::connection::{Connection, Protocols};
use super::forwarded::TrustedProxies;
use super::places::Shares;
use super::tasks::Tasks;
use super::tls::Tls;

/// How long and how much one connection may take.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections at once from one IPv4 address, or one /64 of IPv6; further ones are closed at once.
    pub connections_per_address: usize,
    /// From accepting a connection to its first bytes or the end of its TLS handshake, from the start of a request to the
    /// end of its header, and from an answer to the next request.
    pub header_timeout: Duration,
    /// How long requests in flight may take to finish once shutdown began.
    pub shutdown_grace: Duration,
    /// Whose word counts on where a request comes from.
    pub trusted_proxies: Arc<TrustedProxies>,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 1024,
            header_timeout: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(20),
            trusted_proxies: Arc::default(),
        }
    }
}

/// Serves `router` on `listener` until `stop` turns true, then lets requests in flight finish. Those that do not within
/// the grace period are cut off: when this returns, none runs any more.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<Tls>>,
    limits: ServerLimits,
    mut stop: watch::Receiver<bool>,
) {
    let tasks = Tasks::default();
    let places = Arc::new(Semaphore::new(limits.connections));
    let shares = Shares::new(limits.connections_per_address);
    let protocols = Protocols::new(limits.header_timeout, tasks.clone());
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
        let Some(share) = shares.take(peer.ip()) else {
            tracing::debug!(%peer, "connection refused: its address has all of its share");
            continue;
        };
        let (router, protocols, tls, stop) = (router.clone(), protocols.clone(), tls.clone(), stop.clone());
        let proxies = Arc::clone(&limits.trusted_proxies);
        tasks.spawn(async move {
            Connection { peer, proxies, router, protocols, tls, stop }.run(stream).await;
            drop((place, share));
        });
    }
    drop(listener);
    tasks.end(limits.shutdown_grace).await;
}
