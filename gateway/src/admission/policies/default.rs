//! What is meant where an author says nothing, written out.

use serde_json::{Value, json};

use super::makes_no_policy;
use crate::admission::review::{AdmissionRequest, Answer};

/// The authority that `keyless` means without another. It is never asked.
const PUBLIC_AUTHORITY: &str = "https://fulcio.sigstore.dev";

/// Fills in an object. What is no policy, or is wrong, stays as it is: validation has the say.
pub(in crate::admission) fn default<'a>(request: &'a AdmissionRequest<'_>) -> Answer<'a> {
    let object = request.object.filter(|_| !makes_no_policy(request));
    let object = object.and_then(|object| serde_json::from_str(object.get()).ok()).unwrap_or(Value::Null);
    let kinds = ["ClusterImagePolicy", "ImagePolicy"];
    let patch = if kinds.contains(&&*request.kind.kind) { additions(&object) } else { Vec::new() };
    let patch = if patch.is_empty() { Vec::new() } else { Value::Array(patch).to_string().into_bytes() };
    Answer::patched(&request.uid, &patch, Vec::new())
}

/// JSON Patch operations (RFC 6902). None, once they were applied.
fn additions(object: &Value) -> Vec<Value> {
    let add = |path: String, value: &str| json!({"op": "add", "path": path, "value": value});
    let Some(spec) = object.get("spec").filter(|spec| spec.is_object()) else { return Vec::new() };
    let mut patch = Vec::new();
    if is_blank(spec.get("mode")) {
        patch.push(add("/spec/mode".to_owned(), "enforce"));
    }
    let authorities = spec.get("authorities").and_then(Value::as_array);
    for (index, authority) in authorities.into_iter().flatten().enumerate().filter(|(_, it)| it.is_object()) {
        let at = format!("/spec/authorities/{index}");
        if is_blank(authority.get("name")) {
            patch.push(add(format!("{at}/name"), &format!("authority-{index}")));
        }
        let keyless = authority.get("keyless").filter(|keyless| keyless.is_object());
        if keyless.is_some_and(|keyless| is_blank(keyless.get("url")) && is_blank(keyless.get("ca-cert"))) {
            patch.push(add(format!("{at}/keyless/url"), PUBLIC_AUTHORITY));
        }
    }
    patch
}

/// Whether a field is as good as absent.
fn is_blank(field: Option<&Value>) -> bool {
    field.is_none_or(|value| value.is_null() || value.as_str() == Some(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies operations, all of which add a field to an object.
    fn apply(object: &mut Value, patch: &[Value]) {
        for operation in patch {
            let (at, field) = operation["path"].as_str().unwrap().rsplit_once('/').unwrap();
            object.pointer_mut(at).unwrap()[field] = operation["value"].clone();
        }
    }

    #[test]
    fn what_is_meant_is_written_out_and_then_nothing_is_left_to_write() {
        let mut object = json!({"spec": {"mode": "", "authorities": [
            {"keyless": {"identities": []}},
            {"name": "mine", "keyless": {"ca-cert": {"data": "…"}}},
            {"keyless": {"url": "https://a.example"}, "name": null},
            {"static": {"action": "pass"}},
            "no authority",
        ]}});
        let patch = additions(&object);
        apply(&mut object, &patch);
        assert_eq!(
            object,
            json!({"spec": {"mode": "enforce", "authorities": [
                {"name": "authority-0", "keyless": {"identities": [], "url": PUBLIC_AUTHORITY}},
                {"name": "mine", "keyless": {"ca-cert": {"data": "…"}}},
                {"name": "authority-2", "keyless": {"url": "https://a.example"}},
                {"name": "authority-3", "static": {"action": "pass"}},
                "no authority",
            ]}})
        );
        assert_eq!(additions(&object), Vec::<Value>::new());
    }

    #[test]
    fn what_is_wrong_stays_as_it_is() {
        for object in [json!(null), json!({"spec": []}), json!({"spec": null}), json!([{"spec": {}}])] {
            assert_eq!(additions(&object), Vec::<Value>::new(), "{object}");
        }
    }
}
