//! What runs beside the requests: keys are fetched before they grow stale, our own are rotated, journals are synced,
//! a new certificate is taken up. Whatever fails here is told, and tried again; nothing of it ends the server.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::exchange::Counter;
use crate::http::Tls;
use crate::trust::Keeper;

const EVERY: Duration = Duration::from_secs(1);

/// Runs until `stop` turns true.
pub(super) async fn run(counter: Arc<Counter>, tls: Option<Arc<Tls>>, mut stop: watch::Receiver<bool>) {
    let keeper = Keeper::new();
    let mut certificate = tls.map(Certificate::new);
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = counter.clock().now();
        drop(keeper.tick(&counter.rules().issuers, counter.clock()));
        let own = Arc::clone(&counter);
        let mut watched = certificate.take();
        // Files may be slow: they are read and written where blocking is in order.
        let done = tokio::task::spawn_blocking(move || {
            if let Err(error) = own.keys().tick(now) {
                tracing::error!(%error, "signing keys could not be looked after; those in use stay in use");
            }
            if let Err(error) = own.replay().maintain(now) {
                tracing::error!(%error, "the journal of single-use tokens could not be synced");
            }
            if let Some(certificate) = &mut watched {
                certificate.look();
            }
            watched
        });
        certificate = done.await.unwrap_or_default();
    }
}

/// The certificate files, and when they last changed.
struct Certificate {
    tls: Arc<Tls>,
    seen: [Option<SystemTime>; 2],
}

impl Certificate {
    fn new(tls: Arc<Tls>) -> Self {
        let seen = tls.files().map(changed);
        Self { tls, seen }
    }

    /// Takes up a new certificate. Noted before reading: a change during the reading is seen by the next look.
    fn look(&mut self) {
        let look = self.tls.files().map(changed);
        if look == self.seen {
            return;
        }
        self.seen = look;
        match self.tls.reload() {
            Ok(()) => tracing::info!("new TLS certificate taken up"),
            Err(error) => tracing::error!(%error, "the new TLS certificate is no good; the old one stays"),
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
