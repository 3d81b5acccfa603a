//! TOML, YAML and JSON as one tree whose parts know the lines that they are on.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{MergeKeyPolicy, Options, Spanned};
use toml_edit::{Document as Toml, Item, TableLike, Value as TomlValue};

/// A part of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// A number, or a date: nothing that is read here has one of these.
    Other,
    /// Some parts in order.
    List(Vec<Placed>),
    /// Some parts by name, in order.
    Map(Vec<Entry>),
}

/// A part and its line, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) line: Option<usize>,
    pub(super) node: Node,
}

/// A part, its name, and the line of the name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: Option<usize>,
    pub(super) node: Node,
}

/// Why a text is no document, and where.
#[derive(Debug)]
pub(super) struct Unparsable {
    pub(super) line: Option<usize>,
    pub(super) reason: String,
}

impl Node {
    /// The entry of this name.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The part below these names.
    pub(super) fn below(&self, path: &[&str]) -> Option<&Entry> {
        let (last, path) = path.split_last()?;
        path.iter().try_fold(self, |node, key| node.get(key).map(|entry| &entry.node))?.get(last)
    }

    /// Every entry; none where it is no map.
    pub(super) fn entries(&self) -> &[Entry] {
        match self {
            Self::Map(entries) => entries,
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::Other | Self::List(_) => &[],
        }
    }

    /// Every item; none where it is no list.
    pub(super) fn items(&self) -> &[Placed] {
        match self {
            Self::List(items) => items,
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::Other | Self::Map(_) => &[],
        }
    }

    /// The text, where it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Other | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Whether it is the word true.
    pub(super) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }
}

/// Reads TOML.
pub(super) fn toml(text: &str) -> Result<Node, Unparsable> {
    let line = |span: Option<std::ops::Range<usize>>| {
        span.and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1)
    };
    let document = Toml::parse(text).map_err(|error| Unparsable {
        line: line(error.span()),
        reason: error.message().replace('\n', " "),
    })?;
    if let Some(span) = beyond(document.as_table(), text) {
        let reason = "it is TOML 1.1, and runtimes read 1.0".to_owned();
        return Err(Unparsable { line: line(Some(span)), reason });
    }
    Ok(of_table(document.as_table(), &line))
}

/// Where a document is written as TOML 1.0 does not allow: an inline table over several lines or with a comma at its
/// end, or an escape that is new. A runtime's parser stops there.
fn beyond(table: &dyn TableLike, text: &str) -> Option<std::ops::Range<usize>> {
    table.iter().find_map(|(_, item)| match item {
        Item::None => None,
        Item::Value(value) => beyond_in(value, text),
        Item::Table(table) => beyond(table, text),
        Item::ArrayOfTables(tables) => tables.iter().find_map(|table| beyond(table, text)),
    })
}

fn beyond_in(value: &TomlValue, text: &str) -> Option<std::ops::Range<usize>> {
    let span = value.span()?;
    let written = text.get(span.clone())?;
    match value {
        TomlValue::Array(items) => items.iter().find_map(|item| beyond_in(item, text)),
        TomlValue::InlineTable(table) => {
            let ends = written.trim_end_matches('}').trim_end();
            (written.contains('\n') || ends.ends_with(',')).then_some(span).or_else(|| beyond(table, text))
        }
        TomlValue::String(_) => has_new_escape(written).then_some(span),
        TomlValue::Boolean(_) | TomlValue::Integer(_) | TomlValue::Float(_) | TomlValue::Datetime(_) => None,
    }
}

fn has_new_escape(written: &str) -> bool {
    let mut characters = written.chars();
    while written.starts_with('"')
        && let Some(character) = characters.next()
    {
        if character == '\\' && matches!(characters.next(), Some('e' | 'x')) {
            return true;
        }
    }
    false
}

type Line<'a> = &'a dyn Fn(Option<std::ops::Range<usize>>) -> Option<usize>;

fn of_table(table: &dyn TableLike, line: Line<'_>) -> Node {
    let entries = table.iter().map(|(key, item)| Entry {
        key: key.to_owned(),
        line: line(table.key(key).and_then(toml_edit::Key::span)).or_else(|| line(item.span())),
        node: of_item(item, line),
    });
    Node::Map(entries.collect())
}

fn of_item(item: &Item, line: Line<'_>) -> Node {
    match item {
        Item::None => Node::Null,
        Item::Value(value) => of_value(value, line),
        Item::Table(table) => of_table(table, line),
        Item::ArrayOfTables(tables) => Node::List(
            tables
                .iter()
                .map(|table| Placed { line: line(table.span()), node: of_table(table, line) })
                .collect(),
        ),
    }
}

