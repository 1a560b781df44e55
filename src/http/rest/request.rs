//! The head of a request: whose secrets, which one, and who asks.
//!
//! Decides what a path and a query mean. Refuses to guess: segments are decoded once, what is given twice, or is not known,
//! is refused and not ignored, since a caller that misspells `version` must not get another one.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use zeroize::Zeroizing;

use super::problem::Problem;
use crate::exchange::{Naming, Rules, Tenant, TenantKind, Tenants};
use crate::identity::Namespace;
use crate::secrets::SecretPath;

/// The longest segment, in bytes, decoded.
const MAX_SEGMENT: usize = 1024;

/// A request without its body.
#[derive(Debug)]
pub(in crate::http) struct RestRequest {
    /// Whose secrets; none where nobody is known by that id.
    pub(in crate::http) tenant: Option<Arc<Tenant>>,
    /// The id, as it is told in the record: `projects/acme/web`.
    pub(in crate::http) asked: String,
    /// What follows the id, decoded: `secrets`, `<name>`, `value`.
    pub(in crate::http) rest: Vec<String>,
    /// The token; empty for none.
    pub(in crate::http) token: Zeroizing<String>,
    query: Vec<(String, String)>,
}

/// Why a request could not be read: the word for its record, and what is wrong, for the record and the caller alike.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Unread {
    pub(in crate::http) code: &'static str,
    pub(in crate::http) problem: Problem,
}

impl Unread {
    pub(in crate::http) fn new(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, problem: Problem::bad_request(detail) }
    }
}

impl RestRequest {
    /// Reads the head of a request whose path is `/api/v4/{projects|groups}/<id>/...`, with the parameters of `known` and no
    /// others in its query.
    pub(in crate::http) fn read(head: &Parts, rules: &Rules, known: &[&str]) -> Result<Self, Unread> {
        let mut segments = head.uri.path().split('/').skip_while(|segment| *segment != "v4").skip(1);
        let (kind, word) = match segments.next() {
            Some("groups") => (TenantKind::Group, "groups"),
            _ => (TenantKind::Project, "projects"),
        };
        let mut decoded =
            segments.map(|segment| decoded(segment).ok_or(Unread::new("path_malformed", "the path can't be read")));
        let id = decoded.next().unwrap_or(Err(Unread::new("path_malformed", "the path can't be read")))?;
        if !Tenants::is_id(&id) {
            return Err(Unread::new("path_malformed", "an id is a number or a path, with `%2F` for its slashes"));
        }
        let rest = decoded.collect::<Result<_, _>>()?;
        let query = query(head.uri.query().unwrap_or_default(), known)?;
        let tenant = rules.tenants.find(kind, &id).cloned();
        Ok(Self { tenant, asked: format!("{word}/{id}"), rest, token: token(&head.headers)?, query })
    }

    /// The name of the secret that the path names.
    pub(in crate::http) fn name(&self) -> Result<SecretPath, Unread> {
        let name = self.rest.get(1).map(String::as_str).unwrap_or_default();
        SecretPath::new(name).map_err(|fault| Unread::new("name_malformed", fault.to_string()))
    }

    /// A parameter of the query.
    pub(in crate::http) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Where `name` is in the API of the KV engine, and how that is meant: `part` is `data` or `metadata`.
    pub(in crate::http) fn place(&self, part: &str, name: &str) -> Place {
        match &self.tenant {
            Some(tenant) => Place {
                namespace: tenant.namespace.as_ref().map_or("", Namespace::as_str).to_owned(),
                naming: Naming::Exact,
                path: format!("{}/{part}/{}{name}", tenant.mount, tenant.folder),
            },
            None => Place {
                namespace: String::new(),
                naming: Naming::Unknown,
                path: format!("{}/secrets/{name}", self.asked),
            },
        }
    }
}

/// A path in the stores, as the engine is asked for it.
#[derive(Debug)]
pub(in crate::http) struct Place {
    pub(in crate::http) namespace: String,
    pub(in crate::http) naming: Naming,
    pub(in crate::http) path: String,
}

/// Decodes a segment once. An encoded slash is part of it: GitLab's paths and nested names are written so.
pub(in crate::http) fn decoded(raw: &str) -> Option<String> {
    if raw.is_empty() || raw.len() > 3 * MAX_SEGMENT {
        return None;
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, after @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let [high, low, after @ ..] = after else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(high)? << 4 | digit(low)?);
        rest = after;
    }
    let fits = |text: &String| text.len() <= MAX_SEGMENT && !text.chars().any(char::is_control);
    String::from_utf8(bytes).ok().filter(fits)
}

/// The parameters: each of `known`, once.
pub(in crate::http) fn query(text: &str, known: &[&str]) -> Result<Vec<(String, String)>, Unread> {
    let mut read: Vec<(String, String)> = vec![];
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let Some(name) = known.iter().find(|known| **known == name) else {
            return Err(Unread::new("query_malformed", "the query has a parameter that is not known here"));
        };
        if read.iter().any(|(other, _)| other == name) {
            return Err(Unread::new("query_malformed", format!("`{name}` was given twice")));
        }
        read.push(((*name).to_owned(), value.into_owned()));
    }
    Ok(read)
}

