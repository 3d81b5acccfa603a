//! How keys begin: what a purge speaks of.

use crate::{Key, KeyBytes};

/// The first fields that keys have, each given or left open. A whole key is the beginning of itself alone, and no
/// field at all is the beginning of every key.
///
/// It is written as keys are, with an impossible length for a field that is left open.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Beginning(Vec<u8>);

const LENGTH: usize = 8;
const ANY: [u8; LENGTH] = u64::MAX.to_be_bytes();

impl Beginning {
    /// That of every key.
    pub fn of_all() -> Self {
        Self::default()
    }

    /// That of keys which begin with this part.
    pub fn of(part: &impl Key) -> Self {
        Self::default().then(part)
    }

    /// And then with this one.
    pub fn then(mut self, part: &impl Key) -> Self {
        self.0.extend_from_slice(KeyBytes::of(part).as_slice());
        self
    }

    /// And then with one field, whatever it is.
    pub fn then_any(mut self) -> Self {
        self.0.extend_from_slice(&ANY);
        self
    }

    /// Whether a key begins so.
    pub fn begins(&self, key: &[u8]) -> bool {
        let (mut wanted, mut key) = (self.0.as_slice(), key);
        while !wanted.is_empty() {
            let (Some((want, more_wanted)), Some((Some(field), more))) = (field(wanted), field(key)) else {
                return false;
            };
            if want.is_some_and(|want| want != field) {
                return false;
            }
            (wanted, key) = (more_wanted, more);
        }
        true
    }

    /// The bytes that all these keys begin with.
    pub(crate) fn literal(&self) -> &[u8] {
        let mut rest = self.0.as_slice();
        while let Some((Some(_), more)) = field(rest) {
            rest = more;
        }
        self.0.get(..self.0.len() - rest.len()).unwrap_or_default()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// What was written so before.
    pub(crate) fn from_encoded(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// The fields of a key, as they were encoded.
impl From<&KeyBytes> for Beginning {
    fn from(fields: &KeyBytes) -> Self {
        Self(fields.as_slice().to_vec())
    }
}

/// The fields of an encoded key.
pub(crate) fn fields(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = key;
    std::iter::from_fn(move || {
        let (field, more) = field(rest)?;
        rest = more;
        field
    })
}

/// The first field, or that it is left open, and what comes after.
fn field(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    if *length == ANY {
        return Some((None, rest));
    }
    let (field, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    Some((Some(field), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(parts: &[&str]) -> KeyBytes {
        let mut key = KeyBytes::default();
        parts.iter().for_each(|part| key.field(part.as_bytes()));
        key
    }

    fn beginning(parts: &[Option<&str>]) -> Beginning {
        parts.iter().fold(Beginning::of_all(), |beginning, part| match part {
            Some(part) => beginning.then(&(*part).to_owned()),
            None => beginning.then_any(),
        })
    }

    #[test]
    fn a_field_that_is_left_open_may_be_anything_and_has_to_be_there() {
        let by_digest = beginning(&[None, None, Some("abc")]);
        for (parts, begins) in [
            (&["a.example", "app", "abc"][..], true),
            (&["a.example", "app", "abc", "more"], true),
            (&["a.example", "app", "abcd"], false),
            (&["a.example", "abc"], false),
            (&["a.example", "abc", "app"], false),
            (&[], false),
        ] {
            assert_eq!(by_digest.begins(key(parts).as_slice()), begins, "{parts:?}");
        }
        assert_eq!(by_digest.literal(), b"");
        assert_eq!(beginning(&[Some("a"), None]).literal(), key(&["a"]).as_slice());
        assert!(Beginning::of_all().begins(b"") && Beginning::of_all().begins(key(&["a"]).as_slice()));
    }

    proptest! {
        #[test]
        fn without_open_fields_it_is_what_the_bytes_begin_with(
            wanted in prop::collection::vec("[ab]{0,3}", 0..4), parts in prop::collection::vec("[ab]{0,3}", 0..4)
        ) {
            let [wanted, key] = [wanted, parts].map(|parts| key(&parts.iter().map(String::as_str).collect::<Vec<_>>()));
            let beginning = Beginning::from(&wanted);
            prop_assert_eq!(beginning.begins(key.as_slice()), key.as_slice().starts_with(wanted.as_slice()));
            prop_assert_eq!(beginning.literal(), wanted.as_slice());
            prop_assert_eq!(&Beginning::from_encoded(beginning.as_slice()), &beginning);
        }

        #[test]
        fn bytes_that_nobody_encoded_begin_nothing_and_break_nothing(wanted: Vec<u8>, key: Vec<u8>) {
            let beginning = Beginning::from_encoded(&wanted);
            beginning.begins(&key);
            prop_assert!(beginning.literal().len() <= wanted.len());
        }
    }
}
