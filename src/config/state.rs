//! The `state` section: what replicas share, and where.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Problem, secret_from_file};
use crate::clock::Span;
use crate::state::counters::{CountersFault, CountersSettings, DEFAULT_PREFIX, DEFAULT_TIMEOUT};
use crate::state::database::{DatabaseUrl, DatabaseUrlFault};

/// The variable that holds the URL of the counters where no file does.
const REDIS_URL: &str = "CAMBIO_REDIS_URL";

/// The variable that holds the URL of the database where no file does.
const DATABASE_URL: &str = "CAMBIO_DATABASE_URL";

/// `state`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StateFile {
    /// Counters that replicas share; each keeps its own where there are none.
    pub(super) counters: Option<CountersFile>,
    /// The database that replicas share; a file in the data directory where there is none.
    pub(super) database: Option<DatabaseFile>,
}

/// `state.database`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DatabaseFile {
    /// Where the PostgreSQL is, without a password.
    url: Option<String>,
    /// A file with that, with a password perhaps; else `CAMBIO_DATABASE_URL`.
    url_file: Option<PathBuf>,
}

/// `state.counters`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CountersFile {
    /// Where the Redis is, without a password.
    url: Option<String>,
    /// A file with that, with a password perhaps; else `CAMBIO_REDIS_URL`.
    url_file: Option<PathBuf>,
    /// The only certificates that it is verified by, where it speaks TLS.
    ca_file: Option<PathBuf>,
    /// How long a command may take.
    timeout: Span,
    /// What keys begin with.
    prefix: String,
    /// Whether a server that starts again has lost nothing that it said.
    durable: bool,
}

impl Default for CountersFile {
    fn default() -> Self {
        let timeout = Span::from_millis(u64::try_from(DEFAULT_TIMEOUT.as_millis()).unwrap_or(u64::MAX));
        let prefix = DEFAULT_PREFIX.to_owned();
        Self { url: None, url_file: None, ca_file: None, timeout, prefix, durable: false }
    }
}

/// The counters that `file` or the environment names; none where neither does.
pub(super) fn counters(
    file: Option<CountersFile>,
    base: &Path,
    problems: &mut Vec<Problem>,
) -> Option<CountersSettings> {
    checked_counters(file, from_environment(REDIS_URL), base).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    })
}

fn checked_counters(
    file: Option<CountersFile>,
    environment: Option<Zeroizing<String>>,
    base: &Path,
) -> Result<Option<CountersSettings>, Problem> {
    let at = |key: &str| format!("state.counters.{key}");
    let file = match (file, &environment) {
        (None, None) => return Ok(None),
        (file, _) => file.unwrap_or_default(),
    };
    let url = match (file.url, file.url_file) {
        (Some(_), Some(_)) => return Err(Problem::new(&at("url"), "is given beside `url_file`", "remove one of them")),
        (Some(url), None) if CountersSettings::holds_password(&url) => {
            let fix = "put the URL into a file of mode 0600 and name it as `url_file`, or into CAMBIO_REDIS_URL";
            return Err(Problem::new(&at("url"), "must hold no password: others read this file", fix));
        }
        (Some(url), None) => Zeroizing::new(url),
        (None, Some(path)) => secret_from_file(&base.join(path)).map_err(|error| {
            Problem::new(&at("url_file"), error, "write a file of mode 0600 with the URL in it").of_a_secret()
        })?,
        (None, None) => environment.ok_or_else(|| {
            let fix = "give `url`, or `url_file`, or the environment variable CAMBIO_REDIS_URL; or remove `counters`";
            Problem::new("state.counters", "names no Redis", fix)
        })?,
    };
    let ca = file.ca_file.map(|path| {
        let path = base.join(path);
        fs::read(&path).map_err(|error| {
            Problem::new(&at("ca_file"), format!("cannot read `{}`: {error}", path.display()), "name a PEM file")
        })
    });
    let settings = CountersSettings::new(&url, ca.transpose()?.as_deref())
        .and_then(|settings| settings.with_timeout(file.timeout.duration()))
        .and_then(|settings| settings.with_prefix(&file.prefix));
    let settings = settings.map_err(|fault| {
        let key = match fault {
            CountersFault::Url | CountersFault::Fragment => "url",
            CountersFault::PlainWithCa | CountersFault::Ca => "ca_file",
            CountersFault::Timeout => "timeout",
            CountersFault::Prefix => "prefix",
        };
        Problem::new(&at(key), fault, "")
    })?;
    Ok(Some(if file.durable { settings.durable() } else { settings }))
}

/// The database that `file` or the environment names; none where neither does.
pub(super) fn database(file: Option<DatabaseFile>, base: &Path, problems: &mut Vec<Problem>) -> Option<DatabaseUrl> {
    checked_database(file, from_environment(DATABASE_URL), base).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    })
}

