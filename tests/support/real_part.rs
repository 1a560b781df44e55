//! A real part: a foreground process that speaks lines of JSON (`tests/real/README.md`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A running real part. It ends when this is dropped.
pub struct RealPart {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// What it said when it was ready.
    pub ready: Value,
    _directory: tempfile::TempDir,
}

/// Where `make real` installs.
pub fn real_dir() -> PathBuf {
    std::env::var_os("CAMBIO_REAL_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".real"), PathBuf::from)
}

/// Whether a part is installed. In CI its absence is a failure; elsewhere the test says why it is skipped.
pub fn installed(part: &str) -> bool {
    let there = real_dir().join("ok").join(part).exists();
    assert!(there || std::env::var_os("CI").is_none(), "the real part `{part}` is not installed, and this is CI");
    if !there {
        eprintln!("skipped: `{part}` is not installed; `make real` installs it");
    }
    there
}

impl RealPart {
    /// A Kubernetes API server with these arguments.
    pub fn kubernetes(arguments: &[&str]) -> Option<Self> {
        installed("kubernetes").then(|| Self::start("bash", "k8s.sh", true, arguments))
    }

    /// oidc-provider, minting GitLab- and GitHub-shaped tokens.
    pub fn idp(arguments: &[&str]) -> Option<Self> {
        installed("node").then(|| Self::start("node", "idp.mjs", false, arguments))
    }

    /// glewlwyd, the second and independent provider.
    pub fn glewlwyd(arguments: &[&str]) -> Option<Self> {
        installed("glewlwyd").then(|| Self::start("python3", "glewlwyd.py", true, arguments))
    }

    fn start(program: &str, script: &str, wants_directory: bool, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real").join(script);
        let mut command = Command::new(program);
        command.arg(script);
        if wants_directory {
            command.arg(directory.path().join("part"));
        }
        let errors = std::fs::File::create(directory.path().join("stderr")).unwrap();
        let mut child = command
            .args(arguments)
            .env("CAMBIO_REAL_DIR", real_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(ready) = line.strip_prefix("ready ") else {
            let errors = std::fs::read_to_string(directory.path().join("stderr")).unwrap_or_default();
            panic!("{script:?} did not start: {line}{errors}", script = command.get_args().next());
        };
        let ready = serde_json::from_str(ready).unwrap();
        Self { child, stdin, stdout, ready, _directory: directory }
    }

    /// Sends a command and answers what came back.
    pub fn command(&mut self, name: &str, arguments: &Value) -> Value {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{name} {arguments}").unwrap();
        stdin.flush().unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let answer = line.strip_prefix("ok ").unwrap_or_else(|| panic!("{name} {arguments}: {line}"));
        serde_json::from_str(answer).unwrap()
    }

    /// A string that it said when it was ready.
    pub fn said(&self, name: &str) -> String {
        self.ready[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {}", self.ready)).to_owned()
    }
}

impl Drop for RealPart {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Runs a client script with the real parts' interpreter; its one line of JSON, and whether it exited with 0.
pub fn client(script: &str, arguments: &[&str]) -> (bool, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/clients").join(script);
    let program = if script.ends_with(".py") { real_dir().join("venv/bin/python") } else { PathBuf::from("node") };
    let output = Command::new(program).arg(path).args(arguments).env("CAMBIO_REAL_DIR", real_dir()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(text.trim())
        .unwrap_or_else(|_| panic!("{script} said: {text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), json)
}
