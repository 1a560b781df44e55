//! The table, and the same figures as JSON under `target/`.

use serde_json::{Value, json};

use crate::Speed;
use crate::load::Measured;
use crate::micro::Micro;

#[derive(Default)]
pub struct Report {
    pub token_bytes: usize,
    pub micro: Micro,
    pub constant: Speed,
    pub ready_ms: Option<f64>,
    pub resident_kib: u64,
    pub fixed: Option<Measured>,
    rows: Vec<Row>,
}

struct Row {
    algorithm: &'static str,
    cached: bool,
    speed: Speed,
    bound: f64,
    bound_cpu_us: f64,
    floor_percent: f64,
    aim_percent: f64,
}

impl Report {
    pub fn row(&mut self, algorithm: &'static str, cached: bool, speed: Speed) {
        let sign = if algorithm == "ES256" { self.micro.es256_sign } else { self.micro.eddsa_sign };
        let proof = if cached { self.micro.sha256 } else { self.micro.rs256_verify };
        let bound = 1e6 / (proof + sign + 1e6 / self.constant.per_second);
        let bound_cpu_us = proof + sign + self.constant.cpu_us;
        let (floor_percent, aim_percent) = if cached { (65.0, 75.0) } else { (60.0, 70.0) };
        self.rows.push(Row { algorithm, cached, speed, bound, bound_cpu_us, floor_percent, aim_percent });
    }

    pub fn print(&self) {
        let Micro { rs256_verify, es256_sign, eddsa_sign, sha256, limits } = self.micro;
        println!("subject token: RS256, {} bytes; audit and metrics on; one core for the server", self.token_bytes);
        println!(
            "RS256 verify {rs256_verify:.1} us, ES256 sign {es256_sign:.1} us, EdDSA sign {eddsa_sign:.1} us, SHA-256 {sha256:.2} us, budgets {limits:.2} us"
        );
        let Speed { per_second, cpu_us } = self.constant;
        println!("constant handler {per_second:.0}/s ({:.1} us, {cpu_us:.1} us of processor)", 1e6 / per_second);
        println!(
            "{:<30} {:>10} {:>8} {:>7} {:>9} {:>8} {:>7} {:>15}",
            "path", "per second", "bound", "ratio", "cpu us", "bound", "ratio", "at least / aim"
        );
        for row in &self.rows {
            let path = format!("{} out, {}", row.algorithm, if row.cached { "token seen before" } else { "new token" });
            println!(
                "{path:<30} {:>10.0} {:>8.0} {:>6.1}% {:>9.1} {:>8.1} {:>6.1}% {:>9.0}% / {:.0}%",
                row.speed.per_second,
                row.bound,
                row.speed.per_second / row.bound * 100.0,
                row.speed.cpu_us,
                row.bound_cpu_us,
                row.bound_cpu_us / row.speed.cpu_us * 100.0,
                row.floor_percent,
                row.aim_percent
            );
        }
        if let Some(fixed) = self.fixed {
            println!("at 1000/s: p50 {:.0} us, p99 {:.0} us", fixed.p50_us, fixed.p99_us);
        }
        println!(
            "ready after {:.0} ms; resident {:.1} MiB",
            self.ready_ms.unwrap_or_default(),
            self.resident_kib as f64 / 1024.0
        );
    }

    pub fn write_json(&self) {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "algorithm": row.algorithm, "cached": row.cached, "per_second": row.speed.per_second, "bound": row.bound,
                    "ratio": row.speed.per_second / row.bound, "cpu_us": row.speed.cpu_us, "bound_cpu_us": row.bound_cpu_us, "at_least": row.floor_percent / 100.0, "aim": row.aim_percent / 100.0,
                })
            })
            .collect();
        let Micro { rs256_verify, es256_sign, eddsa_sign, sha256, limits } = self.micro;
        let document = json!({
            "token_bytes": self.token_bytes,
            "micro_us": {"rs256_verify": rs256_verify, "es256_sign": es256_sign, "eddsa_sign": eddsa_sign, "sha256": sha256, "limits": limits},
            "constant": {"per_second": self.constant.per_second, "cpu_us": self.constant.cpu_us},
            "paths": rows,
            "at_1000_per_second": self.fixed.map(|fixed| json!({"p50_us": fixed.p50_us, "p99_us": fixed.p99_us})),
            "ready_ms": self.ready_ms,
            "resident_kib": self.resident_kib,
        });
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-exchange.json");
        std::fs::write(path, format!("{document:#}\n")).expect("write the JSON");
        println!("also in target/bench-exchange.json");
    }
}
