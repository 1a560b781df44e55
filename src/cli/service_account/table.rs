//! Accounts and tokens for people: aligned, one a line.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::text::shown;
use crate::exchange::ROOT;

/// One account, a member a line.
pub(super) fn account(account: &Value) -> String {
    let mut out = String::new();
    let members = [
        ("account", "name"),
        ("namespace", "namespace"),
        ("id", "id"),
        ("status", "status"),
        ("owner", "owner"),
        ("description", "description"),
        ("expires", "expires_at"),
        ("last used", "last_used_at"),
        ("revision", "revision"),
        ("policies", "policies"),
    ];
    for (title, member) in members {
        let _ = writeln!(out, "{title:<12} {}", cell(&account[member]));
    }
    grants(&mut out, "may", &account["permissions"]);
    let at = |place: &str| account.pointer(place).unwrap_or(&Value::Null);
    if !at("/pending").is_null() {
        grants(&mut out, "waits for", at("/pending/grants/permissions"));
        // Whoever approves it has seen them: a document may allow more than all permissions do.
        let _ = writeln!(out, "{:<12} {}", "and policies", cell(at("/pending/grants/policies")));
        let _ = writeln!(out, "{:<12} {}", "asked by", cell(at("/pending/requested_by")));
    }
    if let Some(count) = account.get("tokens_revoked") {
        let _ = writeln!(out, "{:<12} {} tokens: they were made before it had policies", "revoked", cell(count));
    }
    out
}

fn grants(out: &mut String, title: &str, permissions: &Value) {
    for one in permissions.as_array().into_iter().flatten() {
        let _ = writeln!(out, "{title:<12} {} {}", cell(&one["access"]), cell(&one["secrets"]));
    }
}

/// Some accounts.
pub(super) fn accounts(page: &Value) -> String {
    let row = |account: &Value| {
        let within = account["namespace"].as_str().unwrap_or(ROOT);
        vec![
            shown(&format!("{within}/{}", account["name"].as_str().unwrap_or_default())),
            cell(&account["status"]),
            cell(&account["owner"]),
            cell(&account["expires_at"]),
            cell(&account["last_used_at"]),
        ]
    };
    table(&["ACCOUNT", "STATUS", "OWNER", "EXPIRES", "LAST USED"], page, "service_accounts", row)
}

/// Some tokens.
pub(super) fn tokens(page: &Value) -> String {
    let row = |token: &Value| {
        ["id", "name", "state", "expires_at", "last_used_at", "family_id"].map(|member| cell(&token[member])).to_vec()
    };
    table(&["ID", "NAME", "STATE", "EXPIRES", "LAST USED", "FAMILY"], page, "tokens", row)
}

/// A page as a table, and how to go on.
pub(in crate::cli) fn table(head: &[&str], page: &Value, member: &str, row: impl Fn(&Value) -> Vec<String>) -> String {
    let mut rows = vec![head.iter().map(ToString::to_string).collect::<Vec<_>>()];
    rows.extend(page[member].as_array().into_iter().flatten().map(row));
    let widest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| widest(column).unwrap_or_default()).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    if let Some(next) = page["next_cursor"].as_str() {
        let _ = writeln!(out, "more: --cursor {}", shown(next));
    }
    out
}

/// A value in one line; `-` for none.
pub(in crate::cli) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => shown(text),
        Value::Array(all) if all.is_empty() => "-".to_owned(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => shown(&other.to_string()),
    }
}
