//! `cambio policy`: try policies before they count. One file per subcommand.

mod coverage;
mod diff;
mod eval;
mod files;
mod junit;
mod recorded;
mod revision;
mod test;
mod who_can;

use clap::{Args, Subcommand};

use super::Answer;

/// Work with policy files.
#[derive(Debug, Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Diff(diff::Diff),
    Eval(eval::Eval),
    Test(test::Test),
    WhoCan(who_can::WhoCan),
}

impl Policy {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::Diff(diff) => diff.run(),
            Command::Eval(eval) => eval.run(),
            Command::Test(test) => test.run(),
            Command::WhoCan(who_can) => who_can.run(),
        }
    }
}
