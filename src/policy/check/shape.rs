//! What is wrong with the shape of a file, nearer than its reader says.
//!
//! Decides which word of the file a complaint is about, and which key may have been meant. Refuses to read the file.

use super::locate::at;
use super::nearest;
use crate::policy::document::Place;

/// The place of what `message` complains about, and what to write instead.
pub(in crate::policy) fn narrow(text: &str, place: Place, message: &str) -> (Place, Option<String>) {
    if place.line == 0 {
        return (place, None);
    }
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let expected = message.split_once("expected one of ").map_or("", |(_, expected)| expected);
    let known = expected.split(", ").map(|name| name.trim_matches('`')).filter(|name| !name.is_empty());
    let help = match nearest(quoted, known) {
        Some(meant) => Some(format!("did you mean `{meant}`?")),
        None if message.starts_with("missing field") => Some(format!("add `{quoted}:`")),
        None => None,
    };
    let Some(start) = start(text, place) else { return (place, help) };
    let end = if place.len > 0 { start + place.len as usize } else { word_end(text, start) };
    // A node that spans several lines is as good as no place: its first line is what a reader looks at.
    let first_line = text.get(start..end).and_then(|node| node.lines().next()).map_or(0, str::len);
    (at(text, start, start + first_line).unwrap_or(place), help)
}

/// The byte that the place is about. Of a fault in the syntax the reader tells only line and column.
fn start(text: &str, place: Place) -> Option<usize> {
    if place.offset > 0 || (place.line, place.column) == (1, 1) {
        return Some(place.offset as usize);
    }
    let before = (place.line as usize).checked_sub(1)?;
    let lines_before: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let line = text.split_inclusive('\n').nth(before)?;
    let columns_before = line.chars().take((place.column as usize).checked_sub(1)?);
    Some(lines_before + columns_before.map(char::len_utf8).sum::<usize>())
}

/// Where the word that begins at `start` ends.
fn word_end(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.find(|c: char| c.is_whitespace() || ":,]}".contains(c)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::policy::document::Document;

    #[rstest]
    #[case::a_tab("target: shop\nrules:\n\t- name: main\n", 3)]
    #[case::a_stray_quote("target: shop\nrules:\n  - name: \"main\" x\n", 3)]
    fn a_fault_in_the_syntax_is_placed_where_the_reader_says(#[case] text: &str, #[case] line: u32) {
        let (message, place) = Document::parse(text).unwrap_err();
        let (narrowed, _) = narrow(text, place, &message);
        assert_eq!((narrowed.line, narrowed.column), (place.line, place.column), "{message}");
        assert_eq!(narrowed.line, line, "{message}");
    }
}
