//! `cambio schema`: JSON Schemas for editors.
//!
//! Decides nothing: the schemas are files of `schemas/`, written by hand because they are documentation, and held to what
//! the parsers take and refuse by tests.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Answer, print};

/// Print the JSON Schema of a kind of file, for editors.
#[derive(Debug, Args)]
#[command(after_help = "An editor that speaks the YAML language server's protocol finds it by the file's first line:
  # yaml-language-server: $schema=../schemas/policy.schema.json

Examples:
  cambio schema policy > schemas/policy.schema.json
  cambio schema config > schemas/config.schema.json")]
pub(super) struct Schema {
    /// Of which files.
    #[arg(value_enum)]
    of: Kind,
}

/// The kinds of files.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Policy files.
    Policy,
    /// The cases beside a role of OpenBao's.
    Cases,
    /// The configuration.
    Config,
}

impl Schema {
    pub(super) fn run(self) -> Answer {
        print(match self.of {
            Kind::Policy => include_str!("../../schemas/policy.schema.json"),
            Kind::Cases => include_str!("../../schemas/cases.schema.json"),
            Kind::Config => include_str!("../../schemas/config.schema.json"),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
