//! The client's side: from this workload's token to a secret's value. Decides when a token is asked for anew, and says why
//! nothing came of it without any value in the text. Refuses to know what becomes of a value.
//!
//! ```text
//! platform's token --(Ask)--> cambio's token --(Server)--> SecretValue --> one field
//!                 Session: one token, renewed at two thirds of its life; mounts, looked up once
//! ```

mod answer;
mod api;
mod ask;
mod kv;
mod pace;
mod place;
mod readings;
mod server;
mod value;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use zeroize::Zeroizing;

use super::text::lines_shown;
use super::token_search::TokenArgs;
use super::{Answer, CliError, FAILED, NO, environment, token_text};
use crate::clock::{Clock, Timestamp};
use crate::secrets::reference::Reference;
pub(super) use answer::{Granted, refused};
pub(super) use ask::{Ask, Asked, span};
use kv::Mount;
pub(super) use kv::Writing;
pub(super) use pace::{Backoff, jittered};
pub(super) use place::Place;
pub(super) use readings::Readings;
use server::Server;
pub(super) use value::SecretValue;

/// Variables that hold a token for cambio, or of cambio's: no program that is started by us inherits them.
pub(super) const OWN_VARIABLES: [&str; 3] = ["CAMBIO_TOKEN", "CAMBIO_TOKEN_FILE", "CAMBIO_SECRETS_TOKEN"];
/// The variable with a secrets token that is there already.
const SECRETS_TOKEN: &str = "CAMBIO_SECRETS_TOKEN";
/// How often a request is tried again while the server is busy.
const RETRIES: u8 = 3;

/// Why a command ends without what was asked for. The text names places, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    /// Refused, or not there: exit code 1.
    #[error("{0}")]
    No(String),
    /// It could not be asked: exit code 2.
    #[error("{0}")]
    Failed(String),
}

impl From<CliError> for Stop {
    fn from(error: CliError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Stop {
    /// The end of the command.
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::No(text) => {
                warn(&text);
                Ok(std::process::ExitCode::from(NO))
            }
            Self::Failed(text) => Err(CliError(text)),
        }
    }

    /// The exit code that it stands for.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::No(_) => NO,
            Self::Failed(_) => FAILED,
        }
    }

    /// The same, said of `what`.
    pub(super) fn of(self, what: &str) -> Self {
        match self {
            Self::No(text) => Self::No(format!("{what}: {text}")),
            Self::Failed(text) => Self::Failed(format!("{what}: {text}")),
        }
    }
}

/// Says something on standard error, where others' words may be in it.
pub(super) fn warn(text: &str) {
    eprintln!("cambio: {}", lines_shown(&token_text::struck(text)));
}

/// Where cambio is.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// Where cambio is, e.g. https://cambio.example.com.
    #[arg(long, env = "CAMBIO_URL")]
    pub(super) url: String,
    /// The namespace to read in; default the token's own.
    #[arg(long, value_name = "NAME", env = "CAMBIO_NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// The mount of cambio's Kubernetes store, where `k8s://` references lead.
    #[arg(long, value_name = "MOUNT", env = "CAMBIO_KUBERNETES_MOUNT", default_value = "kubernetes")]
    pub(super) kubernetes_mount: String,
    /// The only certificates (PEM) to verify cambio by; else those of the machine.
    #[arg(long, value_name = "FILE", env = "CAMBIO_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Send tokens over plain HTTP, also to another machine. For tests: everybody in between can read them.
    #[arg(long)]
    pub(super) insecure_http: bool,
}

/// Which token is handed over, and for what.
#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// What the secrets token is asked for: a target of cambio's policies.
    #[arg(long, value_name = "NAME", env = "CAMBIO_TARGET")]
    pub(super) target: Option<String>,
    #[command(flatten)]
    pub(super) token: TokenArgs,
    /// The audience to ask the platform's token for, where it is asked for; default the URL of cambio.
    #[arg(long, value_name = "AUDIENCE", env = "CAMBIO_AUDIENCE")]
    pub(super) audience: Option<String>,
    /// The trusted issuer's name, where several share one issuer string.
    #[arg(long, value_name = "NAME")]
    pub(super) subject_issuer: Option<String>,
    /// How long the secrets token should live, e.g. `5m`; cambio gives this or less.
    #[arg(long, value_name = "SPAN")]
    pub(super) lifetime: Option<String>,
}

/// Where cambio is, and how its token is come by.
#[derive(Debug, Args)]
pub(super) struct SessionArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) login: LoginArgs,
    /// A file with a secrets token that is there already, or `-`: nothing is exchanged then. Or CAMBIO_SECRETS_TOKEN.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_file", "token_env"])]
    pub(super) secrets_token_file: Option<PathBuf>,
    /// Say on standard error where the token came from, and the decision's id.
    #[arg(long, short)]
    pub(super) verbose: bool,
}

impl SessionArgs {
    /// A session that has asked for nothing yet, but for the token that is there already.
    pub(super) fn session(&self) -> Result<Session<'_>, CliError> {
        Session::with(&self.server, &self.login, self.secrets_token_file.as_deref(), self.verbose)
    }
}

