//! The grant of an imported rule.
//!
//! Decides what of a `pb.Auth` has a counterpart, and says what has none.

use super::names::policies;
use super::rules::Translation;
use super::yaml::quoted;
use crate::policy::limits::{TTL_LEAST, TTL_MOST};
use crate::policy::role::text::{Sign, inside, outermost, signs, split, trimmed, unwrapped, with_hex};

impl Translation<'_> {
    pub(super) fn grant(&mut self, auth: &str) {
        let fields = fields(auth);
        let field = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        self.yaml.line(2, "grant:");
        self.yaml.line(3, "policies:");
        let mut none = true;
        for policy in field("policies").map(policies).unwrap_or_default() {
            none = false;
            match policy {
                (None, policy) => self.yaml.line(4, &format!("- {}", quoted(&policy))),
                (Some(when), policy) => {
                    self.yaml.entry(4, "- when", &when);
                    self.yaml.entry(5, "policy", &policy);
                }
            }
        }
        match field("no_default_policy") {
            Some("true") if none => self.missing.push("the role grants no policy: a policy needs one".to_owned()),
            Some("true") => {}
            None | Some("false") => self.yaml.line(4, "- '\"default\"'"),
            Some(other) => self.missing.push(format!("`no_default_policy: {other}` is only known at run time")),
        }
        self.lifetime(&fields);
        self.metadata(field("metadata"));
        for (name, value) in &fields {
            match *name {
                "bound_cidrs" | "num_uses" => {
                    self.missing.push(format!("`{name}: {value}`: cambio's tokens are not bound so"));
                }
                "policies" | "no_default_policy" | "metadata" | "lease_options" | "period" | "explicit_max_ttl" => {}
                _ => {
                    let note = format!("`{name}` has no counterpart: {}", why(name));
                    if !self.notes.contains(&note) {
                        self.notes.push(note);
                    }
                }
            }
        }
    }

    fn lifetime(&mut self, fields: &[(&str, &str)]) {
        let lease: Vec<(&str, &str)> = fields
            .iter()
            .filter(|(name, _)| *name == "lease_options")
            .flat_map(|(_, lease)| self::fields(lease))
            .collect();
        let spans = fields.iter().filter(|(name, _)| ["period", "explicit_max_ttl"].contains(name));
        let within = lease.iter().filter(|(name, _)| ["TTL", "MaxTTL"].contains(name));
        let mut least: Option<u64> = None;
        for (name, value) in spans.chain(within) {
            match value.parse::<u64>() {
                Ok(0) => {}
                Ok(nanos) => least = Some(least.map_or(nanos, |least| least.min(nanos))),
                Err(_) => {
                    self.missing
                        .push(format!("`{name}: {value}` is only known at run time: a policy's `ttl` is fixed"));
                }
            }
        }
        if lease.is_empty() && fields.iter().any(|(name, _)| *name == "lease_options") {
            self.missing.push("`lease_options` is only known at run time: a policy's `ttl` is fixed".to_owned());
        }
        let Some(nanos) = least else { return };
        let seconds = (nanos / 1_000_000_000).clamp(TTL_LEAST.as_secs(), TTL_MOST.as_secs());
        if seconds != nanos / 1_000_000_000 {
            self.missing.push(format!("a lease of {} s: a `ttl` lies between 60 s and 24 h", nanos / 1_000_000_000));
        }
        self.yaml.line(3, &format!("ttl: {seconds}s"));
        self.yaml.line(3, "outlive_subject: true");
    }

    fn metadata(&mut self, metadata: Option<&str>) {
        self.yaml.line(3, "metadata:");
        self.yaml.line(4, &format!("role: '\"{}\"'", self.documents.path.role()));
        let Some(map) = metadata else { return };
        let found = signs(map);
        let Some(inner) = inside(map, &found, &unwrapped(map, &found, 0..map.len()), b'{') else {
            self.missing.push(format!("`metadata` is no literal map: `{map}`"));
            return;
        };
        for entry in split(map, &inner, Sign::Comma).into_iter().filter(|entry| !entry.is_empty()) {
            let key_and_value = outermost(&found, &entry).find(|(_, sign)| *sign == Sign::Colon);
            let parts =
                key_and_value.and_then(|(at, _)| Some((map.get(entry.start..at)?, map.get(at + 1..entry.end)?)));
            let name = parts.map(|(key, _)| key.trim().trim_matches(['"', '\'']));
            match parts.zip(name) {
                Some((_, "role")) => {}
                Some(((_, value), name)) if is_variable(name) => self.yaml.entry(4, name, &with_hex(value.trim())),
                _ => self.missing.push(format!(
                    "an entry of `metadata` whose name is no plain word: `{}`",
                    map.get(entry.clone()).unwrap_or_default()
                )),
            }
        }
    }
}

/// The fields of a message literal, each with the text of its value.
fn fields(message: &str) -> Vec<(&str, &str)> {
    let found = signs(message);
    let Some((open, _)) = found.iter().find(|(_, sign)| *sign == Sign::Open) else { return vec![] };
    let Some(inner) = inside(message, &found, &trimmed(message, *open..message.len()), b'{') else { return vec![] };
    let entries = split(message, &inner, Sign::Comma).into_iter();
    let pair = |entry: std::ops::Range<usize>| message.get(entry).and_then(|entry| entry.split_once(':'));
    entries.filter_map(pair).map(|(name, value)| (name.trim(), value.trim())).collect()
}

fn why(field: &str) -> &'static str {
    match field {
        "display_name" | "alias" | "group_aliases" => "a token of cambio's names the workload in `sub`",
        "token_type" => "a token of cambio's is always self-contained",
        "client_token" | "accessor" | "token_policies" | "identity_policies" | "entity_id" => {
            "OpenBao's core writes it itself"
        }
        _ => "a policy grants policies, a lifetime and metadata",
    }
}

fn is_variable(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}
