//! How the clients that are written in Go read a manifest: names match in any case, and the last one counts.
//!
//! A model of `encoding/json` over the fields that name content, made to be compared with our own reading. It says
//! nothing (`None`) of documents that those clients refuse.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The digests that a manifest names: its manifests, or its configuration and then its layers.
pub fn children(content: &[u8], index: bool) -> Option<Vec<String>> {
    let document: Object = serde_json::from_slice(content).ok()?;
    let entries: Vec<Box<RawValue>> = match document.field(if index { "manifests" } else { "layers" }) {
        Some(list) => serde_json::from_str::<Option<_>>(list.get()).ok()?.unwrap_or_default(),
        None => Vec::new(),
    };
    let config = if index { None } else { Some(document.field("config")?) };
    config.into_iter().chain(entries.iter().map(|entry| &**entry)).map(digest).collect()
}

fn digest(descriptor: &RawValue) -> Option<String> {
    let descriptor: Object = serde_json::from_str(descriptor.get()).ok()?;
    serde_json::from_str(descriptor.field("digest")?.get()).ok()
}

/// The entries of an object, in their order.
struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    fn field(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().rev().find(|(key, _)| key.chars().map(fold).eq(name.chars())).map(|(_, value)| &**value)
    }
}

/// The two letters outside ASCII that Go folds into it are the long s and the Kelvin sign.
fn fold(letter: char) -> char {
    match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Object(entries))
    }
}
