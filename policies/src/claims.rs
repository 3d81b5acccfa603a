//! What a certificate says of a build.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a certificate says of a build, by the names of Fulcio's extensions: texts by name, in order of names.
///
/// It is remembered of every signature, some twenty names and texts of each, so all of them are one text here.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Claims {
    /// Each name and its text, one after the other.
    text: Box<str>,
    /// Where in it each of these ends.
    ends: Box<[u32]>,
}

impl Claims {
    /// The text of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(named, _)| *named == name).map(|(_, text)| text)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each name and its text, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        let mut next = move |end: u32| {
            let end = end as usize;
            self.text.get(std::mem::replace(&mut start, end)..end).unwrap_or_default()
        };
        self.ends.as_chunks().0.iter().map(move |[name, text]| (next(*name), next(*text)))
    }

    /// How many bytes they take.
    pub fn size(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends)
    }
}

/// Of several texts of one name the last is meant. What would be longer than any certificate is left out.
impl<N: AsRef<str>, T: AsRef<str>> FromIterator<(N, T)> for Claims {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(claims: I) -> Self {
        let mut sorted: Vec<(N, T)> = claims.into_iter().collect();
        sorted.sort_by(|(one, _), (other, _)| one.as_ref().cmp(other.as_ref()));
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(2 * sorted.len()));
        for (index, (name, said)) in sorted.iter().enumerate() {
            let is_last = sorted.get(index + 1).is_none_or(|(next, _)| next.as_ref() != name.as_ref());
            if is_last {
                for part in [name.as_ref(), said.as_ref()] {
                    text.push_str(part);
                    ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
                }
            }
        }
        Self { text: text.into(), ends: ends.into() }
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("texts by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = Vec::<(String, String)>::new();
                while let Some(claim) = map.next_entry()? {
                    claims.push(claim);
                }
                Ok(claims.into_iter().collect())
            }
        }

        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_what_a_map_of_them_would_be(said in prop::collection::vec((".{0,3}", ".{0,9}"), 0..9)) {
            let map: BTreeMap<String, String> = said.iter().cloned().collect();
            let claims: Claims = said.into_iter().collect();
            let both = map.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            prop_assert!(claims.iter().eq(both));
            prop_assert_eq!((claims.len(), claims.is_empty()), (map.len(), map.is_empty()));
            prop_assert!(map.iter().all(|(name, text)| claims.get(name) == Some(text)));
            prop_assert_eq!(claims.get("none of them"), None);
            let text = serde_json::to_string(&claims).unwrap();
            prop_assert_eq!(&text, &serde_json::to_string(&map).unwrap());
            prop_assert_eq!(serde_json::from_str::<Claims>(&text).unwrap(), claims);
        }
    }
}
