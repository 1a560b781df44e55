//! The engine that replicas share: a PostgreSQL, reached by a URL.

use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode, Postgres};
use sqlx::{ConnectOptions as _, Connection as _, Transaction};
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::DatabaseError;
use super::gate::Gate;

/// Connections of one replica at most; further statements wait.
const CONNECTIONS: u32 = 16;
/// How long a statement waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(2);
/// How long a start waits for a server that is not there yet.
const START: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 15 });
/// A connection that was idle for longer is asked how it is before it is used.
const FRESH: Duration = Duration::from_secs(1);
/// How often a start waits for another replica that brings the layout forward, each time for as long as a lock is waited for.
const MIGRATION_TRIES: usize = 15;
/// How long a connection that is given back may take to tell that it is well.
const RELEASE: Duration = Duration::from_secs(1);
/// What the server itself bounds, in milliseconds: a replica that stops in the middle of a transaction keeps its locks no
/// longer than this.
const SESSION: [(&str, &str); 5] = [
    ("statement_timeout", "10000"),
    ("lock_timeout", "4000"),
    ("idle_in_transaction_session_timeout", "10000"),
    ("synchronous_commit", "on"),
    // Whoever waited for the lock of a scope reads what the one before has committed. By any stricter default of the server or
    // of the database it would read what was there before it waited.
    ("default_transaction_isolation", "read committed"),
];

/// Where a PostgreSQL is, and with which user and password it is reached: `postgres://user:password@host:port/name?sslmode=..`.
/// Prints as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Zeroizing<String>);

/// Why a URL is none of a PostgreSQL. Quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlFault {
    /// Another scheme.
    #[error("it does not begin with `postgres://`")]
    Scheme,
    /// It holds a password where others can read it.
    #[error("must hold no password: others read this file")]
    Password,
    /// It cannot be read as one.
    #[error("it is no URL of a PostgreSQL")]
    Malformed,
}

impl DatabaseUrl {
    /// Checks its form.
    ///
    /// # Errors
    /// [`DatabaseUrlFault`].
    pub fn new(text: Zeroizing<String>) -> Result<Self, DatabaseUrlFault> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(DatabaseUrlFault::Scheme);
        }
        PgConnectOptions::from_str(&text).map_err(|_| DatabaseUrlFault::Malformed)?;
        Ok(Self(text))
    }

    /// The same, of a text that must hold no password.
    ///
    /// # Errors
    /// [`DatabaseUrlFault`].
    pub fn without_password(text: String) -> Result<Self, DatabaseUrlFault> {
        let url = Self::new(Zeroizing::new(text))?;
        if url.has_password() { Err(DatabaseUrlFault::Password) } else { Ok(url) }
    }

    /// Whether it holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        url::Url::parse(&self.0)
            .is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password"))
    }

    /// What the driver takes. Where the URL does not say how to encrypt, a server beyond this machine must prove who it is:
    /// the driver's own default would go on in the clear with whoever answers.
    fn options(&self) -> Result<PgConnectOptions, DatabaseError> {
        let malformed = |_| DatabaseError::Unavailable(DatabaseUrlFault::Malformed.to_string());
        let options = PgConnectOptions::from_str(&self.0).map_err(malformed)?;
        let says = url::Url::parse(&self.0)
            .is_ok_and(|url| url.query_pairs().any(|(name, _)| name == "sslmode" || name == "ssl-mode"));
        let host = options.get_host();
        let here = host.starts_with('/') || matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]");
        let options = if says || here || options.get_socket().is_some() {
            options
        } else {
            options.ssl_mode(PgSslMode::VerifyFull)
        };
        Ok(options.application_name("cambio").options(SESSION).disable_statement_logging())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A server, and the connections to it.
#[derive(Debug)]
pub(super) struct PostgresDatabase {
    pub(super) pool: PgPool,
    /// Whether it is asked at all.
    pub(super) gate: Arc<Gate>,
}

