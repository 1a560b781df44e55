//! `cambio doctor`: whether everything that the counter rests on is in order, and what to do where it is not.

mod certificate;
mod files;
mod finding;
mod issuers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::text::count;
use super::{Answer, CliError, NO, pretty, print, runtime};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::policy::PolicySet;
use finding::{Finding, Level, to_json, told};

/// Look at everything that the counter rests on: issuers and their keys, clocks, files, certificate, policies.
#[derive(Debug, Args)]
#[command(
    after_help = "Changes nothing, and needs no running counter. Run it as the user that the counter runs as, on its machine.

Exit codes: 0 all is well, or there are only warnings; 1 something is wrong; 2 the configuration could not be read.

Examples:
  cambio doctor --config cambio.yaml
  cambio doctor --config cambio.yaml --json | jq '.findings[] | select(.level != \"ok\")'"
)]
pub(super) struct Doctor {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "cambio.yaml")]
    config: PathBuf,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(self) -> Answer {
        let findings = match Config::load(&self.config) {
            Ok(config) => {
                let mut findings = vec![Finding::ok("config", format!("`{}` is in order", self.config.display()))];
                findings.extend(files::writable_by_others("config", &self.config));
                runtime()?.block_on(examine(&config, &mut findings));
                findings
            }
            Err(error) if is_unreadable(&error) => return Err(CliError::new(error)),
            Err(error) => vec![Finding::wrong("config", error, "correct the file; nothing else was looked at")],
        };
        let wrong = findings.iter().filter(|finding| finding.level == Level::Wrong).count();
        let warnings = findings.iter().filter(|finding| finding.level == Level::Warning).count();
        if self.json {
            print(&pretty(&to_json(&findings)))?;
        } else {
            let end = match (wrong, warnings) {
                (0, 0) => "all is well".to_owned(),
                (0, warnings) => format!("nothing is wrong; {}", count(warnings, "warning", "warnings")),
                (wrong, 0) => format!("{} wrong", count(wrong, "thing is", "things are")),
                (wrong, warnings) => {
                    format!(
                        "{} wrong; {}",
                        count(wrong, "thing is", "things are"),
                        count(warnings, "warning", "warnings")
                    )
                }
            };
            print(&format!("{}\n{end}\n", told(&findings)))?;
        }
        Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }
}

fn is_unreadable(error: &ConfigError) -> bool {
    match error {
        ConfigError::Unreadable(..) => true,
        ConfigError::InFile(_, inner) => is_unreadable(inner),
        _ => false,
    }
}

async fn examine(config: &Config, findings: &mut Vec<Finding>) {
    let clock = Clock::System;
    findings.extend(files::data(config, clock.now()));
    findings.extend(files::tls(config, clock.now()));
    findings.extend(policies(config));
    findings.extend(issuers::settings(config));
    findings.extend(issuers::keys(config, &clock).await);
}

fn policies(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<Finding> = files::writable_by_others("policies", &config.policies).into_iter().collect();
    let set = match PolicySet::load(&config.policies, &config.catalog()) {
        Ok(set) => set,
        Err(errors) => {
            let fix = "`cambio policy test --config cambio.yaml` shows each case";
            findings.push(Finding::wrong("policies", errors, fix));
            return findings;
        }
    };
    match set.targets().len() {
        0 => {
            let text =
                format!("there is no policy file below `{}`: every request is refused", config.policies.display());
            findings.push(Finding::warning("policies", text, "README has a first policy to start from"));
        }
        targets => {
            let text = format!("{}, all cases as expected", count(targets, "target", "targets"));
            findings.push(Finding::ok("policies", text));
        }
    }
    if let Some(target) = config.default_target.as_ref().filter(|target| set.target(target.as_str()).is_none()) {
        let fix = "correct `default_target`, or add its policy file";
        findings.push(Finding::wrong("policies", format!("the default target `{target}` does not exist"), fix));
    }
    for issuer in config.issuers.iter() {
        if set.targets().iter().all(|target| target.issuers().all(|name| name != issuer.name())) {
            let text = "no rule is for this issuer: all its tokens are refused";
            let part = format!("issuer {}", issuer.name());
            findings.push(Finding::warning(&part, text, "add a rule, or remove the issuer"));
        }
    }
    findings
}
