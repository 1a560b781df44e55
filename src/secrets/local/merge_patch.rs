//! JSON merge patch (RFC 7396) on the text: what the patch does not name keeps the bytes that it had (a number of many digits
//! stays that number), and no tree of values, which nothing would zero, is built.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// `target` changed by `patch`; none where one of them is no JSON object. Members come out sorted; of two with one name the
/// last counts.
pub(super) fn merge_patch(target: &[u8], patch: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (target, patch): (Members<'_>, Members<'_>) =
        (serde_json::from_slice(target).ok()?, serde_json::from_slice(patch).ok()?);
    // Nothing in it is longer than in the two texts together.
    let room = |members: &Members<'_>| -> usize { members.iter().map(|(n, v)| 6 * n.len() + v.get().len() + 8).sum() };
    let mut merged = Zeroizing::new(Vec::with_capacity(room(&target) + room(&patch) + 2));
    merge_objects(target, patch, &mut merged)?;
    Some(merged)
}

fn merge_objects(target: Members<'_>, patch: Members<'_>, into: &mut Vec<u8>) -> Option<()> {
    let mut members: BTreeMap<_, (Option<&RawValue>, Option<&RawValue>)> =
        target.into_iter().map(|(name, value)| (name, (Some(value), None))).collect();
    for (name, value) in patch {
        members.entry(name).or_default().1 = Some(value);
    }
    into.push(b'{');
    let mut first = true;
    for (name, (old, new)) in members {
        if new.is_some_and(|new| new.get() == "null") {
            continue;
        }
        if !std::mem::take(&mut first) {
            into.push(b',');
        }
        serde_json::to_writer(&mut *into, &name).ok()?;
        into.push(b':');
        match (old, new) {
            (Some(old), None) => into.extend_from_slice(old.get().as_bytes()),
            (old, Some(new)) if is_object(new) => {
                // What is no object becomes an empty one first; so nulls within a new object go, too.
                let old = old.filter(|old| is_object(old)).map(|old| serde_json::from_str(old.get()));
                merge_objects(old.transpose().ok()?.unwrap_or_default(), serde_json::from_str(new.get()).ok()?, into)?;
            }
            (_, Some(new)) => into.extend_from_slice(new.get().as_bytes()),
            (None, None) => return None,
        }
    }
    into.push(b'}');
    Some(())
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn merged(target: &str, patch: &str) -> String {
        let merged = merge_patch(target.as_bytes(), patch.as_bytes()).unwrap();
        String::from_utf8(merged.to_vec()).unwrap()
    }

    /// RFC 7396 appendix A, as far as both are objects.
    #[rstest]
    #[case(r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#)]
    #[case(r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#)]
    #[case(r#"{"a":"b"}"#, r#"{"a":null}"#, "{}")]
    #[case(r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#)]
    #[case(r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#)]
    #[case(r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#)]
    #[case(r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#)]
    #[case(r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#)]
    #[case(r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#)]
    #[case("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#)]
    fn the_examples_of_the_standard(#[case] target: &str, #[case] patch: &str, #[case] result: &str) {
        assert_eq!(merged(target, patch), result);
    }

    #[test]
    fn what_the_patch_does_not_name_keeps_its_bytes() {
        let target = r#"{"n": 12345678901234567890.10, "s": "a\u00e9\/", "o": { "x" : [ 1 ] }}"#;
        let patched = merged(target, r#"{"new\n": 1.0}"#);
        assert_eq!(patched, r#"{"n":12345678901234567890.10,"new\n":1.0,"o":{ "x" : [ 1 ] },"s":"a\u00e9\/"}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(merge_patch(b"{}", b"[]").is_none() && merge_patch(b"1", b"{}").is_none());
    }

    fn by_the_standard(target: &Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else { return patch.clone() };
        let mut merged = target.as_object().cloned().unwrap_or_default();
        for (name, value) in patch {
            match value {
                Value::Null => drop(merged.remove(name)),
                value => {
                    drop(merged.insert(name.clone(), by_the_standard(merged.get(name).unwrap_or(&json!(0)), value)))
                }
            }
        }
        Value::Object(merged)
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[ab\"\\n\u{e9}]{0,3}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[abc\u{7f}\n]{1,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_the_standard_says(target in any_value(), patch in any_value()) {
            let (target, patch) = (json!({"a": target, "b": 1}), json!({"a": patch, "c": {"d": null}}));
            let room = merge_patch(target.to_string().as_bytes(), patch.to_string().as_bytes()).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Value>(&room).unwrap(), by_the_standard(&target, &patch));
        }
    }
}
