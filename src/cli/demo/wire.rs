//! What any client of the counter does: one HTTP request, and one answer. Each request also reads as a line for curl, so
//! that what is printed is what was sent.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::cli::CliError;

/// How long the counter may take, and how much of an answer is read.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ANSWER: u64 = 256 * 1024;

/// A request: with fields a POST of a form, without a GET.
pub(super) struct Call {
    url: String,
    fields: Vec<Field>,
    credentials: Option<(String, PathBuf, String)>,
}

struct Field {
    name: &'static str,
    value: String,
    file: Option<PathBuf>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    headers: String,
}

impl Call {
    pub(super) fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), fields: Vec::new(), credentials: None }
    }

    pub(super) fn field(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push(Field { name, value: value.to_owned(), file: None });
        self
    }

    /// A field whose value lies in a file.
    pub(super) fn file(mut self, name: &'static str, file: PathBuf, value: &str) -> Self {
        self.fields.push(Field { name, value: value.to_owned(), file: Some(file) });
        self
    }

    /// HTTP Basic, with the password in a file.
    pub(super) fn basic(mut self, id: &str, file: PathBuf, secret: &str) -> Self {
        self.credentials = Some((id.to_owned(), file, secret.to_owned()));
        self
    }

    /// The words of the command line that sends it.
    pub(super) fn curl(&self) -> Vec<String> {
        let mut words = vec!["curl -s".to_owned(), self.url.clone()];
        if let Some((id, file, _)) = &self.credentials {
            words.push(format!("-u \"{id}:$(cat {})\"", quoted(&file.display().to_string())));
        }
        words.extend(self.fields.iter().map(|field| match &field.file {
            Some(file) => format!("--data-urlencode {}", quoted(&format!("{}@{}", field.name, file.display()))),
            None => format!("-d {}={}", field.name, field.value),
        }));
        words
    }

    pub(super) async fn send(&self) -> Result<Answer, CliError> {
        let told = |error: io::Error| CliError::new(format!("{}: {error}", self.url));
        let exchange = tokio::time::timeout(PATIENCE, self.round());
        exchange.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(told)
    }

    async fn round(&self) -> io::Result<Answer> {
        let odd = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
        let url = Url::parse(&self.url).map_err(|_| odd("not a URL"))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(odd("a URL without a host"));
        };
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(self.fields.iter().map(|field| (field.name, &field.value)));
        let form = form.finish();
        let method = if self.fields.is_empty() { "GET" } else { "POST" };
        let mut head = format!("{method} {} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n", url.path());
        if let Some((id, _, secret)) = &self.credentials {
            head.push_str(&format!("authorization: Basic {}\r\n", STANDARD.encode(format!("{id}:{secret}"))));
        }
        if !self.fields.is_empty() {
            let length = form.len();
            head.push_str(&format!("content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n"));
        }
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(format!("{head}\r\n{form}").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        let answer = String::from_utf8(answer).map_err(|_| odd("an answer that is no text"))?;
        let (headers, body) = answer.split_once("\r\n\r\n").ok_or_else(|| odd("half an answer"))?;
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body)? };
        Ok(Answer { status: status.ok_or_else(|| odd("no HTTP"))?, body, headers: headers.to_owned() })
    }
}

impl Answer {
    /// A member of the body that is a string, or nothing.
    pub(super) fn text(&self, member: &str) -> &str {
        self.body.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// The decision's id.
    pub(super) fn decision(&self) -> &str {
        let header = self.headers.lines().filter_map(|line| line.split_once(": "));
        header.filter(|(name, _)| name.eq_ignore_ascii_case("cambio-decision")).map(|(_, id)| id).next().unwrap_or("")
    }
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-@:".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reads_as_a_line_for_curl() {
        let call =
            Call::new("http://127.0.0.1:1/a").field("a", "urn:b").file("token", "/tmp/it's/x.jwt".into(), "secret");
        assert_eq!(
            call.curl(),
            ["curl -s", "http://127.0.0.1:1/a", "-d a=urn:b", r"--data-urlencode 'token@/tmp/it'\''s/x.jwt'"]
        );
        assert_eq!(quoted("/tmp/a-1/b.jwt"), "/tmp/a-1/b.jwt");
    }
}
