//! `cambio secret`: read, list and write secrets from a terminal or a script.
//!
//! A value goes to standard output and nowhere else; what there is to say goes to standard error.

mod input;
mod shown;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use zeroize::Zeroizing;

use super::session::{Place, SecretValue, SessionArgs, Stop, Writing};
use super::text::lines_shown;
use super::{Answer, CliError, pretty, print, runtime};
use crate::clock::Clock;
use crate::secrets::SecretPath;

/// Read, list and write secrets.
#[derive(Debug, Args)]
#[command(
    after_help = "The workload's own token is found as `cambio exchange --help` says, and exchanged once for each command.

Exit codes: 0 done, 1 refused or not there, 2 it could not be asked.

Examples:
  cambio secret get secret/app/db --field password
  cambio secret get k8s://team-a/db/password
  cambio secret list secret/app
  printf %s \"$NEW\" | cambio secret put secret/app/db password=- --patch
  cambio secret versions secret/app/db"
)]
pub(super) struct Secret {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Get(Get),
    List(List),
    Put(Put),
    Versions(Versions),
}

/// Read a secret, or one field of it.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 refused or not there, 2 it could not be asked.

What is missing and what is forbidden look alike: cambio does not tell which.
A value is written as it is: the newline at its end is there on a terminal only.

Examples:
  cambio secret get secret/app/db --field password       one field
  cambio secret get bao://secret/app/db#/password        the same, by its reference
  cambio secret get secret/app/db --version 2 --format json
  eval \"$(cambio secret get secret/app/env --format env)\"")]
struct Get {
    /// `mount/path`, or a reference: k8s://namespace/secret/key, bao://mount/path#/key.
    path: String,
    /// The field to print.
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// A version, if not the current one.
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    /// The `value` of one field, the whole as `json`, or lines for a shell (`env`).
    #[arg(long, value_enum, default_value_t = Format::Value)]
    format: Format,
    #[command(flatten, next_help_heading = "Where cambio is, and which token it gets")]
    session: SessionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Value,
    Json,
    Env,
}

/// List the names in a folder; those of folders end with a slash.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 refused or not there, 2 it could not be asked.

Examples:
  cambio secret list secret/                 the mount itself
  cambio secret list secret/app --json")]
struct List {
    /// `mount` or `mount/folder`.
    folder: String,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "Where cambio is, and which token it gets")]
    session: SessionArgs,
}

/// Write a secret: a new version with these fields, and no others unless `--patch`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 refused, 2 it could not be asked.

What stands on a command line is seen by everybody on the machine and kept in histories: give a value by a file or by
standard input. It is stored as it is, with the newline that `echo` puts at its end; `printf %s` puts none. A value is
text; `base64` makes text of anything.

Examples:
  cambio secret put secret/app/db password=@password.txt
  printf %s \"$NEW\" | cambio secret put secret/app/db password=-
  cambio secret put secret/app/db @db.json                     a JSON object, the whole value
  cambio secret put secret/app/db port=5432 --patch            the other fields stay
  cambio secret put secret/app/db @db.json --cas 0             only if it is not there yet")]
struct Put {
    /// `mount/path`.
    path: String,
    /// `name=@FILE`, `name=-` (standard input), `name=value`, or the whole value: `@FILE.json`, `-`.
    #[arg(required = true, value_name = "FIELD")]
    fields: Vec<String>,
    /// Write only if this is the current version; 0: only if there is none.
    #[arg(long, value_name = "VERSION")]
    cas: Option<u64>,
    /// Change these fields, and leave the others as they are.
    #[arg(long)]
    patch: bool,
    #[command(flatten, next_help_heading = "Where cambio is, and which token it gets")]
    session: SessionArgs,
}

/// Show the versions of a secret, without their values.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 refused or not there, 2 it could not be asked.

Examples:
  cambio secret versions secret/app/db
  cambio secret versions secret/app/db --json")]
