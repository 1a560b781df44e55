//! The connection: made beside the requests, left alone while it fails, greeted before it is used.
//!
//! Decides whether a request asks the server at all. There is no other breaker: the first command that gets no answer takes the
//! connection away from everybody, and only a new one that was greeted brings it back. So a server that hangs costs those
//! who are on the way one timeout, and nobody after them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, InfoDict, ScriptInvocation};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::CLOCKS_APART;
use super::error::CountersError;
use super::millis;
use super::scripts::Scripts;
use super::settings::CountersSettings;
use super::tally::Tally;
use crate::clock::Timestamp;

/// How long a connection may take to be made and greeted.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// How often a good connection is greeted again: a server that was told to forget must not go unnoticed.
const GREET_EVERY: Duration = Duration::from_secs(5);
/// How long after a failure, and after many, it is tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];
/// A connection that lasted less counts as a failure.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// The one connection.
pub(super) struct Link {
    pub(super) settings: CountersSettings,
    pub(super) scripts: Scripts,
    pub(super) tally: Tally,
    live: ArcSwapOption<Live>,
    lost: Notify,
    error: Mutex<Option<CountersError>>,
    pub(super) watch: Mutex<Option<Watch>>,
    ahead_ms: AtomicI64,
}

/// A connection that was greeted.
pub(super) struct Live {
    connection: MultiplexedConnection,
    /// The server as it runs, and since when it forgot nothing.
    pub(super) memory: Box<str>,
    pub(super) since: Timestamp,
    /// The policy by which the server may forget what lives, if it may.
    pub(super) evicts: Option<Box<str>>,
    /// The server's time, or a little before, and when it was that.
    clock: (i64, Instant),
}

/// How the server's clock is told from one that leaps: by one that no administrator sets.
pub(super) struct Watch {
    /// Since when it is watched: since this memory was met.
    memory: Box<str>,
    /// The server's time at that moment.
    pub(super) server: i64,
    at: Instant,
}

impl Watch {
    fn has_leapt(&self, server: i64) -> bool {
        let expected = self.server.saturating_add(millis(self.at.elapsed()));
        server.saturating_sub(expected).saturating_abs() > millis(CLOCKS_APART)
    }
}

impl Live {
    /// The latest moment, by the server's clock, at which a command is still of use that may take `patience` from now on.
    /// Never too late: the answer that told the time took its own time to come.
    pub(super) fn latest(&self, patience: Duration) -> i64 {
        let (then, at) = self.clock;
        then.saturating_add(millis(at.elapsed().saturating_add(patience)))
    }
}

impl Link {
    pub(super) fn new(settings: CountersSettings) -> Self {
        Self {
            settings,
            scripts: Scripts::default(),
            tally: Tally::default(),
            live: ArcSwapOption::empty(),
            lost: Notify::new(),
            error: Mutex::default(),
            watch: Mutex::default(),
            ahead_ms: AtomicI64::new(0),
        }
    }

    /// The connection, if there is one now.
    pub(super) fn live(&self) -> Option<Arc<Live>> {
        self.live.load_full()
    }

    /// The connection, for a command.
    pub(super) fn for_command(&self) -> Result<Arc<Live>, CountersError> {
        self.live().ok_or_else(|| {
            self.tally.down();
            CountersError::Down
        })
    }

