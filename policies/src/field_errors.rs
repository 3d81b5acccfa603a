//! What is wrong with an object, in the words and the order of policy-controller.

use std::collections::{BTreeMap, BTreeSet};

/// Everything that is wrong with one object.
///
/// Errors of one message and one detail become one entry that names all their paths, and entries are in order
/// of message, as Knative's `FieldError` has it.
#[derive(Debug, Default)]
pub(crate) struct FieldErrors(BTreeMap<(String, String), BTreeSet<String>>);

impl FieldErrors {
    /// Adds an error of its own kind.
    pub(crate) fn add(&mut self, message: impl Into<String>, path: String) {
        self.add_with(message, path, "");
    }

    /// Adds an error that needs a second line.
    pub(crate) fn add_with(&mut self, message: impl Into<String>, path: String, details: impl Into<String>) {
        self.0.entry((message.into(), details.into())).or_default().insert(path);
    }

    /// A field that must be there is not.
    pub(crate) fn missing(&mut self, path: String) {
        self.add("missing field(s)", path);
    }

    /// A field that no version of the resource has.
    pub(crate) fn unknown(&mut self, path: String) {
        self.add("unknown field(s)", path);
    }

    /// None of several fields is there.
    pub(crate) fn neither(&mut self, paths: impl IntoIterator<Item = String>) {
        paths.into_iter().for_each(|path| self.add("expected exactly one, got neither", path));
    }

    /// More than one of several fields is there.
    pub(crate) fn both(&mut self, paths: impl IntoIterator<Item = String>) {
        paths.into_iter().for_each(|path| self.add("expected exactly one, got both", path));
    }

    /// A value that is not accepted, and why.
    pub(crate) fn invalid(&mut self, value: &str, path: String, details: impl Into<String>) {
        self.add_with(format!("invalid value: {value}"), path, details);
    }

    /// The entries: `<message>: <path>, <path>`, and the detail on a second line where there is one.
    pub(crate) fn entries(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|((message, details), paths)| {
            let paths = paths.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            if details.is_empty() {
                format!("{message}: {paths}")
            } else {
                format!("{message}: {paths}\n{details}")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_errors_share_an_entry_and_entries_are_in_order() {
        let mut errors = FieldErrors::default();
        errors.missing("spec.b".into());
        errors.invalid("x", "spec.c".into(), "because");
        errors.missing("spec.a".into());
        assert_eq!(
            errors.entries().collect::<Vec<_>>(),
            ["invalid value: x: spec.c\nbecause", "missing field(s): spec.a, spec.b"]
        );
    }
}
