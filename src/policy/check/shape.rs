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
    let start = place.offset as usize;
    let end = if place.len > 0 { start + place.len as usize } else { word_end(text, start) };
    // A node that spans several lines is as good as no place: its first line is what a reader looks at.
    let first_line = text.get(start..end).and_then(|node| node.lines().next()).map_or(0, str::len);
    (at(text, start, start + first_line).unwrap_or(place), help)
}

/// Where the word that begins at `start` ends.
fn word_end(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.find(|c: char| c.is_whitespace() || ":,]}".contains(c)).unwrap_or(rest.len())
}
