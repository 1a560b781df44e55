//! `cambio policy`: try policies before they count. One file per subcommand.

mod coverage;
mod eval;
mod files;
mod junit;
mod test;

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
    Eval(eval::Eval),
    Test(test::Test),
}

impl Policy {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::Eval(eval) => eval.run(),
            Command::Test(test) => test.run(),
        }
    }
}
