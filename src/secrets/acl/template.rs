//! `${hex("production")}` in the names of policies and in paths. Decides what a template is; knows one function.

use std::borrow::Cow;
use std::fmt::Write as _;

const GRAMMAR: &str = "a template is `${hex(\"text\")}`, and nothing else; write `$${` where it is meant literally";

/// The text with its templates resolved: `hex` is the lower-case hex of a text's UTF-8 bytes, `$${` a literal `${`.
///
/// # Errors
/// What is wrong, for the operator.
pub(super) fn expand(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let after = from.get(2..).unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
        } else {
            expanded.push_str(before);
            let (argument, after) = call(after).ok_or(GRAMMAR)?;
            for byte in argument.bytes() {
                write!(expanded, "{byte:02x}").map_err(|_| GRAMMAR)?;
            }
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(Cow::Owned(expanded))
}

/// The argument of `hex("..")}`, and what follows.
fn call(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start().strip_prefix("hex")?.trim_start().strip_prefix('(')?.trim_start();
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let argument = strings.next()?.ok()?;
    let after = text.get(strings.byte_offset()..)?;
    let after = after.trim_start().strip_prefix(')')?.trim_start().strip_prefix('}')?;
    Some((argument, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a/b", "a/b")]
    #[case("env/${hex(\"production\")}", "env/70726f64756374696f6e")]
    #[case("${ hex ( \"é\" ) }/${hex(\"\")}x", "c3a9/x")]
    #[case("${hex(\"review/*\")}", "7265766965772f2a")]
    #[case("${hex(\"a}\\\"${b\")}", "617d22247b62")]
    #[case("$${hex(\"a\")}", "${hex(\"a\")}")]
    #[case("$$${", "$${")]
    #[case("$a{b}$", "$a{b}$")]
    fn a_template_is_resolved(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(expand(text).unwrap(), expected);
    }

    #[rstest]
    #[case("${")]
    #[case("${}")]
    #[case("${environment}")]
    #[case("${hex(environment)}")]
    #[case("${hex(\"a\")")]
    #[case("${hex(\"a\"}")]
    #[case("${hex(\"a\", \"b\")}")]
    #[case("${hex('a')}")]
    #[case("${upper(\"a\")}")]
    #[case("${hex(\"a\")}${")]
    fn what_is_no_template_is_refused(#[case] text: &str) {
        assert_eq!(expand(text), Err(GRAMMAR));
    }
}
