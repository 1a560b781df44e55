//! `cambio exec`: a command that finds values in its environment where references stood.
//!
//! All or nothing: where one reference does not resolve, nothing is started, so that no program takes a reference for a
//! password. The command gets no token of cambio's.

mod rounds;
mod supervise;
mod variables;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, ValueEnum};

use super::session::{SessionArgs, span, warn};
use super::{Answer, CliError, runtime};
use rounds::Rounds;
use supervise::{Signal, Supervision};
use variables::{Collected, Environment, Rules};

/// Run a command with values in the place of references.
#[derive(Debug, Args)]
#[command(after_help = "A variable whose whole value is a reference gets what it leads to:
  DB_PASSWORD=k8s://team-a/db/password     a key of a Kubernetes Secret
  DB_PASSWORD=bao://secret/app/db#/password   (or vault://) a field of a KV secret
One that begins like a reference and is none stops everything, but for those that `--except` names.

The command takes the place of cambio (exec), so that signals and exit code are its own. With `--watch`, cambio stays:
it passes signals on (TERM, INT, HUP, QUIT, USR1, USR2), reads again at half of its token's life or `--every`, and when a
value changed it restarts the command, or tells it by a signal. A running process keeps the environment that it was started
with: what is told by a signal has to fetch the new value itself, such as from a file of `cambio agent`. A reading that
fails stops nothing; it is said, and tried again.

CAMBIO_TOKEN, CAMBIO_TOKEN_FILE, CAMBIO_SECRETS_TOKEN and what `--token-env` names are taken away from the command;
`--scrub` takes away the variables by which it could get a token of the platform as well.

Exit codes: those of the command (128 and the signal's number, if one ended it). Before it: 1 a reference was refused or
leads nowhere, 2 it could not be asked, 126 the command can not be run, 127 it was not found.

Examples:
  DB_PASSWORD=k8s://team-a/db/password cambio exec --url https://cambio.example.com --target shop -- ./server
  cambio exec --env-file app.env --scrub -- ./migrate up
  cambio exec --watch -- ./server                           restarted when a value changes
  cambio exec --watch=signal --signal usr1 --every 1m -- ./server")]
pub(super) struct Exec {
    /// Stay, read again, and when a value changed `restart` the command or send it a `signal`.
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "restart", value_name = "HOW")]
    watch: Option<Watch>,
    /// The signal that tells of a change.
    #[arg(long, value_enum, default_value_t = Signal::Hup, requires = "watch")]
    signal: Signal,
    /// How often to read again; default half of the secrets token's life.
    #[arg(long, value_name = "SPAN", requires = "watch")]
    every: Option<String>,
    /// How long the command may take to end before a restart; then it is killed.
    #[arg(long, value_name = "SPAN", default_value = "10s", requires = "watch")]
    grace: String,
    /// A file with `NAME=value` lines, which go before the environment; taken as they are, without quotes.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Give the command the variables that were references, PATH, HOME, USER, LANG, TERM and TZ, and no others.
    #[arg(long)]
    only_references: bool,
    /// A variable whose value only looks like a reference; may be repeated.
    #[arg(long, value_name = "NAME")]
    except: Vec<String>,
    /// Take the platform's own token variables away from the command.
    #[arg(long)]
    scrub: bool,
    #[command(flatten, next_help_heading = "Where cambio is, and which token it gets")]
    session: SessionArgs,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Watch {
    Restart,
    Signal,
}

impl Exec {
    pub(super) fn run(self) -> Answer {
        let every = self.every.as_deref().map(|text| span("--every", text)).transpose()?;
        let grace = span("--grace", &self.grace)?;
        if self.watch.is_some() && self.session.login.token.token_file.as_deref() == Some(Path::new("-")) {
            return Err(CliError::new(
                "`--watch` needs a token more than once, and standard input has one; give a file",
            ));
        }
        let mut session = self.session.session()?;
        let file = self.env_file.as_deref().map(variables::file).transpose()?;
        let rules = Rules {
            except: &self.except,
            only_references: self.only_references,
            scrub: self.scrub,
            named: self.session.login.token.token_env.as_deref(),
        };
        let collected = Collected::new(std::env::vars_os(), file.unwrap_or_default(), &rules)?;
        let rounds = Rounds::new(&collected, &session)?;
        let runtime = runtime()?;
        let values = match runtime.block_on(rounds.read(&mut session)) {
            Ok(values) => values,
            Err(stop) => return stop.answer(),
        };
        if self.session.verbose {
            eprintln!("cambio: {} resolved", super::text::count(collected.references.len(), "reference", "references"));
        }
        let Some(watch) = self.watch else {
            drop(runtime);
            return Ok(replaced(&self.command, &collected.environment(&values)));
        };
        let supervision = Supervision {
            command: &self.command,
            collected: &collected,
            signal: (watch == Watch::Signal).then_some(self.signal),
            every,
            grace,
        };
        runtime.block_on(supervision.run(&rounds, session, values))
    }
}

/// Puts the command in the place of this process. Returns where that fails.
fn replaced(command: &[OsString], environment: &Environment) -> ExitCode {
    match started(command, environment) {
        Some(mut command) => not_run(&command.exec()),
        None => ExitCode::from(NOT_FOUND),
    }
}

/// The exit codes of shells and of env(1) for a command that does not run.
const NOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The command with this environment and no other.
fn started(command: &[OsString], environment: &Environment) -> Option<Command> {
    let (program, arguments) = command.split_first()?;
    let mut started = Command::new(program);
    started.args(arguments).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    Some(started)
}

fn not_run(error: &std::io::Error) -> ExitCode {
    warn(&format!("the command can not be run: {error}"));
    ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN })
}
