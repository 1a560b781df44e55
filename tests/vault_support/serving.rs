//! `cambio serve` as a process, so that all that it writes can be read.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

/// The running program; everything that it writes to standard error is kept.
pub struct Serving {
    child: Process,
    log: JoinHandle<String>,
    /// Where it listens.
    pub url: String,
    /// Where the platform team looks.
    pub ops: String,
}

/// Ends with the test, whatever becomes of it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Serving {
    /// Starts it and waits until it listens.
    pub fn start(config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
        command.args(["serve", "--config", config.to_str().unwrap()]).stderr(Stdio::piped());
        let mut child = Process(command.spawn().unwrap());
        let mut errors = BufReader::new(child.0.stderr.take().unwrap());
        let mut log = String::new();
        loop {
            let start = log.len();
            assert_ne!(errors.read_line(&mut log).unwrap(), 0, "it ended: {log}");
            let line: Value = serde_json::from_str(&log[start..]).unwrap_or_default();
            if line["message"] == "cambio is listening" {
                let url = |name: &str| format!("http://{}", line[name].as_str().unwrap());
                let (url, ops) = (url("address"), url("ops"));
                // Read beside the requests: a full pipe would stop whoever logs.
                let rest = move || errors.read_to_string(&mut log).map(|_| log).unwrap();
                return Self { child, url, ops, log: std::thread::spawn(rest) };
            }
        }
    }

    /// Ends it in good order; what it logged.
    pub fn stop(mut self) -> String {
        let told = Command::new("kill").arg(self.child.0.id().to_string()).status().unwrap();
        assert!(told.success() && self.child.0.wait().unwrap().success());
        self.log.join().unwrap()
    }
}
