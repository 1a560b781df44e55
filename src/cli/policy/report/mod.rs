//! Findings as they are told: to a person, to a program, to a code-scanning service.
//!
//! Decides where in a file's text a finding begins and ends. Refuses to decide whether it counts: the finding says so.

mod human;
mod json;
mod sarif;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use crate::policy::{Finding, Place, Severity, limits};

/// Findings, with the texts that they point into.
pub(super) struct Report {
    directory: PathBuf,
    findings: Vec<Finding>,
    texts: BTreeMap<String, String>,
}

/// Where a finding stands, as editors and services count.
struct Spot {
    /// Bytes of the file's text.
    range: Range<usize>,
    start: Position,
    /// Behind the last character.
    end: Position,
}

/// A line and a column, each from 1.
struct Position {
    line: usize,
    /// In characters.
    column: usize,
    /// In code units of UTF-16.
    unit: usize,
}

impl Report {
    /// About files below `directory`, whose texts are read again to show them; a file that can't be read is not shown.
    pub(super) fn new(directory: &Path, findings: Vec<Finding>) -> Self {
        let mut texts = BTreeMap::new();
        for finding in findings.iter().filter(|finding| finding.place.line > 0) {
            if !texts.contains_key(&*finding.file)
                && let Some(text) = text(&directory.join(&*finding.file))
            {
                texts.insert(finding.file.to_string(), text);
            }
        }
        Self { directory: directory.to_owned(), findings, texts }
    }

    /// How many count, of that severity.
    pub(super) fn counting(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.counts() && finding.severity == severity).count()
    }

    /// How many the files accept.
    pub(super) fn accepted(&self) -> usize {
        self.findings.iter().filter(|finding| !finding.counts()).count()
    }

    /// The path of a finding's file from where the command runs, with `/` between its parts.
    fn path(&self, finding: &Finding) -> String {
        self.path_of(&finding.file)
    }

    /// The same for any file of the directory.
    pub(super) fn path_of(&self, file: &str) -> String {
        let path = self.directory.join(file);
        let parts = path.components().filter(|part| !matches!(part, Component::CurDir));
        parts.collect::<PathBuf>().to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
    }

    fn spot(&self, finding: &Finding) -> Option<(&str, Spot)> {
        let text = self.texts.get(&*finding.file)?;
        Some((text, Spot::of(text, finding.place)?))
    }
}

impl Spot {
    /// The text's own lines decide: where the bytes of `place` do not lie on its line (the file may have changed in the
    /// meantime), the line and the column count.
    fn of(text: &str, place: Place) -> Option<Self> {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let line = line(text, size(place.line))?;
        let columns = text.get(line.clone())?;
        let by_column =
            columns.char_indices().nth(size(place.column).saturating_sub(1)).map_or(columns.len(), |(at, _)| at);
        let start =
            Some(size(place.offset)).filter(|at| place.len > 0 && line.contains(at) && text.is_char_boundary(*at));
        let start = start.unwrap_or(line.start + by_column);
        let end = start.saturating_add(size(place.len)).min(text.len());
        let span = text.get(start..end).filter(|_| place.len > 0).map(str::trim_end).filter(|span| !span.is_empty());
        let end = start + span.map_or_else(|| word(text.get(start..line.end).unwrap_or_default()), str::len);
        Some(Self { range: start..end, start: Position::of(text, start)?, end: Position::of(text, end)? })
    }
}

impl Position {
    fn of(text: &str, at: usize) -> Option<Self> {
        let before = text.get(..at)?;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let columns = before.get(start..)?;
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Some(Self { line, column: columns.chars().count() + 1, unit: columns.encode_utf16().count() + 1 })
    }
}

/// The bytes of a line, counted from 1, without its end. A place behind the last line is its end.
fn line(text: &str, number: usize) -> Option<Range<usize>> {
    let mut start = 0;
    let mut last = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let shown = line.trim_end_matches(['\n', '\r']);
        last = Some(start..start + shown.len());
        if index + 1 == number {
            return last;
        }
        start += line.len();
    }
    last.filter(|_| number > 0)
}

/// How many bytes of the start of `text` are one word: what to underline where only a point is known.
fn word(text: &str) -> usize {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(text.len());
    end.max(text.chars().next().map_or(0, char::len_utf8))
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(limits::FILE_BYTES as u64).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests;
