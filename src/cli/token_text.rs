//! A token as a person or a platform hands it over: read within bounds, and recognised where it is something else. Never
//! quotes what it was given.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::CliError;

/// The most that is read, in bytes: more than the longest token that is accepted.
const MOST: usize = 64 * 1024;

/// Reads a token from a file, or from standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, CliError> {
    if path.as_os_str() == "-" {
        return bounded(io::stdin().lock(), "standard input");
    }
    if is_token_like(&path.to_string_lossy()) {
        return Err(CliError::new(
            "a file is expected here, not the token itself: what stands on a command line is seen by everybody on the machine \
             and kept in histories\n  write the token to a file, or pipe it in: `... --token-file -`",
        ));
    }
    let unreadable =
        |error: io::Error| CliError::new(format!("cannot read the token file `{}`: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        let text = format!("`{}` is a directory; name the token's file in it, often `token`", path.display());
        return Err(CliError::new(text));
    }
    bounded(file, &format!("`{}`", path.display()))
}

fn bounded(from: impl Read, name: &str) -> Result<Zeroizing<String>, CliError> {
    // Room for everything at once: a vector that grows would leave unzeroed copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST + 1));
    let read = from.take(MOST as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| CliError::new(format!("cannot read the token from {name}: {error}")))?;
    if bytes.len() > MOST {
        return Err(CliError::new(format!(
            "{name} is larger than 64 KiB: that is no token; give a file with one token"
        )));
    }
    let text = std::str::from_utf8(&bytes);
    let text =
        text.map_err(|_| CliError::new(format!("{name} is not text; give a file with one token in its compact form")))?;
    one(text, name)
}

/// The one token in `text`, from the place that `name` says, without white space around it.
pub(super) fn one(text: &str, name: &str) -> Result<Zeroizing<String>, CliError> {
    let token = text.trim();
    let wrong = |what: &str| Err(CliError::new(format!("{name} {what}")));
    if token.is_empty() {
        return wrong("is empty; there should be one token in it");
    }
    if token.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        return wrong("begins with `Bearer `; give only what comes after it");
    }
    if token.starts_with('$') {
        return wrong(
            "holds the name of a variable and not its value: it is not set in this job; is it declared under `id_tokens`?",
        );
    }
    if token.starts_with('{') {
        return wrong("holds JSON; give only the token in it, e.g. by `jq -r .value` or `jq -r .status.token`");
    }
    if token.starts_with(['"', '\'']) {
        return wrong("holds quotes around the token; give it without them, e.g. by `jq -r`");
    }
    if token.starts_with("-----BEGIN") {
        return wrong("holds a key or a certificate; a token is what that key has signed");
    }
    if token.contains(char::is_whitespace) {
        return wrong("holds more than one line or word; give one token, in one line");
    }
    Ok(Zeroizing::new(token.to_owned()))
}

/// Whether a text looks like a token that somebody wrote where a name belongs.
pub(super) fn is_token_like(text: &str) -> bool {
    let compact = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    text.len() > 40 && text.starts_with("eyJ") && text.split('.').count() >= 2 && text.split('.').all(compact)
}

/// `text` with every token in it struck out: for messages that quote a command line.
pub(super) fn struck(text: &str) -> String {
    let boundary = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(boundary) {
        let word = piece.trim_end_matches(boundary);
        if is_token_like(word) {
            out.push_str("[token]");
            out.push_str(piece.get(word.len()..).unwrap_or_default());
        } else {
            out.push_str(piece);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.c2lnbmF0dXJl";

    #[rstest]
    #[case("", "is empty")]
    #[case(" \n", "is empty")]
    #[case("Bearer eyJ", "Bearer")]
    #[case("$CAMBIO_TOKEN", "variable")]
    #[case("{\"value\":\"eyJ\"}", "JSON")]
    #[case("\"eyJ\"", "quotes")]
    #[case("-----BEGIN PRIVATE KEY-----", "key")]
    #[case("eyJ\neyJ", "one token")]
    fn what_is_no_token_is_named_and_not_quoted(#[case] text: &str, #[case] said: &str) {
        let error = one(text, "`x`").unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("eyJ"), "{error}");
    }

    #[test]
    fn white_space_around_a_token_is_taken_off() {
        assert_eq!(one(&format!(" {TOKEN}\r\n"), "x").unwrap().as_str(), TOKEN);
    }

    #[test]
    fn a_token_in_a_message_is_struck_out() {
        assert_eq!(struck(&format!("unexpected '{TOKEN}' found")), "unexpected '[token]' found");
        assert_eq!(struck(&format!("--token={TOKEN}")), "--token=[token]");
        assert_eq!(struck("error: https://cambio.example.com/a.b"), "error: https://cambio.example.com/a.b");
        assert!(read(Path::new(TOKEN)).unwrap_err().to_string().contains("not the token itself"));
    }
}
