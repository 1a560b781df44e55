//! How values are shown to a person: text from elsewhere without what a terminal would obey, times as spans.

use std::time::Duration;

use crate::clock::Timestamp;

/// The longest text that is shown, in characters.
const LONGEST: usize = 300;

/// Text that others wrote, in one line, without control characters and marks that turn the direction of text.
pub(super) fn shown(text: &str) -> String {
    let mut line = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            line.push('…');
            break;
        }
        push(&mut line, c);
    }
    line
}

/// The same of any length, in the lines that it has.
pub(super) fn lines_shown(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' { lines.push(c) } else { push(&mut lines, c) }
    }
    lines
}

fn push(text: &mut String, c: char) {
    let odd = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if odd { text.extend(c.escape_default()) } else { text.push(c) }
}

/// A span by its two largest units: `4m 10s`, `2d 3h`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{}{unit}", rest / size));
            rest %= size;
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// A moment as seen from `now`: `in 4m 10s`, `2h 3m ago`.
pub(super) fn relative(moment: Timestamp, now: Timestamp) -> String {
    if moment >= now { format!("in {}", span(moment.since(now))) } else { format!("{} ago", span(now.since(moment))) }
}

/// `1 case`, `2 cases`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(shown("a\u{1b}[31mb\nc\u{202e}d"), "a\\u{1b}[31mb\\nc\\u{202e}d");
        assert_eq!(shown(&"x".repeat(400)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_span_has_two_units_at_most() {
        let shown = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [shown(0), shown(59), shown(250), shown(3600), shown(90_061)],
            ["0s", "59s", "4m 10s", "1h", "1d 1h"]
        );
    }
}
