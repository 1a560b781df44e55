//! Coverage on paper and as JSON: what no case has shown. Decides whether it is enough, where a bound is given.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::text::{count, shown};
use crate::policy::{FileCoverage, Goal};

/// The coverage of the files that were meant.
pub(super) struct Coverage {
    pub(super) files: Vec<FileCoverage>,
}

impl Coverage {
    /// Reached and all goals of all files.
    fn counts(&self) -> (usize, usize) {
        let counts = self.files.iter().map(FileCoverage::counts);
        counts.fold((0, 0), |(met, all), (file_met, file_all)| (met + file_met, all + file_all))
    }

    /// Whether at least `percent` of the goals were reached.
    pub(super) fn reaches(&self, percent: u8) -> bool {
        let (met, all) = self.counts();
        met * 100 >= all * usize::from(percent)
    }

    /// Each file with its share, and what is missing in it.
    pub(super) fn table(&self, least: Option<u8>) -> String {
        let mut text = String::from("\ncoverage: what the cases have shown of what there is to show\n");
        for file in &self.files {
            let (met, all) = file.counts();
            let _ = writeln!(text, "  {:>5}  {met:>4} of {all:<4} {}", percent(met, all), file.file);
            missing(&mut text, file);
        }
        let (met, all) = self.counts();
        let _ = writeln!(text, "  {:>5}  {met:>4} of {all:<4} in all", percent(met, all));
        if let Some(least) = least.filter(|least| !self.reaches(*least)) {
            let _ = writeln!(text, "too little: at least {least} % are asked for; write a case for each line above");
        }
        text
    }

    /// The same for a program.
    pub(super) fn json(&self) -> Value {
        let goal = |goal: &Goal| {
            json!({
                "rule": &*goal.rule, "at": goal.part.map(|part| part.to_string()), "line": goal.place.line,
                "column": goal.place.column, "missing": goal.want.code(), "says": goal.want.missing(), "text": goal.text,
            })
        };
        let files = self.files.iter().map(|file| {
            let (met, all) = file.counts();
            json!({"file": &*file.file, "reached": met, "of": all, "missing": file.missing().map(goal).collect::<Vec<_>>()})
        });
        let (met, all) = self.counts();
        json!({"reached": met, "of": all, "files": files.collect::<Vec<_>>()})
    }
}

/// Rounded down, so that 100 % is all.
fn percent(met: usize, all: usize) -> String {
    let percent = (met * 100).checked_div(all).unwrap_or(100);
    format!("{percent} %")
}

/// One line for each goal; one for a rule of which nothing was shown.
fn missing(text: &mut String, file: &FileCoverage) {
    let mut untried = "";
    for goal in file.missing() {
        let of_rule = || file.goals.iter().filter(|other| other.rule == goal.rule);
        if untried == &*goal.rule {
            continue;
        }
        let place = format!("{}:{}:{}", file.file, goal.place.line, goal.place.column);
        let _ = match goal.part {
            None if of_rule().all(|other| !other.met) => {
                untried = &goal.rule;
                let goals = count(of_rule().count(), "thing", "things");
                writeln!(text, "         {place}  rule {}: no case tries it ({goals} to show)", goal.rule)
            }
            None => writeln!(text, "         {place}  rule {} {}", goal.rule, goal.want.missing()),
            Some(part) => {
                let (rule, says, what) = (&goal.rule, goal.want.missing(), shown(&goal.text));
                writeln!(text, "         {place}  rule {rule}, {part}: {says}: {what}")
            }
        };
    }
}
