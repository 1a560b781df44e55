//! `cambio openbao`: making an OpenBao take cambio's tokens.

mod policies;
mod wanted;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use zeroize::Zeroizing;

use super::text::{count, lines_shown};
use super::{Answer, CliError, pretty, print, runtime};
use crate::config::Config;
use crate::secrets::openbao::OpenBaoSettings;
use crate::secrets::openbao::setup::{Found, LoginToken, Operator, Plan, Setup};
use crate::state::read_private_file;

/// The longest file with a token or with certificates, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
const MAX_CERTIFICATES: u64 = 1024 * 1024;

/// Make an OpenBao take cambio's tokens.
#[derive(Debug, Args)]
pub(super) struct OpenBao {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(Box<SetupCommand>),
}

/// Print what an OpenBao needs so that it takes cambio's tokens, or bring it about.
#[derive(Debug, Args)]
#[command(
    name = "setup",
    after_help = "What is needed follows from the configuration: in each namespace whose targets read from the OpenBao, the KV
mount, a JWT mount that trusts cambio's issuer, and a role that gives a login the policies of the token that it came with.
Without `--apply` nothing is asked and nothing is changed. With it, what is there is looked at first, and said; what is as
it should be stays, and a mount of another type is never replaced.

Exit codes: 0 done, or nothing to do; 2 it could not be done.

Examples:
  cambio openbao setup --config cambio.yaml                      a script of `bao` commands, to read and run
  cambio openbao setup --config cambio.yaml --output json        the calls of the API
  cambio openbao setup --apply --token-file operator-token --dry-run
  cambio openbao setup --apply --token-file operator-token --policies policies"
)]
struct SetupCommand {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "cambio.yaml")]
    config: PathBuf,
    /// Which of `secrets.openbao`, where there are several.
    #[arg(long, value_name = "NAME")]
    openbao: Option<String>,
    /// Where OpenBao is reached from here; default the `address` of the configuration.
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// A directory with policies to put: `<namespace>/sys/policies/acl/<name>.hcl` or `.json`.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Where OpenBao finds cambio's keys, if not by discovery below the issuer.
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// The certificates (PEM) that OpenBao is to verify cambio by.
    #[arg(long, value_name = "FILE")]
    issuer_ca_file: Option<PathBuf>,
    /// What kind of OpenBao token a login makes.
    #[arg(long, value_enum, default_value_t = Kind::Service)]
    token_type: Kind,
    /// Make the namespaces that are missing.
    #[arg(long)]
    create_namespaces: bool,
    /// What is printed without `--apply`.
    #[arg(long, value_enum, default_value_t = Output::Script, conflicts_with = "apply")]
    output: Output,
    /// Do it, with an operator's token.
    #[arg(long, requires = "token_file")]
    apply: bool,
    /// The file with the operator's token, for nobody else to read.
    #[arg(long, value_name = "FILE", requires = "apply")]
    token_file: Option<PathBuf>,
    /// Look, and say what would be done.
    #[arg(long, requires = "apply")]
    dry_run: bool,
    /// With `--apply`, print a JSON document.
    #[arg(long, requires = "apply")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Script,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Stored and revocable.
    Service,
    /// Self-contained: nothing is written for a login, and it can't be revoked.
    Batch,
}

impl OpenBao {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::Setup(setup) => setup.run(),
        }
    }
}

impl SetupCommand {
    fn run(self) -> Answer {
        let config = Config::load(&self.config).map_err(CliError::new)?;
        let mut settings = self.settings(&config)?;
        if let Some(address) = &self.address {
            settings.address.clone_from(address);
        }
        let plan = self.wanted(&config, &settings)?.plan(&settings).map_err(CliError::new)?;
        match &self.token_file {
            Some(file) => self.apply(&plan, &settings, file),
            None if self.output == Output::Json => print(&pretty(&plan.to_json())).map(|()| ExitCode::SUCCESS),
            None => print(&plan.script(&settings.address)).map(|()| ExitCode::SUCCESS),
        }
    }

    fn settings(&self, config: &Config) -> Result<OpenBaoSettings, CliError> {
        let all = &config.secrets.openbao;
        let found = match &self.openbao {
            Some(name) => all.iter().find(|one| one.name == *name),
            None => all.first().filter(|_| all.len() == 1),
        };
        found.cloned().ok_or_else(|| {
            let names = all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
            CliError::new(match (all.is_empty(), &self.openbao) {
                (true, _) => format!("`{}` names no OpenBao: add one under `secrets.openbao`", self.config.display()),
                (false, Some(name)) => format!("`secrets.openbao` has no `{name}`; it has {names}"),
                (false, None) => format!("`secrets.openbao` has several; name one by `--openbao`: {names}"),
            })
        })
    }

