//! `cambio policy`: try policies before they count. One file per subcommand.

mod check;
mod files;
mod fmt;
mod init;
mod pages;
mod report;
mod test;
mod why;

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
    Check(check::Check),
    Fmt(fmt::Fmt),
    Init(init::Init),
    Test(test::Test),
    Why(why::Why),
}

impl Policy {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::Check(check) => check.run(),
            Command::Fmt(fmt) => fmt.run(),
            Command::Init(init) => init.run(),
            Command::Test(test) => test.run(),
            Command::Why(why) => why.run(),
        }
    }
}
