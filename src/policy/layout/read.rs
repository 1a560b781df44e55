//! A policy file as lines that belong together: entries of maps and lists in block style, each with its comments.
//!
//! Decides where a value ends. Refuses whatever policy files have no use for (anchors, tags, several documents, lists in
//! lists), because a guess about it could change what a file says.

use super::LayoutFault;
use super::scan::{Scan, comment, is_blank, is_item, key, split_comment};

/// A file.
#[derive(Debug)]
pub(super) struct Tree {
    /// Comments before the first key, and empty lines among them as empty texts.
    pub(super) head: Vec<String>,
    pub(super) block: Block,
}

/// The entries of one map or list.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) entries: Vec<Entry>,
    /// Comments behind the last entry.
    pub(super) tail: Vec<String>,
}

/// An entry of a map, which has a key, or of a list, which has none.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Comments and empty lines before it.
    pub(super) before: Vec<String>,
    /// The key as it is written, with its quotes.
    pub(super) key: Option<String>,
    /// The first line of its value; empty where that is a block.
    pub(super) value: String,
    /// The comment behind that line.
    pub(super) remark: Option<String>,
    /// Further lines of the value, and by how much each is indented.
    pub(super) more: Vec<(usize, String)>,
    pub(super) inner: Block,
}

struct Line<'t> {
    number: usize,
    indent: usize,
    /// Without what indents it; spaces at the end are of no meaning but in a literal.
    text: &'t str,
}

struct Reader<'t> {
    lines: Vec<Line<'t>>,
    at: usize,
}

impl Tree {
    pub(super) fn read(text: &str) -> Result<Self, LayoutFault> {
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate().map(|(index, line)| {
            let text = line.trim_start_matches(' ');
            Line { number: index + 1, indent: line.len() - text.len(), text }
        });
        let mut reader = Reader { lines: lines.collect(), at: 0 };
        let head = reader.comments(reader.next_content());
        reader.at = reader.next_content();
        let block = reader.block(0, 0)?;
        if reader.at < reader.lines.len() {
            return Err(reader.fault("this indentation"));
        }
        Ok(Self { head, block })
    }

    /// All comments, in no order.
    pub(super) fn comments(&self) -> Vec<&str> {
        let mut found: Vec<&str> = self.head.iter().map(String::as_str).collect();
        let mut blocks = vec![&self.block];
        while let Some(block) = blocks.pop() {
            found.extend(block.tail.iter().map(String::as_str));
            for entry in &block.entries {
                found.extend(entry.before.iter().chain(&entry.remark).map(String::as_str));
                blocks.push(&entry.inner);
            }
        }
        found.retain(|comment| !comment.is_empty());
        found.sort_unstable();
        found
    }
}

impl<'t> Reader<'t> {
    fn fault(&self, what: &'static str) -> LayoutFault {
        let line = self.lines.get(self.at).or(self.lines.last()).map_or(1, |line| line.number);
        LayoutFault::Unsupported { line, what }
    }

