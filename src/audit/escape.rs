//! How text gets onto a line of the journal: nothing in it can end the line, move a terminal's cursor, reorder what is
//! read, or be a token.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// How long a run of base64url behind `eyJ` (`{"`) is taken for a token.
const TOKEN_RUN: usize = 24;
const OUR_TOKENS: &str = "cambio_sa_";
const STRUCK: &[u8] = b"[token]";

/// Appends `value` as JSON.
pub(super) fn write(out: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Guarded))
}

/// Appends a text as JSON; nearly every claim's name goes the short way.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) -> serde_json::Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() && b != b'J' || matches!(b, b'_' | b'-' | b'.' | b'/' | b':');
    if !text.bytes().all(plain) || holds_our_token(text) {
        return write(out, &text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

/// Beyond what JSON asks to be escaped (RFC 8259 section 7).
struct Guarded;

impl Formatter for Guarded {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        guarded(out, fragment)
    }

    /// JSON that is there already: outside strings it has no character that is escaped here.
    fn write_raw_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        guarded(out, fragment)
    }
}

fn guarded<W: ?Sized + Write>(out: &mut W, text: &str) -> io::Result<()> {
    // Nearly every text: printable ASCII, and nothing that could begin a token.
    if text.bytes().all(|b| b < 0x7f && b != b'J') && !holds_our_token(text) {
        return out.write_all(text.as_bytes());
    }
    let mut rest = text;
    while let Some(at) = first_token(rest) {
        let (before, token) = rest.split_at_checked(at).unwrap_or((rest, ""));
        escaped(out, before)?;
        out.write_all(STRUCK)?;
        rest = token.trim_start_matches(|c: char| is_base64url(c) || c == '.');
    }
    escaped(out, rest)
}

/// Texts that are too short to hold one are not searched.
fn holds_our_token(text: &str) -> bool {
    text.len() >= OUR_TOKENS.len() + 8 && text.contains(OUR_TOKENS)
}

/// Where a compact token, or one of our own opaque ones, begins.
fn first_token(text: &str) -> Option<usize> {
    let run = |at: usize| text.get(at..).unwrap_or_default().chars().take_while(|c| is_base64url(*c)).take(TOKEN_RUN);
    let compact = || text.match_indices("eyJ").map(|(at, _)| at).find(|at| run(*at).count() == TOKEN_RUN);
    match (compact(), text.find(OUR_TOKENS)) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn is_base64url(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn escaped<W: ?Sized + Write>(out: &mut W, text: &str) -> io::Result<()> {
    let mut rest = text;
    while let Some(odd) = rest.chars().find(|c| is_odd(*c)) {
        let (before, after) = rest.split_once(odd).unwrap_or((rest, ""));
        out.write_all(before.as_bytes())?;
        for unit in odd.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}")?;
        }
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// DEL and the C1 controls (CSI is one), line and paragraph separators, what is invisible or changes direction, tags.
fn is_odd(c: char) -> bool {
    matches!(c,
        '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn line(text: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, &text).unwrap();
        String::from_utf8(out).unwrap()
    }

    const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJhIn0.c2lnbmF0dXJl";

    #[rstest]
    #[case("plain text", r#""plain text""#)]
    #[case("a\nb\r\u{0}", r#""a\nb\r\u0000""#)]
    #[case("\u{1b}[2J", r#""\u001b[2J""#)]
    #[case("a\u{9b}2J", r#""a\u009b2J""#)]
    #[case("a\u{202e}b", r#""a\u202eb""#)]
    #[case("\u{2028}", r#""\u2028""#)]
    #[case("\u{e0041}", r#""\udb40\udc41""#)]
    #[case("Grüße 日本", "\"Grüße 日本\"")]
    #[case("eyJ is short", r#""eyJ is short""#)]
    #[case("Bearer cambio_sa_abcdefgh.", r#""Bearer [token]""#)]
    fn a_text_stays_on_its_line(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(line(text), expected);
    }

    #[test]
    fn what_looks_like_a_token_is_struck_out_wherever_it_stands() {
        assert_eq!(line(TOKEN), r#""[token]""#);
        assert_eq!(line(&format!("iss={TOKEN} and {TOKEN}\n")), r#""iss=[token] and [token]\n""#);
        assert_eq!(line(&TOKEN[..30]), r#""[token]""#);
        let raw = serde_json::value::to_raw_value(&serde_json::json!({"a": [TOKEN], "b": "\u{9b}"})).unwrap();
        let mut out = Vec::new();
        write(&mut out, &raw).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":["[token]"],"b":"\u009b"}"#);
    }

    proptest! {
        #[test]
        fn any_text_reads_back_on_one_printable_line(text in "\\PC{0,40}|(?s:.{0,40})") {
            let line = line(&text);
            prop_assert!(!line.chars().any(|c| c.is_control()));
            if first_token(&text).is_none() {
                prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
            }
        }
    }
}
