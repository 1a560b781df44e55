//! Reads JSON (RFC 8259) into the same tree as HCL, every value with its place. Decides what is well formed; refuses to know
//! what a document should have in it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::limits::NESTING;
use super::node::{Member, Node, Span, SyntaxError, Value};

/// Reads a whole document.
///
/// # Errors
/// [`SyntaxError`] names the first fault.
pub(super) fn read(text: &str) -> Result<Node, SyntaxError> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| syntax(&error, text, 0))?;
    value(raw, text, 1)
}

/// A value out of a piece of the text: each level is read once more, so that its parts' places are known.
fn value(raw: &RawValue, text: &str, depth: usize) -> Result<Node, SyntaxError> {
    let raw = raw.get();
    let span = Span { at: offset(raw, text), len: raw.len() };
    let fault = |error: serde_json::Error| syntax(&error, raw, span.at);
    let value = match raw.as_bytes().first() {
        Some(b'{' | b'[') if depth > NESTING => {
            return Err(SyntaxError { at: span.at, message: format!("nested deeper than {NESTING} levels") });
        }
        Some(b'{') => {
            let mut json = serde_json::Deserializer::from_str(raw);
            let members = json.deserialize_map(Members).map_err(fault)?;
            let member = |(key, raw): (&RawValue, &RawValue)| {
                let span = Span { at: offset(key.get(), text), len: key.get().len() };
                let key = serde_json::from_str(key.get()).map_err(|error| syntax(&error, key.get(), span.at))?;
                Ok(Member { key, span, value: value(raw, text, depth + 1)?, block: false })
            };
            Value::Map(members.into_iter().map(member).collect::<Result<_, _>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(fault)?;
            Value::List(items.into_iter().map(|raw| value(raw, text, depth + 1)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::Text(serde_json::from_str::<Cow<'_, str>>(raw).map_err(fault)?.into_owned()),
        Some(b't' | b'f') => Value::Bool(serde_json::from_str(raw).map_err(fault)?),
        Some(b'n') => Value::Null,
        _ => Value::Number(serde_json::from_str(raw).map_err(fault)?),
    };
    Ok(Node { span, value })
}

/// The members of an object, none dropped, in order.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = vec![];
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Where a piece of the text stands in it.
fn offset(piece: &str, text: &str) -> usize {
    piece.as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

/// The fault of a piece that begins at `base`.
fn syntax(error: &serde_json::Error, piece: &str, base: usize) -> SyntaxError {
    let before: usize = piece.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let message = error.to_string();
    let message = message.split_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let within = (before + error.column().saturating_sub(1)).min(piece.len());
    SyntaxError { at: base + within, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn everything_knows_its_place() {
        let text = "{\n \"pa\\u0074h\": {\"a\": [true, \"é\"]},\n \"b\": null}";
        let root = read(text).unwrap();
        let slice = |span: Span| &text[span.at..span.at + span.len];
        let Value::Map(members) = &root.value else { panic!() };
        assert_eq!((slice(members[0].span), members[0].key.as_str()), ("\"pa\\u0074h\"", "path"));
        assert_eq!(slice(members[1].value.span), "null");
        let Value::Map(inner) = &members[0].value.value else { panic!() };
        let Value::List(items) = &inner[0].value.value else { panic!() };
        assert_eq!((slice(items[0].span), slice(items[1].span)), ("true", "\"é\""));
    }

    #[rstest]
    #[case("", 0, "EOF while parsing a value")]
    #[case("{\n \"a\": x}", 8, "expected value")]
    #[case("{} {}", 3, "trailing characters")]
    #[case("{\"a\": 1,}", 8, "key must be a string")]
    #[case("{\"a\": \"\\ud800\"}", 13, "unexpected end of hex escape")]
    fn a_fault_is_told_with_its_place(#[case] text: &str, #[case] at: usize, #[case] message: &str) {
        let error = read(text).unwrap_err();
        assert_eq!((error.at, error.message.as_str()), (at, message));
    }

    #[rstest]
    #[case("[", "")]
    #[case("[", "]")]
    #[case("{\"a\":", "1}")]
    fn a_hundred_thousand_levels_do_not_reach_the_stack(#[case] open: &str, #[case] close: &str) {
        let text = [open.repeat(100_000), close.repeat(100_000)].concat();
        assert!(read(&text).is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
        assert!(read(&nested(NESTING)).is_ok());
        assert_eq!(read(&nested(NESTING + 1)).unwrap_err().message, "nested deeper than 16 levels");
    }
}