impl PostgresDatabase {
    /// Connects; waits some seconds for a server that is only just starting.
    pub(super) async fn connect(url: &DatabaseUrl) -> Result<Self, DatabaseError> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move { if about.idle_for > FRESH { is_well(connection).await } else { Ok(true) } })
            })
            // One that waits for an answer that will never come would be waited for as long as the system resends.
            .after_release(|connection, _| Box::pin(is_well(connection)))
            .connect_lazy_with(url.options()?);
        let database = Self { pool, gate: Arc::new(Gate::new()) };
        let until = Instant::now() + START;
        loop {
            match database.acquire().await {
                Err(DatabaseError::Unavailable(_) | DatabaseError::Busy) if Instant::now() < until => {
                    sleep(Duration::from_millis(250)).await;
                }
                other => return other.map(|_| database),
            }
        }
    }

    /// A connection of our own.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, DatabaseError> {
        self.gate.enter()?;
        self.gate.in_time(self.pool.acquire()).await
    }

    /// Begins to write. Writers of one scope wait for each other, in all replicas, as SQLite's writers do: what one reads in
    /// its transaction, no other changes.
    pub(super) async fn begin(&self, scope: &str) -> Result<Transaction<'static, Postgres>, DatabaseError> {
        let connection = self.acquire().await?;
        let mut transaction = self.gate.in_time(Transaction::begin(connection, None)).await?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(scope);
        self.gate.in_time(lock.execute(&mut *transaction)).await?;
        Ok(transaction)
    }

    /// The same for the layout, at which another replica may be at work for longer than a lock is waited for.
    pub(super) async fn begin_layout(&self) -> Result<Transaction<'static, Postgres>, DatabaseError> {
        for _ in 1..MIGRATION_TRIES {
            match self.begin("layout").await {
                Err(DatabaseError::Busy) => {}
                other => return other,
            }
        }
        self.begin("layout").await
    }
}

