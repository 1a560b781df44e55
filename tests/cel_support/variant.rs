//! Variants of a generated expression that mean the same wherever two implementations agree on what the variant leaves out.
//! It reads what [`generate`](super::generate) writes, and no other CEL.

/// What becomes of a `cel.bind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binds {
    /// It stays.
    Kept,
    /// The value stands wherever the variable stood: evaluated where it is used, or never.
    Inlined,
    /// `[value].map(variable, within)[0]`: evaluated before anything else, and once.
    Early,
}

/// The variant of `expression` with its binds as said; and, where `without_doubles`, with 0 in the place of every `double` that
/// is to be formatted by `%s` or `%d`, alone or as an element of a list.
pub fn variant(expression: &str, binds: Binds, without_doubles: bool) -> String {
    Variant { binds, without_doubles, names: 0 }.of(expression, &[])
}

struct Variant {
    binds: Binds,
    without_doubles: bool,
    names: u32,
}

const MACROS: [&str; 5] = ["all", "exists", "exists_one", "map", "filter"];

impl Variant {
    /// `text`, with what `scope` says in the place of each variable. Every variable gets a name of its own, so that what is
    /// moved means the same where it stands then.
    fn of(&mut self, text: &str, scope: &[(String, String)]) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '\'' {
                let end = 2 + rest[1..].find('\'').unwrap();
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            } else if first.is_ascii_alphanumeric() {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                rest = self.word(word, after, scope, &mut out);
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }

    /// Writes a word, with its arguments where it binds a variable or formats; what follows.
    fn word<'t>(&mut self, word: &str, after: &'t str, scope: &[(String, String)], out: &mut String) -> &'t str {
        let is_member = out.ends_with('.');
        if word == "cel"
            && !is_member
            && self.binds != Binds::Kept
            && let Some(inside) = after.strip_prefix(".bind(")
        {
            let (parts, rest) = arguments(inside);
            let value = self.of(parts[1], scope);
            if self.binds == Binds::Inlined {
                let within = self.of(parts[2], &with(scope, parts[0], &format!("({value})")));
                out.push_str(&format!("({within})"));
            } else {
                let name = self.name();
                let within = self.of(parts[2], &with(scope, parts[0], &name));
                out.push_str(&format!("[{value}].map({name}, {within})[0]"));
            }
            return rest;
        }
        if let Some(inside) = after.strip_prefix('(').filter(|_| is_member) {
            let (parts, rest) = arguments(inside);
            if MACROS.contains(&word) {
                let name = self.name();
                let scope = with(scope, parts[0], &name);
                let others: Vec<String> = parts[1..].iter().map(|part| self.of(part, &scope)).collect();
                out.push_str(&format!("{word}({name}, {})", others.join(", ")));
                return rest;
            }
            if word == "format" && self.without_doubles && ["'<%s>'.", "'<%d>'."].iter().any(|end| out.ends_with(end)) {
                let value = parts[0].strip_prefix('[').and_then(|value| value.strip_suffix(']')).unwrap();
                let value = self.of(value, scope);
                let name = self.name();
                let element = format!("{name}, type({name}) == double ? 0 : {name}");
                let list = format!("type({value}) == list ? ({value}).map({element}) : {value}");
                out.push_str(&format!("format([type({value}) == double ? 0 : ({list})])"));
                return rest;
            }
        }
        let known = scope.iter().rev().find(|(name, _)| name == word && !is_member);
        out.push_str(known.map_or(word, |(_, value)| value));
        after
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("w{}", self.names)
    }
}

fn with(scope: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut scope = scope.to_vec();
    scope.push((name.to_owned(), value.to_owned()));
    scope
}

/// The arguments of a call, from behind its parenthesis, and what follows the one that closes it.
fn arguments(text: &str) -> (Vec<&str>, &str) {
    let (mut parts, mut from, mut depth, mut quoted) = (vec![], 0, 0_usize, false);
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                parts.push(text[from..at].trim());
                return (parts, &text[at + 1..]);
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    panic!("it has no end: {text}");
}
