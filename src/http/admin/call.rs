//! A request of an administrator, read: its path, its query, its token and its body. Decides what is malformed; refuses to know
//! who may do what.

use std::net::SocketAddr;
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Deserializer};
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::Admin;
use super::refusal::Refusal;
use crate::audit::Surface;
use crate::clock::Timestamp;
use crate::exchange::{Administrator, Recorded, Source};
use crate::http::body;
use crate::http::rest::problem::{Kind, Problem};
use crate::http::rest::request::{Unread, decoded, number, query, token};

/// The path of the API, before what is asked for.
pub(super) const BASE: &str = "/api/admin/v1";
/// The most of a page.
const MOST: u32 = 200;
/// As many of a page where nothing is said.
const USUAL: u32 = 50;

/// No members.
pub(super) static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// A request, read.
pub(super) struct Call {
    /// What follows [`BASE`], decoded: `service-accounts`, `group_1/ci`, `tokens`.
    pub(super) segments: Vec<String>,
    /// The body's members; none where there is no body.
    pub(super) members: Members,
    query: Vec<(String, String)>,
}

/// The members of a body, whose texts are zeroed at the end: a token may be among them.
#[derive(Default)]
pub(super) struct Members(pub(super) Map<String, Value>);

impl Drop for Members {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

impl Call {
    /// Reads a request, with the parameters of `known` and no others in its query, and finds out who asks.
    ///
    /// # Errors
    /// [`Refusal`], on record.
    pub(super) async fn read<'a>(
        admin: &'a Admin,
        peer: SocketAddr,
        request: Request,
        known: &[&str],
    ) -> Result<(Self, Administrator<'a>), Refusal> {
        let source = Source { surface: Surface::Admin, address: peer.ip() };
        let begun = admin.counter.administration(&admin.target, source);
        let (head, sent) = request.into_parts();
        let read = Self::head(head.uri.path(), head.uri.query(), known);
        let (read, token) = match read.and_then(|read| Ok((read, token(&head.headers)?))) {
            Ok(read) => read,
            Err(unread) => return Err(unreadable(unread, |code, detail| begun.malformed(code, detail))),
        };
        let had_token = !token.is_empty();
        let who = begun.identify(&token).await.map_err(|refused| Refusal::not_permitted(refused, had_token))?;
        // The body is read of those who have a good token, and of nobody else.
        let is_json = head.headers.get(header::CONTENT_TYPE).is_none_or(|kind| {
            let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
        });
        match members(sent, is_json).await {
            Ok(members) => Ok((Self { members, ..read }, who)),
            Err(unread) => Err(unreadable(unread, |code, detail| who.malformed(code, detail))),
        }
    }

    fn head(path: &str, query_text: Option<&str>, known: &[&str]) -> Result<Self, Unread> {
        let below = path.split_once(BASE).map(|(_, below)| below).unwrap_or_default();
        let segments = below.split('/').filter(|segment| !segment.is_empty());
        let decoded =
            segments.map(|segment| decoded(segment).ok_or(Unread::new("path_malformed", "the path can't be read")));
        let segments = decoded.collect::<Result<_, _>>()?;
        let query = query(query_text.unwrap_or_default(), known)?;
        Ok(Self { segments, members: Members::default(), query })
    }

    /// A segment of the path.
    pub(super) fn segment(&self, at: usize) -> &str {
        self.segments.get(at).map(String::as_str).unwrap_or_default()
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The most that a page shall have: 1 to 200, 50 where nothing is said.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        let Some(text) = self.parameter("limit") else { return Ok(USUAL) };
        let number = number(text).and_then(|number| u32::try_from(number).ok());
        number
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| Problem::bad_request("`limit` is a number from 1 to 200"))
    }

    /// A moment of the query.
    pub(super) fn moment(&self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let read = |text| moment(text).ok_or_else(|| Problem::bad_request(format!("`{name}` is no moment (RFC 3339)")));
        self.parameter(name).map(read).transpose()
    }

    /// A number of the query.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Problem> {
        let read = |text| number(text).ok_or_else(|| Problem::bad_request(format!("`{name}` is no number")));
        self.parameter(name).map(read).transpose()
    }

    /// The body. Its own errors would quote what was sent: the name of the member that is at fault is all that is told.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_path::read(&self.members.0)
    }
}

/// A moment, or the beginning of a day (as GitLab has it).
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let is_day = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
    if is_day {
        return Timestamp::parse(&format!("{text}T00:00:00Z"));
    }
    // A number of seconds is read as well, and a small one is somebody's mistake.
    Timestamp::parse(text).filter(|_| text.len() >= 10)
}

fn unreadable(unread: Unread, close: impl FnOnce(&'static str, String) -> Recorded) -> Refusal {
    let Unread { code, problem } = unread;
    let detail = problem.detail.clone().unwrap_or_default().into_owned();
    Refusal { decision: close(code, detail).into(), problem }
}

async fn members(sent: Body, is_json: bool) -> Result<Members, Unread> {
    let bytes = body::read(sent).await;
    let bytes = bytes.map_err(|error| Unread { code: "body_unreadable", problem: Problem::unread(error) })?;
    // A token may be in it.
    let bytes = Zeroizing::new(bytes.to_vec());
    if bytes.is_empty() {
        return Ok(Members::default());
    }
    if !is_json {
        return Err(Unread { code: "body_malformed", problem: Kind::UnsupportedMediaType.into() });
    }
    serde_json::from_slice(&bytes).map(Members).map_err(|_| Unread::new("body_malformed", "the body is no JSON object"))
}

/// Reads a text that is to be zeroed.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Zeroizing::new))
}

mod serde_path {
    use serde::de::DeserializeOwned;
    use serde_json::{Map, Value};

    use super::Problem;

    /// Reads `members`, and names what is wrong without what was sent.
    pub(super) fn read<T: DeserializeOwned>(members: &Map<String, Value>) -> Result<T, Problem> {
        serde_json::from_value(Value::Object(members.clone())).map_err(|error| {
            let text = error.to_string();
            // `unknown field `x`, expected one of ..` and `missing field `x`` name members; others quote values.
            let named = text.starts_with("unknown field") || text.starts_with("missing field");
            let fits = named && text.len() < 300 && !text.contains("cambio_sa_");
            Problem::bad_request(if fits { text } else { "the body is not in the form that is asked for".to_owned() })
        })
    }
}
