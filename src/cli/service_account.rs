//! `cambio service-account`: accounts and their tokens, over the administration of a server or, with `--local`, in the store.

mod args;
mod local;
mod registry;
mod table;
mod token;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::{LoginArgs, ServerArgs, Session, Stop};
use super::{Answer, pretty, print, runtime};
use crate::clock::Clock;
use args::{EndArgs, GrantArgs};
pub(super) use registry::{BASE, Registry};
use table::{account, accounts};
pub(super) use table::{cell, table};

/// Manage service accounts and their tokens.
#[derive(Debug, Args)]
#[command(
    after_help = "The token of an administrator is found as for `cambio secret`: CAMBIO_SECRETS_TOKEN, `--secrets-token-file`, or an exchange
for `--target`. With `--local` no server is asked: over SQLite it must be stopped, over PostgreSQL it may run.

Examples:
  cambio service-account create group_1/reports --owner team-a@example.com --description 'nightly reports' \\
    --permission 'secret/reports/*' --expires-in 90d
  cambio service-account token issue group_1/reports --name cron --expires-in 30d > token
  cambio service-account token find < leaked.txt
  cambio service-account create @root/first --local --config cambio.yaml --policy cambio/admin ..."
)]
pub(super) struct ServiceAccount {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an account.
    Create(Create),
    /// List accounts, a page at a time.
    List(List),
    /// Show an account.
    Show(One),
    /// Change an account; what is not said stays.
    Update(Update),
    /// Switch an account off: nobody acts as it from now on, and what was minted for it ends.
    Disable(One),
    /// Switch an account on again.
    Enable(One),
    /// Remove an account and its tokens.
    Delete(One),
    /// Approve what an account shall be able to do; another person asked for it.
    Approve(Approve),
    /// Make, list, rotate, revoke and find tokens.
    Token(token::Token),
}

/// Where accounts are, and how the answer is printed.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Where cambio is, e.g. https://cambio.example.com.
    #[arg(long, env = "CAMBIO_URL")]
    url: Option<String>,
    /// The only certificates (PEM) to verify cambio by; else those of the machine.
    #[arg(long, value_name = "FILE", env = "CAMBIO_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Send tokens over plain HTTP, also to another machine. For tests: everybody in between can read them.
    #[arg(long)]
    insecure_http: bool,
    #[command(flatten)]
    login: LoginArgs,
    /// A file with a token for the administration that is there already, or `-`: nothing is exchanged then. Or
    /// CAMBIO_SECRETS_TOKEN.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_file", "token_env"])]
    secrets_token_file: Option<PathBuf>,
    /// Say on standard error where the token came from, and the decision's id.
    #[arg(long, short)]
    verbose: bool,
    /// Change the store itself, without a server: for the first account, and when no token is left.
    #[arg(long)]
    local: bool,
    /// The configuration file that names the store, for `--local`.
    #[arg(long, short, value_name = "FILE", default_value = "cambio.yaml")]
    config: PathBuf,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
    #[arg(skip)]
    server: OnceCell<ServerArgs>,
}

