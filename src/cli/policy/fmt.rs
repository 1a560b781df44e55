//! `cambio policy fmt`: policy files in their one layout.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use similar::TextDiff;

use super::super::text::{count, lines_shown};
use super::super::{Answer, CliError, NO, print, private_file};
use crate::policy::{LayoutFault, layout, limits, policy_files};

/// Write policy files in their one layout: order of keys, indentation, empty lines.
#[derive(Debug, Args)]
#[command(
    after_help = "Comments and the text of scalars stay as they are, quotes included, and so does what stands between braces and
brackets. What a file says does not change: it is read again before it is written. A file that can't be kept so is left
alone. Role documents of OpenBao are not touched.

Exit codes: 0 done, or nothing to do; 1 with `--check`, files would change; 2 a file can't be read or laid out.

Examples:
  cambio policy fmt policies
  cambio policy fmt policies/group-pipelines.yaml
  cambio policy fmt --check policies                     shows what would change, for a pipeline"
)]
pub(super) struct Fmt {
    /// The directory of policy files, or one file.
    #[arg(value_name = "PATH", default_value = "policies")]
    path: PathBuf,
    /// Write nothing, and show what would change.
    #[arg(long)]
    check: bool,
}

impl Fmt {
    pub(super) fn run(self) -> Answer {
        let files = files(&self.path)?;
        let mut changed = Vec::new();
        let mut faults = Vec::new();
        for file in &files {
            match Laid::read(file) {
                Ok(laid) if laid.before != laid.after => changed.push(laid),
                Ok(_) => {}
                Err(fault) => faults.push(fault.to_string()),
            }
        }
        // Nothing is written where one file could not be: what is left to do is then easy to see.
        if !faults.is_empty() {
            return Err(CliError::new(faults.join("\n")));
        }
        let number = count(changed.len(), "file", "files");
        if self.check {
            let diffs: String = changed.iter().map(Laid::diff).collect();
            let of = count(files.len(), "file", "files");
            print(&format!("{diffs}{number} of {of} would change\n"))?;
            return Ok(if changed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NO) });
        }
        for laid in &changed {
            private_file::rewrite(laid.path, laid.after.as_bytes())?;
        }
        print(&format!("{number} of {} written\n", files.len()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A file before and after.
struct Laid<'p> {
    path: &'p Path,
    before: String,
    after: String,
}

impl<'p> Laid<'p> {
    fn read(path: &'p Path) -> Result<Self, CliError> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| CliError::new(format!("cannot read `{shown}`: {error}"));
        if path.metadata().map_err(unreadable)?.len() > limits::FILE_BYTES as u64 {
            return Err(CliError::new(format!("`{shown}` has more than {} bytes", limits::FILE_BYTES)));
        }
        let before = std::fs::read_to_string(path).map_err(unreadable)?;
        let after = layout(&before).map_err(|fault| match &fault {
            LayoutFault::Shape { place, .. } if place.line > 0 => {
                CliError::new(format!("{shown}:{}:{}: {fault}", place.line, place.column))
            }
            _ => CliError::new(format!("{shown}: {fault}")),
        })?;
        Ok(Self { path, before, after })
    }

    fn diff(&self) -> String {
        let name = self.path.display().to_string();
        let diff = TextDiff::from_lines(&self.before, &self.after);
        lines_shown(&diff.unified_diff().context_radius(2).header(&name, &name).to_string())
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let found = path.metadata().map_err(|error| CliError::new(format!("cannot read `{}`: {error}", path.display())))?;
    if !found.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let names = policy_files(path).map_err(CliError::new)?;
    if names.is_empty() {
        return Err(CliError::new(format!("there is no policy file below `{}`", path.display())));
    }
    Ok(names.iter().map(|name| path.join(name)).collect())
}
