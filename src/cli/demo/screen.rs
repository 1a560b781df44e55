//! How a demo looks: 100 columns, colours on a terminal only. A reader who goes away is no error.

use std::io::{self, IsTerminal as _, Write as _};

/// The width that nothing goes beyond, but a single long word.
const COLUMNS: usize = 100;
/// Where the text of a row begins.
const INDENT: usize = 16;
/// How wide the names of claims are.
const NAME: usize = 19;

/// Where a demo is printed.
pub(super) struct Screen {
    colours: bool,
}

#[derive(Clone, Copy)]
enum Style {
    Bold,
    Dim,
    Good,
    Bad,
}

impl Screen {
    /// Standard output, in colours where it is a terminal and `NO_COLOR` (no-color.org) does not object.
    pub(super) fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { colours: io::stdout().is_terminal() && !plain && !dumb }
    }

    pub(super) fn title(&self, text: &str) {
        self.line(&format!("\n{}", self.painted(Style::Bold, text)));
    }

    /// A line of text as it is.
    pub(super) fn line(&self, text: &str) {
        let _ = writeln!(io::stdout(), "{}", text.trim_end());
    }

    /// A label and a text beside it.
    pub(super) fn row(&self, label: &str, text: &str) {
        let mut label = label;
        for line in wrapped(text, COLUMNS - INDENT) {
            let padded = format!("   {label:<width$}", width = INDENT - 3);
            self.line(&format!("{}{line}", self.painted(Style::Dim, &padded)));
            label = "";
        }
    }

    /// A name and a value, below a row.
    pub(super) fn member(&self, name: &str, value: &str) {
        let mut name = name;
        for line in wrapped(value, COLUMNS - INDENT - NAME) {
            self.line(&format!("{:INDENT$}{}{line}", "", self.painted(Style::Dim, &format!("{name:<NAME$}"))));
            name = "";
        }
    }

    /// A command line, broken where a shell lets it.
    pub(super) fn command(&self, words: &[String]) {
        let mut lines = vec![String::from("   $")];
        for word in words {
            let fits = lines.last().is_some_and(|line| line.chars().count() + 1 + word.chars().count() <= COLUMNS - 2);
            match lines.last_mut() {
                Some(line) if fits => *line = format!("{line} {word}"),
                _ => lines.push(format!("       {word}")),
            }
        }
        self.line("");
        self.line(&lines.join(" \\\n"));
        self.line("");
    }

    /// Whether a step came to the end that it should come to.
    pub(super) fn verdict(&self, end: &str, faults: &[String]) {
        if faults.is_empty() {
            self.line(&format!("   {}", self.painted(Style::Good, &format!("✓ {end}, as it should be"))));
        }
        for fault in faults {
            self.line(&format!("   {} {fault}", self.painted(Style::Bad, "✗ NOT as it should be:")));
        }
    }

    pub(super) fn result(&self, good: bool, text: &str) {
        self.line(&format!("\n{}", self.painted(if good { Style::Good } else { Style::Bad }, text)));
    }

    fn painted(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Bad => "31",
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The lines of `text`, broken between words, or after commas where a text has no words; a single long word stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in text.split_inclusive([' ', ',']) {
        let length = piece.trim_end().chars().count();
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.chars().count() + length <= width => line.push_str(piece),
            _ => lines.push(piece.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_between_words_and_loses_none() {
        let text = "one two,three four";
        assert_eq!(wrapped(text, 9), ["one two,", "three ", "four"]);
        assert_eq!(wrapped(text, 9).concat(), text);
        assert_eq!(wrapped("", 9), [""]);
        assert_eq!(wrapped("a-word-that-is-long", 9), ["a-word-that-is-long"]);
    }
}
