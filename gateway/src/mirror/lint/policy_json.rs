//! `policy.json`: which images are accepted, and of which registries none is.

use super::files::Source;
use crate::mirror::document::{self, Entry, Node, Unparsable};

/// A `policy.json`.
pub(super) struct Policy<'a> {
    pub(super) source: &'a Source,
    pub(super) root: Result<Node, Unparsable>,
}

impl<'a> Policy<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self { source, root: document::json(&source.text) }
    }

    /// What it says of images by the names that they begin with.
    fn scopes(&self) -> &[Entry] {
        let docker = self.root.as_ref().ok().and_then(|root| root.below(&["transports", "docker"]));
        docker.map(|docker| docker.node.entries()).unwrap_or_default()
    }

    /// The names of which images are accepted.
    pub(super) fn accepts(&self) -> impl Iterator<Item = &Entry> {
        self.scopes().iter().filter(|scope| !scope.key.is_empty() && !rejects(&scope.node))
    }

    /// Whether images are rejected of which it says nothing.
    pub(super) fn rejects_others(&self) -> bool {
        let general = || self.root.as_ref().ok().and_then(|root| root.get("default"));
        let others = self.scopes().iter().find(|scope| scope.key.is_empty()).or_else(general);
        others.is_some_and(|others| rejects(&others.node))
    }

    /// Whether every image of a registry is rejected.
    pub(super) fn rejects_all_of(&self, name: &str) -> bool {
        self.rejects_others() && !self.accepts().any(|scope| is_of(name, host_of(&scope.key)))
    }
}

/// The host of a prefix or a location.
pub(super) fn host_of(location: &str) -> &str {
    location.split('/').next().unwrap_or(location)
}

/// Whether a registry is the one that is named, or below a wildcard.
pub(super) fn is_of(name: &str, named: &str) -> bool {
    named == name || named.strip_prefix('*').is_some_and(|suffix| name.ends_with(suffix))
}

fn rejects(requirements: &Node) -> bool {
    let first = requirements.items().first().and_then(|item| item.node.get("type"));
    first.and_then(|kind| kind.node.text()) == Some("reject")
}
