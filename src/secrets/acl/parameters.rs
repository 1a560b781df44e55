//! Which parameters a request may have (`required_parameters`, `denied_parameters`, `allowed_parameters`).
//!
//! Decides whether a request's top-level members keep the rules of a path, as OpenBao merges them over a token's policies.
//! Refuses to keep or to quote what a caller sent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

/// The rules of one policy for one path. Names are in lower case.
#[derive(Debug, Default)]
pub(super) struct ParameterRules {
    pub(super) required: Vec<Arc<str>>,
    /// By name; no values: any.
    pub(super) denied: BTreeMap<Arc<str>, Vec<Value>>,
    /// By name; no values: any.
    pub(super) allowed: BTreeMap<Arc<str>, Vec<Value>>,
}

/// Why a request's parameters are refused. For the operator; holds nothing that the caller sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterDenied {
    /// A parameter that has to be there is not.
    #[error("the rule requires the parameter `{0}`")]
    Missing(Arc<str>),
    /// A parameter, or its value, is in `denied_parameters`.
    #[error("the rule denies the parameter `{0}` or its value")]
    Refused(Arc<str>),
    /// A parameter, or its value, is not in `allowed_parameters`.
    #[error("the rule has `allowed_parameters`, and a parameter or its value is not among them")]
    NotAllowed,
}

const ALL: &str = "*";

impl ParameterRules {
    pub(super) fn is_empty(&self) -> bool {
        self.required.is_empty() && self.denied.is_empty() && self.allowed.is_empty()
    }
}

/// Checks the parameters of a request against the rules of all policies that have the path.
pub(super) fn check(rules: &[&ParameterRules], body: &Map<String, Value>) -> Result<(), ParameterDenied> {
    let mut required = rules.iter().flat_map(|rules| &rules.required);
    if let Some(name) = required.find(|name| !body.contains_key(name.as_ref())) {
        return Err(ParameterDenied::Missing(Arc::clone(name)));
    }
    if body.is_empty() {
        return Ok(());
    }
    if let Some((name, _)) = rules.iter().find_map(|rules| rules.denied.get_key_value(ALL)) {
        return Err(ParameterDenied::Refused(Arc::clone(name)));
    }
    for (name, value) in body {
        let name = lower(name);
        let denied = rules.iter().filter_map(|rules| rules.denied.get_key_value(name.as_ref()));
        if let Some((name, _)) = denied.into_iter().find(|(_, values)| values.is_empty() || contains(values, value)) {
            return Err(ParameterDenied::Refused(Arc::clone(name)));
        }
    }
    let mut names = rules.iter().flat_map(|rules| rules.allowed.keys()).peekable();
    if names.peek().is_none() || names.all(|name| name.as_ref() == ALL) {
        return Ok(());
    }
    let others = rules.iter().any(|rules| rules.allowed.contains_key(ALL));
    let allowed = body.iter().all(|(name, value)| {
        let name = lower(name);
        let mut lists = rules.iter().filter_map(|rules| rules.allowed.get(name.as_ref())).peekable();
        if lists.peek().is_none() { others } else { lists.any(|values| values.is_empty() || contains(values, value)) }
    });
    if allowed { Ok(()) } else { Err(ParameterDenied::NotAllowed) }
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.chars().any(char::is_uppercase) { Cow::Owned(name.to_lowercase()) } else { Cow::Borrowed(name) }
}

/// Strings compare as globs with `*` at their ends, numbers by value, everything else by equality.
fn contains(values: &[Value], given: &Value) -> bool {
    values.iter().any(|value| match (value, given) {
        (Value::String(glob), Value::String(text)) => matches(glob, text),
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64().is_some_and(|a| Some(a) == b.as_f64()),
        (value, given) => value == given,
    })
}

