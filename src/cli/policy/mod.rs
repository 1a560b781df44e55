//! `cambio policy`: try policies before they count. One file per subcommand.

mod check;
mod coverage;
mod diff;
mod eval;
mod files;
mod fmt;
mod import;
mod init;
mod junit;
mod pages;
mod recorded;
mod report;
mod revision;
mod test;
mod who_can;
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
    Diff(diff::Diff),
    Eval(eval::Eval),
    Fmt(fmt::Fmt),
    Import(import::Import),
    Init(init::Init),
    Test(test::Test),
    Why(why::Why),
    WhoCan(who_can::WhoCan),
}

impl Policy {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::Import(import) => import.run(),
            Command::Check(check) => check.run(),
            Command::Diff(diff) => diff.run(),
            Command::Eval(eval) => eval.run(),
            Command::Fmt(fmt) => fmt.run(),
            Command::Init(init) => init.run(),
            Command::Test(test) => test.run(),
            Command::Why(why) => why.run(),
            Command::WhoCan(who_can) => who_can.run(),
        }
    }
}
