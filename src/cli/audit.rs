//! `cambio audit`: is the record of decisions what was written?

mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Answer, CliError, print};
use crate::app::existing_database;
use crate::audit::prepare_key;
use crate::clock::Clock;
use crate::config::Config;
use crate::state::database::{Database, DatabaseError};

/// Verify the audit journal, and replace the key that signs it.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Verify),
    #[command(name = "rotate-key")]
    RotateKey(RotateKey),
}

/// Make another key sign the heads of the audit journal. A running server takes it up within some seconds.
#[derive(Debug, Args)]
#[command(
    after_help = "The key of now signs that the next one follows it, so the journal verifies by either; then it is destroyed.
Note the thumbprint where nobody who can edit the journal can edit it: `cambio audit verify --key` takes it.

Examples:
  cambio audit rotate-key --config cambio.yaml"
)]
struct RotateKey {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "cambio.yaml")]
    config: PathBuf,
}

impl Audit {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::Verify(verify) => verify.run(),
            Command::RotateKey(rotate) => rotate.run(),
        }
    }
}

impl RotateKey {
    fn run(self) -> Answer {
        let config = Config::load(&self.config).map_err(CliError::new)?;
        let keys = config.audit.keys.ok_or_else(|| CliError::new("the journal has no directory for its key"))?;
        if !keys.join("audit.pem").exists() {
            return Err(CliError::new(format!(
                "there is no audit key in `{}` yet; `cambio serve` makes the first one when it starts",
                keys.display()
            )));
        }
        let thumbprint = prepare_key(&keys).map_err(CliError::new)?;
        print(&format!("{thumbprint}  signs once whoever writes the journal has taken it up\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks the database of a configuration something; none where there is no database yet. The one that is embedded is closed to
/// everybody else while cambio runs.
pub(super) fn on_database<T>(
    config: &Config,
    ask: impl AsyncFnOnce(Database) -> Result<T, DatabaseError>,
) -> Result<Option<T>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let database = existing_database(config, Clock::System.now()).await.map_err(|error| error.to_string())?;
        let Some(database) = database else { return Ok(None) };
        let answer = ask(database.clone()).await.map_err(|error| error.to_string());
        database.close().await;
        answer.map(Some)
    })
}
