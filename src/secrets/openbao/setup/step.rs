//! One thing that is to be there: how it is looked at, and how it is made.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// One thing that is to be there.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The namespace, from OpenBao's root; empty for the root.
    pub namespace: String,
    /// The path of the API that makes it.
    pub path: String,
    /// What is posted there.
    pub body: Value,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Namespace { name: String },
    AuthMount { mount: String },
    SecretsMount { mount: String, version: u8 },
    Policy { name: String },
    Document { what: &'static str },
}

/// What a look at a step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there, and as it should be.
    AsWanted,
    /// It is not there.
    Missing,
    /// It is there and differs in these members.
    Differs(Vec<String>),
    /// Something else is in its place, which is not replaced.
    Taken(String),
}

impl Step {
    pub(super) fn namespace(parent: &str, name: &str) -> Self {
        let kind = Kind::Namespace { name: name.to_owned() };
        Self { namespace: parent.to_owned(), path: format!("sys/namespaces/{name}"), body: json!({}), kind }
    }

    pub(super) fn auth_mount(namespace: &str, mount: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            path: format!("sys/auth/{mount}"),
            body: json!({"type": "jwt", "description": "tokens of cambio"}),
            kind: Kind::AuthMount { mount: mount.to_owned() },
        }
    }

    pub(super) fn secrets_mount(namespace: &str, mount: &str, version: u8) -> Self {
        Self {
            namespace: namespace.to_owned(),
            path: format!("sys/mounts/{mount}"),
            body: json!({"type": "kv", "options": {"version": version.to_string()}}),
            kind: Kind::SecretsMount { mount: mount.to_owned(), version },
        }
    }

    pub(super) fn policy(namespace: &str, name: &str, text: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            path: format!("sys/policies/acl/{name}"),
            body: json!({"policy": text}),
            kind: Kind::Policy { name: name.to_owned() },
        }
    }

    pub(super) fn document(namespace: &str, path: &str, what: &'static str, body: Value) -> Self {
        Self { namespace: namespace.to_owned(), path: path.to_owned(), body, kind: Kind::Document { what } }
    }

    /// What it is, for people.
    #[must_use]
    pub fn title(&self) -> String {
        let what = match &self.kind {
            Kind::Namespace { name } => format!("namespace `{name}`"),
            Kind::AuthMount { mount } => format!("JWT mount `auth/{mount}`"),
            Kind::SecretsMount { mount, version } => format!("KV version {version} mount `{mount}`"),
            Kind::Policy { name } => format!("policy `{name}`"),
            Kind::Document { what } => format!("`{}`, {what}", self.path),
        };
        if self.namespace.is_empty() { what } else { format!("{what}, in `{}`", self.namespace) }
    }

    /// Where it is looked at.
    pub(super) fn look_path(&self) -> &str {
        match self.kind {
            Kind::AuthMount { .. } => "sys/auth",
            Kind::SecretsMount { .. } => "sys/mounts",
            _ => &self.path,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"namespace": self.namespace, "method": "POST", "path": self.path, "body": self.body})
    }

    /// What `data` of the answer to a look says; `None` where there was nothing.
    pub(super) fn judge(&self, data: Option<&Value>) -> Found {
        let Some(data) = data else { return Found::Missing };
        match &self.kind {
            Kind::Namespace { .. } => Found::AsWanted,
            Kind::AuthMount { mount } => match mounted(data, mount) {
                Err(found) => found,
                Ok(("jwt", _)) => Found::AsWanted,
                Ok((kind, _)) => Found::Taken(format!("a mount of type `{kind}` is there")),
            },
            Kind::SecretsMount { mount, version } => match mounted(data, mount) {
                Err(found) => found,
                Ok(("kv" | "generic", has)) if has == *version => Found::AsWanted,
                Ok(("kv" | "generic", has)) => {
                    Found::Taken(format!("the KV engine there has version {has}, and `{version}` is configured"))
                }
                Ok((kind, _)) => Found::Taken(format!("a mount of type `{kind}` is there")),
            },
            Kind::Policy { .. } | Kind::Document { .. } => {
                let differing = differing(&self.body, data, "");
                if differing.is_empty() { Found::AsWanted } else { Found::Differs(differing) }
            }
        }
    }
}

