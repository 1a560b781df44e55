//! What goes out to an OpenBao, and what comes back.
//!
//! Decides how a request of cambio's API is said to OpenBao. Refuses paths that would be another place once they are part
//! of a URL; what a path means is OpenBao's to know.

use std::fmt;

use url::Url;
use zeroize::Zeroizing;

use super::error::UpstreamError;
use crate::clock::Timestamp;
use crate::identity::Namespace;
use crate::secrets::Verb;
use crate::trust::Method;

/// Who asks: a secrets token that was minted here and verified by whoever passes it on.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The token.
    pub token: &'a str,
    /// Its `jti`.
    pub token_id: &'a str,
    /// Its `exp`.
    pub expires: Timestamp,
    /// The namespace that it opens; none: the root.
    pub namespace: Option<&'a Namespace>,
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct Upstream<'a> {
    /// What is done.
    pub verb: Verb,
    /// The mount's path in its namespace, without slashes at its ends.
    pub mount: &'a str,
    /// The path within the mount, decoded once, without a slash in front.
    pub path: &'a str,
    /// The query as it came, without `?`; `list` and `scan` are left out, since the verb says them.
    pub query: &'a str,
    /// The body; empty where there is none.
    pub body: &'a [u8],
}

/// OpenBao's own answer: it did what was asked, or said why not (`403`, `404` with or without `data`, `400`, `405`, `412`).
pub struct UpstreamAnswer {
    /// The status: 2xx, or 4xx but 429.
    pub status: u16,
    /// The body, at most [`super::MAX_ANSWER_BYTES`].
    pub body: Zeroizing<Vec<u8>>,
}

/// How a request is said to OpenBao.
pub(super) struct Spoken<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<(&'static str, &'a [u8])>,
    /// Whether it changes nothing, so that it may be said twice.
    pub(super) repeatable: bool,
}

const JSON: &str = "application/json";
/// OpenBao takes no other for a `PATCH` (RFC 7396).
const MERGE_PATCH: &str = "application/merge-patch+json";

impl<'a> Upstream<'a> {
    /// The request at the OpenBao below `base`.
    pub(super) fn spoken(&self, base: &Url) -> Result<Spoken<'a>, UpstreamError> {
        let mut url = at(base, &[self.mount, self.path])?;
        let pairs = url::form_urlencoded::parse(self.query.as_bytes());
        let pairs: Vec<_> = pairs.filter(|(name, _)| !matches!(&**name, "list" | "scan")).collect();
        let by_verb = match self.verb {
            Verb::List => Some("list"),
            Verb::Scan => Some("scan"),
            _ => None,
        };
        if !pairs.is_empty() || by_verb.is_some() {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(pairs);
            query.extend_pairs(by_verb.map(|name| (name, "true")));
        }
        let (method, media_type) = match self.verb {
            Verb::Read | Verb::List | Verb::Scan => (Method::Get, None),
            Verb::Write => (Method::Post, Some(JSON)),
            Verb::Patch => (Method::Patch, Some(MERGE_PATCH)),
            Verb::Delete => (Method::Delete, None),
        };
        let body = media_type.map(|media_type| (media_type, self.body));
        Ok(Spoken { method, url, body, repeatable: method == Method::Get })
    }
}

/// The URL of the API's path that `parts` make together. A segment is encoded whole: what looks like a separator in it is
/// none.
pub(super) fn at(base: &Url, parts: &[&str]) -> Result<Url, UpstreamError> {
    let path = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
    let (path, folder) = path.strip_suffix('/').map_or((path.as_str(), false), |path| (path, true));
    let mut url = base.clone();
    {
        let odd = |_| UpstreamError::Place("the address can't be followed by a path".to_owned());
        let mut segments = url.path_segments_mut().map_err(odd)?;
        segments.pop_if_empty().push("v1");
        for segment in path.split('/') {
            check(segment)?;
            segments.push(segment);
        }
        if folder {
            segments.push("");
        }
    }
    Ok(url)
}

/// A segment that a server would drop, or read as something else, changes the place that is asked for.
fn check(segment: &str) -> Result<(), UpstreamError> {
    let why = if matches!(segment, "" | "." | "..") {
        "empty, `.` and `..` segments are not sent on"
    } else if segment.chars().any(|c| c.is_control() || matches!(c, '\\' | '%')) {
        "control characters, `%` and `\\` are not sent on in a path"
    } else {
        return Ok(());
    };
    Err(UpstreamError::Place(why.to_owned()))
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({}, [redacted])", self.token_id)
    }
}

impl fmt::Debug for Upstream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({:?} {}/{}, [redacted])", self.verb, self.mount, self.path)
    }
}

impl fmt::Debug for UpstreamAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamAnswer({}, [redacted])", self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn upstream<'a>(verb: Verb, path: &'a str, query: &'a str) -> Upstream<'a> {
        Upstream { verb, mount: "secrets/kv", path, query, body: b"{}" }
    }

    fn spoken(verb: Verb, path: &str, query: &str) -> Result<String, UpstreamError> {
        let base = Url::parse("https://bao.example.com/behind/").unwrap();
        upstream(verb, path, query).spoken(&base).map(|spoken| spoken.url.to_string())
    }

    #[rstest]
    #[case(Verb::Read, "data/app/db", "", "/data/app/db")]
    #[case(Verb::Read, "data/app/db", "version=2", "/data/app/db?version=2")]
    #[case(Verb::List, "metadata/app/", "", "/metadata/app/?list=true")]
    #[case(Verb::List, "metadata/app", "list=true&after=a%26b", "/metadata/app?after=a%26b&list=true")]
    #[case(Verb::Scan, "metadata", "scan=true", "/metadata?scan=true")]
    #[case(Verb::Read, "data/app", "list=false", "/data/app")]
    #[case(Verb::Write, "data/a b/é", "", "/data/a%20b/%C3%A9")]
    #[case(Verb::Delete, "data/what?x=#y", "", "/data/what%3Fx=%23y")]
    #[case(Verb::Read, "", "", "")]
    fn a_request_is_said_below_the_address(
        #[case] verb: Verb,
        #[case] path: &str,
        #[case] query: &str,
        #[case] url: &str,
    ) {
        assert_eq!(spoken(verb, path, query).unwrap(), format!("https://bao.example.com/behind/v1/secrets/kv{url}"));
    }

    #[rstest]
    #[case("data/../../sys/mounts")]
    #[case("data/./a")]
    #[case("..")]
    #[case("data//a")]
    #[case("/data/a")]
    #[case("data/%2e%2e/a")]
    #[case("data/%2E/a")]
    #[case("data/..%2f")]
    #[case("data\\..\\a")]
    #[case("data/a\r\nx: y")]
    #[case("data/a\0")]
    fn what_would_be_another_place_is_not_sent(#[case] path: &str) {
        assert!(matches!(spoken(Verb::Read, path, ""), Err(UpstreamError::Place(_))), "{path}");
    }

    proptest! {
        /// Whatever a caller writes, the URL that goes out stays below the mount.
        #[test]
        fn no_path_leaves_its_mount(path in "[a-z./%\\\\?#:@é\u{0}-\u{1f}]{0,24}") {
            let base = Url::parse("https://bao.example.com").unwrap();
            if let Ok(said) = upstream(Verb::Read, &path, "").spoken(&base) {
                let again = Url::parse(said.url.as_str()).unwrap();
                prop_assert!(again.path() == "/v1/secrets/kv" || again.path().starts_with("/v1/secrets/kv/"));
                prop_assert!(again.query().is_none() && again.host_str() == Some("bao.example.com"));
            }
        }
    }
}
