//! `GET .../secrets`: the names in a folder, in pages (GitLab API, offset-based pagination; RFC 8288).

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{json, put};
use super::request::{RestRequest, Unread, number};
use super::{Rest, found, read, refused};
use crate::secrets::{FolderPath, Verb};

/// The length of a page where none is asked for, and the longest (GitLab API).
const PER_PAGE: u64 = 20;
const MAX_PER_PAGE: u64 = 100;

/// A name in a list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"name": "DB_PASSWORD", "kind": "secret"}))]
pub(super) struct Entry {
    /// The whole name, as the other calls take it; of a folder, as `folder` takes it.
    name: String,
    kind: EntryKind,
}

/// What a name names.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum EntryKind {
    /// A secret.
    Secret,
    /// A folder of secrets.
    Folder,
}

/// Lists the names of secrets, in the order of their bytes.
///
/// A name in the list may be one that the caller can't read. A folder that is empty and one that the caller may not list are
/// one answer: 404.
#[utoipa::path(
    get,
    path = "/api/v4/projects/{id}/secrets",
    operation_id = "listProjectSecrets",
    tag = "projects",
    params(
        ("id" = String, Path, min_length = 1, max_length = 255, pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", example = "123",
            description = "The number of the project or group, or its URL-encoded path (`acme%2Fweb`)."),
        ("page" = Option<u64>, Query, minimum = 1, maximum = 999_999_999_999_999_u64, example = 1,
            description = "Which page; default 1."),
        ("per_page" = Option<u64>, Query, minimum = 1, maximum = 100, example = 20,
            description = "How long a page is; default 20."),
        ("folder" = Option<String>, Query, min_length = 1, max_length = 255, pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$",
            description = "The folder to list; default all that is not in a folder.")
    ),
    responses((status = 200, description = "One page.", body = Vec<Entry>, headers(
        ("Link" = String, description = "`first`, `prev`, `next` and `last` page (RFC 8288)."),
        ("X-Page" = u64, description = "This page."),
        ("X-Per-Page" = u64, description = "How long a page is."),
        ("X-Next-Page" = String, description = "The next page; empty for none."),
        ("X-Prev-Page" = String, description = "The page before; empty for none."),
        ("X-Total" = u64, description = "How many names there are."),
        ("X-Total-Pages" = u64, description = "How many pages there are.")
    )))
)]
pub(super) async fn list(
    State(rest): State<Rest>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (head, _) = request.into_parts();
    let rules = rest.counter.rules();
    let asked = RestRequest::read(&head, &rules, &["page", "per_page", "folder"])
        .and_then(|asked| Ok((Page::read(&asked)?, asked)));
    let (page, asked) = match asked {
        Ok(asked) => asked,
        Err(unread) => return refused(&rest, peer, unread),
    };
    let place = asked.place("metadata", page.folder.as_str());
    let (decision, answer) = read::read(&rest.counter, rest.source(peer), &asked.token, Verb::List, &place, None).await;
    let keys = match answer.and_then(found::keys) {
        Ok(keys) => keys,
        Err(problem) => return problem.response(decision),
    };
    let first = (page.number - 1).saturating_mul(page.length);
    let entries: Vec<Entry> = keys
        .iter()
        .skip(usize::try_from(first).unwrap_or(usize::MAX))
        .take(usize::try_from(page.length).unwrap_or(0))
        .map(|key| Entry::of(&page.folder, key))
        .collect();
    let mut response = json(decision, &entries);
    let base = format!("{}{}", rest.counter.issuer(), head.uri.path());
    page.tell(&mut response, &base, keys.len() as u64);
    response
}

impl Entry {
    fn of(folder: &FolderPath, key: &str) -> Self {
        let (name, kind) = match key.strip_suffix('/') {
            Some(name) => (name, EntryKind::Folder),
            None => (key, EntryKind::Secret),
        };
        Self { name: format!("{folder}{name}"), kind }
    }
}

/// Which page of which folder.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    /// From 1.
    number: u64,
    length: u64,
    folder: FolderPath,
}

impl Page {
    fn read(asked: &RestRequest) -> Result<Self, Unread> {
        let of = |name, default: u64, most: u64| {
            let read = asked.parameter(name).map_or(Some(default), number);
            read.filter(|number| (1..=most).contains(number))
        };
        let page = of("page", 1, u64::MAX).ok_or(Unread::new("query_malformed", "`page` is a number from 1"))?;
        let length = of("per_page", PER_PAGE, MAX_PER_PAGE)
            .ok_or(Unread::new("query_malformed", "`per_page` is a number from 1 to 100"))?;
        let folder = match asked.parameter("folder") {
            Some("") => return Err(Unread::new("query_malformed", "`folder` is empty")),
            Some(folder) => folder,
            None => "",
        };
        let folder =
            FolderPath::new(folder).map_err(|fault| Unread::new("query_malformed", format!("`folder`: {fault}")))?;
        Ok(Self { number: page, length, folder })
    }

    /// Writes where the other pages are, into the head of an answer to a request for `base`.
    fn tell(&self, response: &mut Response<Body>, base: &str, total: u64) {
        let last = total.div_ceil(self.length).max(1);
        let next = Some(self.number.saturating_add(1)).filter(|next| *next <= last);
        let prev = Some(self.number - 1).filter(|prev| *prev >= 1);
        let pages =
            [("first", Some(1)), ("prev", prev.map(|prev| prev.min(last))), ("next", next), ("last", Some(last))];
        let links =
            pages.iter().filter_map(|(rel, page)| Some(format!("<{}>; rel=\"{rel}\"", self.url(base, (*page)?))));
        put(response, "link", links.collect::<Vec<_>>().join(", "));
        let or_empty = |page: Option<u64>| page.map_or_else(String::new, |page| page.to_string());
        put(response, "x-page", self.number);
        put(response, "x-per-page", self.length);
        put(response, "x-next-page", or_empty(next));
        put(response, "x-prev-page", or_empty(prev));
        put(response, "x-total", total);
        put(response, "x-total-pages", last);
    }

    fn url(&self, base: &str, page: u64) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !self.folder.as_str().is_empty() {
            query.append_pair("folder", self.folder.as_str());
        }
        query.append_pair("page", &page.to_string()).append_pair("per_page", &self.length.to_string());
        format!("{base}?{}", query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1, 45, "first=1 next=2 last=3")]
    #[case(2, 45, "first=1 prev=1 next=3 last=3")]
    #[case(3, 45, "first=1 prev=2 last=3")]
    #[case(9, 45, "first=1 prev=3 last=3")]
    #[case(1, 40, "first=1 next=2 last=2")]
    #[case(2, 40, "first=1 prev=1 last=2")]
    #[case(1, 20, "first=1 last=1")]
    fn a_page_says_where_the_others_are(#[case] number: u64, #[case] total: u64, #[case] expected: &str) {
        let page = Page { number, length: 20, folder: FolderPath::new("a b").unwrap() };
        let mut response = Response::new(Body::empty());
        page.tell(&mut response, "https://c.example/api", total);
        let link = response.headers()["link"].to_str().unwrap();
        let read = link.split(", ").map(|one| {
            let (url, rel) = one.split_once(">; rel=\"").unwrap();
            let page = url.strip_prefix("<https://c.example/api?folder=a+b%2F&page=").unwrap();
            format!("{}={}", rel.trim_end_matches('"'), page.strip_suffix("&per_page=20").unwrap())
        });
        assert_eq!(read.collect::<Vec<_>>().join(" "), expected);
    }
}
