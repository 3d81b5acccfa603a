//! Which namespaces a webhook is asked for.

use serde_json::Value;

/// Whether an object with these labels is selected, by a `LabelSelector` as Kubernetes reads it. One that it would refuse
/// selects nothing.
pub(super) fn selects(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    let equal = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    equal.into_iter().all(|(key, value)| value.is_string() && label(key) == value.as_str())
        && expressions.into_iter().all(|expression| {
            let text = |field: &str| expression.get(field).and_then(Value::as_str);
            let (Some(key), Some(operator)) = (text("key"), text("operator")) else { return false };
            let values = expression.get("values").and_then(Value::as_array);
            let among = |value: &str| values.into_iter().flatten().any(|it| it.as_str() == Some(value));
            match operator {
                "In" => label(key).is_some_and(among),
                "NotIn" => !label(key).is_some_and(among),
                "Exists" => label(key).is_some(),
                "DoesNotExist" => label(key).is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn namespaces_are_selected_as_kubernetes_does() {
        let included = json!({"policy.sigstore.dev/include": "true", "team": "shop"});
        let one = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "policy.sigstore.dev/include", "operator": operator, "values": values}]});
        for (selector, with, without) in [
            (json!({}), true, true),
            (json!({"matchLabels": {"team": "shop"}}), true, false),
            (json!({"matchLabels": {"team": "other"}}), false, false),
            (one("In", json!(["true"])), true, false),
            (one("In", json!(["false"])), false, false),
            (one("NotIn", json!(["true"])), false, true),
            (one("Exists", Value::Null), true, false),
            (one("DoesNotExist", Value::Null), false, true),
            (one("Like", json!(["true"])), false, false),
        ] {
            assert_eq!(selects(&selector, Some(&included)), with, "{selector}");
            assert_eq!(selects(&selector, None), without, "{selector}");
        }
    }
}
