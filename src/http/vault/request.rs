//! The head of a request: what it is about, in which namespace, and who asks.
//!
//! Decides which part of a path names a namespace. Refuses to guess: what is encoded twice, holds an encoded slash or says
//! the same thing twice in different ways is refused, not cleaned.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use zeroize::Zeroizing;

use super::envelope::Refusal;
use crate::exchange::Counter;
use crate::identity::Namespace;
use crate::secrets::{Verb, go_duration};

/// The longest path that is read, in bytes as it came.
const MAX_PATH: usize = 4096;
/// The longest that a wrapped answer waits.
const MAX_WRAP: Duration = Duration::from_secs(24 * 60 * 60);

/// A request without its body.
#[derive(Debug)]
pub(super) struct VaultRequest {
    pub(super) peer: IpAddr,
    pub(super) verb: Verb,
    /// What it is about.
    pub(super) place: Place,
    /// The namespace, of header and path together; none for the root, or where none is named.
    pub(super) namespace: Option<Namespace>,
    /// The namespace of the header alone, without slashes at its ends.
    pub(super) named: String,
    /// The path, decoded; without `/v1/`.
    pub(super) path: String,
    /// The query as it came.
    pub(super) query: String,
    /// The token.
    pub(super) token: Option<Zeroizing<String>>,
    /// For how long the answer is to wait for whoever unwraps it.
    pub(super) wrap: Option<Duration>,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `auth/<mount>/login`, `auth/<mount>/cel/login`.
    Login { mount: String, cel: bool },
    /// `auth/token/<call>`.
    Token(String),
    /// `sys/<path>`.
    System(String),
    /// A path in a mount of secrets.
    Secret,
    /// Somewhere that this API does not have.
    Nowhere,
}

impl VaultRequest {
    /// Reads the head of a request whose path begins with `/v1/`.
    pub(super) fn read(head: &Parts, peer: IpAddr, counter: &Counter) -> Result<Self, Refusal> {
        let raw = head.uri.path().strip_prefix("/v1/").unwrap_or_default();
        let path = decoded(raw).ok_or_else(|| Refusal::bad_request("the path can't be read"))?;
        let query = head.uri.query().unwrap_or_default().to_owned();
        let named = named_namespace(&head.headers)?;
        let (namespace, place) = whereabouts(&path, &named, counter)?;
        Ok(Self {
            peer,
            verb: verb(&head.method, &query)?,
            place,
            namespace,
            named,
            path,
            query,
            token: token(&head.headers)?,
            wrap: wrap(&head.headers)?,
        })
    }

    /// The value of a parameter of the query; the first, where there are several.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.query, name)
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// Which part of the path is a namespace: what stands before the first `auth` or `sys`, if it is one that we have. A secret
/// may have a segment `auth` in its own path.
fn whereabouts(path: &str, named: &str, counter: &Counter) -> Result<(Option<Namespace>, Place), Refusal> {
    let found = ["auth", "sys"].into_iter().filter_map(|word| Some((before(path, word)?, word)));
    for (prefix, word) in found {
        let whole = [named, prefix].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
        let namespace = match whole.as_str() {
            "" => None,
            whole => match Namespace::new(whole) {
                Ok(namespace) if prefix.is_empty() || counter.rules().has_namespace(&namespace) => Some(namespace),
                // What looks like a login is none of a secret: its body holds a token.
                _ if !prefix.is_empty() && word == "auth" && whole.len() < path.len() && is_login(path, prefix) => {
                    return Ok((None, Place::Nowhere));
                }
                Ok(_) | Err(_) if !prefix.is_empty() => continue,
                _ => return Err(Refusal::bad_request("`X-Vault-Namespace` is no namespace")),
            },
        };
        let rest = path.get(prefix.len()..).unwrap_or_default().trim_start_matches('/');
        let rest = rest.strip_prefix(word).unwrap_or_default().strip_prefix('/').unwrap_or_default();
        let place = if word == "sys" { Place::System(rest.trim_end_matches('/').to_owned()) } else { auth(rest) };
        return Ok((namespace, place));
    }
    Ok((None, Place::Secret))
}

/// Whether what follows `prefix` is a login, and `prefix` could be a namespace: it names no part of a KV mount's API.
fn is_login(path: &str, prefix: &str) -> bool {
    let rest = path.get(prefix.len()..).unwrap_or_default().trim_start_matches('/');
    let kv = ["data", "metadata", "subkeys", "delete", "undelete", "destroy"];
    matches!(rest.strip_prefix("auth/").map(auth), Some(Place::Login { .. }))
        && !prefix.split('/').any(|segment| kv.contains(&segment))
}

/// What stands before the first segment `word`: empty where it is the first.
fn before<'p>(path: &'p str, word: &str) -> Option<&'p str> {
    let mut start = 0;
    for segment in path.split('/') {
        if segment == word {
            return path.get(..start).map(|prefix| prefix.trim_end_matches('/'));
        }
        start += segment.len() + 1;
    }
    None
}

