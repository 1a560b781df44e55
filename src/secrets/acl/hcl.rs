//! Reads HCL as OpenBao's policies are written in it: version 1 of the language, without heredocs.
//!
//! Decides what is well formed. Refuses to know what a document should have in it. A reader of our own: the well-kept crates
//! read version 2, where a block's label can't hold `${hex("production")}` and a block's settings stand on lines of their
//! own, so that documents which OpenBao takes would not load (`docs/decisions/0038-acl-documents.md`).

use serde_json::Number;

use super::limits::NESTING;
use super::node::{Member, Node, Span, SyntaxError, Value};

/// Reads a whole document: a map.
///
/// # Errors
/// [`SyntaxError`] names the first fault.
pub(super) fn read(text: &str) -> Result<Node, SyntaxError> {
    let mut reader = Reader { text, at: 0 };
    let members = reader.members(None, 1)?;
    Ok(Node { span: Span { at: 0, len: text.len() }, value: Value::Map(members) })
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    /// Everything up to the `}` of the block that was opened at `open`, or to the end of the text.
    fn members(&mut self, open: Option<usize>, depth: usize) -> Result<Vec<Member>, SyntaxError> {
        let mut members = vec![];
        loop {
            self.skip()?;
            match (self.peek(), open) {
                (None, None) => return Ok(members),
                (None, Some(open)) => return Err(error(open, "this `{` is never closed")),
                (Some('}'), Some(_)) => {
                    self.at += 1;
                    return Ok(members);
                }
                _ => members.push(self.member(depth)?),
            }
            self.skip()?;
            if open.is_some() && self.peek() == Some(',') {
                self.at += 1;
            }
        }
    }

    /// `name = value`, or `name "label" { .. }`.
    fn member(&mut self, depth: usize) -> Result<Member, SyntaxError> {
        let (key, span) = self.name()?;
        let mut labels = vec![];
        loop {
            self.skip()?;
            match self.peek() {
                Some('=') if labels.is_empty() => {
                    self.at += 1;
                    self.skip()?;
                    return Ok(Member { key, span, value: self.value(depth)?, block: false });
                }
                Some('{') => break,
                // Each label is a level of its own.
                Some(_) if labels.len() + depth >= NESTING => return Err(self.too_deep()),
                Some(_) => labels.push(self.name()?),
                None => return Err(error(self.at, "`=` or `{` is missing after the name")),
            }
        }
        let mut value = self.value(depth + labels.len())?;
        for (key, label) in labels.into_iter().rev() {
            let inner = Member { key, span: label, value, block: true };
            value = Node { span: label, value: Value::Map(vec![inner]) };
        }
        Ok(Member { key, span, value, block: true })
    }

    /// An identifier or a string.
    fn name(&mut self) -> Result<(String, Span), SyntaxError> {
        let at = self.at;
        let name = match self.peek() {
            Some('"') => self.string()?,
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.word().to_owned(),
            _ => return Err(self.unexpected("a name, such as `path`")),
        };
        Ok((name, Span { at, len: self.at - at }))
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let at = self.at;
        let value = match self.peek() {
            Some('[' | '{') if depth == NESTING => return Err(self.too_deep()),
            Some('[') => self.list(depth + 1)?,
            Some('{') => {
                self.at += 1;
                Value::Map(self.members(Some(at), depth + 1)?)
            }
            Some('"') => Value::Text(self.string()?),
            Some('<') => return Err(error(at, "heredocs are not read; write a string in quotes")),
            Some(c) if c.is_ascii_digit() || c == '-' => Value::Number(self.number()?),
            Some(c) if c.is_ascii_alphabetic() => match self.word() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => return Err(error(at, "a value is a string in quotes, a number, a bool, a list or an object")),
            },
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node { span: Span { at, len: self.at - at }, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let open = self.at;
        self.at += 1;
        let mut items = vec![];
        loop {
            self.skip()?;
            match self.peek() {
                None => return Err(error(open, "this `[` is never closed")),
                Some(']') => break,
                Some(_) => items.push(self.value(depth)?),
            }
            self.skip()?;
            match self.peek() {
                Some(',') => self.at += 1,
                Some(']') => break,
                None => return Err(error(open, "this `[` is never closed")),
                Some(_) => return Err(self.unexpected("`,` or `]`")),
            }
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn number(&mut self) -> Result<Number, SyntaxError> {
        let at = self.at;
        let written = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
        written.parse().map_err(|_| error(at, "not a number"))
    }

    /// What stands between quotes, with its escapes resolved. A template, `${..}`, stays as it is, and quotes inside of it
    /// don't end the string, as in HCL.
    fn string(&mut self) -> Result<String, SyntaxError> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = self.take_while(|c| !matches!(c, '"' | '\\' | '$' | '\n'));
            text.push_str(plain);
            match self.peek() {
                None | Some('\n') => return Err(error(open, "the string has no end on its line")),
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                Some(_) if self.rest().starts_with("$${") => text.push_str(self.take(3)),
                Some(_) if self.rest().starts_with("${") => text.push_str(self.template()?),
                Some(_) => text.push_str(self.take(1)),
            }
        }
    }

    /// `${..}` as it is written.
    fn template(&mut self) -> Result<&'t str, SyntaxError> {
        let open = self.at;
        let (mut quoted, mut escaped) = (false, false);
        for (at, c) in self.rest().char_indices() {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '}' if !quoted => return Ok(self.take(at + 1)),
                _ => {}
            }
        }
        Err(error(open, "this `${` is never closed; write `$${` where it is meant literally"))
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let at = self.at;
        let digits = match self.take(2) {
            "\\n" => return Ok('\n'),
            "\\r" => return Ok('\r'),
            "\\t" => return Ok('\t'),
            "\\\"" => return Ok('"'),
            "\\\\" => return Ok('\\'),
            "\\u" => 4,
            "\\U" => 8,
            _ => return Err(error(at, "an escape is one of `\\n`, `\\r`, `\\t`, `\\\"`, `\\\\`, `\\u` and `\\U`")),
        };
        let hex = self.take(digits);
        let hex = Some(hex).filter(|hex| hex.len() == digits && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        code.and_then(char::from_u32).ok_or_else(|| error(at, "not the number of a character"))
    }

    /// A letter and what follows it in a name.
    fn word(&mut self) -> &'t str {
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    }

    /// Skips white space and comments.
    fn skip(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            let rest = self.rest();
            if rest.starts_with('#') || rest.starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if rest.starts_with("/*") {
                let end = rest.find("*/").ok_or_else(|| error(self.at, "this comment has no end"))?;
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.take(end)
    }

    /// The next `len` bytes, or nothing where they would end within a character.
    fn take(&mut self, len: usize) -> &'t str {
        let taken = self.rest().get(..len).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        match self.peek() {
            Some(found) => error(self.at, &format!("{wanted} is expected here, not `{}`", found.escape_debug())),
            None => error(self.at, &format!("{wanted} is missing at the end")),
        }
    }

    fn too_deep(&self) -> SyntaxError {
        error(self.at, &format!("nested deeper than {NESTING} levels"))
    }
}

