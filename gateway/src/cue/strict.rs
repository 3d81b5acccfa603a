//! What a policy in CUE says of the input must be in the input.
//!
//! Unification also goes well where a side is silent: a policy that wants `predicate: Data: "x"` unifies with a
//! predicate that has no `Data`, and policy-controller lets that pass. Here it does not. A field that may be absent
//! is written `Data?: "x"`.

use serde_json::Value;

/// The keys that inputs have. Others, at the top, are the policy's own, for names like `before`.
const INPUTS: [&str; 8] =
    ["_type", "authorityMatches", "config", "metadata", "predicate", "predicateType", "spec", "typemeta"];

/// The first place in the unified value that is not in the input, as CUE writes it.
pub(super) fn missing(unified: &Value, input: &Value) -> Option<String> {
    let Value::Object(fields) = unified else {
        return None;
    };
    let ours = |name: &str| INPUTS.contains(&name) || input.get(name).is_some() || name == "subject";
    fields
        .iter()
        .filter(|(name, _)| ours(name))
        .find_map(|(name, value)| within(label(name), value, input.get(name)))
}

/// The path itself, or the first place under it, that is not in the input. Both are trees, and `unified` is one that
/// CUE made of the other, which our parser bounded in depth.
fn within(path: String, unified: &Value, input: Option<&Value>) -> Option<String> {
    match (unified, input) {
        (_, None) => Some(path),
        (Value::Object(unified), Some(input)) => unified
            .iter()
            .find_map(|(name, value)| within(format!("{path}.{}", label(name)), value, input.get(name))),
        (Value::Array(unified), Some(input)) => unified
            .iter()
            .enumerate()
            .find_map(|(index, value)| within(format!("{path}.{index}"), value, input.get(index))),
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), Some(_)) => None,
    }
}

/// A name as it stands in a path: quoted unless it is an identifier.
fn label(name: &str) -> String {
    let plain = name.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '$')
        && name.starts_with(|first: char| first.is_alphabetic() || first == '$');
    if plain { name.to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::missing;

    #[track_caller]
    fn check(unified: &Value, input: &Value, path: Option<&str>) {
        assert_eq!(missing(unified, input).as_deref(), path, "{unified}");
    }

    #[test]
    fn what_the_policy_alone_says_is_missing() {
        let input = json!({"predicate": {"a": 1, "list": [1]}, "config": {"linux/amd64": {}}});
        check(&json!({"predicate": {"a": 1}}), &input, None);
        check(&json!({"predicate": {"a": 1, "b": 2}}), &input, Some("predicate.b"));
        check(&json!({"predicate": {"list": [1, 2]}}), &input, Some("predicate.list.1"));
        check(&json!({"config": {"linux/arm64": {}}}), &input, Some("config.\"linux/arm64\""));
        check(&json!({"typemeta": {"kind": "Pod"}}), &input, Some("typemeta"));
        check(&json!({"before": "2049-10-09T17:10:27Z"}), &input, None);
    }
}
