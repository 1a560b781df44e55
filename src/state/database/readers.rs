//! The connections that read. Not a pool of sqlx's: that one asks a connection how it is, in a task of its own, each time it
//! comes back, which costs as much again as a read (measured: 44 us instead of 20 us).

use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use super::{DatabaseError, PATIENCE};

/// A fixed number of connections. None begins a transaction, so none can be given back in the middle of one; a statement whose
/// caller gave up is ended by the connection's own thread before the next.
#[derive(Debug)]
pub(super) struct Readers {
    connections: Box<[Mutex<Option<SqliteConnection>>]>,
    next: AtomicUsize,
}

impl Readers {
    pub(super) async fn open(options: &SqliteConnectOptions, count: usize) -> Result<Self, DatabaseError> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Mutex::new(Some(options.connect().await?)));
        }
        Ok(Self { connections: connections.into(), next: AtomicUsize::new(0) })
    }

    /// A connection that nobody else uses, or the first of some that becomes free.
    pub(super) async fn take(&self) -> Result<MappedMutexGuard<'_, SqliteConnection>, DatabaseError> {
        let free = self.connections.iter().find_map(|connection| connection.try_lock().ok());
        let guard = match free {
            Some(guard) => guard,
            None => {
                // Those who wait are spread over all: each queue is fair.
                let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len().max(1);
                let queue = self.connections.get(turn).ok_or(DatabaseError::Busy)?;
                tokio::time::timeout(PATIENCE, queue.lock()).await.map_err(|_| DatabaseError::Busy)?
            }
        };
        MutexGuard::try_map(guard, Option::as_mut).map_err(|_| DatabaseError::Failed("it was closed".to_owned()))
    }

    /// Waits for whoever reads, and closes.
    pub(super) async fn close(&self) {
        for connection in &self.connections {
            if let Some(connection) = connection.lock().await.take() {
                // It only reads: there is nothing to be lost.
                drop(connection.close().await);
            }
        }
    }
}
