//! An object of Kubernetes that somebody asks about as if it were to be admitted.

use std::sync::Arc;

use anyhow::Context as _;
use policies::{Admitted, Request};
use serde_json::Value;

/// The request that admission would be asked. The namespace is the object's own, the one that is given, or `default`, as
/// `kubectl` has it.
pub(super) fn admission_of(object: &Value, namespace: Option<&str>) -> anyhow::Result<Request> {
    let field = |name: &str| {
        let text = object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.with_context(|| format!("the object has no {name}"))
    };
    let (api_version, kind) = (field("apiVersion")?, field("kind")?);
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let own = object.pointer("/metadata/namespace").and_then(Value::as_str).filter(|name| !name.is_empty());
    if let (Some(own), Some(namespace)) = (own, namespace) {
        anyhow::ensure!(own == namespace, "the object is in namespace {own}, not in {namespace}");
    }
    Ok(Request::Admission(Arc::new(Admitted::new(
        Some(own.or(namespace).unwrap_or("default").to_owned()),
        group.to_owned(),
        version.to_owned(),
        kind.to_owned(),
        object.to_string(),
    ))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_namespace_is_the_objects_own_or_the_one_given_or_the_default() {
        let pod =
            |metadata: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata});
        for (object, given, expected) in [
            (pod(json!({"namespace": "shop"})), None, Some("shop")),
            (pod(json!({"namespace": "shop"})), Some("shop"), Some("shop")),
            (pod(json!({"namespace": "shop"})), Some("other"), None),
            (pod(json!({})), Some("other"), Some("other")),
            (pod(json!({})), None, Some("default")),
            (json!({"kind": "Pod"}), None, None),
        ] {
            let request = admission_of(&object, given).ok();
            let namespace = request.and_then(|request| match request {
                Request::Admission(object) => {
                    assert_eq!((&*object.group, &*object.version), ("apps", "v1"));
                    object.namespace.clone()
                }
                Request::Pull => None,
            });
            assert_eq!(namespace.as_deref(), expected, "{object}");
        }
    }
}
