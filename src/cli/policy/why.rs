//! `cambio policy why`: the page of a finding's code.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::super::text::shown;
use super::super::{Answer, CliError, print};
use super::pages;
use crate::policy::Code;

/// Explain a finding: what it means, which attack or outage it is about, a wrong and a right example, how to accept it.
#[derive(Debug, Args)]
#[command(after_help = "The pages are those of docs/findings/. Without CODE, all codes.

Exit codes: 0 here is the page, 2 there is no such code.

Examples:
  cambio policy why P0305
  cambio policy why recyclable-name")]
pub(super) struct Why {
    /// A code, or its name.
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

impl Why {
    pub(super) fn run(self) -> Answer {
        let text = match &self.code {
            Some(text) => page(text)?.to_owned(),
            None => list(),
        };
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn page(text: &str) -> Result<&'static str, CliError> {
    let code = Code::find(&text.to_ascii_uppercase()).or_else(|| Code::find(&text.to_ascii_lowercase()));
    code.and_then(pages::of).ok_or_else(|| {
        CliError::new(format!("no finding has the code or name `{}`\n  `cambio policy why` lists them", shown(text)))
    })
}

fn list() -> String {
    let mut text = String::new();
    for code in Code::ALL {
        let _ =
            writeln!(text, "{}  {:<7}  {:<16}  {}", code.id(), code.severity().to_string(), code.name(), code.title());
    }
    text
}
