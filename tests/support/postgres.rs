//! A real PostgreSQL on a port of its own, started in some 0.3 s from a cluster that was made when the part was installed;
//! it can be stopped, paused and started again.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running PostgreSQL. It ends when this is dropped, and with the process.
pub struct Postgres {
    child: Child,
    port: u16,
    data: PathBuf,
    settings: Vec<String>,
    _directory: tempfile::TempDir,
}

/// Where Debian puts it.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

impl Postgres {
    /// An empty one. `None`, with a note, where none is installed; in CI that is a failure.
    pub fn start() -> Option<Self> {
        Self::start_in(tempfile::tempdir().unwrap(), &[])
    }

    /// One whose cluster is in `directory`, with further settings (`name=value`).
    pub fn start_in(directory: tempfile::TempDir, settings: &[&str]) -> Option<Self> {
        if !Path::new(PROGRAMS).exists() {
            assert!(std::env::var_os("CI").is_none(), "postgresql is not installed, and this is CI");
            eprintln!("skipped: postgresql is not installed; `make real` installs it");
            return None;
        }
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = directory.path().join("data");
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Self::make(&data);
        // Somebody else may take the port between the look and the start.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = Self::spawn(port, &data, &settings);
            if Self::answers(port, &mut child) {
                return Some(Self { child, port, data, settings, _directory: directory });
            }
        }
        panic!("postgres does not start: {}", fs::read_to_string(data.join("log")).unwrap_or_default());
    }

    /// A copy of the cluster that `make real` made, or a new one.
    fn make(data: &Path) {
        let template = real_dir().join("postgres/template");
        let made = if template.exists() {
            let copied = Command::new("cp")
                .args(["-a", "--reflink=auto"])
                .arg(format!("{}/.", template.display()))
                .arg(data)
                .status();
            copied.unwrap().success()
                && (!is_root() || Command::new("chown").args(["-R", "postgres:"]).arg(data).status().unwrap().success())
        } else {
            if is_root() {
                fs::create_dir(data).unwrap();
                assert!(Command::new("chown").arg("postgres:").arg(data).status().unwrap().success());
            }
            let mut initdb = as_postgres("initdb");
            initdb.arg("-D").arg(data).args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ]);
            initdb.current_dir("/").stdout(Stdio::null()).status().unwrap().success()
        };
        assert!(made, "the cluster could not be made");
    }

    fn spawn(port: u16, data: &Path, settings: &[String]) -> Child {
        let mut command = as_postgres("postgres");
        command.arg("-D").arg(data).args(["-p", &port.to_string(), "-k", ""]);
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=32MB", "max_connections=80"] {
            command.args(["-c", setting]);
        }
        for setting in settings {
            command.args(["-c", setting]);
        }
        let log = fs::File::create(data.with_file_name("log")).unwrap();
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn answers(port: u16, child: &mut Child) -> bool {
        for _ in 0..2000 {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            let mut ready = Command::new(format!("{PROGRAMS}/pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            if TcpStream::connect(("127.0.0.1", port)).is_ok() && ready.status().unwrap().success() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL as the superuser; what came back, a line per row.
    pub fn ask(&self, sql: &str) -> String {
        let port = self.port.to_string();
        let arguments = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-AtX", "-v", "ON_ERROR_STOP=1", "-c", sql];
        let output = Command::new(format!("{PROGRAMS}/psql")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Every file of the cluster, after a checkpoint.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn below(dir: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    below(&path, into);
                } else if let Ok(content) = fs::read(&path) {
                    into.push((path, content));
                }
            }
        }
        self.ask("CHECKPOINT");
        let mut found = Vec::new();
        below(&self.data, &mut found);
        found
    }

    /// Stops every process of it in the middle of whatever they do; it keeps its port, and answers nothing.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let own = self.child.id().to_string();
        let backends = Command::new("pgrep").args(["-P", &own]).output().unwrap();
        let backends = String::from_utf8_lossy(&backends.stdout).into_owned();
        // The parent first when it is stopped: else it would take a stopped child for a dead one.
        assert!(Command::new("kill").args([signal, &own]).status().unwrap().success());
        // One that ended meanwhile is not there any more.
        let _ = Command::new("kill").arg(signal).args(backends.split_whitespace()).stderr(Stdio::null()).status();
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        assert!(Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status().unwrap().success());
        self.child.wait().unwrap();
    }

    /// Starts it again, on the same port and cluster.
    pub fn start_again(&mut self) {
        for _ in 0..200 {
            self.child = Self::spawn(self.port, &self.data, &self.settings);
            if Self::answers(self.port, &mut self.child) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("postgres does not start again");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return; // it was killed
        }
        self.resume();
        let _ = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn real_dir() -> PathBuf {
    std::env::var_os("CAMBIO_REAL_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".real"), PathBuf::from)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A program of PostgreSQL's, which refuses to run as root, and ends with this process.
fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.arg(format!("{PROGRAMS}/{program}"));
    command
}
