//! A counter that listens, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{App, readiness, upkeep};
use crate::exchange::Counter;
use crate::http::{admin, oauth, ops, rest, serve, vault};
use crate::telemetry;

/// How long the audit journal may take to reach its disk at the end.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// A listening counter.
pub struct Running {
    counter: Arc<Counter>,
    address: SocketAddr,
    ops_address: SocketAddr,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    upkeep: Vec<JoinHandle<()>>,
    /// Keeps decisions in the store; ends after the journal.
    decisions: Option<JoinHandle<()>>,
    reload: Arc<Notify>,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {0}: {1}")]
pub struct ListenError(SocketAddr, io::Error);

impl App {
    /// Begins to listen, and to look after keys and journals beside the requests.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn listen(self) -> Result<Running, ListenError> {
        let [public, private] = self.addresses;
        let (listener, ops_listener) = (bound(public).await?, bound(private).await?);
        let address = listener.local_addr().map_err(|error| ListenError(public, error))?;
        let ops_address = ops_listener.local_addr().map_err(|error| ListenError(private, error))?;
        let (stop, stopped) = watch::channel(false);
        let metrics = Arc::clone(&self.counter);
        let ready = Arc::clone(&self.counter);
        let ops = ops::router(ops::Ops {
            readiness: Arc::new(move || readiness::of(&ready)),
            metrics: Arc::new(move || telemetry::render(&metrics)),
        });
        let mut upkeep = Vec::from(upkeep::start(&self.counter, self.tls.clone(), &stopped));
        let keep = |(database, retention)| tokio::spawn(self.counter.journal().keep_in(database, retention));
        let decisions = self.decisions.map(keep);
        let reload = Arc::new(Notify::new());
        let reloader = self.watched.by(Arc::clone(&self.counter), self.tls.clone(), self.data);
        upkeep.push(tokio::spawn(reloader.run(Arc::clone(&reload), stopped.clone())));
        // What the other surfaces do not answer, the OAuth surface does.
        let own = admin::SelfRotation { counter: Arc::clone(&self.counter) };
        let surfaces = vault::router(self.vault).merge(rest::router(self.rest)).merge(admin::self_rotation(own));
        let surfaces = match self.admin {
            Some(administration) => surfaces.merge(admin::router(administration)),
            None => surfaces,
        };
        let surfaces = surfaces.merge(oauth::router(self.oauth));
        let servers = vec![
            tokio::spawn(serve(listener, surfaces, self.tls, self.limits.clone(), stopped.clone())),
            tokio::spawn(serve(ops_listener, ops, None, self.limits, stopped)),
        ];
        Ok(Running { counter: self.counter, address, ops_address, stop, servers, upkeep, decisions, reload })
    }
}

async fn bound(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|error| ListenError(address, error))
}

impl Running {
    /// Where the surfaces listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the platform team's endpoints listen.
    #[must_use]
    pub fn ops_address(&self) -> SocketAddr {
        self.ops_address
    }

    /// The engine.
    #[must_use]
    pub fn counter(&self) -> &Arc<Counter> {
        &self.counter
    }

    /// Has policies, issuers and platforms, the certificate and the signing keys read again soon, changed or not. What
    /// comes of it, [`Counter::reloads`] says.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Stops listening, lets requests in flight finish, and closes the journals.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for server in self.servers {
            let _ = server.await;
        }
        for upkeep in self.upkeep {
            if timeout(FLUSH_PATIENCE, upkeep).await.is_err() {
                tracing::error!("a file takes too long; it is not waited for");
            }
        }
        let counter = self.counter;
        let closed = tokio::task::spawn_blocking(move || {
            let now = counter.clock().now();
            if let Err(error) = counter.replay().maintain(now) {
                tracing::error!(%error, "the journal of single-use tokens was not closed well");
            }
            if !counter.journal().flush(FLUSH_PATIENCE) {
                tracing::error!("audit records were lost at the end");
            }
            counter.journal().shutdown();
        });
        let _ = closed.await;
        if let Some(decisions) = self.decisions
            && timeout(FLUSH_PATIENCE, decisions).await.is_err()
        {
            tracing::error!("the store takes too long; the last decisions are in the audit journal alone");
        }
    }
}
