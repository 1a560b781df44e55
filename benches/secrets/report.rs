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

    pub fn write_json(&self) {
        let row = |row: &Row| json!({"what": row.what.trim(), "value": row.value, "unit": row.unit});
        let rows: Vec<Value> = self.0.iter().map(row).collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-secrets.json");
        std::fs::write(path, format!("{:#}\n", json!({"rows": rows}))).expect("write the JSON");
        println!("also in target/bench-secrets.json");
    }
}
