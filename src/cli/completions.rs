//! `cambio completions`: what a shell needs to complete commands and flags.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{Answer, Cli};

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cambio completions bash > /etc/bash_completion.d/cambio
  cambio completions zsh > ~/.zfunc/_cambio
  cambio completions fish > ~/.config/fish/completions/cambio.fish")]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Answer {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "cambio", &mut script);
        super::print(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