fn of_value(value: &TomlValue, line: Line<'_>) -> Node {
    match value {
        TomlValue::String(text) => Node::Text(text.value().clone()),
        TomlValue::Boolean(truth) => Node::Bool(*truth.value()),
        TomlValue::Integer(_) | TomlValue::Float(_) | TomlValue::Datetime(_) => Node::Other,
        TomlValue::Array(items) => Node::List(
            items.iter().map(|item| Placed { line: line(item.span()), node: of_value(item, line) }).collect(),
        ),
        TomlValue::InlineTable(table) => of_table(table, line),
    }
}

/// Reads the documents of a YAML stream; empty ones are skipped.
pub(super) fn yaml(text: &str) -> Result<Vec<Node>, Unparsable> {
    let read =
        serde_saphyr::from_multiple_with_options::<Node>(text, options()).map_err(|error| Unparsable {
            line: error.location().and_then(|location| usize::try_from(location.line()).ok()),
            reason: error.to_string().replace('\n', " "),
        })?;
    Ok(read.into_iter().filter(|node| *node != Node::Null).collect())
}

/// Reads JSON, all of which is YAML too, where lines are known.
pub(super) fn json(text: &str) -> Result<Node, Unparsable> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        return Err(Unparsable { line: Some(error.line()), reason: error.to_string() });
    }
    let mut read = yaml(text)?.into_iter();
    Ok(read.next().unwrap_or(Node::Null))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 256,
            max_depth: 64,
            max_nodes: 400_000,
            max_aliases: 256,
            max_anchors: 256,
        },
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    }
}

struct Parts;

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Parts)
    }
}

fn line_of<T>(spanned: &Spanned<T>) -> Option<usize> {
    usize::try_from(spanned.referenced.line()).ok().filter(|line| *line > 0)
}

impl<'de> Visitor<'de> for Parts {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any part of a document")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Node>>()? {
            list.push(Placed { line: line_of(&item), node: item.value });
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let node = map.next_value::<Node>()?;
            entries.push(Entry { line: line_of(&key), key: key.value, node });
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_toml_knows_its_line() {
        let node =
            toml("server = \"a\"\n\n[host.\"b\"]\n  capabilities = [\n    \"pull\",\n    \"x\"]\n").unwrap();
        assert_eq!(node.get("server").unwrap().line, Some(1));
        assert_eq!(node.below(&["host", "b"]).unwrap().line, Some(3));
        let capabilities = node.below(&["host", "b", "capabilities"]).unwrap();
        assert_eq!((capabilities.line, capabilities.node.items()[1].line), (Some(4), Some(6)));
        assert_eq!(toml("a = 1\nb = \n").unwrap_err().line, Some(2));
    }

    #[test]
    fn what_only_the_newer_toml_allows_is_an_error_here_as_it_is_in_runtimes() {
        for text in ["a = {b = 1,\n c = 2}", "a = {b = 1,}", "a = [{b = \"\\x41\"}]", "[x]\na = \"\\e\""] {
            assert!(toml(text).is_err(), "{text}");
        }
        for text in ["a = {b = 1, c = 2}", "a = '\\x'", "a = \"\\\\x\"", "a = [\n1,\n]"] {
            assert!(toml(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn each_part_of_yaml_knows_its_line() {
        let node = &yaml("mirrors:\n  docker.io:\n    endpoint:\n      - a\n  '*':\n").unwrap()[0];
        assert_eq!(node.below(&["mirrors", "docker.io"]).unwrap().line, Some(2));
        assert_eq!(node.below(&["mirrors", "docker.io", "endpoint"]).unwrap().node.items()[0].line, Some(4));
        assert_eq!(node.below(&["mirrors", "*"]).unwrap().node, Node::Null);
        assert_eq!(yaml("a: 1\n---\n---\nb: yes\n").unwrap().len(), 2);
        assert!(yaml("a: [").is_err());
    }

    #[test]
    fn json_is_json_alone() {
        let node = json("{\n  \"a\": {\"b\": true}\n}").unwrap();
        assert!(node.below(&["a", "b"]).unwrap().node.is_true());
        assert_eq!(node.below(&["a", "b"]).unwrap().line, Some(2));
        assert_eq!(json("{\"a\": true,\n}").unwrap_err().line, Some(2));
    }
}
