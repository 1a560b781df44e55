//! The command line: one file per subcommand, all three kinds of users.
//!
//! Decides what is printed, and the exit code: 0 done, 1 the answer is no, 2 the command could not be carried out. No
//! token is printed, not even in a complaint about a command line that has one, unless printing it is what was asked for.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a command line is for")]

mod agent;
mod audit;
mod completions;
mod decisions;
mod demo;
mod doctor;
mod environment;
mod exchange;
mod exec;
mod explain;
mod keys;
mod kubernetes;
mod openbao;
mod policy;
mod private_file;
mod recognised;
mod schema;
mod secret;
mod serve;
mod service_account;
mod session;
mod steps;
mod text;
mod token;
mod token_search;
mod token_text;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::Value;

/// What a subcommand answers.
type Answer = Result<ExitCode, CliError>;

/// The exit code of "no": a case failed, a token is not good.
const NO: u8 = 1;
/// The exit code of "could not be carried out".
const FAILED: u8 = 2;

/// Why a command could not be carried out; the text says what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct CliError(String);

impl CliError {
    fn new(text: impl std::fmt::Display) -> Self {
        Self(text.to_string())
    }
}

/// An exchange counter for workload identity: a platform's token in, a short-lived, scoped secrets token out.
#[derive(Debug, Parser)]
#[command(name = "cambio", version, max_term_width = 120, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Exit codes: 0 done, 1 the answer is no, 2 the command could not be carried out.

Examples:
  cambio demo                                      real issuers on loopback: exchanges, denials, and the reasons
  cambio serve --config cambio.yaml                run the counter
  cambio doctor --config cambio.yaml               is everything that it rests on in order?
  cambio exchange --url https://cambio.example.com --target group-pipelines
  cambio secret get secret/app/db --field password
  cambio exec -- ./server                          with values where its environment has references
  cambio token inspect token.jwt --config cambio.yaml
  cambio policy check policies                     what is wrong with them, or lets people in
  cambio policy test policies                      run the cases of all policy files
  cambio explain 019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f --config cambio.yaml";

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: real issuers on loopback, exchanges, and denials explained.
    Demo(demo::Demo),
    /// Run the counter.
    Serve(serve::Serve),
    Exchange(exchange::Exchange),
    Secret(secret::Secret),
    Exec(Box<exec::Exec>),
    Agent(Box<agent::Agent>),
    Token(token::Token),
    Policy(policy::Policy),
    Keys(keys::Keys),
    Kubernetes(kubernetes::Kubernetes),
    #[command(name = "openbao")]
    OpenBao(openbao::OpenBao),
    Doctor(doctor::Doctor),
    Explain(explain::Explain),
    Audit(audit::Audit),
    ServiceAccount(Box<service_account::ServiceAccount>),
    Decisions(Box<decisions::Decisions>),
    Schema(schema::Schema),
    Completions(completions::Completions),
}

/// Runs the program.
pub fn run() -> ExitCode {
    let answer = match Cli::try_parse().map(|cli| cli.command) {
        Ok(Command::Demo(demo)) => demo.run(),
        Ok(Command::Serve(serve)) => serve.run(),
        Ok(Command::Exchange(exchange)) => exchange.run(),
        Ok(Command::Secret(secret)) => secret.run(),
        Ok(Command::Exec(exec)) => exec.run(),
        Ok(Command::Agent(agent)) => agent.run(),
        Ok(Command::Token(token)) => token.run(),
        Ok(Command::Policy(policy)) => policy.run(),
        Ok(Command::Keys(keys)) => keys.run(),
        Ok(Command::Kubernetes(kubernetes)) => kubernetes.run(),
        Ok(Command::OpenBao(openbao)) => openbao.run(),
        Ok(Command::Doctor(doctor)) => doctor.run(),
        Ok(Command::Explain(explain)) => explain.run(),
        Ok(Command::Audit(audit)) => audit.run(),
        Ok(Command::ServiceAccount(account)) => account.run(),
        Ok(Command::Decisions(decisions)) => decisions.run(),
        Ok(Command::Schema(schema)) => schema.run(),
        Ok(Command::Completions(completions)) => completions.run(),
        Err(error) => return misused(&error),
    };
    answer.unwrap_or_else(|error| {
        // Errors quote files and names that others wrote.
        eprintln!("cambio: {}", text::lines_shown(&token_text::struck(&error.to_string())));
        ExitCode::from(FAILED)
    })
}

/// Help goes out as it is. A complaint quotes the command line, and somebody may have written a token there.
fn misused(error: &clap::Error) -> ExitCode {
    let plain = error.render().to_string();
    let struck = token_text::struck(&plain);
    if plain == struck {
        let _ = error.print();
    } else {
        eprint!("{struck}");
        eprintln!("A token does not belong on a command line: give a file with it, or pipe it in.");
    }
    if error.use_stderr() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
}

/// Prints to standard output. Whoever reads it may stop in the middle, as `head` does.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// A JSON document for `--json`.
fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default())
}

/// What a command needs that makes a request or two.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::new)
}