/// Whether a connection answers; one that does not is closed.
async fn is_well(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match timeout(RELEASE, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn url(text: &str) -> Result<DatabaseUrl, DatabaseUrlFault> {
        DatabaseUrl::new(Zeroizing::new(text.to_owned()))
    }

    #[rstest]
    #[case("postgres://cambio@127.0.0.1/cambio", false)]
    #[case("postgresql://cambio:hunter2hunter2@db.example/cambio?sslmode=require", true)]
    #[case("postgres://cambio@db.example/cambio?password=hunter2hunter2", true)]
    fn a_url_is_read_and_never_printed(#[case] text: &str, #[case] password: bool) {
        let url = url(text).unwrap();
        assert_eq!(url.has_password(), password);
        assert_eq!(format!("{url:?}"), "[redacted]");
    }

    #[rstest]
    #[case("mysql://a@b/c", DatabaseUrlFault::Scheme)]
    #[case("", DatabaseUrlFault::Scheme)]
    #[case("postgres://a@b:notaport/c", DatabaseUrlFault::Malformed)]
    fn what_is_no_such_url_is_refused(#[case] text: &str, #[case] fault: DatabaseUrlFault) {
        assert_eq!(url(text).unwrap_err(), fault);
    }

    #[rstest]
    #[case("postgres://cambio@db.example/cambio", "VerifyFull")]
    #[case("postgres://cambio@db.example/cambio?sslmode=disable", "Disable")]
    #[case("postgres://cambio@127.0.0.1/cambio", "Prefer")]
    #[case("postgres://cambio@localhost/cambio?sslmode=require", "Require")]
    fn a_server_beyond_this_machine_must_prove_who_it_is(#[case] text: &str, #[case] mode: &str) {
        let options = url(text).unwrap().options().unwrap();
        assert_eq!(format!("{:?}", options.get_ssl_mode()), mode);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_waited_for_and_then_told_without_its_url() {
        let url = url("postgres://cambio:hunter2hunter2@127.0.0.1:9/cambio").unwrap();
        let error = PostgresDatabase::connect(&url).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Unavailable(_)), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn whoever_has_waited_for_a_lock_reads_what_was_committed_whatever_the_server_s_default_is() {
        let settings = ["default_transaction_isolation=serializable"];
        let server = crate::state::real_postgres::Postgres::start_in(tempfile::tempdir().unwrap(), &settings);
        let Some(server) = server else { return };
        assert_eq!(server.ask("SHOW default_transaction_isolation"), "serializable");
        let database = PostgresDatabase::connect(&url(&server.url()).unwrap()).await.unwrap();
        let mut transaction = database.begin("keys").await.unwrap();
        let level = sqlx::query_scalar::<_, String>("SHOW transaction_isolation");
        assert_eq!(level.fetch_one(&mut *transaction).await.unwrap(), "read committed");
    }

    /// A server that speaks TLS with a certificate of `db.example`, and lets in only who has a password over it.
    fn strict() -> Option<crate::state::real_postgres::Postgres> {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
        let run = |program: &str, arguments: &[&str]| {
            let output = std::process::Command::new(program).args(arguments).output().unwrap();
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        };
        for (name, subject) in [("ca", "/CN=ca"), ("other", "/CN=other")] {
            let (key, crt) = (at(&format!("{name}.key")), at(&format!("{name}.crt")));
            let own = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
            run("openssl", &[&own[..], &["-subj", subject, "-keyout", &key, "-out", &crt]].concat());
        }
        let request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=db"];
        run("openssl", &[&request[..], &["-keyout", &at("server.key"), "-out", &at("server.csr")]].concat());
        std::fs::write(at("names"), "subjectAltName=DNS:localhost").unwrap();
        let sign = ["x509", "-req", "-CAcreateserial", "-days", "30"];
        let (ca, key, csr) = (at("ca.crt"), at("ca.key"), at("server.csr"));
        let (crt, names) = (at("server.crt"), at("names"));
        let files = ["-CA", &ca, "-CAkey", &key, "-in", &csr, "-out", &crt, "-extfile", &names];
        run("openssl", &[&sign[..], &files[..]].concat());
        let server_key = at("server.key");
        std::fs::set_permissions(&server_key, std::fs::Permissions::from_mode(0o600)).unwrap();
        if std::process::Command::new("chown")
            .args(["postgres:", &server_key])
            .output()
            .is_ok_and(|it| it.status.success())
        {
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let settings = ["ssl=on".to_owned(), format!("ssl_cert_file={crt}"), format!("ssl_key_file={server_key}")];
        let settings = settings.each_ref().map(String::as_str);
        let postgres = crate::state::real_postgres::Postgres::start_in(directory, &settings)?;
        postgres.ask("CREATE USER cambio PASSWORD 'hunter2hunter2'");
        postgres.ask("CREATE DATABASE cambio OWNER cambio");
        let rules = "hostssl all cambio all scram-sha-256\nhost all postgres all trust\n";
        std::fs::write(postgres.directory().join("data/pg_hba.conf"), rules).unwrap();
        postgres.ask("SELECT pg_reload_conf()");
        Some(postgres)
    }

    #[tokio::test]
    async fn a_server_proves_who_it_is_and_so_do_we() {
        let Some(postgres) = strict() else { return };
        let at = |name: &str| postgres.directory().join(name).to_string_lossy().into_owned();
        let (port, ca, other) = (postgres.port(), at("ca.crt"), at("other.crt"));
        let connect = async |host: &str, password: &str, parameters: String| {
            let url = url(&format!("postgres://cambio:{password}@{host}:{port}/cambio?{parameters}")).unwrap();
            let answer = PostgresDatabase::connect(&url).await;
            let text = format!("{answer:?}");
            assert!(
                !text.contains("hunter2") && !text.contains("wrong") && !text.contains(&port.to_string()),
                "{text}"
            );
            answer.map(|database| database.pool.size())
        };
        let full = |ca: &str| format!("sslmode=verify-full&sslrootcert={ca}");
        // What was reloaded is taken up a moment later.
        let mut answer = connect("localhost", "hunter2hunter2", full(&ca)).await;
        for _ in 0..20 {
            if answer.is_ok() {
                break;
            }
            answer = connect("localhost", "hunter2hunter2", full(&ca)).await;
        }
        assert!(answer.is_ok(), "{answer:?}");
        for (what, answer) in [
            ("another authority", connect("localhost", "hunter2hunter2", full(&other)).await),
            ("another name", connect("127.0.0.1", "hunter2hunter2", full(&ca)).await),
            ("no TLS", connect("localhost", "hunter2hunter2", "sslmode=disable".to_owned()).await),
            ("a wrong password", connect("localhost", "wrong", full(&ca)).await),
        ] {
            assert!(matches!(answer, Err(DatabaseError::Unavailable(_))), "{what}: {answer:?}");
        }
        let chain = connect("127.0.0.1", "hunter2hunter2", format!("sslmode=verify-ca&sslrootcert={ca}")).await;
        assert!(chain.is_ok(), "{chain:?}");
    }
}
