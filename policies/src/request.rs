//! The request's own facts: for what an image is judged.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

/// For what an image is judged.
#[derive(Clone, Debug)]
pub enum Request {
    /// A pull. A runtime never says for which Pod it pulls, so whatever a policy says of objects is left to admission.
    Pull,
    /// The admission of an object to a cluster.
    Admission(Arc<Admitted>),
}

/// An object that is to be admitted.
#[derive(Debug)]
pub struct Admitted {
    /// The namespace, where it is in one.
    pub namespace: Option<String>,
    /// The API group, empty for the core.
    pub group: String,
    /// The version in the group.
    pub version: String,
    /// The kind.
    pub kind: String,
    text: String,
    parsed: OnceLock<Option<Value>>,
}

impl Admitted {
    /// An object, as JSON. Most policies look at none of it, so it is read when the first one does.
    pub fn new(
        namespace: Option<String>,
        group: String,
        version: String,
        kind: String,
        text: String,
    ) -> Self {
        Self { namespace, group, version, kind, text, parsed: OnceLock::new() }
    }

    /// A part of the object, null where it has none; nothing where the object cannot be read.
    pub(crate) fn part(&self, name: &str) -> Option<&Value> {
        let object = self.parsed.get_or_init(|| serde_json::from_str(&self.text).ok()).as_ref()?;
        Some(object.get(name).unwrap_or(&Value::Null))
    }

    /// The value of a label, if it has it.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.part("metadata")?.get("labels")?.get(key)?.as_str()
    }

    /// Its `apiVersion`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Its kind in the plural, as `match[].resource` names it, by the rule that policy-controller guesses by.
    pub(crate) fn resource(&self) -> String {
        let kind = self.kind.to_ascii_lowercase();
        match kind.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None if kind.ends_with('s') => format!("{kind}es"),
            None => format!("{kind}s"),
        }
    }
}
