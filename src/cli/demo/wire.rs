//! One request and one answer, by the one HTTP client. Each request also reads as a line for curl, so that what is printed
//! is what was sent.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::cli::CliError;
use crate::trust::{self, Fetcher};

/// How long the counter may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request: with fields a POST of a form, without a GET.
pub(super) struct Call {
    url: String,
    fields: Vec<Field>,
}

struct Field {
    name: &'static str,
    value: Zeroizing<String>,
    file: Option<PathBuf>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// The decision's id, where there was a decision.
    pub(super) decision: String,
}

impl Call {
    pub(super) fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), fields: Vec::new() }
    }

    pub(super) fn field(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push(Field { name, value: Zeroizing::new(value.to_owned()), file: None });
        self
    }

    /// A field whose value lies in a file.
    pub(super) fn file(mut self, name: &'static str, file: PathBuf, value: &str) -> Self {
        self.fields.push(Field { name, value: Zeroizing::new(value.to_owned()), file: Some(file) });
        self
    }

    /// The words of the command line that sends it.
    pub(super) fn curl(&self) -> Vec<String> {
        let fields = self.fields.iter().map(|field| match &field.file {
            Some(file) => format!("--data-urlencode {}", quoted(&format!("{}@{}", field.name, file.display()))),
            None => format!("-d {}={}", field.name, *field.value),
        });
        ["curl -s".to_owned(), self.url.clone()].into_iter().chain(fields).collect()
    }

    pub(super) async fn send(&self) -> Result<Answer, CliError> {
        let url = Url::parse(&self.url).map_err(CliError::new)?;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(self.fields.iter().map(|field| (field.name, field.value.as_str())));
        let form = Zeroizing::new(form.finish());
        let form = (!self.fields.is_empty()).then_some(form.as_str());
        let call = trust::Call { url: &url, form, bearer: None, ca_file: None, timeout: PATIENCE };
        let reply = Fetcher::new().call(call).await.map_err(CliError::new)?;
        let body = if reply.body.is_empty() { Value::Null } else { read(&reply.body)? };
        Ok(Answer { status: reply.status, body, decision: reply.decision.unwrap_or_default() })
    }
}

fn read(body: &[u8]) -> Result<Value, CliError> {
    serde_json::from_slice(body).map_err(|error| CliError::new(format!("the answer is no JSON: {error}")))
}

impl Answer {
    /// A member of the body that is a string, or nothing.
    pub(super) fn text(&self, member: &str) -> &str {
        self.body.get(member).and_then(Value::as_str).unwrap_or_default()
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
        let call = Call::new("http://127.0.0.1:1/a").field("a", "urn:b");
        let call = call.file("token", "/tmp/it's/x.jwt".into(), "secret");
        assert_eq!(
            call.curl(),
            ["curl -s", "http://127.0.0.1:1/a", "-d a=urn:b", r"--data-urlencode 'token@/tmp/it'\''s/x.jwt'"]
        );
        assert_eq!(quoted("/tmp/a-1/b.jwt"), "/tmp/a-1/b.jwt");
    }
}