fn matches(glob: &str, text: &str) -> bool {
    match (glob.strip_prefix('*'), glob.strip_suffix('*')) {
        _ if glob == ALL => true,
        (Some(inner), Some(_)) => inner.strip_suffix('*').is_some_and(|inner| text.contains(inner)),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => glob == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn rules(required: &[&str], denied: &Value, allowed: &Value) -> ParameterRules {
        let lists = |value: &Value| {
            let map = value.as_object().unwrap().iter();
            map.map(|(name, values)| (Arc::from(name.as_str()), values.as_array().unwrap().clone())).collect()
        };
        let required = required.iter().map(|name| Arc::from(*name)).collect();
        ParameterRules { required, denied: lists(denied), allowed: lists(allowed) }
    }

    fn verdict(rules: &[ParameterRules], body: &Value) -> Result<(), ParameterDenied> {
        check(&rules.iter().collect::<Vec<_>>(), body.as_object().unwrap())
    }

    #[rstest]
    #[case::nothing_said(&[], json!({}), json!({}), json!({"x": 1}), true)]
    #[case::required_is_there(&["a"], json!({}), json!({}), json!({"a": null}), true)]
    #[case::required_is_missing(&["a"], json!({}), json!({}), json!({"b": 1}), false)]
    #[case::required_of_an_empty_request(&["a"], json!({}), json!({}), json!({}), false)]
    #[case::denied_by_name(&[], json!({"a": []}), json!({}), json!({"a": 1}), false)]
    #[case::another_than_the_denied(&[], json!({"a": []}), json!({}), json!({"b": 1}), true)]
    #[case::denied_whatever_its_case(&[], json!({"a": []}), json!({}), json!({"A": 1}), false)]
    #[case::denied_by_value(&[], json!({"a": ["x"]}), json!({}), json!({"a": "x"}), false)]
    #[case::another_value_than_the_denied(&[], json!({"a": ["x"]}), json!({}), json!({"a": "y"}), true)]
    #[case::all_denied(&[], json!({"*": []}), json!({}), json!({"a": 1}), false)]
    #[case::all_denied_but_nothing_sent(&[], json!({"*": []}), json!({}), json!({}), true)]
    #[case::denied_wins_over_allowed(&[], json!({"a": []}), json!({"a": []}), json!({"a": 1}), false)]
    #[case::allowed_by_name(&[], json!({}), json!({"a": []}), json!({"a": 1}), true)]
    #[case::not_among_the_allowed(&[], json!({}), json!({"a": []}), json!({"a": 1, "b": 1}), false)]
    #[case::allowed_by_value(&[], json!({}), json!({"a": ["x", 1]}), json!({"a": 1}), true)]
    #[case::another_value_than_the_allowed(&[], json!({}), json!({"a": ["x", 1]}), json!({"a": 2}), false)]
    #[case::all_allowed(&[], json!({}), json!({"*": []}), json!({"a": 1}), true)]
    #[case::all_others_allowed(&[], json!({}), json!({"*": [], "a": ["x"]}), json!({"b": 1, "a": "x"}), true)]
    #[case::one_bound_among_all_others(&[], json!({}), json!({"*": [], "a": ["x"]}), json!({"a": "y"}), false)]
    #[case::allowed_and_nothing_sent(&[], json!({}), json!({"a": []}), json!({}), true)]
    fn the_parameters_of_one_policy_count(
        #[case] required: &[&str],
        #[case] denied: Value,
        #[case] allowed: Value,
        #[case] body: Value,
        #[case] fine: bool,
    ) {
        assert_eq!(verdict(&[rules(required, &denied, &allowed)], &body).is_ok(), fine);
    }

    #[rstest]
    #[case::required_adds_up((Some("a"), json!({}), json!({})), (Some("b"), json!({}), json!({})), json!({"a": 1}), false)]
    #[case::denied_adds_up((None, json!({"a": ["x"]}), json!({})), (None, json!({"a": ["y"]}), json!({})), json!({"a": "y"}), false)]
    #[case::denied_for_any_value_wins((None, json!({"a": ["x"]}), json!({})), (None, json!({"a": []}), json!({})), json!({"a": "z"}), false)]
    #[case::allowed_adds_up((None, json!({}), json!({"a": ["x"]})), (None, json!({}), json!({"a": ["y"]})), json!({"a": "y"}), true)]
    #[case::allowed_for_any_value_wins((None, json!({}), json!({"a": ["x"]})), (None, json!({}), json!({"a": []})), json!({"a": "z"}), true)]
    #[case::silence_does_not_widen((None, json!({}), json!({"a": []})), (None, json!({}), json!({})), json!({"b": 1}), false)]
    fn the_parameters_of_several_policies_merge(
        #[case] one: (Option<&str>, Value, Value),
        #[case] other: (Option<&str>, Value, Value),
        #[case] body: Value,
        #[case] fine: bool,
    ) {
        let [one, other] =
            [one, other].map(|(required, denied, allowed)| rules(required.as_slice(), &denied, &allowed));
        assert_eq!(check(&[&one, &other], body.as_object().unwrap()).is_ok(), fine);
        assert_eq!(check(&[&other, &one], body.as_object().unwrap()).is_ok(), fine);
    }

    #[rstest]
    #[case("abc", "abc", true)]
    #[case("abc", "abcd", false)]
    #[case("ab*", "abc", true)]
    #[case("*bc", "abc", true)]
    #[case("*b*", "abc", true)]
    #[case("*x*", "abc", false)]
    #[case("a*c", "abc", false)]
    #[case("*", "", true)]
    #[case("**", "abc", true)]
    fn a_value_is_a_glob_at_its_ends(#[case] glob: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(contains(&[json!(glob)], &json!(text)), expected);
    }

    #[rstest]
    #[case(json!(5), json!(5.0), true)]
    #[case(json!("5"), json!(5), false)]
    #[case(json!(true), json!(true), true)]
    #[case(json!(null), json!(null), true)]
    #[case(json!("x"), json!(["x"]), false)]
    fn other_values_compare_by_what_they_are(#[case] value: Value, #[case] given: Value, #[case] expected: bool) {
        assert_eq!(contains(&[value], &given), expected);
    }

    #[test]
    fn a_refusal_names_the_rule_and_never_the_request() {
        let denied = verdict(&[rules(&[], &json!({"a": ["x*"]}), &json!({}))], &json!({"A": "xyz"})).unwrap_err();
        assert_eq!(denied.to_string(), "the rule denies the parameter `a` or its value");
    }
}
