//! `cambio token`: take a token apart before it is sent, or after it was refused.

mod hints;
pub(super) mod inspection;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::token_search::{Found, PROJECTED, Search, TokenArgs};
use super::{Answer, CliError, NO, environment, pretty, print, runtime};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::identity::IssuerName;
use inspection::Inspection;

/// Work with tokens of platforms.
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(Inspect),
}

/// Say whose token it is, which check it fails, and how its claims differ from the platform's documented ones.
#[derive(Debug, Args)]
#[command(
    after_help = "The token itself is never printed; its claims are, since they are what a policy decides by (`--names-only`: without
values). With `--config`, it is verified as the counter would: by the issuer's keys, fetched now. Without, its platform is
recognised by its issuer, and nothing is verified. Without FILE, the token is looked for where `cambio exchange` finds it.

Exit codes: 0 every check that could be made holds, 1 one fails, 2 there is no token or no configuration to check it with.

Examples:
  cambio token inspect /var/run/secrets/cambio/token
  kubectl create token api --audience https://cambio.example.com | cambio token inspect - --config cambio.yaml
  cambio token inspect token.jwt --config cambio.yaml --at 2026-11-18T11:06:40Z       as if it were then
  cambio token inspect token.jwt --config cambio.yaml --issuer prod-cluster --json"
)]
struct Inspect {
    /// The file with the token, or `-` for standard input.
    #[arg(value_name = "FILE", conflicts_with_all = ["token_file", "token_env"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    token: TokenArgs,
    /// The audience to ask the platform's token for, where it is asked for.
    #[arg(long, value_name = "AUDIENCE", env = "CAMBIO_AUDIENCE")]
    audience: Option<String>,
    /// The configuration, to verify the token by.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The issuer's name, where several share one issuer string.
    #[arg(long, value_name = "NAME", requires = "config")]
    issuer: Option<String>,
    /// The moment to check the times for: RFC 3339, or seconds since 1970; default now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print the claims' names without their values.
    #[arg(long)]
    names_only: bool,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

impl Token {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::Inspect(inspect) => runtime()?.block_on(inspect.run()),
        }
    }
}

impl Inspect {
    async fn run(self) -> Answer {
        let now = Clock::System.now();
        let at = self.at.as_deref().map_or(Ok(now), moment)?;
        let named = match &self.issuer {
            Some(name) => Some(IssuerName::new(name).map_err(|error| {
                CliError::new(format!("`--issuer`: {error}; it is the issuer's `name` in the configuration, no URL"))
            })?),
            None => None,
        };
        let config = self.config.as_deref().map(Config::load_without_secrets).transpose().map_err(CliError::new)?;
        let found = self.found().await?;
        let inspection = match &config {
            Some(config) => Inspection::by_config(&found.token, config, named.as_ref(), at, now).await?,
            None => Inspection::by_platform(&found.token, at),
        };
        let text = if self.json {
            pretty(&inspection.to_json(at, !self.names_only))
        } else {
            inspection.told(&found.from, at, !self.names_only)
        };
        print(&text)?;
        Ok(if inspection.is_good() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }

    async fn found(&self) -> Result<Found, CliError> {
        let search = Search {
            file: self.file.as_deref().or(self.token.token_file.as_deref()).map(Path::new),
            variable: self.token.token_env.as_deref(),
            audience: self.audience.as_deref(),
            env: &environment::variable,
            projected: &PROJECTED,
        };
        search.run().await
    }
}

pub(super) fn moment(text: &str) -> Result<Timestamp, CliError> {
    let odd = || CliError::new("`--at` is a moment such as 2026-11-18T11:06:40Z, or seconds since 1970");
    Timestamp::parse(text).ok_or_else(odd)
}
