//! Names that other readers take for ours.
//!
//! Clients in Go match the names of fields in any case, and of several that match the last one counts: a manifest with
//! `layers` and `Layers` is one thing here and another to containerd. Such a document has two readings and is refused.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The names that are read here, at any depth.
const NAMES: [&str; 9] = [
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "digest",
    "size",
];

/// Checks that every name in a document which any reader takes for one of ours is spelled as ours.
///
/// Annotations are passed over: their names are the writer's, and are compared letter by letter everywhere.
pub(super) fn check(document: &[u8]) -> Result<(), serde_json::Error> {
    Spelled.deserialize(&mut serde_json::Deserializer::from_slice(document))
}

/// The name of ours that this one is taken for and is not.
fn mistaken(name: &str) -> Option<&'static str> {
    let is_taken_for = |ours: &&str| name.chars().map(folded).eq(ours.chars().map(folded));
    NAMES.into_iter().find(is_taken_for).filter(|ours| *ours != name)
}

/// The two letters outside ASCII that Go folds into it are the long s and the Kelvin sign.
fn folded(letter: char) -> char {
    match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    }
}

#[derive(Clone, Copy)]
struct Spelled;

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Field<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Spelled {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Spelled {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(Field(name)) = entries.next_key()? {
            if let Some(ours) = mistaken(&name) {
                return Err(A::Error::custom(format_args!("{name:?} is {ours:?} to other readers")));
            }
            if name == "annotations" {
                entries.next_value::<IgnoredAny>()?;
            } else {
                entries.next_value_seed(self)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_ours_in_another_case_is_refused_at_any_depth() {
        for document in [
            r#"{"layers":[],"Layers":[]}"#,
            r#"{"MANIFESTS":[]}"#,
            r#"{"config":{"digest":"a","Digest":"b"}}"#,
            r#"{"layers":[{"size":1},{"\u0053ize":1}]}"#,
            r#"{"layer\u017f":[]}"#,
            r#"{"Annotations":{}}"#,
        ] {
            assert!(check(document.as_bytes()).is_err(), "{document}");
        }
    }

    #[test]
    fn other_names_and_annotations_are_the_writers() {
        for document in [
            r#"{"schemaVersion":2,"layers":[{"digest":"a","size":1,"data":"","platform":{"OS":1.5,"os":-1}}]}"#,
            r#"{"annotations":{"Layers":"a","layers":"b","CONFIG":"c"},"config":null,"layered":true}"#,
        ] {
            assert!(check(document.as_bytes()).is_ok(), "{document}");
        }
    }
}