fn checked_database(
    file: Option<DatabaseFile>,
    environment: Option<Zeroizing<String>>,
    base: &Path,
) -> Result<Option<DatabaseUrl>, Problem> {
    let at = |key: &str| format!("state.database.{key}");
    let fix = |fault| match fault {
        DatabaseUrlFault::Password => {
            "put the URL into a file of mode 0600 and name it as `url_file`, or into CAMBIO_DATABASE_URL"
        }
        _ => "write `postgres://cambio@db.example.com/cambio`",
    };
    let (key, url) = match (file.unwrap_or_default(), environment) {
        (DatabaseFile { url: Some(_), url_file: Some(_) }, _) => {
            return Err(Problem::new(&at("url"), "is given beside `url_file`", "remove one of them"));
        }
        (DatabaseFile { url: Some(url), .. }, _) => ("url", DatabaseUrl::without_password(url)),
        (DatabaseFile { url_file: Some(path), .. }, _) => {
            let text = secret_from_file(&base.join(path)).map_err(|error| {
                Problem::new(&at("url_file"), error, "write a file of mode 0600 with the URL in it").of_a_secret()
            })?;
            ("url_file", DatabaseUrl::new(text))
        }
        (_, Some(text)) => (DATABASE_URL, DatabaseUrl::new(Zeroizing::new(text.trim().to_owned()))),
        (_, None) => return Ok(None),
    };
    let place = if key == DATABASE_URL { key.to_owned() } else { at(key) };
    url.map(Some).map_err(|fault| Problem::new(&place, fault, fix(fault)))
}

#[allow(clippy::disallowed_methods, reason = "secrets are what the environment is for")]
fn from_environment(variable: &str) -> Option<Zeroizing<String>> {
    std::env::var(variable).ok().filter(|url| !url.trim().is_empty()).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::os::unix::fs::PermissionsExt as _;

    fn read(yaml: &str, environment: Option<&str>, base: &Path) -> Result<Option<CountersSettings>, String> {
        let file: StateFile = serde_saphyr::from_str(yaml).unwrap();
        let environment = environment.map(|url| Zeroizing::new(url.to_owned()));
        checked_counters(file.counters, environment, base).map_err(|problem| problem.to_string())
    }

    #[rstest]
    #[case::none("{}", None, "None")]
    #[case::by_url("counters: {url: 'redis://r:6379'}", None, "Some(CountersSettings(cambio:, 250ms, [url redacted]))")]
    #[case::by_the_environment(
        "{}",
        Some("redis://:hunter2@r"),
        "Some(CountersSettings(cambio:, 250ms, [url redacted]))"
    )]
    #[case::with_a_section(
        "counters: {timeout: 100ms, prefix: 'a:'}",
        Some("redis://:hunter2@r"),
        "Some(CountersSettings(a:, 100ms, [url redacted]))"
    )]
    #[case::durable(
        "counters: {url: 'redis://r', durable: true}",
        None,
        "Some(CountersSettings(cambio:, 250ms, durable, [url redacted]))"
    )]
    fn counters_are_shared_where_a_redis_is_named(
        #[case] yaml: &str,
        #[case] environment: Option<&str>,
        #[case] expected: &str,
    ) {
        assert_eq!(format!("{:?}", read(yaml, environment, Path::new("/")).unwrap()), expected);
    }

    #[rstest]
    #[case::nothing("counters: {}", "state.counters: names no Redis")]
    #[case::twice("counters: {url: 'redis://r', url_file: f}", "beside `url_file`")]
    #[case::a_password("counters: {url: 'redis://:hunter2@r'}", "must hold no password")]
    #[case::a_password_of_a_user("counters: {url: 'rediss://cambio:hunter2@r'}", "`url_file`")]
    #[case::another_scheme("counters: {url: 'http://r'}", "state.counters.url: must be a URL such as")]
    #[case::unchecked("counters: {url: 'rediss://r#insecure'}", "certificates are always checked")]
    #[case::no_file("counters: {url_file: nowhere}", "state.counters.url_file")]
    #[case::no_authority("counters: {url: 'rediss://r', ca_file: nowhere}", "state.counters.ca_file")]
    #[case::too_long("counters: {url: 'redis://r', timeout: 1m}", "between 10ms and 5s")]
    #[case::a_pattern("counters: {url: 'redis://r', prefix: '*'}", "state.counters.prefix")]
    fn one_mistake_is_said_and_no_password_is(#[case] yaml: &str, #[case] said: &str) {
        let error = read(yaml, None, Path::new("/nowhere")).unwrap_err();
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_file_with_a_password_is_for_nobody_else_to_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("redis");
        fs::write(&file, "rediss://cambio:hunter2@redis.example.com:6380/1\n").unwrap();
        for (mode, good) in [(0o600, true), (0o644, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let answer = read("counters: {url_file: redis}", None, directory.path());
            assert_eq!(answer.is_ok(), good, "{answer:?}");
            assert!(!format!("{answer:?}").contains("hunter2"));
        }
    }
}
