//! `cambio keys`: the signing keys of a data directory.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::text::relative;
use super::{Answer, CliError, pretty, print};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::mint::{self, KeyInfo, KeySettings, KeySource, KeyState, Rotation};

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
        let settings = Config::load(&self.config).map_err(CliError::new)?.keys;
        let keys = mint::list(&settings).map_err(CliError::new)?;
        let now = Clock::System.now();
        if self.json {
            print(&pretty(&json!({"keys": keys.iter().map(to_json).collect::<Vec<_>>()})))?;
        } else if keys.is_empty() {
            print("no keys yet; `cambio serve` makes the first one when it starts\n")?;
        } else {
            let mut text = String::new();
            for key in &keys {
                let _ = writeln!(text, "{}  {:5}  {}", key.key_id, key.algorithm.name(), told(key, &settings, now));
            }
            print(&text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Rotate {
    fn run(self) -> Answer {
        let settings = Config::load(&self.config).map_err(CliError::new)?.keys;
        if mint::list(&settings).map_err(CliError::new)?.is_empty() {
            return Err(CliError::new(format!(
                "there are no keys to rotate {}; `cambio serve` makes the first one when it starts. Is this the configuration \
                 that it runs with?",
                place(&settings)
            )));
        }
        let how = if self.now { Rotation::Immediately } else { Rotation::Ahead };
        let key = mint::rotate(&settings, how, Clock::System.now()).map_err(CliError::new)?;
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

fn place(settings: &KeySettings) -> String {
    match &settings.source {
        KeySource::Managed { data_dir, .. } => format!("in `{}`", data_dir.join("keys").display()),
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
