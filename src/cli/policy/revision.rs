//! One side of a comparison: a directory, or the policy files of a git revision.
//!
//! Decides which of both a text means (what exists on disk is a directory), and reads a revision through `git` as a child
//! process: no shell, no checkout, nothing written. Refuses to know what the files say.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use super::super::CliError;
use super::super::text::shown;
use crate::policy::{Catalog, LoadErrors, PolicySet, Rehearsal, is_policy_file, limits};

/// The most bytes that are read of a revision.
const MOST: usize = 64 * 1024 * 1024;

/// One side.
pub(super) enum Side {
    /// Below this directory.
    Directory(PathBuf),
    /// Names and texts.
    Texts(Vec<(String, String)>),
}

impl Side {
    /// What `text` means: a directory, `REV:path`, or `REV` with the path `same`.
    pub(super) fn find(text: &str, same: &str) -> Result<Self, CliError> {
        if Path::new(text).is_dir() {
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        if text.starts_with('-') || text.is_empty() {
            return Err(CliError::new(format!("`{}` is no directory and no git revision", shown(text))));
        }
        let (tree, home) = match text.split_once(':') {
            Some(_) => (text.to_owned(), PathBuf::from(".")),
            // Relative to the directory itself, wherever in its repository it is.
            None if Path::new(same).is_dir() => (format!("{text}:./"), PathBuf::from(same)),
            None => (format!("{text}:./{}", same.trim_start_matches("./")), PathBuf::from(".")),
        };
        let git = Git { home, text: text.to_owned() };
        git.files(&tree).map(Self::Texts)
    }

    /// Loads it, with what the tools ask of cases.
    pub(super) fn rehearse(&self, catalog: &Catalog) -> Result<Rehearsal, LoadErrors> {
        match self {
            Self::Directory(path) => PolicySet::rehearse(path, catalog),
            Self::Texts(texts) => {
                PolicySet::rehearse_sources(texts.iter().map(|(name, text)| (name, text.as_str())), catalog)
            }
        }
    }

    /// Loads it, for its errors.
    pub(super) fn load(&self, catalog: &Catalog) -> Result<PolicySet, LoadErrors> {
        match self {
            Self::Directory(path) => PolicySet::load(path, catalog),
            Self::Texts(texts) => {
                PolicySet::from_sources(texts.iter().map(|(name, text)| (name, text.as_str())), catalog)
            }
        }
    }
}

/// A repository, and the text that is to be read from it.
struct Git {
    home: PathBuf,
    text: String,
}

impl Git {
    /// The policy files of the tree that `name` names.
    fn files(&self, name: &str) -> Result<Vec<(String, String)>, CliError> {
        let tree = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", name], &[]);
        let tree = tree.map_err(|_| self.none())?;
        let tree = String::from_utf8_lossy(&tree).trim().to_owned();
        let list = self.run(&["ls-tree", "-r", "-z", "--full-tree", &tree], &[])?;
        let mut wanted = vec![];
        for entry in list.split(|byte| *byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok()) {
            // `100644 blob <id>\t<path>`; links are none of ours.
            let Some((head, path)) = entry.split_once('\t') else { continue };
            let mut head = head.split(' ');
            let (mode, kind, id) = (head.next().unwrap_or_default(), head.next(), head.next().unwrap_or_default());
            if mode.starts_with("100") && kind == Some("blob") && is_policy_file(path) {
                wanted.push((path.to_owned(), id.to_owned()));
            }
        }
        if wanted.len() > limits::FILES {
            return Err(CliError::new(format!("`{}` has more than {} policy files", shown(&self.text), limits::FILES)));
        }
        self.texts(wanted)
    }

    /// The contents of blobs, all through one process.
    fn texts(&self, wanted: Vec<(String, String)>) -> Result<Vec<(String, String)>, CliError> {
        let asked: String = wanted.iter().map(|(_, id)| format!("{id}\n")).collect();
        let answer = self.run(&["cat-file", "--batch"], asked.as_bytes())?;
        let cut = || CliError::new(format!("git cut its answer about `{}`", shown(&self.text)));
        let mut rest = answer.as_slice();
        let mut texts = vec![];
        for (path, _) in wanted {
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
            let (head, tail) = rest.split_at(end);
            let size = std::str::from_utf8(head).ok().and_then(|head| head.rsplit(' ').next()?.parse::<usize>().ok());
            let (content, tail) = tail.get(1..).and_then(|tail| tail.split_at_checked(size?)).ok_or_else(cut)?;
            let text = String::from_utf8(content.to_vec());
            let text =
                text.map_err(|_| CliError::new(format!("`{}` in `{}` is not UTF-8", shown(&path), shown(&self.text))))?;
            texts.push((path, text));
            rest = tail.get(1..).unwrap_or_default();
        }
        Ok(texts)
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, CliError> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.home).args(["--no-pager", "--no-optional-locks"]).args(args);
        // A partial clone would fetch what it lacks, by a command of its own configuration.
        command.env("GIT_NO_LAZY_FETCH", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            CliError::new(format!(
                "cannot run `git`, which `{}` needs: {error}; name a directory instead",
                shown(&self.text)
            ))
        })?;
        let output = thread::scope(|scope| {
            let stdin = child.stdin.take();
            // Beside the reading, or both wait for the other once the pipe is full.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            child.wait_with_output()
        });
        let output = output.map_err(|error| CliError::new(format!("`git` failed: {error}")))?;
        if output.stdout.len() > MOST {
            return Err(CliError::new(format!("`{}` has more than 64 MiB of policy files", shown(&self.text))));
        }
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(CliError::new(format!("git cannot read `{}`: {}", shown(&self.text), shown(said.trim()))));
        }
        Ok(output.stdout)
    }

    /// Why there is no such tree.
    fn none(&self) -> CliError {
        if self.run(&["rev-parse", "--git-dir"], &[]).is_err() {
            return CliError::new(format!(
                "`{}` is no directory, and `{}` is in no git repository; name a directory",
                shown(&self.text),
                self.home.display()
            ));
        }
        CliError::new(format!(
            "`{}` is no directory, and git has no such revision with policy files; write `REV:path/to/policies`",
            shown(&self.text)
        ))
    }
}