/// A server, and a token for it.
pub(super) struct Session<'a> {
    server: Server,
    args: &'a ServerArgs,
    /// How a token is come by; none where the one that is there is all there is.
    login: Option<&'a LoginArgs>,
    token: Option<Token>,
    mounts: Vec<Mount>,
    retries: u8,
    verbose: bool,
}

struct Token {
    secret: Zeroizing<String>,
    /// Two thirds of its life, less a bit of chance: a thousand pods that started together don't renew together.
    renew_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    lifetime: Option<Duration>,
}

impl<'a> Session<'a> {
    /// A session that has asked for nothing yet.
    pub(super) fn new(args: &'a ServerArgs, login: Option<&'a LoginArgs>, verbose: bool) -> Result<Self, CliError> {
        let server = Server::new(args, RETRIES)?;
        Ok(Self { server, args, login, token: None, mounts: Vec::new(), retries: RETRIES, verbose })
    }

    /// The same, with the token that is there already, in a file or in the environment, if there is one.
    pub(super) fn with(
        args: &'a ServerArgs,
        login: &'a LoginArgs,
        secrets_token_file: Option<&Path>,
        verbose: bool,
    ) -> Result<Self, CliError> {
        let given = match secrets_token_file {
            Some(file) => Some(token_text::read(file)?),
            None => match environment::variable(SECRETS_TOKEN).map(Zeroizing::new) {
                Some(text) => Some(token_text::one(&text, &format!("the variable `{SECRETS_TOKEN}`"))?),
                None => None,
            },
        };
        let mut session = Self::new(args, given.is_none().then_some(login), verbose)?;
        session.token = given.map(|secret| Token { secret, renew_at: None, expires_at: None, lifetime: None });
        Ok(session)
    }

    /// The same, which leaves trying again to whoever asks.
    pub(super) fn without_retries(mut self) -> Self {
        self.retries = 0;
        self.server.retries = 0;
        self
    }

    /// Where a path or a reference leads here.
    pub(super) fn place(&self, text: &str) -> Result<Place, CliError> {
        Place::parse(text, &self.args.kubernetes_mount)
    }

    /// Where a reference leads here.
    pub(super) fn place_of(&self, reference: &Reference) -> Result<Place, CliError> {
        Place::of(reference, &self.args.kubernetes_mount)
    }

    /// Whether there is a token that has not ended.
    pub(super) fn has_good_token(&self) -> bool {
        let now = Clock::System.now();
        self.token.as_ref().is_some_and(|token| token.expires_at.is_none_or(|end| now < end))
    }

    /// A token that is good: the one from before, unless it has ended.
    pub(super) async fn token(&mut self) -> Result<Zeroizing<String>, Stop> {
        match &self.token {
            Some(token) if self.has_good_token() => Ok(token.secret.clone()),
            _ => self.exchange().await,
        }
    }

    /// Exchanges anew where two thirds of the token's life are over. When that fails, the token from before stays.
    pub(super) async fn renew_when_due(&mut self) -> Result<(), Stop> {
        let now = Clock::System.now();
        let due = self.token.as_ref().is_none_or(|token| token.renew_at.is_some_and(|at| at <= now));
        if due { self.exchange().await.map(drop) } else { Ok(()) }
    }

    /// How long until the token is to be renewed; none where that is not known.
    pub(super) fn until_renewal(&self) -> Option<Duration> {
        let token = self.token.as_ref()?;
        Some(token.renew_at?.since(Clock::System.now()))
    }

    /// How long the token lives in all; none where that is not known.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        self.token.as_ref()?.lifetime
    }

    async fn exchange(&mut self) -> Result<Zeroizing<String>, Stop> {
        let Some(login) = self.login else {
            return Err(Stop::No("the secrets token that was given is not good any more".to_owned()));
        };
        let Some(target) = login.target.as_deref() else {
            return Err(Stop::Failed("what is the token for? Name a target: `--target`, or CAMBIO_TARGET".to_owned()));
        };
        let ask = Ask {
            url: &self.args.url,
            target,
            token: &login.token,
            audience: login.audience.as_deref(),
            scope: &[],
            subject_issuer: login.subject_issuer.as_deref(),
            lifetime: login.lifetime.as_deref(),
            ca_file: self.args.ca_file.as_deref(),
            insecure_http: self.args.insecure_http,
            retries: self.retries,
            verbose: self.verbose,
        };
        let began = Clock::System.now();
        let Asked { found, reply } = ask.run().await?;
        if reply.status != 200 {
            return Err(refused(&reply, &found, target));
        }
        let granted = Granted::read(&reply)?;
        if self.verbose {
            eprintln!("cambio: {granted}");
        }
        let lifetime = granted.lifetime();
        let secret = granted.token.clone();
        self.token = Some(Token {
            secret: secret.clone(),
            renew_at: lifetime.map(|life| began.plus(jittered(life * 2 / 3))),
            expires_at: lifetime.map(|life| began.plus(life)),
            lifetime,
        });
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_says_of_what_and_keeps_its_exit_code() {
        let no = Stop::No("not there".to_owned()).of("DB_PASSWORD");
        assert_eq!((no.to_string().as_str(), no.code()), ("DB_PASSWORD: not there", NO));
        let failed = Stop::from(CliError::new("no connection")).of("DB_PASSWORD");
        assert_eq!((failed.to_string().as_str(), failed.code()), ("DB_PASSWORD: no connection", FAILED));
    }
}
