//! From one version of `ClusterImagePolicy` to another.

use serde_json::Value;
use thiserror::Error;

/// The versions, all of which have the same content.
const VERSIONS: [&str; 2] = ["policy.sigstore.dev/v1beta1", "policy.sigstore.dev/v1alpha1"];

/// Why an object is not converted.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Unconvertible {
    /// There are no versions of such an object.
    #[error("{0:?} has no versions to convert between; ClusterImagePolicy has")]
    Kind(String),
    /// It is of, or is to be of, a version that there is not.
    #[error("there is no version {0:?}; there are {versions}", versions = VERSIONS.join(" and "))]
    Version(String),
}

/// The object in another version. Nothing but `apiVersion` differs, so nothing is lost on the way nor back: also not what
/// neither version knows, which is for validation to refuse.
///
/// # Errors
/// [`Unconvertible`], and the object is as it was.
pub fn convert(object: &Value, to: &str) -> Result<Value, Unconvertible> {
    let field = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    if field("kind") != "ClusterImagePolicy" {
        return Err(Unconvertible::Kind(field("kind").to_owned()));
    }
    for version in [field("apiVersion"), to] {
        if !VERSIONS.contains(&version) {
            return Err(Unconvertible::Version(version.to_owned()));
        }
    }
    let mut converted = object.clone();
    if let Value::Object(fields) = &mut converted {
        fields.insert("apiVersion".to_owned(), to.into());
    }
    Ok(converted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_lost_on_the_way_and_back() {
        // What policy-controller loses: a log without a URL, and timestamps without anything.
        let authority = json!({"key": {"data": "k"}, "ctlog": {"trustRootRef": "x"}, "rfc3161timestamp": {}});
        let object = json!({
            "apiVersion": VERSIONS[0], "kind": "ClusterImagePolicy", "metadata": {"name": "a", "generation": 3},
            "spec": {"authorities": [authority], "unknown": [1, null, 2.5]}, "status": {"conditions": []},
        });
        let stored = convert(&object, VERSIONS[1]).unwrap();
        assert_eq!(stored["apiVersion"], VERSIONS[1]);
        assert_eq!(stored["spec"], object["spec"]);
        assert_eq!(convert(&stored, VERSIONS[0]).unwrap(), object);
        assert_eq!(convert(&object, VERSIONS[0]).unwrap(), object);
    }

    #[test]
    fn other_kinds_and_versions_are_not_converted() {
        let object = |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind});
        let policy = object(VERSIONS[0], "ClusterImagePolicy");
        let refused = |object: &Value, to: &str| convert(object, to).unwrap_err();
        assert!(matches!(refused(&policy, "policy.sigstore.dev/v1"), Unconvertible::Version(_)));
        assert!(matches!(
            refused(&object("v1", "ClusterImagePolicy"), VERSIONS[0]),
            Unconvertible::Version(_)
        ));
        assert!(matches!(refused(&object(VERSIONS[0], "TrustRoot"), VERSIONS[0]), Unconvertible::Kind(_)));
        assert!(matches!(refused(&json!([]), VERSIONS[0]), Unconvertible::Kind(_)));
    }
}