/// Type and KV version of the mount at `mount` in a list of mounts.
fn mounted<'d>(data: &'d Value, mount: &str) -> Result<(&'d str, u8), Found> {
    let Some(entry) = data.get(format!("{mount}/")) else {
        let nested = data.as_object().into_iter().flat_map(Map::keys).find(|other| {
            let other = other.trim_end_matches('/');
            let below = |one: &str, of: &str| one.strip_prefix(of).is_some_and(|rest| rest.starts_with('/'));
            below(other, mount) || below(mount, other)
        });
        return Err(nested.map_or(Found::Missing, |other| Found::Taken(format!("the mount `{other}` is in its way"))));
    };
    let version = entry.pointer("/options/version").and_then(Value::as_str).and_then(|version| version.parse().ok());
    Ok((entry.get("type").and_then(Value::as_str).unwrap_or_default(), version.unwrap_or(1)))
}

/// The members of `wanted` that `there` has differently. What OpenBao has besides is its own: defaults, and what it keeps.
fn differing(wanted: &Value, there: &Value, place: &str) -> Vec<String> {
    match wanted {
        Value::Object(members) if !members.is_empty() => {
            let nothing = Value::Null;
            let each = members.iter().flat_map(|(name, value)| {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                differing(value, there.get(name).unwrap_or(&nothing), &place)
            });
            each.collect()
        }
        _ if is_same(wanted, there) => vec![],
        _ => vec![place.to_owned()],
    }
}

/// Lists of names have no order; nothing, an empty text and an empty list are one; texts end where their words do.
fn is_same(wanted: &Value, there: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    let names = |value: &Value| -> Option<BTreeSet<String>> {
        value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    match (wanted, there) {
        _ if is_empty(wanted) && is_empty(there) => true,
        (Value::String(wanted), Value::String(there)) => wanted.trim() == there.trim(),
        _ => match (names(wanted), names(there)) {
            (Some(wanted), Some(there)) => wanted == there,
            _ => wanted == there,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(json!({"token/": {"type": "token"}}), Found::Missing)]
    #[case(json!({"cambio/": {"type": "jwt"}}), Found::AsWanted)]
    #[case(json!({"cambio/": {"type": "userpass"}}), Found::Taken("a mount of type `userpass` is there".to_owned()))]
    #[case(json!({"cambio/x/": {"type": "jwt"}}), Found::Taken("the mount `cambio/x/` is in its way".to_owned()))]
    fn a_mount_of_another_type_is_said_and_not_replaced(#[case] data: Value, #[case] found: Found) {
        assert_eq!(Step::auth_mount("", "cambio").judge(Some(&data)), found);
    }

    #[rstest]
    #[case(json!({"secret/": {"type": "kv", "options": {"version": "2"}}}), true)]
    #[case(json!({"secret/": {"type": "kv", "options": {"version": "1"}}}), false)]
    #[case(json!({"secret/": {"type": "kv", "options": null}}), false)]
    #[case(json!({"secret/": {"type": "transit"}}), false)]
    fn a_kv_mount_has_the_version_that_is_configured(#[case] data: Value, #[case] good: bool) {
        assert_eq!(Step::secrets_mount("", "secret", 2).judge(Some(&data)) == Found::AsWanted, good);
    }

    #[rstest]
    #[case(json!({"a": "x", "list": ["1", "2"], "empty": ""}), &[])]
    #[case(json!({"a": "x", "list": ["2", "1"], "empty": null, "more": 7}), &[])]
    #[case(json!({"a": "y", "list": ["1"], "empty": "z"}), &["a", "empty", "list"])]
    #[case(json!({}), &["a", "list"])]
    fn members_that_differ_are_named(#[case] there: Value, #[case] names: &[&str]) {
        let wanted = json!({"a": "x", "list": ["1", "2"], "empty": ""});
        let step = Step::document("", "auth/cambio/config", "x", wanted);
        let found = step.judge(Some(&there));
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(found, if names.is_empty() { Found::AsWanted } else { Found::Differs(names) });
    }

    #[test]
    fn the_order_of_a_programs_variables_counts() {
        let variables = |names: &[&str]| -> Value {
            names.iter().map(|name| json!({"name": name, "expression": "1"})).collect::<Vec<_>>().into()
        };
        let step = Step::document("", "r", "x", json!({"cel_program": {"variables": variables(&["a", "b"])}}));
        let there = json!({"cel_program": {"variables": variables(&["b", "a"])}});
        assert_eq!(step.judge(Some(&there)), Found::Differs(vec!["cel_program.variables".to_owned()]));
    }
}