    /// Why there is no connection.
    pub(super) fn error(&self) -> Option<CountersError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a command and waits for its answer, for as long as a command may take.
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        live: &Arc<Live>,
        command: &ScriptInvocation<'_>,
    ) -> Result<T, CountersError> {
        let (began, patience) = (Instant::now(), self.settings.timeout);
        let mut connection = live.connection.clone();
        let answer = match timeout(patience, command.invoke_async(&mut connection)).await {
            Ok(answer) => answer.map_err(CountersError::from),
            Err(_) => Err(CountersError::Late(patience)),
        };
        self.tally.answered(answer.is_ok(), began.elapsed());
        if let Err(error) = &answer {
            self.failed(live, error);
        }
        answer
    }

    /// Takes the connection from everybody if `error` says that it is no good.
    pub(super) fn failed(&self, live: &Arc<Live>, error: &CountersError) {
        if !error.ends_connection() {
            return;
        }
        // Only the one that failed: another may be there by now.
        let before = self.live.compare_and_swap(live, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, live)) {
            self.note(error.clone());
            self.lost.notify_one();
        }
    }

    /// Notes by how much the server's clock is ahead of `now`.
    pub(super) fn compare_clocks(&self, server: i64, now: Timestamp) {
        self.ahead_ms.store(server.saturating_sub(now.as_millis()), Ordering::Relaxed);
    }

    /// By how many milliseconds the server's clock was ahead of ours when they were last compared.
    pub(super) fn ahead_ms(&self) -> i64 {
        self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Tries once to connect.
    pub(super) async fn try_once(&self) {
        match timeout(CONNECT_PATIENCE, self.connect()).await {
            Ok(Ok(live)) => self.take_up(live),
            Ok(Err(error)) => self.note(error),
            Err(_) => self.note(CountersError::Late(CONNECT_PATIENCE)),
        }
    }

    /// Keeps a connection, for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut failures = 0_u32;
        loop {
            let began = Instant::now();
            while self.live().is_some() {
                let _ = timeout(GREET_EVERY, self.lost.notified()).await;
                self.greet_again().await;
            }
            failures = if began.elapsed() < SHORT_LIVED { failures.saturating_add(1) } else { 0 };
            let [short, long] = PAUSES;
            match failures {
                0 => {}
                1..10 => sleep(short).await,
                _ => sleep(long).await,
            }
            self.try_once().await;
        }
    }

    pub(super) async fn greet_again(&self) {
        let Some(live) = self.live() else { return };
        match timeout(CONNECT_PATIENCE, self.greet(live.connection.clone())).await {
            Ok(Ok(now)) if now.memory == live.memory && now.evicts == live.evicts => {
                self.live.compare_and_swap(&live, Some(Arc::new(now)));
            }
            Ok(Ok(now)) => self.take_up(now),
            Ok(Err(error)) => self.failed(&live, &error),
            Err(_) => self.failed(&live, &CountersError::Late(CONNECT_PATIENCE)),
        }
    }

    async fn connect(&self) -> Result<Live, CountersError> {
        // Whoever calls has a timeout around it.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = self.settings.client.get_multiplexed_async_connection_with_config(&config).await?;
        let live = self.greet(connection).await?;
        self.tally.connected();
        Ok(live)
    }

    /// Asks who the server is, whether it may forget, and since when it has not.
    ///
    /// A server that was started again is another one, whatever it read from its disk: the last second of an append-only file may be
    /// missing, and after a failover whatever was not copied yet. So is one that has evicted something. Only where the operator
    /// vouches for the disk, and there is an append-only file, is it enough that the memory is still there.
    async fn greet(&self, mut connection: MultiplexedConnection) -> Result<Live, CountersError> {
        let mut questions = redis::pipe();
        for section in ["server", "memory", "stats", "persistence"] {
            questions.cmd("INFO").arg(section);
        }
        for script in self.scripts.all() {
            questions.cmd("SCRIPT").arg("LOAD").arg(script).ignore();
        }
        questions.cmd("TIME");
        let (server, memory, stats, persistence, time): (InfoDict, InfoDict, InfoDict, InfoDict, (i64, i64)) =
            questions.query_async(&mut connection).await?;
        let run = server.get::<String>("run_id").filter(|run| is_word(run)).ok_or(CountersError::Nonsense)?;
        let evicted = stats.get::<u64>("evicted_keys").ok_or(CountersError::Nonsense)?;
        let kept = self.settings.durable && persistence.get::<u8>("aof_enabled") == Some(1);
        let run = if kept { "durable".to_owned() } else { run };
        // A server that does not say may do anything.
        let policy = memory.get::<String>("maxmemory_policy").filter(|policy| is_word(policy));
        let policy = policy.unwrap_or_else(|| "unknown".to_owned());
        let leapt = self.leapt(time.0.saturating_mul(1000).saturating_add(time.1 / 1000));
        let mut greeting = self.scripts.greet.prepare_invoke();
        greeting.key(format!("{}memory", self.settings.prefix)).arg(format!("{run}:{evicted}"));
        greeting.arg(leapt.as_deref().unwrap_or_default());
        let (memory, since, now): (String, i64, i64) = greeting.invoke_async(&mut connection).await?;
        self.watch(&memory, now);
        Ok(Live {
            connection,
            memory: memory.into_boxed_str(),
            since: Timestamp::from_millis(since),
            evicts: (policy != "noeviction").then(|| policy.into_boxed_str()),
            clock: (now, Instant::now()),
        })
    }

    /// The memory that counts no more, because the server's clock has leapt while it was kept: a server whose clock leaps ahead
    /// drops what it remembers before its time, also where the clock is set right again a moment later.
    fn leapt(&self, server: i64) -> Option<Box<str>> {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = watch.as_ref().filter(|watch| watch.has_leapt(server))?;
        tracing::error!(since = watch.server, "the clock of the shared counters has leapt: they begin a new memory");
        Some(watch.memory.clone())
    }

    fn watch(&self, memory: &str, server: i64) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        // From its beginning on: of many small steps each would be too small to see.
        if watch.as_ref().is_none_or(|watch| *watch.memory != *memory) {
            *watch = Some(Watch { memory: Box::from(memory), server, at: Instant::now() });
        }
    }

    fn take_up(&self, live: Live) {
        if let Some(policy) = &live.evicts {
            let error = CountersError::Evicts(policy.clone());
            tracing::error!(%error, "single-use tokens are denied until that is changed");
        }
        tracing::info!(since = %live.since, "shared counters are connected");
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.live.store(Some(Arc::new(live)));
    }

    fn note(&self, error: CountersError) {
        let mut noted = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        // Told once, and again when it is another one: not twice a second for as long as a server is down.
        if noted.as_ref() != Some(&error) {
            tracing::error!(%error, "shared counters: single-use tokens are denied until they are back");
        }
        *noted = Some(error);
    }
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