fn error(at: usize, message: &str) -> SyntaxError {
    SyntaxError { at, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;
    use rstest::rstest;

    /// The tree without its places.
    fn plain(node: &Node) -> serde_json::Value {
        match &node.value {
            Value::Text(text) => serde_json::json!(text),
            Value::Number(number) => serde_json::json!(number),
            Value::Bool(bool) => serde_json::json!(bool),
            Value::Null => serde_json::Value::Null,
            Value::List(items) => items.iter().map(plain).collect(),
            Value::Map(members) => {
                members.iter().map(|member| serde_json::json!([member.key, plain(&member.value)])).collect()
            }
        }
    }

    #[rstest]
    #[case(r#"path "a" { capabilities = ["read"] }"#, r#"{"path": {"a": {"capabilities": ["read"]}}}"#)]
    #[case(
        "\"path\" \"a\" {\n  capabilities = [\"read\", \"list\",]\r\n}",
        r#"{"path": {"a": {"capabilities": ["read", "list"]}}}"#
    )]
    #[case(r#"path "a" { policy = "read" comment = "x" }"#, r#"{"path": {"a": {"policy": "read", "comment": "x"}}}"#)]
    #[case(r#"path = { "a" = { capabilities = [] }, "b" = {} }"#, r#"{"path": {"a": {"capabilities": []}, "b": {}}}"#)]
    #[case(
        r#"path { "a" { x { "y" = [1, -2.5, true, false] } } }"#,
        r#"{"path": {"a": {"x": {"y": [1, -2.5, true, false]}}}}"#
    )]
    #[case("# a\n// b\n/* c\n{ */ a = 1 # d", r#"{"a": 1}"#)]
    #[case(r#"a = "\"\\\n\t\r\u00e9\U0001F600 $ $x $$""#, r#"{"a": "\"\\\n\t\ré😀 $ $x $$"}"#)]
    #[case(r#"policy "env/${hex("pro}d")}/x" {}"#, r#"{"policy": {"env/${hex(\"pro}d\")}/x": {}}}"#)]
    #[case(r#"a = "$${x" b = "y""#, r#"{"a": "$${x", "b": "y"}"#)]
    #[case("", "{}")]
    fn a_document_says_the_same_in_both_languages(#[case] hcl: &str, #[case] json: &str) {
        assert_eq!(plain(&read(hcl).unwrap()), plain(&json::read(json).unwrap()));
    }

    #[rstest]
    #[case("path \"a\" {", 9, "this `{` is never closed")]
    #[case("a = [1", 4, "this `[` is never closed")]
    #[case("a = [1 2]", 7, "`,` or `]` is expected here, not `2`")]
    #[case("a = \"x\ny\"", 4, "the string has no end on its line")]
    #[case("a = \"${hex(\"x\")\"", 5, "this `${` is never closed; write `$${` where it is meant literally")]
    #[case("a = <<X\nX", 4, "heredocs are not read; write a string in quotes")]
    #[case("a = x", 4, "a value is a string in quotes, a number, a bool, a list or an object")]
    #[case("a = 1x", 4, "not a number")]
    #[case("a \"b\" = 1", 6, "a name, such as `path` is expected here, not `=`")]
    #[case("a", 1, "`=` or `{` is missing after the name")]
    #[case("}", 0, "a name, such as `path` is expected here, not `}`")]
    #[case("/* a", 0, "this comment has no end")]
    #[case("\u{feff}a = 1", 0, "a name, such as `path` is expected here, not `\\u{feff}`")]
    #[case("a = \"\\x41\"", 5, "an escape is one of `\\n`, `\\r`, `\\t`, `\\\"`, `\\\\`, `\\u` and `\\U`")]
    #[case("a = \"\\ud800\"", 5, "not the number of a character")]
    #[case("a = \"\\u+123\"", 5, "not the number of a character")]
    #[case("a = \"\\é\"", 5, "an escape is one of `\\n`, `\\r`, `\\t`, `\\\"`, `\\\\`, `\\u` and `\\U`")]
    fn a_fault_is_told_with_its_place(#[case] hcl: &str, #[case] at: usize, #[case] message: &str) {
        let error = read(hcl).unwrap_err();
        assert_eq!((error.at, error.message.as_str()), (at, message));
    }

    #[rstest]
    #[case("a = ", "[", "")]
    #[case("a = ", "[", "]")]
    #[case("a = ", "{ a = ", "}")]
    #[case("", "a {", "}")]
    #[case("a ", "\"b\" ", "{}")]
    fn a_hundred_thousand_levels_do_not_reach_the_stack(#[case] start: &str, #[case] open: &str, #[case] close: &str) {
        let text = [start, &open.repeat(100_000), &close.repeat(100_000)].concat();
        assert_eq!(read(&text).unwrap_err().message, "nested deeper than 16 levels");
    }
}
