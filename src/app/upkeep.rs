//! What runs beside the requests: keys are fetched before they grow stale, our own are rotated, journals are synced,
//! a new certificate is taken up. Whatever fails here is told, and tried again; nothing of it ends the server.
//!
//! Five loops, none of which waits for another: a disk or a database that hangs must not let the issuers' keys grow old.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::accounts::USES_WRITTEN_EVERY;
use crate::exchange::Counter;
use crate::http::Tls;
use crate::trust::Keeper;

const EVERY: Duration = Duration::from_secs(1);

/// Begins the loops; they end when `stop` turns true.
pub(super) fn start(
    counter: &Arc<Counter>,
    tls: Option<Arc<Tls>>,
    stop: &watch::Receiver<bool>,
) -> [JoinHandle<()>; 5] {
    let keys = issuers_keys(Arc::clone(counter), stop.clone());
    let files = every(EVERY, chores(counter, tls), stop.clone());
    let own = own_keys(Arc::clone(counter), stop.clone());
    let revoked = revocations(Arc::clone(counter), stop.clone());
    let accounts = service_accounts(Arc::clone(counter), stop.clone());
    [tokio::spawn(keys), tokio::spawn(own), tokio::spawn(accounts), tokio::spawn(files), tokio::spawn(revoked)]
}

/// When service accounts were used is written now and then, and once more at the end.
async fn service_accounts(counter: Arc<Counter>, mut stop: watch::Receiver<bool>) {
    let Some(accounts) = counter.accounts() else { return };
    let mut ticks = interval(USES_WRITTEN_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let stops = tokio::select! {
            _ = ticks.tick() => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        if let Err(error) = accounts.maintain(counter.clock().now()).await {
            tracing::warn!(%error, "when service accounts were used could not be written; it is tried again");
        }
        if stops {
            return;
        }
    }
}

/// Our signing keys are moved on, and what other replicas changed is taken over. A panic, which the thread keeps to itself, is
/// an error like others.
async fn own_keys(counter: Arc<Counter>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        look_after_keys(&counter).await;
    }
}

/// One look, now.
pub(super) async fn look_after_keys(counter: &Counter) {
    if let Err(error) = counter.keys().tick(counter.clock().now()).await {
        tracing::error!(%error, "signing keys could not be looked after; those in use stay in use");
    }
}

/// What other replicas revoked is taken over. A failure is told when it begins and when it ends, not every second.
async fn revocations(counter: Arc<Counter>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        match (counter.revocations().look(counter.clock().now()).await, failing) {
            (Err(error), false) => {
                tracing::error!(%error, "the revocations of other replicas cannot be read; those that are known stay known");
                failing = true;
            }
            (Ok(()), true) => {
                tracing::info!("the revocations of other replicas are read again");
                failing = false;
            }
            (Err(_), true) | (Ok(()), false) => {}
        }
    }
}

async fn issuers_keys(counter: Arc<Counter>, mut stop: watch::Receiver<bool>) {
    let keeper = Keeper::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        drop(keeper.tick(&counter.rules().issuers, counter.clock()));
    }
}

/// Something to do again and again that may take its time over files.
struct Chore {
    name: &'static str,
    work: Arc<dyn Fn() + Send + Sync>,
}

impl Chore {
    fn new(name: &'static str, work: impl Fn() + Send + Sync + 'static) -> Self {
        Self { name, work: Arc::new(work) }
    }
}

fn chores(counter: &Arc<Counter>, tls: Option<Arc<Tls>>) -> Vec<Chore> {
    let replay = Arc::clone(counter);
    let mut chores = vec![Chore::new("single-use tokens", move || {
        if let Err(error) = replay.replay().maintain(replay.clock().now()) {
            tracing::error!(%error, "the journal of single-use tokens could not be synced");
        }
    })];
    if let Some(tls) = tls {
        let certificate = Mutex::new(Certificate::new(tls));
        let look = move || certificate.lock().unwrap_or_else(PoisonError::into_inner).look();
        chores.push(Chore::new("certificate", look));
    }
    chores
}

/// Does the chores in turn, where blocking is in order. One that panics is done again next time, and so are the others.
async fn every(span: Duration, chores: Vec<Chore>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(span);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        for chore in &chores {
            let work = Arc::clone(&chore.work);
            // The error is not told: it prints the payload of the panic, which may hold anything.
            if tokio::task::spawn_blocking(move || work()).await.is_err() {
                tracing::error!(chore = chore.name, "a chore ended early; it is tried again");
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_chore_that_panics_is_done_again_and_so_are_those_after_it() {
        let counts: [Arc<AtomicUsize>; 2] = Default::default();
        let [first, second] = counts.clone();
        let chores = vec![
            Chore::new("first", move || {
                first.fetch_add(1, Ordering::SeqCst);
                panic!("as it should");
            }),
            Chore::new("second", move || {
                second.fetch_add(1, Ordering::SeqCst);
            }),
        ];
        let (stop, stopped) = watch::channel(false);
        let done = tokio::spawn(every(Duration::from_millis(1), chores, stopped));
        while counts.iter().any(|count| count.load(Ordering::SeqCst) < 3) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.send_replace(true);
        done.await.unwrap();
    }
}
