//! The walk along paths of fields: an object's text is read once, and nothing of it but what the paths lead to is kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::field_path::{FieldPath, Step};

/// Paths, put together to be walked at once. None of them leads to another.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Node);

#[derive(Clone, Debug, Default)]
struct Node {
    /// Which path ends here, if one does.
    ends: Option<usize>,
    fields: Vec<(Box<str>, Self)>,
    each: Option<Box<Self>>,
}

/// What stands at the end of a path.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Field {
    /// Which of the paths.
    pub(super) of: usize,
    /// Where exactly: `spec.containers[0].image`.
    pub(super) path: String,
    /// The text that stands there.
    pub(super) text: String,
}

/// The fields of an object could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It has more of them than were asked for.
    TooMany,
    /// It is not what its kind promises.
    Malformed(serde_json::Error),
}

/// How many fields of one object are told apart to see whether one is there twice.
const SIBLINGS: usize = 64;

impl Fields {
    /// Adds a path, which is known by its number from now on.
    pub(super) fn add(&mut self, path: &FieldPath, number: usize) {
        let mut node = &mut self.0;
        for step in path.steps() {
            node = match step {
                Step::Field(name) => node.field(name),
                Step::Each => &mut **node.each.get_or_insert_default(),
            };
        }
        node.ends = Some(number);
    }

    /// Whether there is no path.
    pub(super) fn is_empty(&self) -> bool {
        let Node { ends, fields, each } = &self.0;
        ends.is_none() && fields.is_empty() && each.is_none()
    }

    /// The texts at the ends of the paths, in the order of paths and then of the object, at most so many. What is absent,
    /// null or empty is left out.
    pub(super) fn of(&self, object: &str, most: usize) -> Result<Vec<Field>, Unread> {
        let mut found = Found { fields: Vec::new(), most, too_many: false };
        let mut deserializer = serde_json::Deserializer::from_str(object);
        let walk = Walk { node: &self.0, at: &At::Top, found: &mut found };
        match walk.deserialize(&mut deserializer).and_then(|()| deserializer.end()) {
            Ok(()) => {}
            Err(_) if found.too_many => return Err(Unread::TooMany),
            Err(error) => return Err(Unread::Malformed(error)),
        }
        found.fields.sort_by_key(|field| field.of);
        Ok(found.fields)
    }
}

impl Node {
    fn field(&mut self, name: &str) -> &mut Self {
        let index = self.fields.iter().position(|(known, _)| **known == *name).unwrap_or_else(|| {
            self.fields.push((name.into(), Self::default()));
            self.fields.len() - 1
        });
        &mut self.fields[index].1
    }
}

struct Found {
    fields: Vec<Field>,
    most: usize,
    too_many: bool,
}

/// Where the walk is. Written out only where something is found.
enum At<'a> {
    Top,
    Field(&'a Self, &'a str),
    Entry(&'a Self, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Top => Ok(()),
            At::Field(At::Top, name) => f.write_str(name),
            At::Field(above, name) => write!(f, "{above}.{name}"),
            At::Entry(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

struct Walk<'a> {
    node: &'a Node,
    at: &'a At<'a>,
    found: &'a mut Found,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.node {
            Node { ends: Some(_), .. } => "a text",
            Node { each: Some(_), .. } => "a list",
            Node { .. } => "an object",
        };
        match self.at {
            At::Top => f.write_str(what),
            at @ (At::Field(..) | At::Entry(..)) => write!(f, "{what} at {at}"),
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let Some(of) = self.node.ends else {
            return Err(E::invalid_type(serde::de::Unexpected::Str(text), &self));
        };
        if text.is_empty() {
            return Ok(());
        }
        if self.found.fields.len() == self.found.most {
            self.found.too_many = true;
            return Err(E::custom("too many"));
        }
        self.found.fields.push(Field { of, path: self.at.to_string(), text: text.to_owned() });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some(node) = &self.node.each else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        };
        let mut index = 0;
        while list
            .next_element_seed(Walk { node, at: &At::Entry(self.at, index), found: self.found })?
            .is_some()
        {
            index += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.node.fields.is_empty() {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        }
        let mut seen = [false; SIBLINGS];
        while let Some(known) = map.next_key_seed(Known(self.node))? {
            let Some(index) = known else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let (name, node) = &self.node.fields[index];
            // Readers differ over which of two counts.
            if seen.get_mut(index).is_none_or(|seen| std::mem::replace(seen, true)) {
                return Err(A::Error::custom(format_args!("{} is there twice", At::Field(self.at, name))));
            }
            map.next_value_seed(Walk { node, at: &At::Field(self.at, name), found: self.found })?;
        }
        Ok(())
    }
}

/// Which of a node's fields a key is, if any.
struct Known<'a>(&'a Node);

impl<'de> DeserializeSeed<'de> for Known<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Known<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.fields.iter().position(|(name, _)| **name == *key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(paths: &[&str]) -> Fields {
        let mut fields = Fields::default();
        for (number, path) in paths.iter().enumerate() {
            fields.add(&path.parse().unwrap(), number);
        }
        fields
    }

    #[track_caller]
    fn check(paths: &[&str], object: &str, expected: &[(&str, &str)]) {
        let found = fields(paths).of(object, 10).unwrap();
        let found: Vec<_> = found.iter().map(|field| (field.path.as_str(), field.text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_paths_lead_to_is_found_in_their_order_and_nothing_else_is_looked_at() {
        check(
            &["b.a", "a[*].c", "a[*].d[*]"],
            r#"{"z": [{"a": {}}], "a": [{"c": "1", "d": ["2", null, "3"]}, null, {"c": ""}, {"c": "\u00e44"}], "b": {"a": "5"}}"#,
            &[("b.a", "5"), ("a[0].c", "1"), ("a[3].c", "\u{e4}4"), ("a[0].d[0]", "2"), ("a[0].d[2]", "3")],
        );
        check(&["a.b"], "{}", &[]);
        check(&["a.b"], r#"{"a": null}"#, &[]);
    }

    #[test]
    fn what_is_of_another_shape_is_there_twice_or_too_often_is_refused() {
        for object in [
            r#"{"a": "b"}"#,
            r#"{"a": [{}]}"#,
            r#"{"a": {"b": 1}}"#,
            r#"{"a": {"b": {}}}"#,
            "7",
            "[",
            "{} {}",
        ] {
            assert!(matches!(fields(&["a.b"]).of(object, 10), Err(Unread::Malformed(_))), "{object}");
        }
        let twice = fields(&["a.b"]).of(r#"{"a": {"b": "1"}, "a": {"b": "2"}}"#, 10);
        assert!(
            matches!(twice, Err(Unread::Malformed(error)) if error.to_string().contains("a is there twice"))
        );
        assert!(matches!(fields(&["a[*]"]).of(r#"{"a": ["1", "2"]}"#, 1), Err(Unread::TooMany)));
    }
}
