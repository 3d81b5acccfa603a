//! YAML as a tree, before anything is known of its meaning.
//!
//! A tree, and not a derived `Deserialize`, because a policy is refused with everything that is wrong with
//! it, and serde stops at the first thing.

use std::collections::BTreeMap;
use std::fmt;

use oci::Hasher;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{MergeKeyPolicy, Options};

/// One value of a YAML document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Node {
    /// Nothing; the same as a key that is absent.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number. No field is one, so its value is of no interest.
    Number,
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A mapping.
    Map(BTreeMap<String, Self>),
}

/// The documents of a YAML stream; empty ones are skipped. The error is for a person, on one line.
///
/// Keys that are given twice, merge keys and application tags are refused: each would let a reader see
/// another policy than the one that is in force. Aliases are followed within narrow limits.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, String> {
    serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| error.to_string().replace('\n', " "))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1_024,
            max_depth: 32,
            max_nodes: 200_000,
            max_aliases: 256,
            max_anchors: 256,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
        },
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

impl Node {
    /// Whether this is as good as absent: Kubernetes sees no difference between an empty text or list and
    /// none.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Boolean(_) | Self::Integer(_) | Self::Number | Self::Map(_) => false,
        }
    }

    /// What this is, for error messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Number => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// Hashes the meaning: neither comments, nor the order of keys, nor keys without a value count.
    /// Everything of variable length goes with its length, so that no two trees hash the same bytes.
    pub(crate) fn digest_into(&self, hasher: &mut Hasher) {
        match self {
            Self::Null => hasher.update(b"0"),
            Self::Boolean(value) => hasher.update(if *value { b"t" } else { b"f" }),
            Self::Integer(value) => {
                hasher.update(b"i");
                hasher.update(&value.to_be_bytes());
            }
            Self::Number => hasher.update(b"n"),
            Self::Text(text) => {
                hasher.update(b"s");
                digest_text(text, hasher);
            }
            Self::List(list) => {
                hasher.update(b"l");
                hasher.update(&(list.len() as u64).to_be_bytes());
                list.iter().for_each(|item| item.digest_into(hasher));
            }
            Self::Map(map) => {
                let given: Vec<_> = map.iter().filter(|(_, value)| **value != Self::Null).collect();
                hasher.update(b"m");
                hasher.update(&(given.len() as u64).to_be_bytes());
                for (key, value) in given {
                    digest_text(key, hasher);
                    value.digest_into(hasher);
                }
            }
        }
    }
}

/// Hashes text with its length before it.
pub(crate) fn digest_text(text: &str, hasher: &mut Hasher) {
    hasher.update(&(text.len() as u64).to_be_bytes());
    hasher.update(text.as_bytes());
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry::<String, Node>()? {
            if map.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
            }
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests;
