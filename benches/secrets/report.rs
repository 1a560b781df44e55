//! The table, and the same figures as JSON under `target/`.

use serde_json::{Value, json};

#[derive(Default)]
pub struct Report(Vec<Row>);

struct Row {
    what: String,
    value: f64,
    unit: &'static str,
}

impl Report {
    pub fn row(&mut self, what: &str, value: f64, unit: &'static str) {
        self.0.push(Row { what: what.to_owned(), value, unit });
    }

    pub fn print(&self) {
        for Row { what, value, unit } in &self.0 {
            println!("{what:<60} {value:>10.2} {unit}");
        }
    }

    /// `name`: of the benchmark.
    pub fn write_json(&self, name: &str) {
        let row = |row: &Row| json!({"what": row.what.trim(), "value": row.value, "unit": row.unit});
        let rows: Vec<Value> = self.0.iter().map(row).collect();
        let path = format!("{}/target/bench-{name}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, format!("{:#}\n", json!({"rows": rows}))).expect("write the JSON");
        println!("also in target/bench-{name}.json");
    }
}
