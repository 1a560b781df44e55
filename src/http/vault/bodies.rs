//! Bodies of logins and of calls about tokens: a JSON object whatever the content type says, or a form, told by its first
//! byte (OpenBao API).

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::envelope::Refusal;
use crate::http::body::{self, BodyError};
use crate::jose;

/// The members of a body. Texts that are tokens are to be moved on into what zeroes itself.
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Reads a body of a token surface; an empty one has no members.
    pub(super) async fn read(body: Body) -> Result<Self, Refusal> {
        Self::parse(&Zeroizing::new(body::read(body).await.map_err(unread)?.to_vec()))
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
            None => Ok(Self(Map::new())),
            Some(b'{' | b'[') => match jose::parse_object(bytes) {
                Ok(members) => Ok(Self(members)),
                Err(_) => Err(Refusal::bad_request("the body is not a JSON object")),
            },
            Some(_) => Self::form(bytes),
        }
    }

    fn form(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut members = Map::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            if members.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
                return Err(Refusal::bad_request("a member of the form was given twice"));
            }
        }
        Ok(Self(members))
    }

    /// From names and texts.
    pub(super) fn of(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// A text, moved out; an error where it is something else.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::bad_request(format!("`{name}` is a text"))),
        }
    }

    /// A list of texts, or texts with commas between, moved out.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, Refusal> {
        let wrong = || Refusal::bad_request(format!("`{name}` is a list of texts"));
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(vec![]),
            Some(Value::String(text)) => Ok(text.split(',').map(|part| part.trim().to_owned()).collect()),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| if let Value::String(text) = item { Ok(text) } else { Err(wrong()) })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }
}

/// A body that was not read.
pub(super) fn unread(error: BodyError) -> Refusal {
    match error {
        BodyError::TooLarge => Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
        BodyError::Slow => Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
        BodyError::Broken => Refusal::bad_request("the body could not be read"),
        BodyError::Busy => {
            Refusal::later(StatusCode::SERVICE_UNAVAILABLE, "too many requests are waited for; try again later", 1)
        }
    }
}
