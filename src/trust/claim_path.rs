//! Where a claim stands: a list of member names, because names themselves contain dots, slashes and whole URLs.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The way to a claim from the top of the claims, e.g. `["kubernetes.io"].namespace`. At least one name.
///
/// In YAML: a text is one top-level name, whatever it contains (`kubernetes.io`); a list goes deeper
/// (`[kubernetes.io, namespace]`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "Written")]
pub struct ClaimPath(Vec<Box<str>>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a claim's name, or the list of names that leads to it")]
enum Written {
    One(Box<str>),
    Way(Vec<Box<str>>),
}

impl TryFrom<Written> for ClaimPath {
    type Error = &'static str;
    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::One(name) => Ok(Self(vec![name])),
            Written::Way(names) if names.is_empty() => Err("a claim's path has at least one name"),
            Written::Way(names) => Ok(Self(names)),
        }
    }
}

impl ClaimPath {
    /// The claim of that name at the top.
    #[must_use]
    pub fn top(name: &str) -> Self {
        Self(vec![Box::from(name)])
    }

    /// The claim `name` inside this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([Box::from(name)]).collect())
    }

    /// Whether it is that claim, or inside of it.
    #[must_use]
    pub fn is_within(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// The names, outermost first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The value there; `null` counts as absent, so that a required claim cannot be satisfied by it.
    #[must_use]
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        self.find_raw(claims).filter(|value| !value.is_null())
    }

    /// Whether a member stands there, `null` or not: what a refused claim is looked for by.
    #[must_use]
    pub fn is_in(&self, claims: &Map<String, Value>) -> bool {
        self.find_raw(claims).is_some()
    }

    fn find_raw<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(first.as_ref())?, |value, name| value.get(name.as_ref()))
    }
}

impl fmt::Display for ClaimPath {
    /// As a CEL expression would go there: plain names with dots, others quoted in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.0.iter().enumerate() {
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.is_empty();
            match (plain, place) {
                (true, 0) => write!(f, "{name}")?,
                (true, _) => write!(f, ".{name}")?,
                (false, _) => write!(f, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_goes_through_names_with_dots_and_prints_as_an_expression() {
        let Value::Object(claims) = json!({"kubernetes.io": {"pod": {"name": "a", "uid": null}}}) else { panic!() };
        let pod = ClaimPath::top("kubernetes.io").child("pod");
        assert_eq!(pod.child("name").find(&claims), Some(&json!("a")));
        assert_eq!(pod.child("uid").find(&claims), None);
        assert!(pod.child("uid").is_in(&claims));
        assert!(!ClaimPath::top("kubernetes").is_in(&claims));
        assert_eq!(pod.child("name").to_string(), r#"["kubernetes.io"].pod.name"#);
    }

    #[test]
    fn in_yaml_a_text_is_one_name_and_a_list_goes_deeper() {
        let paths: Vec<ClaimPath> = serde_saphyr::from_str("[kubernetes.io, [kubernetes.io, pod]]").unwrap();
        assert_eq!(paths, [ClaimPath::top("kubernetes.io"), ClaimPath::top("kubernetes.io").child("pod")]);
        assert!(serde_saphyr::from_str::<Vec<ClaimPath>>("[[]]").is_err());
    }
}
