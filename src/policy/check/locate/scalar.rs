//! A scalar of YAML, read with the place of every character.
//!
//! Decides what a text in quotes, on plain lines or in a block reads as, by YAML 1.2 sections 7.3 and 8.1. Refuses to read
//! anything else of a file: its reader has done that.

use std::ops::Range;

/// A scalar as it reads, with the bytes of the file that each of its characters came from.
#[derive(Default)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Where each character begins in `text`, and the bytes of the file.
    from: Vec<(usize, Range<usize>)>,
}

impl Scalar {
    /// What may stand at `offset`. The reader has a block begin with its first line of text.
    pub(super) fn read(text: &str, offset: usize, len: usize) -> Vec<Self> {
        let flow = match text.as_bytes().get(offset) {
            Some(b'"') => Self::double(text, offset + 1),
            Some(b'\'') => Self::single(text, offset + 1),
            _ => Self::plain(text, offset..offset.saturating_add(len)),
        };
        let block = header_of(text, offset).map(|header| Self::block(text, header));
        block.into_iter().chain([flow]).collect()
    }

    fn push(&mut self, c: char, from: Range<usize>) {
        self.from.push((self.text.len(), from));
        self.text.push(c);
    }

    fn entry(&self, byte: usize) -> Option<&(usize, Range<usize>)> {
        let after = self.from.partition_point(|(at, _)| *at <= byte);
        self.from.get(after.checked_sub(1)?)
    }

    pub(super) fn offset(&self, byte: usize) -> Option<usize> {
        if byte >= self.text.len() {
            return self.from.last().map(|(_, from)| from.end);
        }
        self.entry(byte).map(|(_, from)| from.start)
    }

    pub(super) fn end(&self, byte: usize) -> Option<usize> {
        self.entry(byte).map(|(_, from)| from.end)
    }

    /// Takes a line break and the blank around it out of flow text: one becomes a space, more become one less.
    fn fold(&mut self, text: &str, at: usize) -> usize {
        while self
            .from
            .last()
            .is_some_and(|(at, from)| from.len() == 1 && matches!(self.text.get(*at..), Some(" " | "\t")))
        {
            self.from.pop();
            self.text.pop();
        }
        let blank =
            text.get(at..).map_or(0, |rest| rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len());
        let breaks = text.get(at..at + blank).map_or(0, |blank| blank.matches('\n').count());
        if breaks <= 1 {
            self.push(' ', at..at + blank);
        } else {
            (1..breaks).for_each(|_| self.push('\n', at..at + blank));
        }
        at + blank
    }

    /// The reader says where a plain text ends; here that would take to know what it stands in.
    fn plain(text: &str, span: Range<usize>) -> Self {
        let mut scalar = Self::default();
        let mut at = span.start;
        while at < span.end
            && let Some(c) = text.get(at..).and_then(|rest| rest.chars().next())
        {
            if matches!(c, '\n' | '\r') {
                at = scalar.fold(text, at);
            } else {
                scalar.push(c, at..at + c.len_utf8());
                at += c.len_utf8();
            }
        }
        scalar.trim();
        scalar
    }

    fn trim(&mut self) {
        while self.text.ends_with([' ', '\t']) {
            self.text.pop();
            self.from.pop();
        }
    }

