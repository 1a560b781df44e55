//! Loading a directory, in a process of its own each time, as at a start.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use cambio::app::NewPolicies;
use cambio::config::{Config, Footprint};

use crate::estate::Estate;

const RUNS: usize = 5;

/// What loading took.
#[derive(Clone, Copy)]
pub struct Loaded {
    pub wall_ms: f64,
    pub cpu_ms: f64,
    pub look_ms: f64,
}

pub fn measure(estate: &Estate) -> Loaded {
    let runs = (0..RUNS).map(|_| {
        let own = std::env::current_exe().expect("own path");
        let output = Command::new(own).arg("load").arg(estate.config()).output().expect("run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        let figures: Vec<f64> = text.split_whitespace().map(|word| word.parse().expect("figure")).collect();
        Loaded { wall_ms: figures[0], cpu_ms: figures[1], look_ms: figures[2] }
    });
    let least = |one: Loaded, other: Loaded| Loaded {
        wall_ms: one.wall_ms.min(other.wall_ms),
        cpu_ms: one.cpu_ms.min(other.cpu_ms),
        look_ms: one.look_ms.min(other.look_ms),
    };
    runs.reduce(least).expect("runs")
}

/// The process that loads: prints what it took.
pub fn child(arguments: &[String]) {
    let config = Config::load(Path::new(&arguments[0])).expect("configuration");
    let catalog = config.catalog();
    let (before, began) = (cpu_ms(), Instant::now());
    let policies = NewPolicies::load(&config.policies, &catalog);
    let (wall_ms, cpu_ms) = (began.elapsed().as_secs_f64() * 1e3, cpu_ms() - before);
    let policies = policies.unwrap_or_else(|error| panic!("{error}"));
    assert!(policies.warnings().is_empty(), "{}", policies.warnings()[0]);
    let began = Instant::now();
    std::hint::black_box(Footprint::of(&config.places));
    println!("{wall_ms} {cpu_ms} {}", began.elapsed().as_secs_f64() * 1e3);
}

/// From the start of `cambio serve` until it says that it listens; the best of several.
pub fn ready_ms(estate: &Estate) -> f64 {
    let runs = (0..RUNS).map(|_| {
        let (mut child, ms) = serve(estate);
        let _ = child.kill();
        let _ = child.wait();
        ms
    });
    runs.fold(f64::MAX, f64::min)
}

/// Resident memory of `cambio serve` once it listens.
pub fn resident_mib(estate: &Estate) -> f64 {
    let (mut child, _) = serve(estate);
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib: f64 = line.split_whitespace().nth(1).expect("VmRSS").parse().expect("VmRSS");
    let _ = child.kill();
    let _ = child.wait();
    kib / 1024.0
}

fn serve(estate: &Estate) -> (Child, f64) {
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
    command.args(["serve", "--config"]).arg(estate.config()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("cambio");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let listens = lines.by_ref().map_while(Result::ok).any(|line| line.contains("cambio is listening"));
    assert!(listens, "cambio did not start");
    let ms = began.elapsed().as_secs_f64() * 1e3;
    // Whoever logs into a closed pipe has other worries than what is measured.
    std::thread::spawn(move || lines.for_each(drop));
    (child, ms)
}

/// The processor time of this process so far, user and system, all threads.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("stat");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    fields[11..=12].iter().map(|field| field.parse::<f64>().expect("ticks")).sum::<f64>() * 10.0 // 100 ticks a second
}
