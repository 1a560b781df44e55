//! From a range of a text to its place in the YAML file that holds the text.
//!
//! Decides which bytes of the file a text was read from: plain, in single or double quotes, in a block, on one line or
//! folded over several. It reads the scalar once more, keeping the place of every character, and trusts that only where
//! the same text comes out; else the place is that of the whole scalar.

mod scalar;

use std::ops::Range;

use self::scalar::Scalar;
use crate::policy::document::Place;

/// The place of `range` of `source`, which `text` holds as the scalar at `place`.
pub(in crate::policy) fn locate(text: &str, place: Place, source: &str, range: Range<usize>) -> Place {
    narrow(text, place, source, range).unwrap_or(place)
}

fn narrow(text: &str, place: Place, source: &str, range: Range<usize>) -> Option<Place> {
    if place.line == 0 || source.is_empty() {
        return None;
    }
    let readings = Scalar::read(text, place.offset as usize, place.len as usize);
    let scalar = readings.into_iter().find(|scalar| scalar.text == source)?;
    let start = scalar.offset(range.start.min(source.len()))?;
    let end = match range.end.checked_sub(1).filter(|last| *last >= range.start) {
        Some(last) => scalar.end(last.min(source.len().saturating_sub(1)))?,
        None => start,
    };
    at(text, start, end)
}

/// The place of these bytes of the file.
pub(in crate::policy) fn at(text: &str, start: usize, end: usize) -> Option<Place> {
    let before = text.get(..start)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let small = |n: usize| u32::try_from(n).ok();
    Some(Place {
        line: small(before.matches('\n').count() + 1)?,
        column: small(before.get(line_start..)?.chars().count() + 1)?,
        offset: small(start)?,
        len: small(end.saturating_sub(start))?,
    })
}

/// The place of a word within the node at `place`, e.g. of one name in a list; that of the node where it can't be found.
pub(in crate::policy) fn word(text: &str, place: Place, word: &str) -> Place {
    let start = place.offset as usize;
    let found = || {
        // The reader tells only where a list begins.
        let node = text.get(start..)?;
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "-_.".contains(c));
        let (found, _) = node.match_indices(word).find(|(found, _)| {
            let before = node.get(..*found).and_then(|before| before.chars().next_back());
            let after = node.get(found + word.len()..).and_then(|after| after.chars().next());
            !inside(before) && !inside(after)
        })?;
        at(text, start + found, start + found + word.len())
    };
    found().unwrap_or(place)
}

#[cfg(test)]
mod tests;
