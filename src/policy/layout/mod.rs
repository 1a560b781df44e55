//! The one layout of policy files.
//!
//! Decides the order of keys, indentation and empty lines. Never touches the text of a comment or a scalar, nor how it is
//! quoted, nor what stands between braces and brackets. Refuses what it can't keep: what it wrote is read again and
//! compared with what was there before anybody sees it.
//!
//! What it does: keys of the file, of rules, conditions, grants and cases in the order in which they are read; two spaces
//! a level, lists one level below their key; an empty line before `rules` and `cases` and between rules and cases, never
//! two; no spaces at the ends of lines, one before a comment that follows something; a line end at the end.

mod read;
mod scan;

use std::path::Path;

use self::read::{Block, Entry, Tree};
use super::digest;
use super::document::{Document, Place};
use super::problem::LoadErrors;
use super::sources::Sources;
use crate::jose::Sha256;

/// Why a file keeps the layout that it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutFault {
    /// No policy file to begin with.
    #[error("{message}")]
    Shape {
        /// What is wrong.
        message: String,
        /// Where.
        place: Place,
    },
    /// YAML that is in order, and that this does not know how to keep.
    #[error("line {line}: {what} can't be laid out")]
    Unsupported {
        /// The line, from 1.
        line: usize,
        /// What it has.
        what: &'static str,
    },
    /// It would have come out with another meaning, or without a comment.
    #[error("laid out, it would not say the same")]
    Changed,
}

/// The text of a policy file in its one layout: the same rules, cases and comments. Laid out again, it does not change.
///
/// # Errors
/// [`LayoutFault`] where the text is no policy file, or has something that can't be kept.
pub fn layout(text: &str) -> Result<String, LayoutFault> {
    let before = Document::parse(text).map_err(|(message, place)| LayoutFault::Shape { message, place })?;
    let tree = Tree::read(text)?;
    let laid = tree.print();
    let after = Document::parse(&laid).map_err(|_| LayoutFault::Changed)?;
    let again = Tree::read(&laid).map_err(|_| LayoutFault::Changed)?;
    let same = digests(&before) == digests(&after)
        && values(text) == values(&laid)
        && tree.comments() == again.comments()
        && again.print() == laid;
    if same { Ok(laid) } else { Err(LayoutFault::Changed) }
}

/// The policy files below a directory, relative to it, in order.
///
/// # Errors
/// [`LoadErrors`] names each directory that can't be read.
pub fn policy_files(directory: &Path) -> Result<Vec<String>, LoadErrors> {
    let sources = Sources::find(directory)?;
    let names = sources.files().iter().map(|(name, _)| name.to_string());
    Ok(names.filter(|name| name.ends_with(".yaml") || name.ends_with(".yml")).collect())
}

/// What the rules grant, and in which order their variables stand.
fn digests(document: &Document) -> Vec<Sha256> {
    document.rules.iter().map(|rule| digest::of_rule(document, rule)).collect()
}

/// Everything that the file says, but for the order of keys.
fn values(text: &str) -> Option<serde_json::Value> {
    serde_saphyr::from_str(text).ok()
}

/// What a block is, which says how its keys are ordered and what is apart by an empty line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Rules,
    Rule,
    Conditions,
    Condition,
    Grant,
    Cases,
    Case,
    Other,
}

impl Kind {
    fn order(self) -> &'static [&'static str] {
        match self {
            Self::File => &["target", "aliases", "namespace", "description", "accept", "rules", "cases"],
            Self::Rule => &["name", "issuer", "accept", "let", "require", "grant"],
            Self::Condition => &["that", "message", "accept"],
            Self::Grant => {
                &["policies", "service_account", "ttl", "outlive_subject", "revocable", "scopes", "metadata"]
            }
            Self::Case => &["name", "like", "issuer", "claims", "with", "without", "at", "permit", "deny"],
            Self::Rules | Self::Conditions | Self::Cases | Self::Other => &[],
        }
    }

    /// The kind of what stands below `key`, or below an item of a list.
    fn below(self, key: Option<&str>) -> Self {
        match (self, key) {
            (Self::File, Some("rules")) => Self::Rules,
            (Self::File, Some("cases")) => Self::Cases,
            (Self::Rules, None) => Self::Rule,
            (Self::Rule, Some("require")) => Self::Conditions,
            (Self::Rule, Some("grant")) => Self::Grant,
            (Self::Conditions, None) => Self::Condition,
            (Self::Cases, None) => Self::Case,
            _ => Self::Other,
        }
    }

    /// Whether an empty line stands before an entry that is not the first.
    fn is_apart(self, key: Option<&str>) -> bool {
        matches!(self, Self::Rules | Self::Cases) || (self == Self::File && matches!(key, Some("rules" | "cases")))
    }
}

impl Entry {
    fn name(&self) -> Option<&str> {
        self.key.as_deref().map(|key| key.trim_matches(['"', '\'']))
    }
}

impl Tree {
    fn print(&self) -> String {
        let mut text = String::new();
        let mut head: &[String] = &self.head;
        while let [first, rest @ ..] = head
            && first.is_empty()
        {
            head = rest;
        }
        comments(head, 0, &mut text);
        self.block.print(Kind::File, 0, "", &mut text);
        text
    }
}

impl Block {
    /// `lead` is what the first line has instead of the last part of its indentation: the dash of the list's item that
    /// the block is.
    fn print(&self, kind: Kind, indent: usize, lead: &str, text: &mut String) {
        let order = kind.order();
        let rank = |entry: &&Entry| {
            entry.name().and_then(|name| order.iter().position(|known| *known == name)).unwrap_or(usize::MAX)
        };
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(rank);
        for (index, entry) in entries.into_iter().enumerate() {
            let first = index == 0;
            let lead = if first { lead } else { "" };
            let blank = entry.before.first().is_some_and(String::is_empty);
            if !first && (blank || kind.is_apart(entry.name())) {
                text.push('\n');
            }
            let before = if blank { entry.before.get(1..).unwrap_or_default() } else { &entry.before };
            comments(before, indent - lead.len(), text);
            entry.print(kind, indent, lead, text);
        }
        if !self.tail.is_empty() {
            comments(&self.tail, indent, text);
        }
    }
}

impl Entry {
    fn print(&self, kind: Kind, indent: usize, lead: &str, text: &mut String) {
        let below = kind.below(self.name());
        let dash = self.key.is_none();
        if dash && self.value.is_empty() && !self.inner.entries.is_empty() {
            comments(self.remark.as_slice(), indent, text);
            return self.inner.print(below, indent + 2, "- ", text);
        }
        let mut line = " ".repeat(indent - lead.len());
        line.push_str(lead);
        match &self.key {
            Some(key) => {
                line.push_str(key);
                line.push(':');
            }
            None => line.push('-'),
        }
        for part in [Some(&self.value), self.remark.as_ref()].into_iter().flatten().filter(|part| !part.is_empty()) {
            line.push(' ');
            line.push_str(part);
        }
        text.push_str(&line);
        text.push('\n');
        let literal = self.value.starts_with(['|', '>']);
        for (deep, more) in &self.more {
            if !more.is_empty() {
                text.push_str(&" ".repeat(indent + deep + if literal { 2 } else { 0 }));
                text.push_str(more);
            }
            text.push('\n');
        }
        self.inner.print(below, indent + 2, "", text);
    }
}

fn comments(lines: &[String], indent: usize, text: &mut String) {
    for line in lines {
        if !line.is_empty() {
            text.push_str(&" ".repeat(indent));
            text.push_str(line);
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests;
