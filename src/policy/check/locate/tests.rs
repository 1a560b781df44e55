//! Every way to write a text in YAML, and the place of a part of it.

use rstest::rstest;

use super::*;
use crate::policy::document::{Document, place};

/// A file whose only condition is written so; the text of its condition, and its place.
fn condition(written: &str) -> (String, String, Place) {
    let text = format!(
        "target: t\nrules:\n  - name: r\n    issuer: i\n    require:\n      - that: {written}\n        message: m\n    grant: \
         {{policies: ['\"p\"']}}\n"
    );
    let document = Document::parse(&text).unwrap_or_else(|(error, place)| panic!("{error} at {place:?}\n{text}"));
    let that = &document.rules[0].require[0].that;
    (text.clone(), that.value.clone(), place(that))
}

#[rstest]
#[case::plain("claims.ref == now", "ref", (6, 22), "ref")]
#[case::plain_to_its_end("claims.ref == now", "now", (6, 29), "now")]
#[case::plain_with_a_comment("claims.ref == now # now", "now", (6, 29), "now")]
#[case::plain_folded("claims.ref ==\n          now && x", "now && x", (7, 11), "now && x")]
#[case::plain_over_a_fold("claims.ref ==\n          now && x", "== now", (6, 26), "==\n          now")]
#[case::single("'claims.ref == \"x\"'", "\"x\"", (6, 30), "\"x\"")]
#[case::single_with_quotes("'claims.ref == ''x'''", "'x'", (6, 30), "''x''")]
#[case::single_after_quotes("'''x'' == y'", "y", (6, 25), "y")]
#[case::single_folded("'claims.ref ==\n          now'", "now", (7, 11), "now")]
#[case::double("\"claims.ref == \\\"x\\\"\"", "\"x\"", (6, 30), "\\\"x\\\"")]
#[case::double_after_escapes("\"'\\u00e9\\x41' == y\"", "y", (6, 32), "y")]
#[case::double_with_a_broken_line("\"claims.ref == \\\n          now\"", "now", (7, 11), "now")]
#[case::not_ascii("'\"Ünit\" == ref'", "ref", (6, 26), "ref")]
#[case::literal_block("|\n          claims.ref ==\n            now", "now", (8, 13), "now")]
#[case::stripped_block("|-\n          claims.ref ==\n          now", "claims", (7, 11), "claims")]
#[case::kept_block("|+\n          claims.ref ==\n          now\n\n", "now", (8, 11), "now")]
#[case::folded_block(">-\n          claims.ref ==\n          now", "now", (8, 11), "now")]
#[case::folded_block_with_paragraphs(">\n          a\n\n          b\n            c\n          d", "d", (11, 11), "d")]
#[case::block_with_an_indent("|2-\n           a\n          b", "b", (8, 11), "b")]
#[case::block_after_a_comment("|- # why\n          a ==\n          b", "b", (8, 11), "b")]
fn a_part_of_a_text_has_its_own_place(
    #[case] written: &str,
    #[case] part: &str,
    #[case] (line, column): (u32, u32),
    #[case] underlined: &str,
) {
    let (text, source, whole) = condition(written);
    let start = source.rfind(part).unwrap();
    let found = locate(&text, whole, &source, start..start + part.len());
    let bytes = found.offset as usize..(found.offset + found.len) as usize;
    assert_eq!(text.get(bytes), Some(underlined), "{whole:?} {found:?}");
    assert_eq!((found.line, found.column), (line, column));
}

#[test]
fn a_text_that_reads_otherwise_keeps_the_place_of_the_whole() {
    let (text, _, whole) = condition("claims.ref == now");
    assert_eq!(locate(&text, whole, "something else", 0..4), whole);
    assert_eq!(locate(&text, Place::default(), "claims.ref == now", 0..4), Place::default());
}
