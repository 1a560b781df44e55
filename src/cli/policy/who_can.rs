//! `cambio policy who-can`: every rule that leads to a policy, and what has to hold for it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::text::{count, shown};
use super::super::{Answer, CliError, NO, pretty, print};
use super::eval::built;
use super::files::Files;
use crate::policy::Way;

/// List who can get a policy: targets, rules, issuers and conditions, with an example of claims that are granted it.
#[derive(Debug, Args)]
#[command(
    after_help = "The name may be a glob: `*` is any run without `/`, `**` any run, `?` one character. Names that a rule computes are found by their
literal parts; the hex of an environment is read back. An example is shown only if the policies, asked about it, grant the name.
Exit codes: 0 somebody can, 1 nobody, 2 the policies could not be read.
Examples:
  cambio policy who-can pipelines/protected/global
  cambio policy who-can 'deploy/**' policies --json
  cambio policy who-can pipelines/protected/env/70726f64756374696f6e --config cambio.yaml"
)]
pub(super) struct WhoCan {
    /// The policy's name, or a glob.
    #[arg(value_name = "NAME")]
    name: String,
    /// The directory of policy files, or one file; default that of the configuration, else `policies`.
    #[arg(value_name = "DIR")]
    path: Option<PathBuf>,
    /// The configuration, for its issuers and its directory.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

impl WhoCan {
    pub(super) fn run(self) -> Answer {
        let name = self.name.trim();
        if name.is_empty() || name.len() > 640 {
            return Err(CliError::new(
                "name a policy of 1 to 640 bytes, such as `pipelines/protected/global`, or a glob",
            ));
        }
        let found = Files::of(self.path.clone(), self.config.clone()).find()?;
        let catalog = found.catalog()?;
        let rehearsal = found.rehearse()?;
        if built(&rehearsal)?.targets().is_empty() {
            return Err(CliError::new(format!("there is no policy below `{}`", found.shown.display())));
        }
        let mut ways = rehearsal.who_can(name, &catalog);
        ways.retain(|way| found.only.as_deref().is_none_or(|only| only == &*way.file));
        let text = if self.json { json(name, &ways) } else { told(name, &ways) };
        print(&text)?;
        Ok(if ways.is_empty() { ExitCode::from(NO) } else { ExitCode::SUCCESS })
    }
}

fn told(name: &str, ways: &[Way]) -> String {
    let mut text = String::new();
    for way in ways {
        let issuers: Vec<&str> = way.issuers.iter().map(|issuer| issuer.as_str()).collect();
        let _ = writeln!(text, "target {}, rule {}  ({}:{})", shown(&way.target), way.rule, way.file, way.place.line);
        let _ = writeln!(text, "  tokens of   {}", issuers.join(", "));
        for entry in &way.grants {
            let _ = writeln!(text, "  by          {}  {}", entry.part, shown(&entry.text));
            if entry.is_computed {
                text.push_str("              the role's policies are computed: only a token shows which they are\n");
            }
            for (part, value) in &entry.bindings {
                let _ = writeln!(
                    text,
                    "    where     {} = {}",
                    shown(part),
                    shown(&Value::from(value.as_str()).to_string())
                );
            }
            for also in &entry.also {
                let _ = writeln!(text, "    if        {}", shown(also));
            }
        }
        let asked = if way.is_role { "question" } else { "require" };
        for (index, condition) in way.conditions.iter().enumerate() {
            let _ = writeln!(text, "  needs       {asked}[{index}]  {}", shown(&condition.text));
            let _ = writeln!(text, "                (else: {})", shown(&condition.message));
        }
        match &way.example {
            None => text.push_str("  example     none was found; that does not say that there is none\n"),
            Some(example) => {
                let claims = Value::Object(example.claims.clone()).to_string();
                let policies: Vec<&str> = example.policies.iter().map(|policy| policy.as_str()).collect();
                // Whole: it is there to be copied.
                let _ = writeln!(text, "  example     a token of {} with {}", example.issuer.as_str(), plain(&claims));
                let _ = writeln!(text, "              is granted {}", shown(&policies.join(", ")));
            }
        }
        text.push('\n');
    }
    let _ = match ways {
        [] => writeln!(text, "no rule can yield `{}`", shown(name)),
        some => writeln!(text, "{} can yield `{}`", count(some.len(), "rule", "rules"), shown(name)),
    };
    text
}

/// JSON has its control characters escaped; what turns the direction of text is left.
fn plain(json: &str) -> String {
    json.chars().map(|c| shown(c.encode_utf8(&mut [0; 4]))).collect()
}

fn json(name: &str, ways: &[Way]) -> String {
    let way = |way: &Way| {
        let grants = way.grants.iter().map(|entry| {
            let bindings: serde_json::Map<String, Value> =
                entry.bindings.iter().map(|(part, value)| (part.clone(), Value::from(value.as_str()))).collect();
            json!({"at": entry.part.to_string(), "text": entry.text, "if": entry.also, "where": bindings, "computed": entry.is_computed})
        });
        let conditions = way.conditions.iter().map(
            |condition| json!({"text": condition.text, "message": &*condition.message, "line": condition.place.line}),
        );
        let example = way.example.as_ref().map(|example| {
            json!({"issuer": example.issuer.as_str(), "claims": example.claims, "policies": example.policies})
        });
        json!({
            "target": way.target, "file": &*way.file, "rule": &*way.rule, "line": way.place.line,
            "issuers": way.issuers.iter().map(|issuer| issuer.as_str()).collect::<Vec<_>>(),
            "grants": grants.collect::<Vec<_>>(), "conditions": conditions.collect::<Vec<_>>(), "example": example, "role": way.is_role,
        })
    };
    pretty(&json!({"name": name, "ways": ways.iter().map(way).collect::<Vec<_>>()}))
}
