//! The table, and the same figures as JSON under `target/`.

use serde_json::{Value, json};

#[derive(Default)]
pub struct Report(Vec<Row>);

struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    bound: Option<f64>,
}

impl Report {
    pub fn row(&mut self, what: &str, value: f64, unit: &'static str, bound: Option<f64>) {
        self.0.push(Row { what: what.to_owned(), value, unit, bound });
    }

    pub fn print(&self) {
        println!("{:<52} {:>10}      {:>10}", "", "measured", "at most");
        for Row { what, value, unit, bound } in &self.0 {
            let said = bound.map_or_else(String::new, |bound| {
                format!("{bound:>10.1} {unit}{}", if *value > bound { "  OVER" } else { "" })
            });
            println!("{what:<52} {value:>10.1} {unit:<4} {said}");
        }
    }

    pub fn write_json(&self) {
        let row =
            |row: &Row| json!({"what": row.what.trim(), "value": row.value, "unit": row.unit, "at_most": row.bound});
        let rows: Vec<Value> = self.0.iter().map(row).collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-policy.json");
        std::fs::write(path, format!("{:#}\n", json!({"rows": rows}))).expect("write the JSON");
        println!("also in target/bench-policy.json");
    }
}
