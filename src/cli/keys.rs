//! `cambio keys`: the signing keys of a data directory.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::text::relative;
use super::{Answer, CliError, pretty, print};
use crate::app::key_database;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::mint::{self, KeyDatabase, KeyInfo, KeySettings, KeySource, KeyState, Rotation};

/// See and replace the keys that cambio signs with.
#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Rotate(Rotate),
}

/// List the signing keys and what becomes of them. Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cambio keys list --config cambio.yaml
  cambio keys list --config cambio.yaml --json")]
struct List {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "cambio.yaml")]
    config: PathBuf,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

/// Replace the signing key. A running server takes it over by itself.
#[derive(Debug, Args)]
#[command(
    after_help = "Without `--now` the new key is published first and signs an hour later, so that no verification ever fails.
With `--now`, for a key that may have leaked, every key is revoked and a fresh one signs at once: all tokens that were issued
before are refused, and verifiers that cache our keys may refuse new tokens until they fetch them again (an hour at most).

Examples:
  cambio keys rotate --config cambio.yaml
  cambio keys rotate --config cambio.yaml --now          the key has leaked"
)]
struct Rotate {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "cambio.yaml")]
    config: PathBuf,
    /// At once: revoke all keys, and with them the tokens that they signed.
    #[arg(long)]
    now: bool,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

impl Keys {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::List(list) => list.run(),
            Command::Rotate(rotate) => rotate.run(),
        }
    }
}

impl List {
    fn run(self) -> Answer {
        let now = Clock::System.now();
        let ring = Ring::of(&Config::load(&self.config).map_err(CliError::new)?, now)?;
        let (keys, settings) = (ring.list()?, &ring.settings);
        if self.json {
            print(&pretty(&json!({"keys": keys.iter().map(to_json).collect::<Vec<_>>()})))?;
        } else if keys.is_empty() {
            print("no keys yet; `cambio serve` makes the first one when it starts\n")?;
        } else {
            let mut text = String::new();
            for key in &keys {
                let _ = writeln!(text, "{}  {:5}  {}", key.key_id, key.algorithm.name(), told(key, settings, now));
            }
            print(&text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Rotate {
    fn run(self) -> Answer {
        let now = Clock::System.now();
        let ring = Ring::of(&Config::load(&self.config).map_err(CliError::new)?, now)?;
        if ring.list()?.is_empty() {
            return Err(CliError::new(format!(
                "there are no keys to rotate {}; `cambio serve` makes the first one when it starts. Is this the configuration \
                 that it runs with?",
                place(&ring.settings)
            )));
        }
        let how = if self.now { Rotation::Immediately } else { Rotation::Ahead };
        let key = ring.rotate(how, now)?;
        if self.json {
            print(&pretty(&to_json(&key)))?;
            return Ok(ExitCode::SUCCESS);
        }
        let next = match how {
            Rotation::Ahead => {
                "is prepared: a running server publishes it now and signs with it an hour later".to_owned()
            }
            Rotation::Immediately => {
                "signs from now on; all others are revoked, and tokens that they signed are refused".to_owned()
            }
        };
        print(&format!("{}  {}  {next}\n", key.key_id, key.algorithm.name()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The keys that a configuration names, wherever they are.
pub(super) struct Ring {
    settings: KeySettings,
    shared: Option<(Runtime, KeyDatabase)>,
}

impl Ring {
    /// Not for a thread that runs other tasks: it waits for the database.
    pub(super) fn of(config: &Config, now: Timestamp) -> Result<Self, CliError> {
        let settings = config.keys.clone();
        if !matches!(settings.source, KeySource::Database { .. }) {
            return Ok(Self { settings, shared: None });
        }
        let runtime = super::runtime()?;
        let database = runtime.block_on(key_database(config, now)).map_err(CliError::new)?;
        Ok(Self { settings, shared: database.map(|database| (runtime, database)) })
    }

    pub(super) fn list(&self) -> Result<Vec<KeyInfo>, CliError> {
        match &self.shared {
            Some((runtime, keys)) => runtime.block_on(keys.list()),
            None => mint::list(&self.settings),
        }
        .map_err(CliError::new)
    }

    fn rotate(&self, how: Rotation, now: Timestamp) -> Result<KeyInfo, CliError> {
        match &self.shared {
            Some((runtime, keys)) => runtime.block_on(keys.rotate(&self.settings, how, now)),
            None => mint::rotate(&self.settings, how, now),
        }
        .map_err(CliError::new)
    }
}

fn place(settings: &KeySettings) -> String {
    match &settings.source {
        KeySource::Managed { data_dir, .. } => format!("in `{}`", data_dir.join("keys").display()),
        KeySource::Database { .. } => "in the database".to_owned(),
        KeySource::Files(_) => "in `signing_key_files`".to_owned(),
    }
}

/// The state of a key, in words.
pub(super) fn told(key: &KeyInfo, settings: &KeySettings, now: Timestamp) -> String {
    let at = |seconds: i64| relative(Timestamp::from_secs(seconds), now);
    match (key.state, &settings.source) {
        (KeyState::Active { .. }, KeySource::Files(_)) => "active     the first of `signing_key_files`".to_owned(),
        (KeyState::Prepared { .. }, KeySource::Files(_)) => "prepared   published, does not sign".to_owned(),
        (KeyState::Prepared { published: None }, _) => {
            "prepared   not yet published: no server has run since it was made".to_owned()
        }
        (KeyState::Prepared { published: Some(published) }, _) => {
            let signs = Timestamp::from_secs(published).plus(settings.publish_ahead);
            format!("prepared   published {}, signs {} at the earliest", at(published), relative(signs, now))
        }
        (KeyState::Active { since }, _) => format!("active     signs since {}", at(since)),
        (KeyState::Retiring { since, until }, _) => {
            format!("retiring   signed until {}, published until {}", at(since), at(until))
        }
        (KeyState::Revoked { since, until }, _) => format!("revoked    {}, listed until {}", at(since), at(until)),
    }
}

fn to_json(key: &KeyInfo) -> Value {
    let state = serde_json::to_value(key.state).unwrap_or_default();
    let created = key.created.map(|created| created.to_string());
    json!({"kid": &*key.key_id, "algorithm": key.algorithm.name(), "created": created, "state": state})
}
