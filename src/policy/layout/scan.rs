//! One line of a policy file: where its key, its value and its comment end. Decides by the rules of YAML 1.2 for block style,
//! as far as policy files use it.

/// How far a value in braces, brackets or quotes has come.
#[derive(Default)]
pub(super) struct Scan {
    depth: usize,
    quote: Option<char>,
}

impl Scan {
    pub(super) fn is_open(&self) -> bool {
        self.depth > 0 || self.quote.is_some()
    }

    /// Walks over a line; the byte at which its comment begins, or its end.
    pub(super) fn line(&mut self, text: &str) -> usize {
        // A quote opens only where a scalar can begin: `the group's` has none.
        let mut begins = self.quote.is_none();
        let mut space = true;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match (self.quote, c) {
                (Some('"'), '\\') => drop(chars.next()),
                (Some('\''), '\'') if chars.peek().is_some_and(|(_, next)| *next == '\'') => drop(chars.next()),
                (Some(quote), c) if quote == c => self.quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') if begins => self.quote = Some(c),
                (None, '{' | '[') if begins || self.depth > 0 => self.depth += 1,
                (None, '}' | ']') if self.depth > 0 => self.depth -= 1,
                (None, '#') if space => return at,
                (None, _) => {}
            }
            space = c.is_whitespace();
            begins = match c {
                '{' | '[' | ',' | ':' => self.depth > 0,
                _ => space && begins,
            };
        }
        text.len()
    }
}

pub(super) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

pub(super) fn is_item(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// The key at the start of a line, and what follows its `:`.
pub(super) fn key(text: &str) -> Option<(&str, &str)> {
    let end = match text.chars().next()? {
        quote @ ('"' | '\'') => text.get(1..)?.find(quote)? + 2,
        '{' | '[' | '|' | '>' => return None,
        _ => text.match_indices(':').map(|(at, _)| at).find(|at| ends_key(text, *at))?,
    };
    let key = text.get(..end)?;
    let quoted = key.starts_with(['"', '\'']);
    (ends_key(text, end) && (quoted || !key.contains(" #"))).then(|| text.get(end + 1..).map(|rest| (key, rest)))?
}

fn ends_key(text: &str, at: usize) -> bool {
    let rest = text.get(at..).and_then(|rest| rest.strip_prefix(':'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

pub(super) fn split_comment(text: &str) -> (&str, Option<String>) {
    match text.find(" #") {
        Some(at) => (text.get(..at).unwrap_or(text).trim_end(), comment(text.get(at..).unwrap_or_default())),
        None => (text.trim_end(), None),
    }
}

pub(super) fn comment(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