    fn single(text: &str, start: usize) -> Self {
        let mut scalar = Self::default();
        let mut at = start;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = text.get(at..).unwrap_or_default();
            match c {
                '\'' if rest.starts_with("''") => {
                    scalar.push('\'', at..at + 2);
                    at += 2;
                }
                '\'' => break,
                '\n' | '\r' => at = scalar.fold(text, at),
                _ => {
                    scalar.push(c, at..at + c.len_utf8());
                    at += c.len_utf8();
                }
            }
        }
        scalar
    }

    fn double(text: &str, start: usize) -> Self {
        let mut scalar = Self::default();
        let mut at = start;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            match c {
                '"' => break,
                '\n' | '\r' => at = scalar.fold(text, at),
                '\\' => {
                    let rest = text.get(at + 1..).unwrap_or_default();
                    if rest.starts_with(['\n', '\r']) {
                        at += 1 + rest.len() - rest.trim_start().len();
                        continue;
                    }
                    let Some((c, len)) = escape(rest) else { break };
                    scalar.push(c, at..at + 1 + len);
                    at += 1 + len;
                }
                _ => {
                    scalar.push(c, at..at + c.len_utf8());
                    at += c.len_utf8();
                }
            }
        }
        scalar
    }

    /// `|` or `>`, what follows on its line, and the deeper lines below it.
    fn block(text: &str, start: usize) -> Self {
        let mut scalar = Self::default();
        let Some((header, _)) = text.get(start..).and_then(|rest| rest.split_once('\n')) else { return scalar };
        let folded = header.starts_with('>');
        let keep = header.split('#').next().unwrap_or_default();
        let digit = keep.chars().find_map(|c| c.to_digit(10)).map(|n| n as usize);
        let body = start + header.len() + 1;
        let lines = lines(text, body);
        let blank = |line: &Range<usize>| text.get(line.clone()).is_none_or(|line| line.trim().is_empty());
        let leading = |line: &Range<usize>| {
            text.get(line.clone()).map_or(0, |line| line.len() - line.trim_start_matches(' ').len())
        };
        let first = lines.iter().find(|line| !blank(line)).map_or(0, &leading);
        let indent = digit.map_or(first, |digit| indent_of(text, start) + digit);
        let taken: Vec<_> =
            lines.into_iter().take_while(|line| blank(line) || leading(line) >= indent.max(1)).collect();
        let ends = taken.iter().rposition(|line| !blank(line)).map_or(0, |at| at + 1);
        for (number, line) in taken.iter().enumerate().take(ends) {
            let from = line.start + indent.min(leading(line));
            let content = text.get(from..line.end).unwrap_or_default().trim_end_matches('\r');
            for (at, c) in content.char_indices() {
                scalar.push(c, from + at..from + at + c.len_utf8());
            }
            scalar.break_after(text, &taken, number, ends, (folded, indent));
        }
        if keep.contains('-') || ends == 0 {
            scalar.pop_breaks();
        } else if keep.contains('+') {
            taken.iter().skip(ends).for_each(|line| scalar.push('\n', line.end..line.end));
        }
        scalar
    }

    /// The line break after line `number` of a block, which folding makes a space between two lines of text.
    fn break_after(
        &mut self,
        text: &str,
        lines: &[Range<usize>],
        number: usize,
        ends: usize,
        (folded, indent): (bool, usize),
    ) {
        let content = |line: Option<&Range<usize>>| line.and_then(|line| text.get(line.start + indent..line.end));
        let is_blank = |number: usize| content(lines.get(number)).is_none_or(|line| line.trim().is_empty());
        let indented = |number: usize| content(lines.get(number)).is_some_and(|line| line.starts_with([' ', '\t']));
        let end = lines.get(number).map_or(0, |line| line.end);
        let last = number + 1 == ends;
        if !folded || last || indented(number) || is_blank(number) {
            return self.push('\n', end..end);
        }
        let next = (number + 1..ends).find(|next| !is_blank(*next)).unwrap_or(number + 1);
        if indented(next) {
            self.push('\n', end..end);
        } else if next == number + 1 {
            self.push(' ', end..end);
        }
    }

    fn pop_breaks(&mut self) {
        while self.text.ends_with('\n') {
            self.text.pop();
            self.from.pop();
        }
    }
}

/// The `|` or `>` above the text at `offset`, where there is one.
fn header_of(text: &str, offset: usize) -> Option<usize> {
    if text.as_bytes().get(offset).is_some_and(|first| b"|>".contains(first)) {
        return Some(offset);
    }
    let before = text.get(..offset)?;
    let above = before.trim_end_matches(' ').strip_suffix('\n')?.trim_end();
    let start = above.rfind('\n').map_or(0, |at| at + 1);
    let line = above.get(start..)?;
    let line = line.split_once(" #").map_or(line, |(line, _)| line).trim_end();
    let indicator = line.trim_end_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
    indicator.ends_with(['|', '>']).then_some(start + indicator.len() - 1)
}

/// How far the key or the sequence is indented whose value begins at `offset`.
fn indent_of(text: &str, offset: usize) -> usize {
    let start = text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = text.get(start..offset).unwrap_or_default();
    let mut indent = line.len() - line.trim_start_matches(' ').len();
    while let Some(rest) = line.get(indent..).and_then(|rest| rest.strip_prefix("- ")).filter(|rest| !rest.is_empty()) {
        indent += 2 + rest.len() - rest.trim_start_matches(' ').len();
    }
    indent
}

fn lines(text: &str, mut start: usize) -> Vec<Range<usize>> {
    let mut lines = vec![];
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let end = start + rest.find('\n').unwrap_or(rest.len());
        lines.push(start..end);
        start = end + 1;
    }
    lines
}

/// What stands after a backslash in double quotes, and how many bytes of it.
fn escape(rest: &str) -> Option<(char, usize)> {
    let hex = |digits: usize| {
        let number = u32::from_str_radix(rest.get(1..=digits)?, 16).ok()?;
        Some((char::from_u32(number)?, digits + 1))
    };
    let c = match rest.chars().next()? {
        'x' => return hex(2),
        'u' => return hex(4),
        'U' => return hex(8),
        '0' => '\0',
        'a' => '\x07',
        'b' => '\x08',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\x0b',
        'f' => '\x0c',
        'r' => '\r',
        'e' => '\x1b',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        other @ (' ' | '"' | '/' | '\\') => other,
        _ => return None,
    };
    Some((c, 1))
}
