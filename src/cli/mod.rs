//! The command line: one file per subcommand, all three kinds of users.
//!
//! Decides what is printed, and the exit code: 0 done, 1 the answer is no, 2 the command could not be carried out.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a command line is for")]

mod demo;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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

const EXAMPLES: &str = "Examples:
  cambio demo                                      real issuers on loopback: exchanges, denials, and the reasons
  cambio serve --config cambio.yaml                run the counter
  cambio exchange --url https://cambio.example.com --target group-pipelines
  cambio policy test policies                      run the cases of all policy files";

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: real issuers on loopback, exchanges, and denials explained.
    Demo(demo::Demo),
    /// Run the counter.
    Serve(serve::Serve),
}

/// Runs the program.
pub fn run() -> ExitCode {
    let answer = match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
    };
    answer.unwrap_or_else(|error| {
        eprintln!("cambio: {error}");
        ExitCode::from(FAILED)
    })
}
