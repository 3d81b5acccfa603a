//! Structural schemas, put together field by field.

use serde_json::{Map, Value, json};

/// A part of a schema.
#[derive(Clone, Debug)]
pub(super) struct Schema(Map<String, Value>);

impl Schema {
    fn of(kind: &str, description: &str) -> Self {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), kind.into());
        if !description.is_empty() {
            fields.insert("description".to_owned(), description.into());
        }
        Self(fields)
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// An object. Fields that it does not name are kept, for the parser to refuse.
    pub(super) fn object(description: &str) -> Self {
        Self::of("object", description).with("x-kubernetes-preserve-unknown-fields", true)
    }

    pub(super) fn text(description: &str) -> Self {
        Self::of("string", description)
    }

    pub(super) fn boolean(description: &str) -> Self {
        Self::of("boolean", description)
    }

    pub(super) fn integer(description: &str) -> Self {
        Self::of("integer", description).with("format", "int64").with("minimum", 0)
    }

    /// A list of at most so many.
    pub(super) fn list(description: &str, limit: u32, item: Self) -> Self {
        Self::of("array", description).with("maxItems", limit).with("items", item.0)
    }

    /// Texts by names that nobody lists beforehand.
    pub(super) fn labels(description: &str) -> Self {
        Self::of("object", description).with("additionalProperties", json!({"type": "string"}))
    }

    pub(super) fn field(mut self, name: &str, field: Self) -> Self {
        let fields = self.0.entry("properties").or_insert_with(|| json!({}));
        fields[name] = field.0.into();
        self
    }

    pub(super) fn required(self, names: &[&str]) -> Self {
        self.with("required", names.to_vec())
    }

    pub(super) fn default_text(self, value: &str) -> Self {
        self.with("default", value)
    }

    /// At most so many characters.
    pub(super) fn at_most(self, length: u32) -> Self {
        self.with("maxLength", length)
    }

    pub(super) fn pattern(self, pattern: &str) -> Self {
        self.with("pattern", pattern)
    }

    /// A rule in CEL, and what is said where it does not hold.
    pub(super) fn rule(mut self, rule: &str, message: &str) -> Self {
        let rules = self.0.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
        if let Value::Array(rules) = rules {
            rules.push(json!({"rule": rule, "message": message}));
        }
        self
    }

    /// Each item is one of its own by this field.
    pub(super) fn keyed(self, key: &str) -> Self {
        self.with("x-kubernetes-list-type", "map").with("x-kubernetes-list-map-keys", vec![key])
    }

    /// As the whole of an object: what is unknown beside the specification is nobody's.
    pub(super) fn root(mut self) -> Value {
        self.0.remove("x-kubernetes-preserve-unknown-fields");
        self.0.into()
    }
}
