//! A real Redis, started in some 30 ms on a port of its own, that can be stopped, paused, filled and started again.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::print_stderr, reason = "each user needs a part")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running Redis. It ends when this is dropped.
pub struct Redis {
    child: Child,
    port: u16,
    arguments: Vec<String>,
    directory: tempfile::TempDir,
}

/// Where Debian puts it.
const PROGRAM: &str = "/usr/bin/redis-server";

impl Redis {
    /// One that has been there for an hour, as cambio sees it: tokens of today were issued since. `None`, with a note, where
    /// none is installed; in CI that is a failure.
    pub fn start() -> Option<Self> {
        let redis = Self::start_with(&[])?;
        redis.has_been_there("cambio:");
        Some(redis)
    }

    /// One with further arguments, that has just begun.
    pub fn start_with(arguments: &[&str]) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            assert!(std::env::var_os("CI").is_none(), "redis-server is not installed, and this is CI");
            eprintln!("skipped: redis-server is not installed; `make real` installs it");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        // Somebody else may take the port between the look and the start.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = Self::spawn(port, &arguments, directory.path());
            if Self::answers(port, &mut child) {
                return Some(Self { child, port, arguments, directory });
            }
        }
        panic!("redis-server does not start: {arguments:?}");
    }

    fn spawn(port: u16, arguments: &[String], directory: &Path) -> Child {
        let mut command = Command::new(PROGRAM);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.arg("--dir").arg(directory).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn answers(port: u16, child: &mut Child) -> bool {
        for _ in 0..1000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                std::thread::sleep(Duration::from_millis(2));
                return child.try_wait().unwrap().is_none();
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Has it seem as if this Redis had kept cambio's memory for an hour.
    pub fn has_been_there(&self, prefix: &str) {
        self.has_been_there_since(prefix, self.now() - 3_600_000);
    }

    /// The same, since that millisecond.
    pub fn has_been_there_since(&self, prefix: &str, since: i64) {
        let info = self.ask(&["INFO", "server"]);
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap().trim();
        self.ask(&["SET", &format!("{prefix}memory"), &format!("{run}:0 {since}")]);
    }

    /// The same, of one whose disk the operator vouches for.
    pub fn vouched_for_since(&self, prefix: &str, since: i64) {
        self.ask(&["SET", &format!("{prefix}memory"), &format!("durable:0 {since}")]);
    }

    /// Its clock, in milliseconds.
    pub fn now(&self) -> i64 {
        let time = self.ask(&["TIME"]);
        time.lines().nth(2).unwrap().trim().parse::<i64>().unwrap() * 1000
    }

    /// Sends a command, as plain text; what came back, as it came.
    pub fn ask(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        text.push_str("*1\r\n$4\r\nQUIT\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        answer.strip_suffix("+OK\r\n").unwrap_or(&answer).to_owned()
    }

    /// How many of cambio's tokens it remembers.
    pub fn remembered(&self) -> usize {
        self.ask(&["KEYS", "*once:*"]).lines().filter(|line| line.contains("once:")).count()
    }

    /// Stops it in the middle of whatever it does; it keeps its port, and answers nothing.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, on the same port and directory.
    pub fn start_again(&mut self) {
        for _ in 0..200 {
            self.child = Self::spawn(self.port, &self.arguments, self.directory.path());
            if Self::answers(self.port, &mut self.child) {
                return;
            }
        }
        panic!("redis-server does not start again");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
