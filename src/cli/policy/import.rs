//! `cambio policy import`: an OpenBao role as a policy of cambio's own.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::super::{Answer, CliError, NO, print};
use crate::config::Config;
use crate::identity::{IssuerName, TargetName};
use crate::policy::{Catalog, Imported, RoleFiles, RolePath, Severity, import_role};
use crate::trust::Platforms;

/// Write the policy that says what an OpenBao role says, and tell what it can't say.
#[derive(Debug, Args)]
#[command(
    after_help = "The policy goes to standard output, what there is to say about it to standard error. The role's own cases come
with it, and are run.

Exit codes: 0 the policy says all that the role says, 1 something is missing or the check finds an error, 2 nothing was
written.

Examples:
  cambio policy import policies/group_1/auth/pipeline_jwt/cel/role/all.json --config cambio.yaml > policies/all.yaml
  cambio policy import bao/auth/jwt/cel/role/ci.json --root bao --issuer gitlab --target ci"
)]
pub(super) struct Import {
    /// The role's document, at its path in OpenBao's API, with the mount's `config.json` in its place.
    #[arg(value_name = "ROLE.json")]
    role: PathBuf,
    /// The directory that the role's path in the API counts from; default the nearest one named `policies`, else where the
    /// path begins.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The configuration, whose issuer with the mount's `bound_issuer` the policy is for.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The issuer that the policy is for, and its platform; a name alone is that of a platform too, where one has it.
    #[arg(long, value_name = "NAME[=PLATFORM]", conflicts_with = "config", required_unless_present = "config")]
    issuer: Option<String>,
    /// The policy's target; default the role's name.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

impl Import {
    pub(super) fn run(self) -> Answer {
        let (root, file) = self.place()?;
        let read = |path: &Path| {
            let text = fs::read_to_string(root.join(path));
            text.map_err(|error| CliError::new(format!("cannot read `{}`: {error}", root.join(path).display())))
        };
        let path = RolePath::parse(&file).map_err(|error| {
            let want = "<namespace>/auth/<mount>/cel/role/<name>.json";
            CliError::new(format!("`{file}` is no role's path: {error}\n  a role stands at `{want}`; see --root"))
        })?;
        let config = read(Path::new(&path.config_file(&file)))?;
        let cases = path.cases_file(&file);
        let cases = root.join(&cases).exists().then(|| read(Path::new(&cases))).transpose()?;
        let (issuer, catalog) = self.issuer(&config)?;
        let target = self.target.as_deref().unwrap_or(path.role());
        let target = TargetName::new(target).map_err(|error| CliError::new(format!("`--target {target}`: {error}")))?;
        let role = read(Path::new(&file))?;
        let files = RoleFiles { file: &file, role: &role, config: &config, cases: cases.as_deref() };
        let imported = import_role(files, &target, &issuer, &catalog).map_err(CliError::new)?;
        print(&imported.policy)?;
        tell(&imported);
        Ok(if imported.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }

    /// The directory that the role's path counts from, and the path, with `/`.
    fn place(&self) -> Result<(PathBuf, String), CliError> {
        let parts: Vec<Component<'_>> = self.role.components().collect();
        let root: PathBuf = match &self.root {
            Some(root) => root.clone(),
            None => {
                let named = parts.iter().rposition(|part| part.as_os_str() == "policies");
                parts.iter().take(named.map_or(0, |at| at + 1)).collect()
            }
        };
        let below = self.role.strip_prefix(&root).map_err(|_| {
            CliError::new(format!("`{}` does not stand below `{}`", self.role.display(), root.display()))
        })?;
        let words = below.components().map(|part| part.as_os_str().to_str());
        let words: Option<Vec<&str>> = words.collect();
        let file = words.ok_or_else(|| CliError::new("the path is not UTF-8"))?.join("/");
        Ok((root, file))
    }

    /// The issuer, and all that may be named.
    fn issuer(&self, config: &str) -> Result<(IssuerName, Catalog), CliError> {
        if let Some(path) = &self.config {
            let catalog = Config::load_without_secrets(path).map_err(CliError::new)?.catalog();
            let document: serde_json::Value = serde_json::from_str(config).map_err(CliError::new)?;
            let url = |key: &str| document.get(key).and_then(serde_json::Value::as_str).filter(|url| !url.is_empty());
            let url = url("bound_issuer").or_else(|| url("oidc_discovery_url"));
            let found = catalog.iter().find(|(_, facts)| url.is_some() && facts.url.as_deref() == url);
            let name = found.map(|(name, _)| name.clone()).ok_or_else(|| {
                CliError::new(format!("no issuer of `{}` has the mount's `bound_issuer` as its `url`", path.display()))
            })?;
            return Ok((name, catalog));
        }
        let text = self.issuer.as_deref().unwrap_or_default();
        let (name, platform) = text.split_once('=').map_or((text, None), |(name, of)| (name, Some(of)));
        let name = IssuerName::new(name).map_err(|error| CliError::new(format!("`--issuer {text}`: {error}")))?;
        let platforms = Platforms::embedded();
        let mut catalog = Catalog::default();
        match platform.map(|platform| (platform, platforms.find(platform))) {
            Some((platform, None)) => {
                return Err(CliError::new(format!("`--issuer {text}`: no platform `{platform}`")));
            }
            Some((_, found)) => catalog.add(name.clone(), found),
            None => catalog.add_guessing(name.clone(), &platforms),
        }
        Ok((name, catalog))
    }
}

/// Tells what there is to say, to standard error.
fn tell(imported: &Imported) {
    for missing in &imported.missing {
        eprintln!("missing: {missing}");
    }
    for note in &imported.notes {
        eprintln!("note: {note}");
    }
    for finding in &imported.findings {
        let (severity, line) = (finding.severity, finding.place.line);
        eprintln!("{severity}[{}]: line {line} of the policy: {}", finding.code, finding.message);
        if let Some(help) = finding.help.as_ref().filter(|_| severity == Severity::Error) {
            eprintln!("  {help}");
        }
    }
}