#[derive(Debug, Args)]
struct Create {
    /// NAMESPACE/NAME; `@root/NAME` in the root namespace.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Who answers for it.
    #[arg(long)]
    owner: String,
    /// What it is for.
    #[arg(long)]
    description: String,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    end: EndArgs,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct List {
    /// Accounts of that namespace only; `@root` for the root.
    #[arg(long = "in", value_name = "NAMESPACE")]
    within: Option<String>,
    /// Those whose permissions wait for approval only.
    #[arg(long)]
    pending: bool,
    /// Where the page before ended.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct One {
    /// NAMESPACE/NAME, or the account's id.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Approve {
    /// NAMESPACE/NAME, or the account's id.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// The revision that you looked at, as `show` prints it.
    #[arg(long)]
    revision: u64,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Update {
    /// NAMESPACE/NAME, or the account's id.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Who answers for it.
    #[arg(long)]
    owner: Option<String>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    end: EndArgs,
    #[command(flatten)]
    place: Place,
}

impl ServiceAccount {
    pub(super) fn run(self) -> Answer {
        let outcome = runtime()?.block_on(async move {
            match self.command {
                Command::Create(create) => create.run().await,
                Command::List(list) => list.run().await,
                Command::Show(one) => one.run("show").await,
                Command::Update(update) => update.run().await,
                Command::Disable(one) => one.run("disable").await,
                Command::Enable(one) => one.run("enable").await,
                Command::Delete(one) => one.run("delete").await,
                Command::Approve(approve) => approve.run().await,
                Command::Token(token) => token.run().await,
            }
        });
        match outcome {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(stop) => stop.answer(),
        }
    }
}

impl Place {
    pub(super) async fn registry(&self) -> Result<Registry<'_>, Stop> {
        if self.local {
            return Registry::local(&self.config).await;
        }
        let Some(url) = &self.url else {
            let text = "which cambio? `--url` or CAMBIO_URL names a server; `--local` changes the store itself";
            return Err(Stop::Failed(text.to_owned()));
        };
        let server = self.server.get_or_init(|| ServerArgs {
            url: url.clone(),
            namespace: None,
            kubernetes_mount: String::new(),
            ca_file: self.ca_file.clone(),
            insecure_http: self.insecure_http,
        });
        let session = Session::with(server, &self.login, self.secrets_token_file.as_deref(), self.verbose)?;
        Ok(Registry::Remote(Box::new(session)))
    }

    pub(super) fn show(&self, value: &Value, table: impl FnOnce(&Value) -> String) -> Result<(), Stop> {
        let text = if self.json { pretty(value) } else { table(value) };
        Ok(print(&text)?)
    }
}

impl Create {
    async fn run(self) -> Result<(), Stop> {
        let Some((namespace, name)) = self.account.rsplit_once('/') else {
            let text =
                format!("`{0}` has no namespace: NAMESPACE/NAME, or `@root/{0}` in the root namespace", self.account);
            return Err(Stop::Failed(text));
        };
        let body = json!({
            "namespace": namespace,
            "name": name,
            "owner": self.owner,
            "description": self.description,
            "permissions": self.grants.permissions(),
            "policies": self.grants.policies,
            "expires_at": self.end.needed(Clock::System.now())?,
        });
        let made = self.place.registry().await?.create(&body).await?;
        self.place.show(&made, account)
    }
}

impl List {
    async fn run(self) -> Result<(), Stop> {
        let mut registry = self.place.registry().await?;
        let found = registry.list(self.within.as_deref(), self.pending, self.cursor.as_deref()).await?;
        self.place.show(&found, accounts)
    }
}

impl One {
    async fn run(self, verb: &'static str) -> Result<(), Stop> {
        let mut registry = self.place.registry().await?;
        let found = match verb {
            "show" => registry.show(&self.account).await?,
            "disable" => registry.switch(&self.account, true).await?,
            "enable" => registry.switch(&self.account, false).await?,
            _ => registry.delete(&self.account).await?,
        };
        if found.is_null() { Ok(()) } else { self.place.show(&found, account) }
    }
}

impl Approve {
    async fn run(self) -> Result<(), Stop> {
        let made = self.place.registry().await?.approve(&self.account, self.revision).await?;
        self.place.show(&made, account)
    }
}

impl Update {
    async fn run(self) -> Result<(), Stop> {
        let mut body = serde_json::Map::new();
        let mut put = |name: &str, value: Option<Value>| value.map(|value| body.insert(name.to_owned(), value));
        put("owner", self.owner.map(Value::from));
        put("description", self.description.map(Value::from));
        let permissions = self.grants.permissions();
        put("permissions", (!permissions.is_empty()).then(|| permissions.into()));
        put("policies", (!self.grants.policies.is_empty()).then(|| self.grants.policies.clone().into()));
        put("expires_at", self.end.moment(Clock::System.now())?.map(Value::from));
        if body.is_empty() {
            return Err(Stop::Failed(
                "what shall be different? `--owner`, `--permission`, `--expires-in` ..".to_owned(),
            ));
        }
        let made = self.place.registry().await?.update(&self.account, &Value::Object(body)).await?;
        self.place.show(&made, account)
    }
}