    fn line(&self, at: usize) -> Option<&Line<'t>> {
        self.lines.get(at)
    }

    /// The next line that is neither empty nor a comment.
    fn next_content(&self) -> usize {
        let rest = self.lines.iter().skip(self.at);
        self.at + rest.take_while(|line| is_blank(line.text) || line.text.starts_with('#')).count()
    }

    /// The comments from here to there, with empty lines among them, never two.
    fn comments(&self, until: usize) -> Vec<String> {
        let mut found: Vec<String> = vec![];
        for line in self.lines.iter().take(until).skip(self.at) {
            let text = line.text.trim_end();
            if !text.is_empty() || found.last().is_none_or(|last| !last.is_empty()) {
                found.push(text.to_owned());
            }
        }
        found
    }

    /// The map or the list whose entries stand at `indent`; comments behind it that are indented by `least` are its own.
    fn block(&mut self, indent: usize, least: usize) -> Result<Block, LayoutFault> {
        let mut block = Block::default();
        let mut list = None;
        loop {
            let next = self.next_content();
            let Some((deep, text)) =
                self.line(next).map(|line| (line.indent, line.text)).filter(|(at, _)| *at >= indent)
            else {
                self.tail(least, next, &mut block);
                return Ok(block);
            };
            let item = is_item(text);
            if deep > indent || text.starts_with(['\t', '?', '%', '&', '*', '!']) {
                self.at = next;
                return Err(self.fault("this indentation or kind of key"));
            }
            match list {
                Some(true) if !item => return Ok(block),
                Some(false) if item => return Err(self.fault("a list among keys")),
                _ => list = Some(item),
            }
            let before = self.comments(next);
            self.at = next;
            let mut entry = if item { self.item(indent)? } else { self.entry(indent)? };
            entry.before = before;
            block.entries.push(entry);
        }
    }

    /// Comments that are indented so deep belong to the block, even if nothing of it follows.
    fn tail(&mut self, least: usize, next: usize, block: &mut Block) {
        let mut until = self.at;
        for (index, line) in self.lines.iter().enumerate().take(next).skip(self.at) {
            if is_blank(line.text) {
                continue;
            }
            if line.indent < least {
                break;
            }
            until = index + 1;
        }
        block.tail = self.comments(until);
        self.at = until;
    }

    /// `- ..`
    fn item(&mut self, indent: usize) -> Result<Entry, LayoutFault> {
        let Some(line) = self.lines.get_mut(self.at) else { return Err(self.fault("the end")) };
        let rest = line.text.strip_prefix('-').unwrap_or_default();
        let text = rest.trim_start_matches(' ');
        if is_item(text) && !text.is_empty() {
            return Err(self.fault("a list in a list"));
        }
        if text.trim_end().is_empty() || text.starts_with('#') {
            let remark = Some(text.trim_end().to_owned()).filter(|text| !text.is_empty());
            self.at += 1;
            return Ok(Entry { inner: self.inner(indent + 1, indent)?, remark, ..Entry::default() });
        }
        let column = indent + 1 + (rest.len() - text.len());
        if key(text).is_some() {
            // The item's first key stands on the line of its dash.
            (line.indent, line.text) = (column, text);
            return Ok(Entry { inner: self.block(column, column)?, ..Entry::default() });
        }
        self.value(text, indent, Entry::default())
    }

    /// `key: ..`
    fn entry(&mut self, indent: usize) -> Result<Entry, LayoutFault> {
        let text = self.line(self.at).map(|line| line.text).unwrap_or_default();
        let Some((key, rest)) = key(text) else { return Err(self.fault("a line without a key")) };
        let entry = Entry { key: Some(key.to_owned()), ..Entry::default() };
        let rest = rest.trim_start();
        if !rest.trim_end().is_empty() && !rest.starts_with('#') {
            return self.value(rest, indent, entry);
        }
        let remark = Some(rest.trim_end().to_owned()).filter(|text| !text.is_empty());
        self.at += 1;
        let list = self.line(self.next_content()).is_some_and(|line| line.indent == indent && is_item(line.text));
        let inner = self.inner(if list { indent } else { indent + 1 }, indent)?;
        Ok(Entry { remark, inner, ..entry })
    }

    /// The block below a key or a dash at `outer`, which is indented by `least` at least; nothing where the value is `null`.
    fn inner(&mut self, least: usize, outer: usize) -> Result<Block, LayoutFault> {
        match self.line(self.next_content()).map(|line| line.indent) {
            // A list may stand as far left as its key: a comment there is about what follows the list.
            Some(indent) if indent >= least => self.block(indent, indent.max(outer + 1)),
            _ => Ok(Block::default()),
        }
    }

    /// A value that begins on this line, below a key or a dash at `indent`.
    fn value(&mut self, text: &'t str, indent: usize, entry: Entry) -> Result<Entry, LayoutFault> {
        match text.chars().next() {
            Some('|' | '>') => self.literal(text, indent, entry),
            Some('&' | '*' | '!' | '%' | '@' | '`') => Err(self.fault("an anchor, an alias or a tag")),
            _ => self.flowing(text, indent, entry),
        }
    }

    /// Lines as they stand.
    fn literal(&mut self, text: &'t str, indent: usize, mut entry: Entry) -> Result<Entry, LayoutFault> {
        let (header, remark) = split_comment(text);
        if header.contains(|c: char| c.is_ascii_digit()) {
            return Err(self.fault("a literal that says its own indentation"));
        }
        (entry.value, entry.remark) = (header.to_owned(), remark);
        self.at += 1;
        let mut base = None;
        let mut blanks = 0;
        while let Some(line) = self.lines.get(self.at + blanks) {
            if is_blank(line.text) {
                blanks += 1;
                continue;
            }
            let base = *base.get_or_insert(line.indent);
            if base <= indent || line.indent < base {
                break;
            }
            entry.more.extend(std::iter::repeat_n((0, String::new()), blanks));
            entry.more.push((line.indent - base, line.text.to_owned()));
            self.at += blanks + 1;
            blanks = 0;
        }
        if header.contains('+') {
            entry.more.extend(std::iter::repeat_n((0, String::new()), blanks));
            self.at += blanks;
        }
        Ok(entry)
    }

    /// A scalar, or a collection in braces or brackets, over as many lines as it takes.
    fn flowing(&mut self, text: &'t str, indent: usize, mut entry: Entry) -> Result<Entry, LayoutFault> {
        let mut scan = Scan::default();
        let end = scan.line(text);
        let closed = !scan.is_open();
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        (entry.value, entry.remark) = (value.trim_end().to_owned(), comment(rest));
        self.at += 1;
        let plain = !text.starts_with(['"', '\'', '{', '[']);
        let mut blanks = 0;
        while let Some(line) = self.lines.get(self.at + blanks) {
            let (text, deep) = (line.text.trim_end(), line.indent);
            if is_blank(text) {
                blanks += 1;
                continue;
            }
            if closed && !(plain && deep > indent && entry.remark.is_none() && !text.starts_with('#')) {
                break;
            }
            if !closed && !scan.is_open() {
                break;
            }
            entry.more.extend(std::iter::repeat_n((0, String::new()), blanks));
            entry.more.push((deep.saturating_sub(indent).max(2), text.to_owned()));
            self.at += blanks + 1;
            blanks = 0;
            if !closed {
                scan.line(text);
            }
        }
        if scan.is_open() { Err(self.fault("a value without an end")) } else { Ok(entry) }
    }
}
