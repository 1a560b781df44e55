//! Entity tags (RFC 9110 section 8.8.3): which version of which secret an answer tells.
//!
//! Made of where a value is and which version it is, never of the value: a tag of a short value could be guessed back.

use axum::http::{HeaderMap, header};

use super::accept::Form;
use super::found::Version;
use super::request::Place;
use crate::exchange::Tenant;
use crate::jose::sha256;

/// The tag of a version in one form, with its quotes. The moment of its making tells a secret that was deleted and made
/// anew from the one before, whose versions had the same numbers.
pub(super) fn of(place: &Place, tenant: &Tenant, version: &Version, form: Form) -> String {
    let number = version.number.to_string();
    let parts = [&*place.namespace, &place.path, &tenant.field, &number, &version.created, form.media_type()];
    let mut text = b"cambio rest value 1\0".to_vec();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    let digest = sha256(&text).to_string();
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

/// Whether the caller has what `tag` names (RFC 9110 section 13.1.2: weakly compared).
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use rstest::rstest;

    #[rstest]
    #[case(&[], false)]
    #[case(&["\"a\""], true)]
    #[case(&["W/\"a\""], true)]
    #[case(&["\"b\", \"a\""], true)]
    #[case(&["\"b\"", "\"a\""], true)]
    #[case(&["*"], true)]
    #[case(&["\"b\""], false)]
    #[case(&["a"], false)]
    #[case(&["\"A\""], false)]
    #[case(&[""], false)]
    fn a_tag_is_known_by_its_text(#[case] lines: &[&'static str], #[case] expected: bool) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(line));
        }
        assert_eq!(is_known(&headers, "\"a\""), expected);
    }
}
