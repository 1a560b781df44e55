//! Claims that an operator wrote down, for the tools: JSON or YAML, as in a case.
//!
//! Decides how they read: strictly, as the claims of a case do. Refuses to know whether anybody vouches for them.

use serde_json::{Map, Value};

use super::document::read;

/// The claims in `text`, a JSON object or a YAML map.
///
/// # Errors
/// What the reader complains about, without its place's text; and what to do where something else was given.
pub fn read_claims(text: &str) -> Result<Map<String, Value>, String> {
    let trimmed = text.trim_start_matches('\u{feff}').trim();
    if trimmed.is_empty() {
        return Err("is empty; there should be claims in it: a JSON object or a YAML map".to_owned());
    }
    if trimmed.starts_with("eyJ") && !trimmed.contains(char::is_whitespace) {
        return Err("holds a token and not claims; give it as a token, `--token` or `--from-token`".to_owned());
    }
    let read = if trimmed.starts_with('{') {
        serde_json::from_str::<Value>(trimmed).map_err(|error| format!("is no JSON: {error}"))
    } else {
        yaml(trimmed)
    };
    match read? {
        Value::Object(claims) => Ok(claims),
        _ => Err("holds no map of claims: write `name: value` lines, or a JSON object".to_owned()),
    }
}

/// By the rules of a policy file: no anchors, no `yes` for a bool, no key twice.
fn yaml(text: &str) -> Result<Value, String> {
    read(text).map_err(|(message, _)| format!("is neither a JSON object nor a YAML map: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::json("{\"a\": [1, null], \"b\": \"true\"}")]
    #[case::yaml("a: [1, null]\nb: \"true\"\n")]
    fn both_spellings_read_the_same(#[case] text: &str) {
        assert_eq!(Value::Object(read_claims(text).unwrap()), serde_json::json!({"a": [1, null], "b": "true"}));
    }

    #[rstest]
    #[case("", "is empty")]
    #[case(" \n", "is empty")]
    #[case("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.c2lnbmF0dXJl", "`--token`")]
    #[case("{\"a\": 1", "is no JSON")]
    #[case("[1, 2]", "no map of claims")]
    #[case("just words", "no map of claims")]
    #[case("a: 1\na: 2", "the key `a` stands twice")]
    fn what_is_no_map_of_claims_is_named(#[case] text: &str, #[case] said: &str) {
        let error = read_claims(text).unwrap_err();
        assert!(error.contains(said) && !error.contains("eyJh"), "{error}");
    }
}
