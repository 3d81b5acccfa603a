//! Reading the fields of a mapping, with a path for every complaint.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::externals::{External, Externals};
use crate::field_errors::FieldErrors;
use crate::node::Node;

/// What came of reading a document.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What is wrong: any, and the document is refused.
    pub(crate) errors: FieldErrors,
    /// What is odd.
    pub(crate) warnings: Vec<String>,
    /// What keeps a policy that is written well from being judged by. It denies what it covers.
    pub(crate) unusable: Vec<String>,
    /// How many regular expressions have been compiled, in this document and those before it.
    pub(crate) regexes: usize,
    /// What was found of that which policies only name.
    pub(crate) externals: Arc<Externals>,
    /// What the document names.
    pub(crate) named: Vec<External>,
    /// Whether it may name nothing: whoever writes in one namespace must learn nothing of others, nor of servers.
    pub(crate) inline: bool,
}

/// A mapping and where it is in its document.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    path: String,
    fields: &'a BTreeMap<String, Node>,
}

static NO_FIELDS: BTreeMap<String, Node> = BTreeMap::new();

impl<'a> Object<'a> {
    /// The mapping at a path. Anything else is reported; nothing at all is an empty mapping.
    pub(crate) fn of(node: &'a Node, path: String, report: &mut Report) -> Option<Self> {
        match node {
            Node::Map(fields) => Some(Self { path, fields }),
            Node::Null => Some(Self { path, fields: &NO_FIELDS }),
            Node::Boolean(_) | Node::Integer(_) | Node::Number | Node::Text(_) | Node::List(_) => {
                report.mistyped("a mapping", node, if path.is_empty() { "document".into() } else { path });
                None
            }
        }
    }

    /// The path of a field, or of one that is missing.
    pub(crate) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports every field that is not among these.
    pub(crate) fn only(&self, known: &[&str], report: &mut Report) {
        for key in self.fields.keys().filter(|key| !known.contains(&key.as_str())) {
            report.errors.unknown(self.at(key));
        }
    }

    /// The same mapping under another path: policy-controller leaves the index out of some.
    pub(crate) fn known_as(&self, path: String) -> Self {
        Self { path, fields: self.fields }
    }

    /// The names of the fields.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.fields.keys().map(String::as_str)
    }

    /// Reports every one of these that is not text, or not given.
    pub(crate) fn require(&self, keys: &[&str], report: &mut Report) {
        for key in keys {
            self.text(key, report);
            if !self.has(key) {
                report.errors.missing(self.at(key));
            }
        }
    }

    /// Whether a field is given and not blank.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.get(key).is_some_and(|node| !node.is_blank())
    }

    /// The value of a field, whatever it is.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        self.fields.get(key).filter(|node| !node.is_blank())
    }

    /// A field that is text, if it is given and not empty.
    pub(crate) fn text(&self, key: &str, report: &mut Report) -> Option<&'a str> {
        let node = self.node(key)?;
        if let Node::Text(text) = node {
            return Some(text);
        }
        report.mistyped("text", node, self.at(key));
        None
    }

    /// A field that is a boolean, if it is given.
    pub(crate) fn boolean(&self, key: &str, report: &mut Report) -> Option<bool> {
        let node = self.node(key)?;
        if let Node::Boolean(value) = node {
            return Some(*value);
        }
        report.mistyped("a boolean", node, self.at(key));
        None
    }

    /// A field that is a whole number from nought up, if it is given.
    pub(crate) fn integer(&self, key: &str, report: &mut Report) -> Option<u64> {
        let node = self.node(key)?;
        if let Node::Integer(value) = node
            && let Ok(value) = u64::try_from(*value)
        {
            return Some(value);
        }
        report.mistyped("a whole number", node, self.at(key));
        None
    }

    /// A field that is a mapping, if it is given.
    pub(crate) fn object(&self, key: &str, report: &mut Report) -> Option<Self> {
        self.node(key).and_then(|node| Self::of(node, self.at(key), report))
    }

    /// A field that is a list of at most `limit` mappings; none where it is not given.
    pub(crate) fn objects(&self, key: &str, limit: usize, report: &mut Report) -> Vec<Self> {
        let items = self.items(key, limit, report).iter().enumerate();
        items.filter_map(|(index, node)| Self::of(node, self.at_index(key, index), report)).collect()
    }

    /// A field that is a list of at most `limit` texts; none where it is not given.
    pub(crate) fn texts(&self, key: &str, limit: usize, report: &mut Report) -> Vec<&'a str> {
        let mut texts = Vec::new();
        for (index, node) in self.items(key, limit, report).iter().enumerate() {
            match node {
                Node::Text(text) => texts.push(text.as_str()),
                Node::Null
                | Node::Boolean(_)
                | Node::Integer(_)
                | Node::Number
                | Node::List(_)
                | Node::Map(_) => {
                    report.mistyped("text", node, self.at_index(key, index));
                }
            }
        }
        texts
    }

    fn items(&self, key: &str, limit: usize, report: &mut Report) -> &'a [Node] {
        match self.node(key) {
            None => &[],
            Some(Node::List(items)) if items.len() <= limit => items,
            Some(Node::List(_)) => {
                report.errors.add(format!("more than {limit} entries"), self.at(key));
                &[]
            }
            Some(other) => {
                report.mistyped("a list", other, self.at(key));
                &[]
            }
        }
    }

    fn at_index(&self, key: &str, index: usize) -> String {
        format!("{}[{index}]", self.at(key))
    }
}

impl Report {
    /// For a document that follows others in which so many regular expressions were compiled.
    pub(crate) fn new(regexes: usize, externals: Arc<Externals>) -> Self {
        Self { regexes, externals, ..Self::default() }
    }

    /// The content of something that the document names at this path. Where it cannot be had the policy is unusable.
    pub(crate) fn external(&mut self, external: External, path: &str) -> Option<Arc<str>> {
        if self.inline {
            self.unusable(path, "a policy of one namespace holds all that it needs itself");
            return None;
        }
        let content = self.externals.content(&external);
        self.named.push(external);
        content.map_err(|why| self.unusable(path, why)).ok()
    }

    /// Something keeps the policy from being judged by.
    pub(crate) fn unusable(&mut self, path: &str, why: impl std::fmt::Display) {
        self.unusable.push(format!("{path}: {why}"));
    }

    fn mistyped(&mut self, wanted: &str, got: &Node, path: String) {
        self.errors.add(format!("expected {wanted}, got {}", got.kind()), path);
    }
}
