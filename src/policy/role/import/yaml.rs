//! How an imported policy is written.
//!
//! Decides the form of a text in YAML. Refuses to know what it says.

use std::fmt::Write as _;

/// A YAML file while it is written.
#[derive(Default)]
pub(super) struct Yaml(String);

impl Yaml {
    /// A line.
    pub(super) fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.0, "{}{text}", "  ".repeat(depth));
    }

    /// A key with a text, over several lines where the text has them.
    pub(super) fn entry(&mut self, depth: usize, key: &str, text: &str) {
        let clean = text.lines().all(|line| line.trim_end() == line && !line.contains('\t'));
        if text.contains('\n') && clean && !text.starts_with([' ', '\n']) && !text.ends_with('\n') {
            self.line(depth, &format!("{key}: |-"));
            text.lines().for_each(|line| {
                let _ =
                    writeln!(self.0, "{}{line}", if line.is_empty() { String::new() } else { "  ".repeat(depth + 2) });
            });
        } else {
            self.line(depth, &format!("{key}: {}", quoted(text)));
        }
    }

    /// The file.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A text on one line.
pub(super) fn quoted(text: &str) -> String {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{85}')) {
        // JSON's strings are YAML's too.
        return serde_json::Value::from(text).to_string();
    }
    format!("'{}'", text.replace('\'', "''"))
}