/// A number of the query: digits, and no more than a version or a page could have.
pub(in crate::http) fn number(text: &str) -> Option<u64> {
    let plain = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The token, as an OAuth client (RFC 6750 section 2.1) or a client of GitLab's sends it; empty for none. Never one of the
/// query (RFC 6750 section 2.3).
pub(in crate::http) fn token(headers: &HeaderMap) -> Result<Zeroizing<String>, Unread> {
    let twice = |name: &str| Unread::new("token_malformed", format!("the header `{name}` was given twice"));
    let single = |name: &'static str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(twice(name)),
            // What is no text is no token.
            (first, None) => Ok(first.map(|value| value.to_str().unwrap_or("\u{fffd}"))),
        }
    };
    let bearer = single(header::AUTHORIZATION.as_str())?
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let private = single("private-token")?.map(str::trim);
    match (bearer.filter(|token| !token.is_empty()), private.filter(|token| !token.is_empty())) {
        (Some(one), Some(other)) if one != other => Err(Unread::new("token_malformed", "two tokens were given")),
        (Some(token), _) | (None, Some(token)) => Ok(Zeroizing::new(token.to_owned())),
        (None, None) => Ok(Zeroizing::new(String::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};
    use rstest::rstest;

    #[rstest]
    #[case("DB_PASSWORD", Some("DB_PASSWORD"))]
    #[case("acme%2Fweb", Some("acme/web"))]
    #[case("acme%2fweb", Some("acme/web"))]
    #[case("a%20b", Some("a b"))]
    #[case("a+b", Some("a+b"))]
    #[case("%C3%A9", Some("é"))]
    #[case("a%252Fb", Some("a%2Fb"))]
    #[case("", None)]
    #[case("a%00", None)]
    #[case("a%0a", None)]
    #[case("a%", None)]
    #[case("a%2", None)]
    #[case("a%zz", None)]
    #[case("a%+1", None)]
    #[case("a%ff", None)]
    #[case("a%c2%80", None)]
    fn a_segment_is_decoded_once_and_strictly(#[case] raw: &str, #[case] expected: Option<&str>) {
        assert_eq!(decoded(raw).as_deref(), expected);
    }

    #[test]
    fn a_segment_has_a_longest_length() {
        assert!(decoded(&"%61".repeat(MAX_SEGMENT)).is_some());
        assert!(decoded(&"a".repeat(MAX_SEGMENT + 1)).is_none());
    }

    #[rstest]
    #[case("", true)]
    #[case("version=1", true)]
    #[case("version=1&page=2", true)]
    #[case("version=1&version=1", false)]
    #[case("versoin=1", false)]
    #[case("Version=1", false)]
    #[case("private_token=x", false)]
    #[case("version=1&", true)]
    fn a_query_has_known_parameters_and_each_once(#[case] text: &str, #[case] good: bool) {
        assert_eq!(query(text, &["version", "page"]).is_ok(), good);
    }

    #[rstest]
    #[case("1", Some(1))]
    #[case("007", Some(7))]
    #[case("", None)]
    #[case("+1", None)]
    #[case("-1", None)]
    #[case("1.0", None)]
    #[case("1 ", None)]
    #[case("１", None)]
    #[case("1000000000000000", None)]
    fn a_number_has_digits_only(#[case] text: &str, #[case] expected: Option<u64>) {
        assert_eq!(number(text), expected);
    }

    #[rstest]
    #[case(&[], Ok(""))]
    #[case(&[("authorization", "Bearer t")], Ok("t"))]
    #[case(&[("authorization", "bearer  t ")], Ok("t"))]
    #[case(&[("authorization", "Bearer")], Ok(""))]
    #[case(&[("authorization", "Basic dDp0")], Ok(""))]
    #[case(&[("private-token", "t")], Ok("t"))]
    #[case(&[("private-token", "t"), ("authorization", "Bearer t")], Ok("t"))]
    #[case(&[("private-token", "t"), ("authorization", "Basic dDp0")], Ok("t"))]
    #[case(&[("private-token", "t"), ("authorization", "Bearer u")], Err(()))]
    #[case(&[("private-token", "t"), ("private-token", "t")], Err(()))]
    #[case(&[("authorization", "Bearer t"), ("authorization", "Bearer t")], Err(()))]
    fn a_token_comes_in_one_of_two_headers(
        #[case] given: &[(&'static str, &'static str)],
        #[case] expected: Result<&str, ()>,
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        match (token(&headers), expected) {
            (Ok(read), Ok(expected)) => assert_eq!(*read, expected),
            (Err(unread), Err(())) => assert_eq!(unread.code, "token_malformed"),
            (read, expected) => panic!("{read:?}, and not {expected:?}"),
        }
    }
}