struct Versions {
    /// `mount/path`, or a reference.
    path: String,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "Where cambio is, and which token it gets")]
    session: SessionArgs,
}

impl Secret {
    pub(super) fn run(self) -> Answer {
        let done = match self.command {
            Command::Get(get) => get.run(),
            Command::List(list) => list.run(),
            Command::Put(put) => put.run(),
            Command::Versions(versions) => versions.run(),
        };
        done.map_or_else(Stop::answer, |()| Ok(ExitCode::SUCCESS))
    }
}

impl Get {
    fn run(self) -> Result<(), Stop> {
        let mut session = self.session.session()?;
        let Place { path, field } = session.place(&self.path)?;
        let field = match (field, &self.field) {
            (Some(one), Some(other)) if one != *other => {
                return Err(CliError::new("the reference names a field already; leave out `--field`").into());
            }
            (one, other) => one.or_else(|| other.clone()),
        };
        if field.is_none() && !path.as_str().contains('/') {
            return Err(CliError::new("a secret is `mount/path`; `cambio secret list` shows what is in a mount").into());
        }
        let value = runtime()?.block_on(session.read(&path, self.version))?;
        let value = match &field {
            Some(field) => value.only(field).ok_or_else(|| shown::no_field(&value, field))?,
            None => value,
        };
        self.deliver(&value)
    }

    fn deliver(&self, value: &SecretValue) -> Result<(), Stop> {
        let text = match self.format {
            Format::Value => shown::alone(value)?,
            Format::Json => Zeroizing::new(value.as_json().to_owned()),
            Format::Env => shown::variables(value)?,
        };
        let mut out = std::io::stdout().lock();
        let ends = self.format == Format::Value && !out.is_terminal() || text.ends_with('\n');
        let newline: &[u8] = if ends { b"" } else { b"\n" };
        let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(newline)).and_then(|()| out.flush());
        written.map_err(|error| Stop::Failed(format!("cannot write to standard output: {error}")))
    }
}

impl List {
    fn run(self) -> Result<(), Stop> {
        let mut session = self.session.session()?;
        let folder = SecretPath::new(self.folder.trim_matches('/'));
        let folder = folder.map_err(|error| CliError::new(format!("a folder is `mount/path`: {error}")))?;
        let keys = runtime()?.block_on(session.list(&folder))?;
        if self.json {
            return Ok(print(&pretty(&json!({ "keys": keys })))?);
        }
        let lines: String = keys.iter().map(|key| lines_shown(key).replace('\n', "\\n") + "\n").collect();
        Ok(print(&lines)?)
    }
}

impl Put {
    fn run(self) -> Result<(), Stop> {
        let mut session = self.session.session()?;
        let Place { path, field } = session.place(&self.path)?;
        if let Some(field) = field {
            let text = format!(
                "a reference is for reading; write `{path} {field}=@FILE`, with `--patch` for that field alone"
            );
            return Err(CliError::new(text).into());
        }
        let uses_input = |file: &Option<std::path::PathBuf>| file.as_deref() == Some(Path::new("-"));
        let taken = uses_input(&self.session.login.token.token_file) || uses_input(&self.session.secrets_token_file);
        let value = input::read(&self.fields, taken)?;
        let writing = Writing { cas: self.cas, patch: self.patch };
        let version = runtime()?.block_on(session.write(&path, &value, writing))?;
        let told =
            version.map_or_else(|| format!("written {path}\n"), |version| format!("version {version} of {path}\n"));
        Ok(print(&told)?)
    }
}

impl Versions {
    fn run(self) -> Result<(), Stop> {
        let mut session = self.session.session()?;
        let path = session.place(&self.path)?.path;
        let metadata = runtime()?.block_on(session.metadata(&path))?;
        let text = if self.json { pretty(&metadata) } else { shown::versions(&metadata, Clock::System.now()) };
        Ok(print(&text)?)
    }
}
