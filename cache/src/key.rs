//! Keys, written so that no two are the same bytes.

use std::hash::Hash;
use std::sync::Arc;

use oci::{Digest, Name};

use crate::beginning::fields;

/// What something is remembered under.
///
/// All keys of one type must encode the same number of fields, or say in an earlier field how many follow: two keys
/// that differ then differ in their bytes, whatever the fields hold.
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {
    /// Appends the fields of this key.
    fn encode(&self, out: &mut KeyBytes);

    /// Whose it is, where memory is shared out among many: a repository's, or nobody's in particular.
    fn domain(&self) -> Option<KeyBytes> {
        None
    }
}

/// An encoded key: every field with its length before it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct KeyBytes(Vec<u8>);

impl KeyBytes {
    /// The bytes of one key.
    pub fn of(key: &impl Key) -> Self {
        let mut bytes = Self::default();
        key.encode(&mut bytes);
        bytes
    }

    /// Appends one field.
    pub fn field(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// All the fields.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Each of the fields.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        fields(&self.0)
    }

    /// Fields that were encoded before.
    pub(crate) fn from_encoded(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// All the fields, for keeps.
    pub(crate) fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

/// What [`Links`](crate::Links) are kept within: a tenant's view of a repository, as a list of names.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Scope(Arc<[u8]>);

impl Scope {
    /// The scope that these names make, in this order.
    pub fn new(names: &[&[u8]]) -> Self {
        let mut bytes = KeyBytes::default();
        for name in names {
            bytes.field(name);
        }
        Self(bytes.0.into())
    }

    /// The names that one was made of, as it stands in a key. What is no text is left out.
    pub(crate) fn names(encoded: &[u8]) -> Vec<String> {
        fields(encoded).filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect()
    }
}

impl Key for Scope {
    fn encode(&self, out: &mut KeyBytes) {
        out.field(&self.0);
    }

    fn domain(&self) -> Option<KeyBytes> {
        Some(KeyBytes::of(self))
    }
}

impl Key for String {
    fn encode(&self, out: &mut KeyBytes) {
        out.field(self.as_bytes());
    }
}

impl Key for Arc<str> {
    fn encode(&self, out: &mut KeyBytes) {
        out.field(self.as_bytes());
    }
}

impl Key for &'static str {
    fn encode(&self, out: &mut KeyBytes) {
        out.field(self.as_bytes());
    }
}

impl Key for u64 {
    fn encode(&self, out: &mut KeyBytes) {
        out.field(&self.to_be_bytes());
    }
}

impl Key for Name {
    fn encode(&self, out: &mut KeyBytes) {
        out.field(self.host.as_str().as_bytes());
        out.field(self.repository.as_str().as_bytes());
    }

    fn domain(&self) -> Option<KeyBytes> {
        Some(KeyBytes::of(self))
    }
}

/// The hash alone: the algorithms differ in its length.
impl Key for Digest {
    fn encode(&self, out: &mut KeyBytes) {
        out.field(self.hash());
    }
}

macro_rules! tuples {
    ($($($part:ident)+;)+) => {$(
        /// It is whose its first part is.
        impl<$($part: Key),+> Key for ($($part,)+) {
            #[expect(non_snake_case, reason = "a part is named as its type")]
            fn encode(&self, out: &mut KeyBytes) {
                let ($($part,)+) = self;
                $($part.encode(out);)+
            }

            fn domain(&self) -> Option<KeyBytes> {
                self.0.domain()
            }
        }
    )+};
}

tuples! {
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(fields: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = KeyBytes::default();
        for field in fields {
            bytes.field(field);
        }
        bytes.0
    }

    /// Short and of few letters, or none would ever look like another's length.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0_u8..4, 0..12)
    }

    fn fields() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(field(), 0..4)
    }

    proptest! {
        #[test]
        fn keys_that_differ_have_other_bytes(one in fields(), other in fields()) {
            prop_assert_eq!(one == other, encoded(&one) == encoded(&other));
        }

        #[test]
        fn no_key_begins_with_another_of_as_many_fields(pairs in prop::collection::vec((field(), field()), 1..4)) {
            let (one, other): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            prop_assert_eq!(one == other, encoded(&one).starts_with(&encoded(&other)));
        }

        #[test]
        fn text_moved_from_one_part_to_the_next_is_another_key(text in "[a-z;/:]{1,12}", at in 0_usize..12, to in 0_usize..12) {
            let (at, to) = (at.min(text.len()), to.min(text.len()));
            prop_assume!(at != to);
            let cut = |at| (text[..at].to_owned(), text[at..].to_owned());
            prop_assert_ne!(KeyBytes::of(&cut(at)), KeyBytes::of(&cut(to)));
        }
    }

    #[test]
    fn scopes_of_the_same_letters_differ() {
        assert_ne!(Scope::new(&[b"a", b"bc"]), Scope::new(&[b"ab", b"c"]));
        assert_ne!(Scope::new(&[b"a", b""]), Scope::new(&[b"a"]));
        assert_ne!(Scope::new(&[b"", b"a"]), Scope::new(&[b"a", b""]));
    }
}