    fn wanted(&self, config: &Config, settings: &OpenBaoSettings) -> Result<Setup, CliError> {
        let mut namespaces = wanted::namespaces(config, &settings.name)?;
        if let Some(directory) = &self.policies {
            policies::add(directory, &mut namespaces)?;
        }
        let ca_pem = self.issuer_ca_file.as_deref().map(certificates).transpose()?;
        Ok(Setup {
            issuer: config.issuer.as_str().to_owned(),
            jwks_url: self.jwks_url.clone(),
            ca_pem,
            algorithms: wanted::algorithms(config)?,
            token: match self.token_type {
                Kind::Service => LoginToken::Service,
                Kind::Batch => LoginToken::Batch,
            },
            create_namespaces: self.create_namespaces,
            namespaces,
        })
    }

    fn apply(&self, plan: &Plan, settings: &OpenBaoSettings, token_file: &Path) -> Answer {
        let operator = Operator::new(settings, token(token_file)?).map_err(CliError::new)?;
        let runtime = runtime()?;
        let found = runtime.block_on(operator.look_at(plan)).map_err(CliError::new)?;
        // What will be done is said before it is.
        if !self.json {
            print(&told(plan, &found))?;
        }
        let taken = found.iter().filter(|found| matches!(found, Found::Taken(_))).count();
        if taken > 0 {
            let things = count(taken, "thing is", "things are");
            return Err(CliError::new(format!("{things} in the way; nothing was changed")));
        }
        let changes = found.iter().filter(|found| **found != Found::AsWanted).count();
        if !self.dry_run && changes > 0 {
            runtime.block_on(operator.apply(plan)).map_err(CliError::new)?;
        }
        let end = match (changes, self.dry_run) {
            (0, _) => "nothing to do\n".to_owned(),
            (changes, true) => format!("{} to make; nothing was changed\n", count(changes, "change", "changes")),
            (changes, false) => format!("{} made\n", count(changes, "change", "changes")),
        };
        print(&if self.json { to_json(plan, &found, self.dry_run) } else { end })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A line for each step: `+` is missing, `~` differs, `!` is in the way, `=` is as it should be.
fn told(plan: &Plan, found: &[Found]) -> String {
    let mut text = String::new();
    for (step, found) in plan.steps().iter().zip(found) {
        let title = step.title();
        let _ = match found {
            Found::AsWanted => writeln!(text, "= {title}"),
            Found::Missing => writeln!(text, "+ {title}"),
            Found::Differs(members) => writeln!(text, "~ {title}: {}", members.join(", ")),
            Found::Taken(why) => writeln!(text, "! {title}: {why}"),
        };
    }
    lines_shown(&text)
}

fn to_json(plan: &Plan, found: &[Found], dry_run: bool) -> String {
    let step = |(step, found): (&crate::secrets::openbao::setup::Step, &Found)| {
        let (state, members) = match found {
            Found::AsWanted => ("as_wanted", vec![]),
            Found::Missing => ("missing", vec![]),
            Found::Differs(members) => ("differs", members.clone()),
            Found::Taken(_) => ("taken", vec![]),
        };
        json!({"namespace": step.namespace, "path": step.path, "found": state, "members": members})
    };
    let steps: Vec<_> = plan.steps().iter().zip(found).map(step).collect();
    let changed = !dry_run && found.iter().any(|found| *found != Found::AsWanted);
    pretty(&json!({"steps": steps, "changed": changed}))
}

fn token(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let bytes = read_private_file(path, MAX_TOKEN, 0o640).map_err(CliError::new)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(CliError::new(format!("`{}` holds no token", path.display())));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn certificates(path: &Path) -> Result<String, CliError> {
    let failed = |error: std::io::Error| CliError::new(format!("cannot read `{}`: {error}", path.display()));
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_CERTIFICATES {
        return Err(CliError::new(format!("`{}` is larger than 1 MiB", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    if !text.contains("-----BEGIN CERTIFICATE-----") || text.contains("PRIVATE KEY") {
        let path = path.display();
        return Err(CliError::new(format!(
            "`{path}` has to hold certificates (PEM), and no private key: it goes to OpenBao"
        )));
    }
    Ok(text)
}