fn auth(rest: &str) -> Place {
    if let Some(call) = rest.strip_prefix("token/") {
        return Place::Token(call.trim_end_matches('/').to_owned());
    }
    let Some(mount) = rest.strip_suffix("/login") else { return Place::Nowhere };
    let (mount, cel) = mount.strip_suffix("/cel").map_or((mount, false), |mount| (mount, true));
    let fits = |segment: &str| !matches!(segment, "" | "." | "..");
    if mount.split('/').all(fits) { Place::Login { mount: mount.to_owned(), cel } } else { Place::Nowhere }
}

fn verb(method: &Method, query: &str) -> Result<Verb, Refusal> {
    let asks = |name: &str| parameter(query, name).is_some_and(|value| matches!(value.as_str(), "true" | "1" | "True"));
    match method.as_str() {
        "GET" | "HEAD" if asks("list") => Ok(Verb::List),
        "GET" | "HEAD" if asks("scan") => Ok(Verb::Scan),
        "GET" | "HEAD" => Ok(Verb::Read),
        "LIST" => Ok(Verb::List),
        "SCAN" => Ok(Verb::Scan),
        "POST" | "PUT" => Ok(Verb::Write),
        "PATCH" => Ok(Verb::Patch),
        "DELETE" => Ok(Verb::Delete),
        _ => Err(Refusal::unsupported_operation()),
    }
}

/// Decodes a path once. An encoded slash is refused: to whoever stands before us it is no separator, to a store it is one.
fn decoded(raw: &str) -> Option<String> {
    if raw.len() > MAX_PATH {
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
        let byte = digit(high)? << 4 | digit(low)?;
        if matches!(byte, b'/' | b'\\' | 0) {
            return None;
        }
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn named_namespace(headers: &HeaderMap) -> Result<String, Refusal> {
    let named = single(headers, "x-vault-namespace")?.unwrap_or_default().trim_matches('/');
    Ok(if named == "root" { String::new() } else { named.to_owned() })
}

fn token(headers: &HeaderMap) -> Result<Option<Zeroizing<String>>, Refusal> {
    let own = single(headers, "x-vault-token")?.filter(|token| !token.is_empty());
    let bearer = single(headers, header::AUTHORIZATION.as_str())?
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match (own, bearer) {
        (Some(own), Some(bearer)) if own != bearer => Err(Refusal::bad_request("two tokens were given")),
        (Some(token), _) | (None, Some(token)) => Ok(Some(Zeroizing::new(token.to_owned()))),
        (None, None) => Ok(None),
    }
}

fn wrap(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(text) = single(headers, "x-vault-wrap-ttl")?.filter(|text| !matches!(*text, "" | "0" | "0s")) else {
        return Ok(None);
    };
    let span = go_duration(text).filter(|span| (Duration::from_secs(1)..=MAX_WRAP).contains(span));
    span.map(Some).ok_or_else(|| Refusal::bad_request("`X-Vault-Wrap-TTL` is a duration from 1s to 24h"))
}

/// The value of a header that may come once.
pub(super) fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Refusal::bad_request(format!("the header `{name}` was given twice")));
    }
    let text = |value: &'h axum::http::HeaderValue| {
        value
            .to_str()
            .map_err(|_| Refusal::bad_request(format!("the header `{name}` has characters that it may not have")))
    };
    first.map(text).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("secret/data/a", Some("secret/data/a"))]
    #[case("secret/data/a%20b", Some("secret/data/a b"))]
    #[case("secret/data/%C3%A9", Some("secret/data/é"))]
    #[case("secret/data/%2e%2e/b", Some("secret/data/../b"))]
    #[case("secret/data/%252e", Some("secret/data/%2e"))]
    #[case("secret%2Fdata", None)]
    #[case("secret%2fdata", None)]
    #[case("secret%5cdata", None)]
    #[case("a%00b", None)]
    #[case("a%", None)]
    #[case("a%4", None)]
    #[case("a%zz", None)]
    #[case("a%+1", None)]
    #[case("a%ff", None)]
    fn a_path_is_decoded_once_and_strictly(#[case] raw: &str, #[case] expected: Option<&str>) {
        assert_eq!(decoded(raw).as_deref(), expected);
    }

    #[rstest]
    #[case("auth/jwt/login", "auth", Some(""))]
    #[case("a/b/auth/jwt/login", "auth", Some("a/b"))]
    #[case("a/authority/x", "auth", None)]
    #[case("sys/health", "sys", Some(""))]
    #[case("secret/data/a", "auth", None)]
    fn a_namespace_ends_before_the_apis_own_words(
        #[case] path: &str,
        #[case] word: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(before(path, word), expected);
    }

    #[rstest]
    #[case("jwt/login", Place::Login { mount: "jwt".to_owned(), cel: false })]
    #[case("api_jwt/cel/login", Place::Login { mount: "api_jwt".to_owned(), cel: true })]
    #[case("a/b/login", Place::Login { mount: "a/b".to_owned(), cel: false })]
    #[case("token/lookup-self", Place::Token("lookup-self".to_owned()))]
    #[case("/login", Place::Nowhere)]
    #[case("a//b/login", Place::Nowhere)]
    #[case("../login", Place::Nowhere)]
    #[case("jwt/Login", Place::Nowhere)]
    #[case("jwt/config", Place::Nowhere)]
    fn a_path_below_auth_is_a_login_or_about_a_token(#[case] path: &str, #[case] place: Place) {
        assert_eq!(auth(path), place);
    }
}
