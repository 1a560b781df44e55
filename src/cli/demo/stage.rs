//! The directory that a demo plays in: configuration, policies, tokens, data. Gone when the demo ends, unless something
//! went wrong or the user chose the place.

use std::fs;
use std::path::{Path, PathBuf};

use super::wire::quoted;
use crate::cli::CliError;
use crate::jose::{random, sha256};
use crate::state::PrivateDir;

/// The shipped policies, as they are.
const POLICIES: [(&str, &str); 4] = [
    ("github-environment.yaml", include_str!("../../../policies/github-environment.yaml")),
    ("gitlab-group-pipelines-combined.yaml", include_str!("../../../policies/gitlab-group-pipelines-combined.yaml")),
    ("gitlab-group-pipelines.yaml", include_str!("../../../policies/gitlab-group-pipelines.yaml")),
    ("kubernetes-workload.yaml", include_str!("../../../policies/kubernetes-workload.yaml")),
];

/// The shipped access document of the pod's policy, at its place.
const ACL: (&str, &str) = (
    "payments/sys/policies/acl/workloads/payments/api.hcl",
    include_str!("../../../policies/payments/sys/policies/acl/workloads/payments/api.hcl"),
);

/// The file that marks the directory of a demo, which the next demo may use again.
const MARK: &str = ".cambio-demo";

/// The directory.
pub(super) struct Stage {
    directory: PrivateDir,
    temporary: bool,
}

impl Stage {
    /// At `chosen`, which stays, or in a new temporary directory. Nobody else may enter it: tokens lie in there.
    pub(super) fn open(chosen: Option<PathBuf>) -> Result<Self, CliError> {
        let temporary = chosen.is_none();
        let path = match chosen {
            Some(path) => path,
            None => {
                let unique = sha256(&random::<16>().map_err(CliError::new)?).to_string();
                std::env::temp_dir().join(format!("cambio-demo-{}", unique.get(..6).unwrap_or_default()))
            }
        };
        let directory = PrivateDir::open(&path).map_err(CliError::new)?;
        let names = directory.names().map_err(CliError::new)?;
        if !names.is_empty() && !names.iter().any(|name| name == MARK) {
            let path = path.display();
            return Err(CliError::new(format!("`{path}` is neither empty nor of a demo; name a directory of its own")));
        }
        directory.write(MARK, b"").map_err(CliError::new)?;
        Ok(Self { directory, temporary })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file of this user's only; a reader finds the old content or the new.
    pub(super) fn write(&self, name: &str, content: &str) -> Result<PathBuf, CliError> {
        self.directory.write(name, content.as_bytes()).map_err(CliError::new)?;
        Ok(self.join(name))
    }

    pub(super) fn write_policies(&self) -> Result<(), CliError> {
        let directory = PrivateDir::open(&self.join("policies")).map_err(CliError::new)?;
        for (name, text) in POLICIES {
            directory.write(name, text.as_bytes()).map_err(CliError::new)?;
        }
        let (path, text) = ACL;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = folder.split('/').try_fold(directory, |inside, part| PrivateDir::open(&inside.join(part)));
        directory.and_then(|folder| folder.write(name, text.as_bytes())).map_err(CliError::new)
    }

    /// The words of a `cambio` command line with the demo's configuration, by the name that this program was started by.
    pub(super) fn cambio(&self, words: &[&str]) -> Vec<String> {
        let name = std::env::args().next().filter(|name| name.contains('/')).unwrap_or_else(|| "cambio".to_owned());
        let config = quoted(&self.join("cambio.yaml").display().to_string());
        let words = words.iter().map(|word| quoted(word));
        [quoted(&name)].into_iter().chain(words).chain([format!("--config {config}")]).collect()
    }

    /// Leaves the directory where it is, for whoever wants to know what happened.
    pub(super) fn keep(&mut self) {
        self.temporary = false;
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.temporary
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(self.path());
        }
    }
}
