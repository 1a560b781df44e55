//! `cambio decisions`: what was decided, from the store of a server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::explain::explained;
use super::service_account::{BASE, cell, table};
use super::session::{SessionArgs, Stop};
use super::{Answer, CliError, pretty, print, runtime};
use crate::audit::Record;
use crate::config::Config;
use crate::trust::Method;

/// See what was decided.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cambio decisions list --outcome denied --from 2026-11-27
  cambio decisions list --token 019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f     every use of a service account's token
  cambio decisions show 019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f")]
pub(super) struct Decisions {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List decisions, newest first, a page at a time.
    List(Box<List>),
    /// Show a decision's record.
    Show(Box<Show>),
    /// Tell why a decision was made, as `cambio explain` does where the journal is.
    Explain(Box<Explain>),
}

#[derive(Debug, Args)]
struct List {
    /// `issued`, `served`, `done`, `denied`, `failed`, `aborted`.
    #[arg(long)]
    outcome: Option<String>,
    /// The trusted issuer's name.
    #[arg(long)]
    issuer: Option<String>,
    /// The subject.
    #[arg(long)]
    subject: Option<String>,
    /// What was asked for; `--target` says what our own token is for.
    #[arg(long = "asked-for", value_name = "TARGET")]
    asked: Option<String>,
    /// The reason's code.
    #[arg(long)]
    reason: Option<String>,
    /// Every use of a service account's token, by its id: of itself, and of what it was exchanged for.
    #[arg(long, value_name = "TOKEN-ID")]
    token: Option<String>,
    /// The first moment (RFC 3339), or day.
    #[arg(long, value_name = "MOMENT")]
    from: Option<String>,
    /// The first moment that counts no more.
    #[arg(long, value_name = "MOMENT")]
    to: Option<String>,
    /// Where the page before ended.
    #[arg(long)]
    cursor: Option<String>,
    /// The most of a page: 1 to 200.
    #[arg(long)]
    limit: Option<String>,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    session: SessionArgs,
}

#[derive(Debug, Args)]
struct Show {
    /// The decision's id.
    #[arg(value_name = "DECISION-ID")]
    id: String,
    #[command(flatten)]
    session: SessionArgs,
}

#[derive(Debug, Args)]
struct Explain {
    /// The decision's id.
    #[arg(value_name = "DECISION-ID")]
    id: String,
    /// The configuration whose policies the rules are walked by; without it the record alone is told.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    session: SessionArgs,
}

impl Decisions {
    pub(super) fn run(self) -> Answer {
        let outcome = runtime()?.block_on(async move {
            match self.command {
                Command::List(list) => list.run().await,
                Command::Show(show) => show.run().await,
                Command::Explain(explain) => explain.run().await,
            }
        });
        match outcome {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(stop) => stop.answer(),
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Stop> {
        let all = [
            ("outcome", &self.outcome),
            ("issuer", &self.issuer),
            ("subject", &self.subject),
            ("target", &self.asked),
            ("reason", &self.reason),
            ("token", &self.token),
            ("from", &self.from),
            ("to", &self.to),
            ("cursor", &self.cursor),
            ("limit", &self.limit),
        ];
        let query: Vec<(&str, &str)> =
            all.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        let path = [BASE.as_slice(), &["decisions"]].concat();
        let page = self.session.session()?.api(Method::Get, &path, &query, None).await?;
        Ok(print(&if self.json { pretty(&page) } else { listed(&page) })?)
    }
}

impl Show {
    async fn run(self) -> Result<(), Stop> {
        let path = [BASE.as_slice(), &["decisions", self.id.as_str()]].concat();
        let found = self.session.session()?.api(Method::Get, &path, &[], None).await?;
        Ok(print(&pretty(&found))?)
    }
}

impl Explain {
    async fn run(self) -> Result<(), Stop> {
        let config = self.config.as_deref().map(Config::load).transpose().map_err(CliError::new)?;
        let path = [BASE.as_slice(), &["decisions", self.id.as_str()]].concat();
        let found = self.session.session()?.api(Method::Get, &path, &[], None).await?;
        let record: Record = serde_json::from_value(found.get("record").cloned().unwrap_or_default())
            .map_err(|_| Stop::Failed("the record is in no form that this version reads".to_owned()))?;
        Ok(print(&explained(&record, config.as_ref(), self.json))?)
    }
}

fn listed(page: &Value) -> String {
    let row = |decision: &Value| {
        let record = &decision["record"];
        let what = if record["path"].is_null() { &record["target"] } else { &record["path"] };
        let what = if record["action"].is_null() { what } else { &record["action"] };
        [
            &record["time"],
            &record["outcome"],
            &record["reason"],
            &record["issuer"],
            &record["subject"],
            what,
            &decision["id"],
        ]
        .map(cell)
        .to_vec()
    };
    table(&["TIME", "OUTCOME", "REASON", "ISSUER", "SUBJECT", "WHAT", "ID"], page, "decisions", row)
}
