//! How a secret is printed: one value, lines for a shell, what is known of its versions.

use std::fmt::Write as _;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::session::{SecretValue, Stop};
use crate::cli::text::shown;
use crate::clock::Timestamp;

/// The one field of a value.
pub(super) fn alone(value: &SecretValue) -> Result<Zeroizing<String>, Stop> {
    match value.names().as_slice() {
        [name] => value.field(name).ok_or_else(|| Stop::No(format!("the field `{}` is null", shown(name)))),
        [] => Err(Stop::No("the secret has no fields".to_owned())),
        names => Err(Stop::Failed(format!(
            "the secret has the fields {}; name one by `--field`, or print all by `--format json`",
            list(names)
        ))),
    }
}

/// Lines that a POSIX shell reads: `name='value'`.
pub(super) fn variables(value: &SecretValue) -> Result<Zeroizing<String>, Stop> {
    let names = value.names();
    let mut lines = Zeroizing::new(String::with_capacity(value.as_json().len() * 4 + 16));
    for name in &names {
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        // A name is not quoted by any shell: one with `;` in it would be a command.
        if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let text = format!("the field `{}` can not be the name of a variable; use `--format json`", shown(name));
            return Err(Stop::Failed(text));
        }
        let Some(text) = value.field(name) else { continue };
        if text.contains('\0') {
            return Err(Stop::Failed(format!("the value of `{name}` has a zero byte, which no variable can have")));
        }
        lines.push_str(name);
        lines.push_str("='");
        for (index, piece) in text.split('\'').enumerate() {
            lines.push_str(if index == 0 { "" } else { r"'\''" });
            lines.push_str(piece);
        }
        lines.push_str("'\n");
    }
    Ok(lines)
}

/// Why there is no such field. Names are no values.
pub(super) fn no_field(value: &SecretValue, field: &str) -> Stop {
    Stop::No(format!("the secret has no field `{}`; it has {}", shown(field), list(&value.names())))
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ")
}

/// One line for each version, the newest first.
pub(super) fn versions(metadata: &Value, now: Timestamp) -> String {
    let number = |name: &str| metadata.get(name).and_then(Value::as_u64).unwrap_or_default();
    let current = number("current_version");
    let mut versions: Vec<(u64, &Value)> = metadata
        .get("versions")
        .and_then(Value::as_object)
        .map(|versions| versions.iter().filter_map(|(name, told)| Some((name.parse().ok()?, told))).collect())
        .unwrap_or_default();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let mut text = String::new();
    for (version, told) in versions {
        let member = |name: &str| told.get(name).and_then(Value::as_str).map(shown).unwrap_or_default();
        let deletion = member("deletion_time");
        let state = if told.get("destroyed").and_then(Value::as_bool) == Some(true) {
            "destroyed".to_owned()
        } else if let Some(moment) = Timestamp::parse(&deletion) {
            if moment <= now { format!("deleted {deletion}") } else { format!("deletes itself {deletion}") }
        } else if version == current {
            "current".to_owned()
        } else {
            String::new()
        };
        let line = format!("{version:>6}  {:<24}  {state}", member("created_time"));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if text.is_empty() { "no versions\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn value(data: &Value) -> SecretValue {
        let body = json!({"data": {"data": data, "metadata": {"version": 1}}}).to_string();
        SecretValue::read(body.as_bytes(), true).unwrap()
    }

    #[test]
    fn one_field_is_printed_and_several_are_named() {
        assert_eq!(alone(&value(&json!({"a": "x'y\n"}))).unwrap().as_str(), "x'y\n");
        let stop = alone(&value(&json!({"a": "hunter2", "b": 1}))).unwrap_err().to_string();
        assert!(stop.contains("`a`, `b`") && !stop.contains("hunter2"), "{stop}");
        assert_eq!(alone(&value(&json!({}))).unwrap_err().code(), 1);
    }

    #[test]
    fn a_shell_reads_what_was_stored() {
        let lines = variables(&value(&json!({"A": "it's $HOME `x`\nend", "_b": 1, "c": null}))).unwrap();
        assert_eq!(lines.as_str(), "A='it'\\''s $HOME `x`\nend'\n_b='1'\n");
    }

    #[rstest]
    #[case(json!({"a;rm -rf x": "v"}))]
    #[case(json!({"1a": "v"}))]
    #[case(json!({"a-b": "v"}))]
    #[case(json!({"": "v"}))]
    #[case(json!({"a": "v\u{0}"}))]
    fn what_a_shell_would_not_read_as_one_variable_is_refused(#[case] data: Value) {
        assert!(variables(&value(&data)).is_err());
    }

    #[test]
    fn versions_are_told_with_their_state() {
        let version = |created: &str, deletion: &str, destroyed: bool| json!({"created_time": created, "deletion_time": deletion, "destroyed": destroyed});
        let metadata = json!({"current_version": 10, "versions": {
            "2": version("2026-11-18T11:00:00Z", "2026-11-18T11:01:00Z", false),
            "10": version("2026-11-18T11:05:00Z", "", false),
            "1": version("2026-11-18T10:00:00Z", "", true),
            "9": version("2026-11-18T11:04:00Z", "2027-11-18T11:01:00Z", false),
        }});
        let text = versions(&metadata, Timestamp::from_secs(1_795_000_000));
        let states: Vec<&str> = text.lines().map(|line| line.get(34..).unwrap_or_default()).collect();
        assert_eq!(
            states,
            ["current", "deletes itself 2027-11-18T11:01:00Z", "deleted 2026-11-18T11:01:00Z", "destroyed"]
        );
        assert_eq!(versions(&json!({}), Timestamp::from_secs(0)), "no versions\n");
    }
}
